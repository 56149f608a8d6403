"""Precision, recall, density, coverage: the definitions, the paper's code, and what rounding does to others."""

import contextlib
import io

import numpy as np
import pytest
import torch

from transgan.metrics import PRDC, PrecisionRecall, distances
from transgan.metrics.distances import SquaredDistances, nearest
from transgan.metrics.manifold import prdc, precision_recall

pytestmark = pytest.mark.filterwarnings("error")


def rows(n, d=16, seed=0, scale=1.0, mean=0.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + mean


def by_definition(fake, real, k):
    """Complete matrices of differences in float64, numpy alone; sides of unequal numbers as they are."""
    fake, real = (each.double().numpy() for each in (fake, real))
    between = np.sqrt(((real[:, None] - fake[None]) ** 2).sum(-1))  # real x fake
    radii = []
    for side in (real, fake):
        within = np.sqrt(((side[:, None] - side[None]) ** 2).sum(-1))
        np.fill_diagonal(within, np.inf)
        radii.append(np.sort(within, 1)[:, k - 1])
    in_real, in_fake = between < radii[0][:, None], between < radii[1][None]
    return {
        "precision": in_real.any(0).mean(),
        "recall": in_fake.any(1).mean(),
        "density": in_real.sum(0).mean() / k,
        "coverage": in_real.any(1).mean(),
    }


def by_the_paper(fake, real, k):
    package = pytest.importorskip("prdc", reason="the prdc package, the code of the paper, is not installed")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        numbers = package.compute_prdc(real.numpy(), fake.numpy(), nearest_k=k)
    return numbers, said.getvalue()


@pytest.mark.parametrize("k", [1, 3, 5, 399])
@pytest.mark.parametrize("d", [2, 16, 300])
def test_equals_the_definition(k, d):
    fake, real = rows(400, d, 1, 0.9, 0.1), rows(400, d)
    assert prdc(fake, real, k) == pytest.approx(by_definition(fake, real, k), abs=1e-12)


@pytest.mark.parametrize("k", [3, 5])
def test_equals_the_paper(k, capfd):
    fake, real = rows(400, 16, 1, 0.9, 0.1), rows(400, 16)
    ours = prdc(fake, real, k)
    assert "".join(capfd.readouterr()) == ""
    numbers, said = by_the_paper(fake, real, k)
    assert ours == pytest.approx(numbers, abs=1 / 400)
    assert said  # the package talks


def grid(n, side=4, d=3, seed=0):
    """Whole numbers, whose distances no arithmetic rounds: full of ties, and of rows that are equal."""
    return torch.randint(0, side, (n, d), generator=torch.Generator().manual_seed(seed)).float()


UNEQUAL = {  # generated, real
    "more real": (rows(200, 16, 1), rows(500)),
    "more generated": (rows(500, 16, 1), rows(200)),
    "ties": (grid(150, 5, 4, 1), grid(260, 5, 4, 2)),
    "ties and twins": (grid(300, 3, 3, 1), grid(120, 3, 3, 2)),
    "every image six times": (rows(60).repeat(6, 1), rows(60).repeat(6, 1)),
    "of one, six times": (rows(60), rows(60).repeat(6, 1)),
    "one image": (rows(1).repeat(40, 1), rows(70)),
    "constant": (torch.ones(20, 3), torch.ones(30, 3)),
}


@pytest.mark.parametrize("name", UNEQUAL)
def test_precision_and_recall_are_those_of_torch_fidelity(name):
    """At its defaults, its own code; in float64, where its distances of equal rows are 0."""
    metric_prc = pytest.importorskip("torch_fidelity.metric_prc")
    fake, real = UNEQUAL[name]
    between = torch.cdist(fake.double(), real.double(), compute_mode="donot_use_mm_for_euclid_dist")
    assert ((between == 0).any(1) == torch.tensor([(row == real).all(1).any() for row in fake])).all()
    with pytest.MonkeyPatch.context() as patch:  # its matrix products lose what twins are recognised by
        exact = metric_prc.torch.cdist
        patch.setattr(torch, "cdist", lambda a, b: exact(a, b, compute_mode="donot_use_mm_for_euclid_dist"))
        theirs = metric_prc.prc_features_to_metric(fake.double(), real.double(), verbose=False)
    metric = PrecisionRecall()
    metric.update(fake, real=False)
    metric.update(real, real=True)
    ours = {name: value.item() for name, value in metric.compute().items()}
    assert ours == precision_recall(fake, real) and metric.k == 3
    assert ours == {key: pytest.approx(theirs[key], abs=1e-6) for key in ("precision", "recall")}


@pytest.mark.parametrize("name", [name for name in UNEQUAL if name != "constant"])
def test_all_four_are_those_of_prdc(name):
    fake, real = UNEQUAL[name]
    metric = PRDC()
    metric.update(fake, real=False)
    metric.update(real, real=True)
    ours = {name: value.item() for name, value in metric.compute().items()}
    assert ours == prdc(fake, real) and metric.num_samples == (len(fake), len(real))
    theirs, _ = by_the_paper(fake, real, 5)
    assert ours == pytest.approx(theirs, abs=1e-12)
    assert ours == pytest.approx(by_definition(fake, real, 5), abs=1e-12)


def test_a_set_against_itself_with_every_image_six_times():
    real = rows(60).repeat(6, 1)
    assert precision_recall(real, real) == {"precision": 1, "recall": 1}
    assert set(prdc(real, real).values()) == {0.0}  # `<`, as its authors count
    assert precision_recall(rows(60), real) == {"precision": 1, "recall": 1}


def test_whole_sets_unless_too_large():
    fake, real = rows(200, 16, 1), rows(800)
    metric = PRDC(k=5, max_samples=300, seed=3)
    for part in real.split(300):
        metric.update(part, real=True)
    metric.update(fake, real=False)
    ours = {name: value.item() for name, value in metric.compute().items()}
    assert metric.num_samples == (200, 300) and all(each.dtype == torch.float64 for each in metric.compute().values())
    chosen = torch.randperm(800, generator=torch.Generator().manual_seed(3))[:300]
    assert ours == prdc(fake, real[chosen]) == pytest.approx(by_definition(fake, real[chosen], 5), abs=1e-12)
    assert metric.num_twins == (0, 0)
    metric.update(fake[:1].expand(6, -1), real=False)
    metric.compute()
    assert metric.num_twins == (7, 0)


def test_known_answers():
    real = rows(300)
    assert prdc(real, real) == {"precision": 1, "recall": 1, "density": 1, "coverage": 1}
    assert prdc(real + 1000, real) == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}
    collapsed = real[:1].repeat(300, 1)  # every generated row is one real row
    numbers = prdc(collapsed, real)
    assert numbers["precision"] == 1 and numbers["recall"] == 0 and numbers["coverage"] < 0.1
    constant = torch.ones(20, 3)
    assert prdc(constant, constant) == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}  # nothing is < 0
    grid = torch.cartesian_prod(*[torch.arange(5.0)] * 3)  # hardly a distance that is not met again
    grid = grid[torch.randperm(125, generator=torch.Generator().manual_seed(0))]
    assert prdc(grid, grid.flip(0)) == by_definition(grid, grid.flip(0), 5)
    distance = torch.cdist(grid, grid)
    naive = (distance <= distance.kthvalue(6).values[:, None]).sum() / (5 * 125)
    assert naive > 1.2  # `<=`: more than itself in a set's density


