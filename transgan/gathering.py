"""What a loss of the complete batch needs of the other processes."""

import torch
from torch import Tensor
from torch import distributed as dist


def gathered(values: Tensor) -> Tensor:
    """The values (n, ...) of each of R processes, in their order (R n, ...); those of one process as they are.

    They may be logits, labels or features. The gradient of a process's own values is R times what it would be: every
    process computes the loss of the complete batch, and DDP's average of their gradients is then the gradient of one
    process with the complete batch.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return values
    own = values.detach().contiguous()
    everything = own.new_empty(dist.get_world_size() * len(own), *own.shape[1:])
    dist.all_gather_into_tensor(everything, own)
    parts = list(everything.chunk(dist.get_world_size()))
    parts[dist.get_rank()] = own + len(parts) * (values - own)
    return torch.cat(parts)
