"""The conditions under which features are computed: the same numbers whatever training has switched on."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact(device: torch.device | str) -> Iterator[None]:
    """No gradient, no inference mode, no autocast, no TF32 on `device`; everything as it was afterwards.

    Inference mode is left because what is made inside it cannot be trained or added to. TF32 is rounded to three
    digits, and cuDNN uses it for convolutions by default.
    """
    matmul, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(torch.device(device).type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = cudnn
