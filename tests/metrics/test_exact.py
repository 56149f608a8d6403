"""Features are computed in full float32, and the settings of training come back."""

import pytest
import torch

from transgan.metrics.exact import exact


def settings():
    return (
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
    )


def test_exact_inside_and_as_before_outside():
    usual = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            before = settings()
            with pytest.raises(ZeroDivisionError), exact("cpu"):
                assert settings() == ("highest", False, False, False, False)
                assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
                raise ZeroDivisionError
            assert settings() == before
    finally:
        torch.set_float32_matmul_precision(usual)
