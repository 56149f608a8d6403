"""Bytes of tensors that are alive at once: closed forms, and a straight line in the size of a batch."""

import torch

from transgan.runs.live_bytes import LiveBytes
from transgan.runs.measuring import Footprint


def test_what_is_freed_no_longer_counts():
    with LiveBytes() as live:
        a = torch.zeros(1000)
        b = a + 1
        del a
        c = b * 2
        view = c[10:]
    assert live.peak == 8000 and live.now == 8000
    del b, c
    assert live.now == 4000
    del view
    assert live.now == 0


def test_what_backward_needs_stays():
    weight = torch.ones(100, 100, requires_grad=True)
    with LiveBytes() as live:
        x = torch.ones(50, 100)
        y = (x @ weight).tanh()
        z = y.sum()
        del y, x
        assert live.now == 2 * 4 * 50 * 100 + 4  # of the product's input and of tanh's output
        z.backward()
    assert live.peak >= 2 * 4 * 50 * 100 + 4 * 100 * 100


def test_the_second_derivative_counts():
    def peak(second):
        x = torch.randn(64, 64, requires_grad=True)
        with LiveBytes() as live:
            gradient = torch.autograd.grad(x.tanh().square().sum(), x, create_graph=second)[0]
            if second:
                gradient.square().sum().backward()
        return live.peak

    assert peak(True) > 1.5 * peak(False)


def test_halved_until_it_fits():
    step = Footprint(100.0, 10.0)
    assert step.fitting(64, 1000) == 64 and step.fitting(64, 500) == 32 and step.fitting(64, 111) == 1
    assert step.fitting(64, 105) is None
