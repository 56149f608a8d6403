"""Tiles against explicit matrices: the same output, the same gradients, and only where they are of use."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from transgan.layers import tiled_attention
from transgan.layers.attention import Attention, Windowed
from transgan.layers.position import RelativePositionBias
from transgan.layers.tiled_attention import TiledAttention, wanted


def parts(n, heads, t, d, dtype=torch.float64):
    """q, k, v as a projection makes them, and a bias."""
    qkv = torch.randn(n, t, 3, heads, d, dtype=dtype)
    return *(x.requires_grad_() for x in qkv.permute(2, 0, 3, 1, 4)), torch.randn(
        1, heads, t, t, dtype=dtype
    ).requires_grad_()


def gradients(attend, inputs):
    out = attend(*inputs)
    out.backward(torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape))
    found = [x.grad for x in inputs]
    for x in inputs:
        x.grad = None
    return out.detach(), *found


def explicit(q, k, v, bias):
    with sdpa_kernel(SDPBackend.MATH):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


@pytest.mark.parametrize("tile", [1, 50, 100, 2**18])  # less than a row, some rows, a sample, everything
def test_equals_explicit_attention(tile, monkeypatch):
    monkeypatch.setattr(tiled_attention, "TILE", tile)
    inputs = parts(5, 3, 9, 4)
    for ours, theirs in zip(gradients(TiledAttention.apply, inputs), gradients(explicit, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-9)


def test_half_precision():
    inputs = parts(2, 2, 16, 8, torch.bfloat16)
    for ours, theirs in zip(gradients(TiledAttention.apply, inputs), gradients(explicit, inputs), strict=True):
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours, theirs, atol=0.05, rtol=0.05)


def test_where_it_is_wanted():
    q, bias = torch.randn(1, 1, 2, 2), torch.randn(1, 1, 2, 2, requires_grad=True)
    assert wanted(q, bias)
    assert not wanted(q, None) and not wanted(q, bias.detach()) and not wanted(q.to("meta"), bias)
    with torch.no_grad():
        assert not wanted(q, bias)
    with sdpa_kernel(SDPBackend.MATH):
        assert not wanted(q, bias)
    with sdpa_kernel([SDPBackend.MATH, SDPBackend.FLASH_ATTENTION]):
        assert wanted(q, bias)


@pytest.mark.parametrize("pattern", [None, Windowed((4, 6), 2)])
def test_attention_takes_it_and_its_gradients_stay(pattern, monkeypatch):
    layer = Attention(8, 2, pattern=pattern, bias=RelativePositionBias(2, (2, 2) if pattern else (4, 6)))
    nn.init.normal_(layer.bias.table)
    x, found, calls = torch.randn(3, 24, 8), [], []
    apply = TiledAttention.apply
    monkeypatch.setattr(TiledAttention, "apply", lambda *inputs: calls.append(1) or apply(*inputs))
    for backends in ([SDPBackend.MATH], [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION]):
        layer.zero_grad()
        with sdpa_kernel(backends):
            out = layer(x)
        out.square().sum().backward()
        found.append([out, *(p.grad for p in layer.parameters())])
    assert len(calls) == 1
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_can_be_differentiated_twice():
    inputs = parts(2, 2, 4, 3)
    assert torch.autograd.gradgradcheck(TiledAttention.apply, inputs)
    q, *rest = inputs
    ours = torch.func.grad(lambda x: TiledAttention.apply(x, *rest).square().sum())(q)
    torch.testing.assert_close(ours, torch.func.grad(lambda x: explicit(x, *rest).square().sum())(q))
