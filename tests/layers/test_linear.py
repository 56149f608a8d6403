"""Products by oneDNN: as torch's, with derivatives of any order, and out of the way of compilers."""

import pytest
import torch
from torch.nn import functional as F

from transgan.layers import linear


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
