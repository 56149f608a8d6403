"""Attention against an explicit softmax, and who sees whom."""

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from transgan.layers.attention import Attention, Causal, CrossAttention, Full, Windowed
from transgan.layers.position import RelativePositionBias, Rotary

DIM, HEADS = 8, 2


def explicit(layer: Attention, x, allowed):
    """softmax(q k^T / sqrt(D) + bias) v by hand; `allowed` (T, T) says who may look where."""
    n, t, c = x.shape
    q, k, v = (part.reshape(n, t, HEADS, c // HEADS).transpose(1, 2) for part in layer.qkv(x).split(c, -1))
    q, k = layer.rotary(layer.q_norm(q)), layer.rotary(layer.k_norm(k))
    logits = torch.einsum("nhtd,nhsd->nhts", q, k) / (c // HEADS) ** 0.5
    if layer.bias is not None:
        logits = logits + layer.bias()
    logits = logits.masked_fill(~allowed, float("-inf"))
    weights = logits.exp() / logits.exp().sum(-1, keepdim=True)
    return layer.proj(torch.einsum("nhts,nhsd->nhtd", weights, v).transpose(1, 2).reshape(n, t, c))


def relative(grid):
    bias = RelativePositionBias(HEADS, grid)
    nn.init.normal_(bias.table)
    return bias


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_equals_an_explicit_softmax(causal, bias, qk_norm, rotary):
    layer = Attention(
        DIM, HEADS, qk_norm=qk_norm, pattern=Causal() if causal else Full(),
        rotary=Rotary(DIM // HEADS, (2, 3)) if rotary else None, bias=relative((2, 3)) if bias else None,
    ).double()  # fmt: skip
    x = torch.randn(2, 6, DIM, dtype=torch.float64)
    allowed = torch.ones(6, 6, dtype=torch.bool)
    torch.testing.assert_close(layer(x), explicit(layer, x, allowed.tril() if causal else allowed))


@pytest.mark.parametrize("bias", [False, True])
def test_windows_are_separate_attentions(bias):
    layer = Attention(DIM, HEADS, pattern=Windowed((4, 6), 2), bias=relative((2, 2)) if bias else None).double()
    x = torch.randn(3, 4, 6, DIM, dtype=torch.float64)
    out = layer(x.reshape(3, 24, DIM)).reshape(3, 4, 6, DIM)
    for i in range(0, 4, 2):
        for j in range(0, 6, 2):
            window = x[:, i : i + 2, j : j + 2].reshape(3, 4, DIM)
            expected = explicit(layer, window, torch.ones(4, 4, dtype=torch.bool))
            torch.testing.assert_close(out[:, i : i + 2, j : j + 2].reshape(3, 4, DIM), expected)


def test_windows_come_back_in_place():
    pattern, x = Windowed((4, 6), 2), torch.arange(2 * 24 * 3).reshape(2, 24, 3)
    folded = pattern.fold(x)
    assert folded.shape == (2 * 6, 4, 3)
    assert torch.equal(pattern.unfold(folded), x)
    assert torch.equal(folded[1], x[0, [2, 3, 8, 9]])  # the second window of the first row: columns 2, 3


def test_heads_come_back_in_place_too():
    pattern, x = Windowed((4, 6), 2), torch.randn(2, 24, 6)
    heads = pattern.fold(x).unflatten(-1, (2, 3))
    assert torch.equal(pattern.unfold(heads), x)
    assert torch.equal(pattern.unfold(heads.transpose(1, 2).contiguous().transpose(1, 2)), x)
    assert torch.equal(Full().unfold(x.unflatten(-1, (2, 3))), x)


def test_cross_attention_closed_form():
    layer = CrossAttention(8, 2, 6).double()
    x, context = torch.randn(2, 5, 8, dtype=torch.float64), torch.randn(2, 3, 6, dtype=torch.float64)
    q, k, v = (w(s).reshape(2, -1, 2, 4) for w, s in ((layer.q, x), (layer.k, context), (layer.v, context)))
    weights = (torch.einsum("nthd,nmhd->nhtm", q, k) / 2).softmax(-1)
    expected = layer.proj(torch.einsum("nhtm,nmhd->nthd", weights, v).reshape(2, 5, 8))
    torch.testing.assert_close(layer(x, context), expected)
    assert layer.q.bias is layer.k.bias is layer.v.bias is None
    with pytest.raises(ValueError, match="num_heads 3 does not divide dim 8"):
        CrossAttention(8, 3, 6)


def influence(layer, tokens: int):
    """(T, T) bool: does changing token s change output t?"""
    x = torch.randn(1, tokens, DIM)
    changed = x.repeat(tokens, 1, 1)
    changed[range(tokens), range(tokens)] += 1.0
    return (layer(changed) - layer(x)).abs().amax(-1).T > 0


@pytest.mark.parametrize("bias", [False, True])
def test_causal_sees_itself_and_before_only(bias):
    layer = Attention(DIM, HEADS, pattern=Causal(), bias=relative((1, 5)) if bias else None)
    assert torch.equal(influence(layer, 5), torch.ones(5, 5, dtype=torch.bool).tril())


def test_full_sees_everything():
    assert influence(Attention(DIM, HEADS), 5).all()


def test_a_window_influences_only_itself():
    seen = influence(Attention(DIM, HEADS, pattern=Windowed((4, 4), 2)), 16)
    window = torch.arange(16) // 8 * 2 + torch.arange(16) % 4 // 2
    assert torch.equal(seen, window[:, None] == window[None])


def test_qk_norm_bounds_the_logits(monkeypatch):
    seen = {}

    def spy(q, k, v, **_):
        seen["logits"] = q @ k.mT / q.shape[-1] ** 0.5
        return v

    monkeypatch.setattr("torch.nn.functional.scaled_dot_product_attention", spy)
    x = 1e4 * torch.randn(2, 6, DIM)
    Attention(DIM, HEADS, qk_norm=True, rotary=Rotary(DIM // HEADS, (2, 3)))(x)
    assert seen["logits"].abs().max() <= (DIM // HEADS) ** 0.5 + 1e-4  # |q| = |k| = sqrt(D)
    Attention(DIM, HEADS)(x)
    assert seen["logits"].abs().max() > 1e3


def test_bias_of_the_projection_can_be_left_out():
    assert Attention(DIM, HEADS).qkv.bias is not None
    assert Attention(DIM, HEADS, qkv_bias=False).qkv.bias is None


def test_errors_name_the_numbers():
    with pytest.raises(ValueError, match="num_heads 3 does not divide dim 8"):
        Attention(8, 3)
    with pytest.raises(ValueError, match="window_size 3 does not divide the token grid 6x4"):
        Windowed((6, 4), 3)


@pytest.mark.parametrize("pattern", [Full(), Causal(), Windowed((2, 4), 2)], ids=lambda p: type(p).__name__)
def test_can_be_differentiated_twice(pattern):
    grid = (2, 2) if isinstance(pattern, Windowed) else (2, 4)
    layer = Attention(4, 1, qk_norm=True, pattern=pattern, rotary=Rotary(4, grid)).double()
    x = torch.randn(1, 8, 4, dtype=torch.float64, requires_grad=True)
    with sdpa_kernel(SDPBackend.MATH):
        assert torch.autograd.gradgradcheck(layer, (x,))
