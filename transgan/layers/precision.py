"""float32 inside autocast, where half precision is not enough."""

import torch
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """Half precision as float32; anything else unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def without_autocast(x: Tensor) -> torch.autocast:
    """A context in which the device of `x` computes in the tensors' own precision; for the meta device, which has no
    autocast, too."""
    return torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False)


def matmul_dtype(x: Tensor) -> torch.dtype | None:
    """The type in which a matrix product reads x: under autocast half precision; otherwise None, its own."""
    if x.is_meta or not torch.is_autocast_enabled(x.device.type):
        return None
    return torch.get_autocast_dtype(x.device.type) if x.dtype == torch.float32 else None
