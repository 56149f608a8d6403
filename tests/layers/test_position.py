"""Positions: what depends on displacement alone, and prefix tokens, which have no place."""

import math

import pytest
import torch

from transgan.layers.position import RelativePositionBias, Rotary, sincos_table


def positions(h, w):
    return [(y, x) for y in range(h) for x in range(w)]


@pytest.mark.parametrize("grid", [(3, 4), (1, 6)])
def test_rotary_logits_depend_on_displacement_only(grid):
    q, k = torch.randn(2, 1, 1, 1, 8, dtype=torch.float64)
    rotary = Rotary(8, grid).double()
    tokens = grid[0] * grid[1]
    logits = (rotary(q.expand(1, 1, tokens, 8)) @ rotary(k.expand(1, 1, tokens, 8)).mT)[0, 0]
    of = {}
    for i, (y, x) in enumerate(positions(*grid)):
        for j, (v, u) in enumerate(positions(*grid)):
            of.setdefault((y - v, x - u), []).append(logits[i, j])
    for values in of.values():
        torch.testing.assert_close(torch.stack(values), values[0].expand(len(values)), atol=1e-6, rtol=0)
    assert len({round(values[0].item(), 4) for values in of.values()}) == len(of)  # and it does depend on it


def test_rotary_closed_form():
    x = torch.randn(1, 1, 6, 8)
    out = Rotary(8, (2, 3), theta=100.0)(x)
    for t, (row, column) in enumerate(positions(2, 3)):
        for i, angle in enumerate((row, row / 10, column, column / 10)):  # theta^-(0/2), theta^-(1/2)
            a, b = x[0, 0, t, i], x[0, 0, t, i + 4]
            torch.testing.assert_close(out[0, 0, t, i], a * math.cos(angle) - b * math.sin(angle))
            torch.testing.assert_close(out[0, 0, t, i + 4], b * math.cos(angle) + a * math.sin(angle))


def test_rotary_leaves_prefix_tokens_and_lengths_alone():
    x = torch.randn(2, 3, 2 + 6, 8)
    out = Rotary(8, (2, 3), num_prefix_tokens=2)(x)
    assert torch.equal(out[:, :, :2], x[:, :, :2])
    assert torch.equal(out[:, :, 2:], Rotary(8, (2, 3))(x[:, :, 2:]))
    assert not torch.allclose(out[:, :, 3:], x[:, :, 3:])
    torch.testing.assert_close(out.norm(dim=-1), x.norm(dim=-1))


def test_relative_bias_is_one_number_per_displacement():
    h, w = 2, 3
    bias = RelativePositionBias(2, (h, w))
    bias.table.data = torch.arange(15 * 2.0).view(15, 2)
    out = bias()
    assert out.shape == (1, 2, 6, 6)
    of = {}
    for i, (y, x) in enumerate(positions(h, w)):
        for j, (v, u) in enumerate(positions(h, w)):
            of.setdefault((y - v, x - u), set()).add(tuple(out[0, :, i, j].tolist()))
    assert len(of) == 15 and all(len(values) == 1 for values in of.values())
    assert len(set.union(*of.values())) == 15
    assert torch.equal(bias.index + bias.index.T, torch.full((6, 6), 14))  # opposite displacements mirror


def test_relative_bias_of_prefix_tokens_is_zero():
    bias = RelativePositionBias(2, (2, 2), num_prefix_tokens=1)
    out = bias()
    assert out.shape == (1, 2, 5, 5)
    assert not out[:, :, 0].any() and not out[:, :, :, 0].any() and out[:, :, 1:, 1:].all()


def test_sincos_table_closed_form():
    table = sincos_table(8, (2, 3))
    assert table.shape == (6, 8)
    y, x = 1, 2
    expected = [f(place * s) for place in (y, x) for f in (math.sin, math.cos) for s in (1, 0.01)]
    torch.testing.assert_close(table[y * 3 + x], torch.tensor(expected))
    assert len({tuple(row) for row in table.tolist()}) == 6


def test_errors_name_the_numbers():
    with pytest.raises(ValueError, match="divisible by 4, not 6"):
        sincos_table(6, (2, 2))
    with pytest.raises(ValueError, match=r"head width \(dim / num_heads\) divisible by 4, not 6"):
        Rotary(6, (2, 2))
