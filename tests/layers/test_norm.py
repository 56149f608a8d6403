"""Closed forms of the norms, and their precision."""

import pytest
import torch
from torch import nn

from transgan.layers.norm import PixelNorm, RMSNorm, ScaledNorm, SelfModulatedNorm, StyleNorm


def test_pixel_norm_closed_form():
    x = torch.randn(2, 3, 5)
    torch.testing.assert_close(PixelNorm()(x), x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt())
    torch.testing.assert_close(PixelNorm()(7 * x).square().mean(-1), torch.ones(2, 3), atol=1e-4, rtol=0)
    assert not list(PixelNorm(5).parameters())
    assert torch.isfinite(PixelNorm()(torch.zeros(1, 5))).all()


def test_rms_norm_closed_form():
    norm, x = RMSNorm(5), torch.randn(2, 3, 5)
    nn.init.normal_(norm.weight)
    torch.testing.assert_close(norm(x), x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * norm.weight)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("norm", [PixelNorm(64), RMSNorm(64)])
def test_half_precision_is_computed_in_float32(norm, dtype):
    x = (1000 * torch.randn(4, 64)).to(dtype)  # the square of 1000 is beyond float16
    out = norm(x)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, norm(x.float()), rtol=0, atol=0)


def test_float64_stays():
    assert PixelNorm()(torch.randn(2, 4, dtype=torch.float64)).dtype == torch.float64


def test_scaled_norm():
    x, style = torch.randn(2, 3, 8), torch.randn(2, 4)
    out, gate = ScaledNorm(8, init_values=0.25)(x, style)
    torch.testing.assert_close(out, RMSNorm(8)(x))
    assert torch.equal(gate, torch.full((8,), 0.25)) and gate.requires_grad
    assert ScaledNorm(8)(x)[1] == 1.0


def test_style_norm_closed_form():
    norm, x, style = StyleNorm(8, style_dim=4), torch.randn(2, 3, 8), torch.randn(2, 4)
    nn.init.normal_(norm.modulation.weight)
    nn.init.normal_(norm.modulation.bias)
    out, gate = norm(x, style)
    both = style @ norm.modulation.weight.T + norm.modulation.bias
    torch.testing.assert_close(out, PixelNorm()(x) * (1 + both[:, None, :8]))
    torch.testing.assert_close(gate, both[:, None, 8:])
    assert gate.shape == (2, 1, 8)


def test_style_norm_without_style_is_the_plain_norm():
    norm, x = StyleNorm(8, style_dim=4), torch.randn(2, 3, 8)
    out, gate = norm(x, torch.zeros(2, 4))
    torch.testing.assert_close(out, PixelNorm()(x))
    assert not gate.any()


@pytest.mark.parametrize("norm", [PixelNorm(4), RMSNorm(4)])
def test_can_be_differentiated_twice(norm):
    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(norm.double(), (x,))


def test_style_norm_can_be_differentiated_twice():
    norm = StyleNorm(4, style_dim=3).double()
    x, style = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((1, 2, 4), (1, 3)))
    assert torch.autograd.gradgradcheck(norm, (x, style))


def test_self_modulated_norm_closed_form():
    norm, x, style = SelfModulatedNorm(8, style_dim=4), torch.randn(2, 3, 8), torch.randn(2, 4)
    nn.init.normal_(norm.modulation.bias)
    out, gate = norm(x, style)
    both = style @ norm.modulation.weight.T + norm.modulation.bias
    plain = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(out, plain * (1 + both[:, None, :8]) + both[:, None, 8:])
    assert gate == 1.0 and [name for name, _ in norm.named_parameters()] == ["modulation.weight", "modulation.bias"]


def test_self_modulated_norm_can_be_differentiated_twice():
    norm = SelfModulatedNorm(4, style_dim=3).double()
    x, style = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((1, 2, 4), (1, 3)))
    assert torch.autograd.gradgradcheck(lambda *inputs: norm(*inputs)[0], (x, style))
