"""Gradients of one network averaged over all processes, while another waits.

Lightning wraps the complete module in one DistributedDataParallel (DDP), whose backward passes sum up the gradients of
all networks, those that have none as zeros: of two networks that step in turn it would move twice the bytes.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

BYTES = 32 * 2**20  # of a sum; several at once


def ddp_of(trainer: Trainer) -> DistributedDataParallel | None:
    """The wrapper whose sums `average_gradients` can take the place of; None if there is none, or if it has a hook that
    changes what is sent."""
    strategy, model = trainer.strategy, trainer.model
    if not isinstance(strategy, DDPStrategy) or not isinstance(model, DistributedDataParallel):
        return None
    return model if strategy._ddp_comm_hook is None else None


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replaces every gradient by its mean over all processes, which have gradients of the same parameters."""
    kinds: dict[tuple[torch.device, torch.dtype], list[Tensor]] = defaultdict(list)
    for parameter in parameters:
        if parameter.grad is not None:
            kinds[parameter.grad.device, parameter.grad.dtype].append(parameter.grad)
    size = distributed.get_world_size()
    for (_, dtype), gradients in kinds.items():
        waiting = []
        for part in parts(gradients, BYTES // dtype.itemsize):
            flat = torch.cat([gradient.flatten() for gradient in part]).div_(size)
            waiting.append((part, flat, distributed.all_reduce(flat, async_op=True)))
        for part, flat, sent in waiting:
            sent.wait()
            pieces = flat.split([gradient.numel() for gradient in part])
            torch._foreach_copy_(part, [piece.view_as(gradient) for piece, gradient in zip(pieces, part, strict=True)])


def parts(gradients: list[Tensor], most: int) -> list[list[Tensor]]:
    """Cut into lists of at most `most` numbers, but one tensor at least."""
    found: list[list[Tensor]] = [[]]
    count = 0
    for gradient in gradients:
        if found[-1] and count + gradient.numel() > most:
            found.append([])
            count = 0
        found[-1].append(gradient)
        count += gradient.numel()
    return found
