"""Precision, recall, density, coverage: the definitions, the paper's code, and what rounding does to others. T19, T20."""

import contextlib
import io

import numpy as np
import pytest
import torch

from transgan.metrics import manifold
from transgan.metrics.manifold import PRDC, SquaredDistances, nearest, prdc

pytestmark = pytest.mark.filterwarnings("error")


def rows(n, d=16, seed=0, scale=1.0, mean=0.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + mean


def by_definition(fake, real, k):
    """Whole matrices of differences in float64, numpy alone; sides of unequal numbers as they are."""
    fake, real = (each.double().numpy() for each in (fake, real))
    between = np.sqrt(((real[:, None] - fake[None]) ** 2).sum(-1))    # real x fake
    radii = []
    for side in (real, fake):
        within = np.sqrt(((side[:, None] - side[None]) ** 2).sum(-1))
        np.fill_diagonal(within, np.inf)
        radii.append(np.sort(within, 1)[:, k - 1])
    in_real, in_fake = between < radii[0][:, None], between < radii[1][None]
    return {"precision": in_real.any(0).mean(), "recall": in_fake.any(1).mean(),
            "density": in_real.sum(0).mean() / k, "coverage": in_real.any(1).mean()}


def by_the_paper(fake, real, k):
    package = pytest.importorskip("prdc", reason="the prdc package, the code of the paper, is not installed")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        numbers = package.compute_prdc(real.numpy(), fake.numpy(), nearest_k=k)
    return numbers, said.getvalue()


@pytest.mark.parametrize("k", [1, 3, 5, 399])
@pytest.mark.parametrize("d", [2, 16, 300])
def test_T19_equals_the_definition(k, d):
    fake, real = rows(400, d, 1, 0.9, 0.1), rows(400, d)
    assert prdc(fake, real, k) == pytest.approx(by_definition(fake, real, k), abs=1e-12)


@pytest.mark.parametrize("k", [3, 5])
def test_T19_equals_the_paper(k, capfd):
    fake, real = rows(400, 16, 1, 0.9, 0.1), rows(400, 16)
    ours = prdc(fake, real, k)
    assert "".join(capfd.readouterr()) == ""
    numbers, said = by_the_paper(fake, real, k)
    assert ours == pytest.approx(numbers, abs=1 / 400)
    assert said                                                       # the package talks


def test_T19_unequal_numbers_are_made_equal():
    fake, real = rows(200, 16, 1), rows(800)
    metric = PRDC(k=5, seed=3)
    for part in real.split(300):
        metric.update(part, real=True)
    metric.update(fake, real=False)
    ours = metric.compute()
    assert metric.num_samples == 200 and all(isinstance(each, float) for each in ours.values())
    chosen = torch.randperm(800, generator=torch.Generator().manual_seed(3))[:200]
    assert ours == prdc(fake, real[chosen]) == pytest.approx(by_definition(fake, real[chosen], 5), abs=1e-12)
    naive = by_definition(fake, real, 5)                              # equal distributions, yet far apart
    assert ours["coverage"] - naive["coverage"] > 0.2
    metric = PRDC(k=5, max_samples=150, seed=3)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    assert metric.compute() != ours and metric.num_samples == 150


def test_T19_known_answers():
    real = rows(300)
    assert prdc(real, real) == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}
    assert prdc(real + 1000, real) == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}
    collapsed = real[:1].repeat(300, 1)                               # every generated row is one real row
    numbers = prdc(collapsed, real)
    assert numbers["precision"] == 1 and numbers["recall"] == 0 and numbers["coverage"] < 0.1
    constant = torch.ones(20, 3)
    assert prdc(constant, constant) == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}   # nothing is < 0
    grid = torch.cartesian_prod(*[torch.arange(5.0)] * 3)             # hardly a distance that is not met again
    grid = grid[torch.randperm(125, generator=torch.Generator().manual_seed(0))]
    assert prdc(grid, grid.flip(0)) == by_definition(grid, grid.flip(0), 5)
    distance = torch.cdist(grid, grid)
    naive = (distance <= distance.kthvalue(6).values[:, None]).sum() / (5 * 125)
    assert naive > 1.2                                                # `<=`: more than itself in a set's density


