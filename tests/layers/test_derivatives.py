"""Closed forms of derivatives against those that autograd derives from the plain formulas, and where they may run."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from transgan.layers import attention, derivatives, feedforward, linear, normalisation, position
from transgan.layers.attention import Attention, Causal
from transgan.layers.block import Transformer
from transgan.layers.explicit_attention import Attend
from transgan.layers.feedforward import gated_silu
from transgan.layers.linear import Product
from transgan.layers.norm import ScaledNorm
from transgan.layers.normalisation import normalised
from transgan.layers.position import Rotary, rotated
from transgan.penalties import R1R2, AugmentedDiscriminator


def randn(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, requires_grad=True)


def table(tokens, width):
    angle = torch.randn(tokens, width // 2, dtype=torch.float64)
    return torch.cat([angle.cos(), angle.cos(), -angle.sin(), angle.sin()], 1)


def attend(qk, v, bias):
    return Attend.apply(qk, v, bias, 0.6)[0]


FUNCTIONS = {
    "normalised": (partial(normalised, eps=1e-2), (randn(3, 5),)),
    "rotated": (lambda x, weight: rotated(x, weight, TABLE), (randn(2, 3, 8), randn(8))),
    "rotated without a weight": (lambda x: rotated(x, None, TABLE), (randn(2, 3, 8),)),
    "gated_silu": (gated_silu, (randn(2, 6),)),
    "attend": (lambda qk, v: attend(qk, v, None), (randn(2, 2, 3, 2), randn(2, 3, 2))),
    "attend with a bias": (attend, (randn(2, 4, 3, 2), randn(4, 3, 2), randn(2, 3, 3))),
}
TABLE = table(3, 8)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_both_derivatives(name):
    function, inputs = FUNCTIONS[name]
    assert torch.autograd.gradcheck(function, inputs) and torch.autograd.gradgradcheck(function, inputs)


@pytest.fixture
def plain(monkeypatch):
    """Calls a function with the plain formulas."""

    def call(function):
        with monkeypatch.context() as patch:
            for module in (attention, derivatives, feedforward, linear, normalisation, position):
                if hasattr(module, "closed_forms"):
                    patch.setattr(module, "closed_forms", lambda: False)
            return function()

    return call


def penalised(network, images, by=torch.autograd.grad):
    """The parameters' gradients of the squared input gradient and of the outputs themselves."""
    with sdpa_kernel(SDPBackend.MATH):
        if by is torch.func.grad:
            gradient, outputs = torch.func.grad(lambda x: (network(x).sin().sum(), network(x)), has_aux=True)(images)
        else:
            images = images.clone().requires_grad_()
            outputs = network(images)
            (gradient,) = torch.autograd.grad(outputs.sin().sum(), images, create_graph=True)
    return torch.autograd.grad(gradient.square().sum() + outputs.square().sum(), list(network.parameters()))


def stack(dtype=torch.float64, **settings):
    norm = partial(ScaledNorm, init_values=0.3)
    network = Transformer(8, 2, 2, (2, 3), norm=norm, num_prefix_tokens=1, **settings).to(dtype)
    for parameter in network.parameters():  # zeros and ones hide mistakes
        nn.init.normal_(parameter, std=0.5)
    return network


@pytest.mark.parametrize("by", [torch.autograd.grad, torch.func.grad])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("settings", [{}, {"relative_position": True}, {"causal": True}, {"rotary": False}])
def test_a_penalised_stack_has_the_plain_gradients(settings, dtype, tolerance, by, plain):
    network, x = stack(dtype, **settings), torch.randn(3, 7, 8, dtype=dtype)
    for ours, theirs in zip(penalised(network, x, by), plain(lambda: penalised(network, x)), strict=True):
        assert (ours - theirs).norm() <= tolerance * theirs.norm()


def test_a_discriminator_under_r1_and_r2_has_the_plain_gradients(discriminator, shift, plain):
    network = discriminator()
    real, fake = torch.randn(2, 3, 1, 8, 8)
    labels, random = torch.arange(3), torch.rand(2, 3, shift.num_random)

    def gradients():
        augmented = AugmentedDiscriminator(network, shift, 1.0, labels, random)
        logits_real, logits_fake, penalties = R1R2()(augmented, real, fake, torch.empty(3, 0))
        value = (logits_real - logits_fake).exp().mean() + penalties["r1"].mean() + penalties["r2"].mean()
        return torch.autograd.grad(value, list(network.parameters()))

    for ours, theirs in zip(gradients(), plain(gradients), strict=True):
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm()