def test_no_rounding_decides():
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


def test_chunks_change_nothing(monkeypatch):
    fake, real = rows(300, 64, 1), rows(300, 64)
    whole = prdc(fake, real)
    for size in (1, 7, 299, 300):
        monkeypatch.setattr(distances, "CHUNK", size)
        assert prdc(fake, real) == whole


def test_too_few_or_bad_rows(capfd):
    for k in (0, 20, 21):
        with pytest.raises(
            ValueError, match=f"^{k} nearest neighbours need .* there are 20 generated and 20 real ones"
        ):
            prdc(rows(20), rows(20), k)
    for few, many in ((rows(5), rows(50)), (rows(50), rows(5))):
        with pytest.raises(ValueError, match="more than k images on either side"):
            prdc(few, many)
    metric = PRDC()
    with pytest.raises(ValueError, match="0 generated and 0 real ones"):
        metric.compute()
    bad = rows(9)
    bad[8] = float("nan")
    with pytest.raises(ValueError, match="real features of image 8 "):
        metric.update(bad, real=True)
    assert "".join(capfd.readouterr()) == ""


def test_shifted_features():
    step = 2**-10  # so that the shift itself rounds nothing
    fake, real = ((rows(100, 2048, seed, 0.3) / step).round() * step for seed in (1, 0))
    centred = prdc(fake, real)
    assert prdc(fake + 20, real + 20) == centred == pytest.approx(by_definition(fake, real, 5), abs=1e-12)
    own = nearest(real + 20, real + 20, 1)
    assert (own[0] == 0).all() and torch.equal(own[1][:, 0], torch.arange(100))  # self distances
    naive = torch.cdist(real + 20, real + 20)
    assert naive.diagonal().max() > 0.1  # instead of 0


