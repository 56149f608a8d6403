"""Products by oneDNN: as torch's, with derivatives of any order, and out of the way of compilers."""

import pytest
import torch
from torch._inductor import config as inductor
from torch.nn import functional as F

from transgan.layers import linear
from transgan.layers.compiling import compiled


@pytest.fixture(autouse=True)
def also_small(monkeypatch):
    monkeypatch.setattr(linear, "LEAST", 0)


@pytest.mark.skipif(not linear.ONEDNN, reason="this CPU has no AVX-512, and products are torch's own")
def test_a_product_that_dynamo_compiles_by_itself_is_left_to_onednn():
    """Where the graph around it breaks, frames inside are compiled one by one, and inductor refuses oneDNN's."""
    a, b = torch.randn(4, 8), torch.randn(3, 8)
    skipped = torch._dynamo.disable(lambda: linear.Product.forward(a, b, None), recursive=False)
    torch.testing.assert_close(torch.compile(lambda: skipped() + 1, backend="inductor")(), a @ b.T + 1)


def test_second_derivatives_are_those_of_torch():
    x, weight, bias = (torch.randn(shape, requires_grad=True) for shape in ((2, 5, 8), (3, 8), (3,)))

    def derivatives(function):
        y = function(x, weight, bias)
        first = torch.autograd.grad(y.tanh().sum(), (x, weight, bias), create_graph=True)
        return [y, *first, *torch.autograd.grad(sum(each.square().sum() for each in first), (x, weight, bias))]

    torch.testing.assert_close(derivatives(linear.product), derivatives(F.linear))


@pytest.mark.skipif(not linear.ONEDNN, reason="this CPU has no AVX-512, and products are torch's own")
def test_compiled_products_are_onednns_too(monkeypatch):
    calls = []
    multiply = linear.multiply
    monkeypatch.setattr(linear, "multiply", lambda *args: calls.append(args[0].shape) or multiply(*args))
    x, weight, bias = (torch.randn(shape, requires_grad=True) for shape in ((6, 8), (3, 8), (3,)))

    def loss(x, weight, bias):
        return torch.addmm(torch.ones(6, 3), torch.tanh(F.linear(x, weight, bias)), weight[:, :3]).square().sum()

    expected = torch.autograd.grad(loss(x, weight, bias), (x, weight, bias))
    torch._dynamo.reset()
    with inductor.patch(fx_graph_cache=False):  # graphs do not know what LEAST was
        found = torch.autograd.grad(compiled(loss, "inductor")(x, weight, bias), (x, weight, bias))
    torch.testing.assert_close(found, expected)
    assert torch.Size((6, 8)) in calls and len(calls) >= 4  # forward: the linear layer; backward: its and addmm's
    assert compiled(loss, "eager")(x, weight, bias).isfinite()


@pytest.mark.skipif(not linear.ONEDNN, reason="this CPU has no AVX-512, and products are torch's own")
def test_products_of_other_types_and_sizes_stay_with_the_compiler(monkeypatch):
    monkeypatch.setattr(linear, "LEAST", 100)
    monkeypatch.setattr(linear, "multiply", None)
    for a, b in ((torch.randn(2, 4), torch.randn(4, 3)), (torch.randn(20, 30).double(), torch.randn(30, 20).double())):
        torch._dynamo.reset()
        with inductor.patch(fx_graph_cache=False):
            torch.testing.assert_close(compiled(lambda a, b: a @ b + 1, "inductor")(a, b), a @ b + 1)