def test_scales_in_the_weights_are_scales_of_the_tokens():
    for layer in (
        Attention(8, 2, qk_norm=True, rotary=Rotary(4, (2, 2))),
        feedforward.SwiGLU(8, 12),
        feedforward.Mlp(8, 12),
    ):
        x, scale, gate = torch.randn(2, 4, 8), torch.randn(8), torch.randn(8)
        torch.testing.assert_close(layer(x, scale=scale, gate=gate), layer(x * scale) * gate)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x, scale=scale, gate=gate).dtype == torch.bfloat16


def test_the_same_under_autocast_within_its_precision():
    network, x = stack(torch.float32), torch.randn(3, 7, 8)
    with torch.autocast("cpu", torch.bfloat16):
        half = torch.cat([each.float().flatten() for each in penalised(network, x)])
    full = torch.cat([each.flatten() for each in penalised(network, x)])
    assert F.cosine_similarity(half, full, dim=0) > 0.98
    assert network(x).dtype == torch.float32


@pytest.mark.slow
def test_compiled_whole_with_the_second_derivative():
    network, x = stack(torch.float32).blocks[0], torch.randn(3, 7, 8)

    def value(x):
        with sdpa_kernel(SDPBackend.MATH):
            return torch.func.grad(lambda x: network(x).sin().sum())(x).square().sum()

    compiled = torch.compile(value, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), value(x))
    parameters = list(network.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(compiled(x), parameters), torch.autograd.grad(value(x), parameters), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * theirs.abs().max().item())


def test_forward_differentiation():
    network, x, v = stack(), torch.randn(2, 7, 8, dtype=torch.float64), torch.randn(2, 7, 8, dtype=torch.float64)
    with sdpa_kernel(SDPBackend.MATH):
        _, along = torch.func.jvp(lambda x: network(x).sin().sum(), (x,), (v,))
        gradient = torch.func.grad(lambda x: network(x).sin().sum())(x)
    torch.testing.assert_close(along, (gradient * v).sum())


def test_a_copy_is_a_network_of_its_own():
    network, x = stack(torch.float32), torch.randn(2, 7, 8)
    copy = deepcopy(network)
    assert torch.equal(copy(x), network(x))
    assert penalised(copy, x)[0].norm() > 0


@pytest.mark.parametrize("rows", [2, 40])  # fewer and more than columns: which factor is copied
def test_products_by_onednn(rows):
    if not linear.ONEDNN:
        pytest.skip("this processor or this torch has none")
    a, b, bias = torch.randn(rows, 16), torch.randn(12, 16), torch.randn(12)
    inputs = [each.requires_grad_() for each in (a, b, bias)]

    def second(function):
        out = function(*inputs)
        first = torch.autograd.grad(out.sin().sum(), inputs, create_graph=True)
        return out, *first, *torch.autograd.grad(sum(each.square().sum() for each in first), inputs)

    def product(a, b, bias):
        return Product.apply(a, b, bias)

    for ours, theirs in zip(second(product), second(lambda a, b, bias: F.linear(a, b, bias)), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_large_products_are_by_onednn_and_small_ones_are_not(monkeypatch):
    calls = []
    monkeypatch.setattr(linear, "ONEDNN", True)
    monkeypatch.setattr(linear, "call", lambda function, x, weight, bias: calls.append(x) or F.linear(x, weight, bias))
    layer = nn.Linear(64, 64)
    small, large = linear.linear(torch.randn(4, 8, 64), layer), linear.linear(torch.randn(4, 512, 64), layer)
    assert small.shape == (4, 8, 64) and large.shape == (4, 512, 64) and len(calls) == 1
    linear.linear(torch.randn(4, 512, 64).double(), deepcopy(layer).double())
    with torch.autocast("cpu", torch.bfloat16):
        linear.linear(torch.randn(4, 512, 64), layer)
    assert len(calls) == 1


def test_an_input_gradient_computes_none_of_the_weights(monkeypatch):
    computed = []
    original = derivatives.needed
    monkeypatch.setattr(position, "needed", lambda ctx, i: computed.append(original(ctx, i)) or computed[-1])
    x, weight = torch.randn(2, 3, 8, requires_grad=True), torch.ones(8, requires_grad=True)
    cos = TABLE.float()
    torch.autograd.grad(rotated(x, weight, cos).sum(), x, create_graph=True)
    rotated(x, weight, cos).sum().backward()
    assert computed == [False, True]


def test_causal_attention_twice_sees_nothing_ahead():
    layer, x = Attention(8, 2, pattern=Causal(), bias=None), torch.randn(1, 4, 8)
    with sdpa_kernel(SDPBackend.MATH):
        changed = x.clone()
        changed[:, 3] += 1
        torch.testing.assert_close(layer(x)[:, :3], layer(changed)[:, :3])