def test_settings_of_training_change_nothing():
    fake, real = rows(300, 64, 1), rows(300, 64)
    expected = prdc(fake, real)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert prdc(fake, real) == expected


@pytest.mark.parametrize("d", [1, 3, 64, 2048])
def test_rounding_is_below_what_is_measured_again(d):
    x, y = (rows(100, d, seed).abs() ** 3 for seed in (0, 1))  # long tails, far from the origin
    squares, slack = SquaredDistances(x, y)[slice(0, 100)]
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
    few = nearest(y[:4], y[:4], 3, own=torch.arange(4))  # fewer than the candidates asked for
    assert few[0].isfinite().all() and (few[1] != torch.arange(4)[:, None]).all()


def test_the_nearest_are_found_where_float32_cannot_tell_them():
    """Close together far from everything else: more rows than there are candidates, all within the rounding."""
    far, near = rows(40, 8, 1, 1e-3, 3000.0), rows(40, 8, 2, 1e4)
    y = torch.cat([far, near])
    squares, _ = nearest(y, y, 3, own=torch.arange(80))
    exact = (y.double()[:, None] - y.double()[None]).square().sum(-1).fill_diagonal_(torch.inf)
    torch.testing.assert_close(squares, exact.sort(1).values[:, :3], rtol=1e-14, atol=0)
    rough = SquaredDistances(y, y)[slice(0, 80)][0].fill_diagonal_(torch.inf).topk(7, largest=False).indices
    naive = exact.gather(1, rough).sort(1).values[:, :3]
    assert (naive != squares).any()


def test_real_images_are_measured_once_for_all_that_are_compared_with_them(monkeypatch):
    from transgan.metrics import manifold

    measured = []

    def radii(features, k):
        measured.append(len(features))
        return distances.radii(features, k)

    monkeypatch.setattr(manifold, "radii", radii)
    metric = PRDC(max_samples=None, reset_real_features=False)
    metric.update(rows(60), real=True)
    for seed in (1, 2):
        metric.update(rows(40, seed=seed), real=False)
        assert metric.numbers() == by_definition_of(rows(40, seed=seed), rows(60))
        metric.reset()
    assert measured == [60, 40, 40]
    metric.update(rows(10, seed=3), real=True)  # other real images
    metric.update(rows(40, seed=2), real=False)
    assert metric.numbers() == by_definition_of(rows(40, seed=2), torch.cat([rows(60), rows(10, seed=3)]))
    assert measured == [60, 40, 40, 70, 40]


def by_definition_of(fake, real):
    return pytest.approx(by_definition(fake, real, 5))
