"""L2 attention against loops over distances, its gradient, and its precision far from zero."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from transgan.layers.attention import Attention, Causal, Full, Windowed
from transgan.layers.l2_attention import L2Attention
from transgan.layers.position import RelativePositionBias, Rotary

DIM, HEADS = 8, 2


def naive(layer: L2Attention, x, allowed):
    """softmax(-|q_i - q_j|^2 / sqrt(D) + bias) v, one distance at a time; `allowed` (T, T) says who may look where."""
    n, t, c = x.shape
    d = c // layer.num_heads
    q = layer.rotary(layer.norm(layer.qk(x).reshape(n, t, layer.num_heads, d).transpose(1, 2)))
    v = layer.v(x).reshape(n, t, layer.num_heads, d).transpose(1, 2)
    out = torch.zeros(n, t, layer.num_heads, d, dtype=x.dtype)
    for b in range(n):
        for h in range(layer.num_heads):
            for i in range(t):
                seen = [j for j in range(t) if allowed[i, j]]
                logits = [-sum((q[b, h, i, k] - q[b, h, j, k]) ** 2 for k in range(d)) / d**0.5 for j in seen]
                if layer.bias is not None:
                    logits = [logit + layer.bias()[0, h, i, j] for logit, j in zip(logits, seen, strict=True)]
                total = sum(logit.exp() for logit in logits)
                out[b, i, h] = sum(logit.exp() / total * v[b, h, j] for logit, j in zip(logits, seen, strict=True))
    return layer.proj(out.reshape(n, t, c))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rotary, qk_norm", [(False, False), (True, True)])
def test_equals_naive_loops(causal, bias, rotary, qk_norm):
    layer = L2Attention(
        DIM, HEADS, qk_norm=qk_norm, pattern=Causal() if causal else Full(),
        rotary=Rotary(DIM // HEADS, (2, 3)) if rotary else None,
        bias=RelativePositionBias(HEADS, (2, 3)) if bias else None,
    ).double()  # fmt: skip
    x = torch.randn(2, 6, DIM, dtype=torch.float64)
    allowed = torch.ones(6, 6, dtype=torch.bool)
    torch.testing.assert_close(layer(x), naive(layer, x, allowed.tril() if causal else allowed))


def test_windows_are_separate_attentions():
    layer = L2Attention(DIM, HEADS, pattern=Windowed((2, 4), 2)).double()
    x = torch.randn(1, 2, 4, DIM, dtype=torch.float64)
    left = naive(layer, x[:, :, :2].reshape(1, 4, DIM), torch.ones(4, 4, dtype=torch.bool))
    torch.testing.assert_close(layer(x.reshape(1, 8, DIM)).reshape(x.shape)[:, :, :2].reshape(1, 4, DIM), left)


def test_looks_nearby_and_not_far_away():
    """The minus sign: equal tokens see each other, a distant one is not seen."""
    layer, x = L2Attention(DIM, 1), torch.zeros(1, 3, DIM)
    x[0, 2] = 100
    torch.testing.assert_close(layer(x)[0, 0], layer.proj(layer.v.bias))
    torch.testing.assert_close(layer(x)[0, 2], layer.proj(layer.v(x[0, 2])))


def gradient(layer, x):
    """The largest singular value of the Jacobian at x."""
    jacobian = torch.autograd.functional.jacobian(layer, x).reshape(x.numel(), x.numel())
    return torch.linalg.matrix_norm(jacobian, 2).item()


def test_its_gradient_is_bounded_where_that_of_dot_products_grows():
    """The example of Kim et al. (2021, section 3.1): one token at zero, the others ever further away."""
    ours, dot = L2Attention(4, 1, qkv_bias=False).double(), Attention(4, 1, qkv_bias=False).double()
    x = torch.randn(1, 5, 4, dtype=torch.float64)
    x[:, 0] = 0
    with sdpa_kernel(SDPBackend.MATH):
        gradients = {kind: [gradient(kind, scale * x) for scale in (1, 10, 100, 1000)] for kind in (ours, dot)}
    assert gradients[dot][3] > 1e4 * gradients[dot][0]
    assert max(gradients[ours]) < 3 * gradients[ours][0]


def test_no_two_normalised_inputs_part_faster():
    """Tokens of unit mean square, as a norm makes them: the ratio of differences stays near the gradient at zero distance,
    however far apart the two inputs are, also when the projection grows."""
    layer = L2Attention(DIM, HEADS).double()
    x = torch.nn.functional.normalize(torch.randn(100, 6, DIM, dtype=torch.float64), dim=-1) * DIM**0.5
    for growth in (1, 10, 100):
        layer.qk.weight.data *= growth
        for step in (1e-4, 0.01, 0.1, 1.0):
            other = x + step * torch.randn_like(x)
            ratio = (layer(x) - layer(other)).flatten(1).norm(dim=1) / (x - other).flatten(1).norm(dim=1)
            assert ratio.max() < 5 * growth
        layer.qk.weight.data /= growth


def test_precision_far_from_zero():
    """Distances do not change when all tokens move together; the difference of their squares would be lost."""
    layer, x = L2Attention(DIM, HEADS), torch.randn(2, 6, DIM)
    exact = layer.double()(x.double())
    layer.float().qk.bias.data += 1000
    torch.testing.assert_close(layer(x).double(), exact, atol=1e-3, rtol=0)


def test_logits_are_float32_under_bf16():
    layer, x = L2Attention(DIM, HEADS), torch.randn(2, 6, DIM)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
    torch.testing.assert_close(out.float(), layer(x), atol=0.02, rtol=0.02)


def test_can_be_differentiated_twice():
    layer = L2Attention(4, 2, bias=RelativePositionBias(2, (1, 3))).double()
    x = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    with sdpa_kernel(SDPBackend.MATH):
        assert torch.autograd.gradgradcheck(layer, (x,))


def test_errors():
    with pytest.raises(ValueError, match="num_heads 3 does not divide dim 8"):
        L2Attention(8, 3)