def test_T19_no_rounding_decides():
    """Twins of real rows and generated rows equally far from them but for 0.0001: too little for float32 here."""
    base, steps = rows(100, 64, 0, 30), [rows(100, 64, seed) for seed in (1, 2, 3)]
    steps = [step / step.norm(dim=1, keepdim=True) * (1 + 1e-4 * rows(100, 1, 4 + i)) for i, step in enumerate(steps)]
    real, fake = torch.cat([base, base + steps[0]]), torch.cat([base + steps[1], base + steps[2]])
    ours = prdc(fake, real, 1)
    assert ours == by_definition(fake, real, 1) and 0.3 < ours["precision"] < 0.9
    within, between = torch.cdist(real, real), torch.cdist(real, fake)
    within.fill_diagonal_(torch.inf)
    naive = (between < within.amin(1)[:, None]).any(0).float().mean().item()
    assert abs(naive - ours["precision"]) > 0.02


def test_T19_chunks_change_nothing(monkeypatch):
    fake, real = rows(300, 64, 1), rows(300, 64)
    whole = prdc(fake, real)
    for size in (1, 7, 299, 300):
        monkeypatch.setattr(manifold, "CHUNK", size)
        assert prdc(fake, real) == whole


def test_T19_too_few_or_bad_rows(capfd):
    for k in (0, 20, 21):
        with pytest.raises(ValueError, match=f"^{k} nearest neighbours need .* there are 20 generated and 20 real rows"):
            prdc(rows(20), rows(20), k)
    with pytest.raises(ValueError, match="equally many"):
        prdc(rows(20), rows(21))
    metric = PRDC()
    with pytest.raises(ValueError, match="0 generated and 0 real rows"):
        metric.compute()
    bad = rows(9)
    bad[8] = float("nan")
    with pytest.raises(ValueError, match="real row 8 "):
        metric.update(bad, real=True)
    assert "".join(capfd.readouterr()) == ""


def test_T20_shifted_features():
    step = 2 ** -10                                                   # so that the shift itself rounds nothing
    fake, real = ((rows(100, 2048, seed, 0.3) / step).round() * step for seed in (1, 0))
    centred = prdc(fake, real)
    assert prdc(fake + 20, real + 20) == centred == pytest.approx(by_definition(fake, real, 5), abs=1e-12)
    own = nearest(real + 20, real + 20, 1)
    assert (own[0] == 0).all() and torch.equal(own[1][:, 0], torch.arange(100))   # self distances
    naive = torch.cdist(real + 20, real + 20)
    assert naive.diagonal().max() > 0.1                               # instead of 0


def test_T20_settings_of_training_change_nothing():
    fake, real = rows(300, 64, 1), rows(300, 64)
    expected = prdc(fake, real)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert prdc(fake, real) == expected


@pytest.mark.parametrize("d", [1, 3, 64, 2048])
def test_rounding_is_below_what_is_measured_again(d):
    x, y = (rows(100, d, seed).abs() ** 3 for seed in (0, 1))         # long tails, far from the origin
    distances = SquaredDistances(x, y)
    squares, slack = distances[slice(0, 100)]
    exact = (x.double()[:, None] - y.double()[None]).square().sum(-1)
    assert ((squares - exact).abs() < 0.3 * slack).all()


def test_nearest_is_exact_and_in_order():
    x, y = rows(50, 8, 0), torch.cat([rows(300, 8, 1), rows(50, 8, 0)])
    squares, indices = nearest(x, y, 3)
    exact = (x.double()[:, None] - y.double()[None]).square().sum(-1)
    assert torch.equal(indices[:, 0], torch.arange(300, 350)) and (squares[:, 0] == 0).all()
    torch.testing.assert_close(squares, exact.sort(1).values[:, :3], rtol=1e-14, atol=0)
    others, found = nearest(x, y, 3, own=torch.arange(300, 350))
    exact[torch.arange(50), torch.arange(300, 350)] = torch.inf
    torch.testing.assert_close(others, exact.sort(1).values[:, :3], rtol=1e-14, atol=0)
    assert (found < 300).any() and not (found == torch.arange(300, 350)[:, None]).any()
    few = nearest(y[:4], y[:4], 3, own=torch.arange(4))               # fewer than the candidates asked for
    assert few[0].isfinite().all() and (few[1] != torch.arange(4)[:, None]).all()
