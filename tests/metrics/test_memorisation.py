"""Memorisation on digits whose copies are known, beside what the usual numbers say of them."""

import warnings

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.datasets import load_digits
from torch import nn
from torchmetrics.image.mifid import MemorizationInformedFrechetInceptionDistance

from transgan.metrics import Memorisation
from transgan.metrics.frechet import frechet_distance
from transgan.metrics.memorisation import mann_whitney, tail_probability
from transgan.metrics.moments import Moments

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def digits():
    """train 800, held-out 500, others 497: pixels from 0 to 1."""
    rows = torch.from_numpy(load_digits().data).float() / 16
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    return rows[order].split([800, 500, 497])


def noise(like, scale, seed=0):
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed)) * scale


def measured(train, heldout, generated, **arguments):
    metric = Memorisation(**arguments)
    for features, real, is_heldout in ((train, True, False), (heldout, True, True), (generated, False, False)):
        for part in features.split(300):
            assert metric(part, real, is_heldout) is None
    return {name: value.item() for name, value in metric.compute().items()}, metric


def fd(a, b):
    return frechet_distance(Moments.of(a), Moments.of(b))


def test_held_out_images_are_no_copies(digits):
    train, heldout, others = digits
    numbers, metric = measured(train, heldout, others)
    assert set(numbers) == {name + end for name in ("copy_rate", "auth_pct", "c_t") for end in ("", "_heldout")} | {
        "copy_rate_p"
    }
    for end in ("", "_heldout"):
        assert 40 < numbers["auth_pct" + end] < 65 and abs(numbers["c_t" + end]) < 3
    assert metric.calibrated_rate == pytest.approx(0.01, abs=0.005)
    low, high = scipy.stats.binom.interval(0.999, 497, 0.01)
    assert low <= numbers["copy_rate"] * 497 <= high
    assert numbers["copy_rate_heldout"] * 250 <= scipy.stats.binom.ppf(0.999, 250, 0.01)
    assert numbers["copy_rate_p"] > 0.01


@pytest.mark.parametrize("scale", [0, 0.02])
def test_copies(digits, scale):
    train, heldout, others = digits
    copies = train[:497] + noise(train[:497], scale)
    numbers, metric = measured(train, heldout, copies)
    assert numbers["copy_rate"] == 1 and numbers["auth_pct"] == 0 and numbers["c_t"] < -20
    assert numbers["copy_rate_p"] < 1e-12
    assert fd(copies, train) < fd(others, train)  # the Frechet distance rewards them
    assert len(metric.nearest_pairs) == 16
    for i, j, distance in metric.nearest_pairs:
        assert i == j and distance == pytest.approx((copies[i] - train[j]).double().norm().item(), rel=1e-12)
    distances = [distance for *_, distance in metric.nearest_pairs]
    assert distances == sorted(distances) and (scale or distances == [0] * 16)


def test_copies_of_one_image(digits):
    train, heldout, others = digits
    copies = train[123] + noise(others[:200], 0.001)
    numbers, metric = measured(train, heldout, copies)
    assert numbers["copy_rate"] == 1 and numbers["auth_pct"] == 0 and numbers["c_t"] < -10
    assert {j for _, j, _ in metric.nearest_pairs} == {123}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = []
        for rows in (copies, train[:200]):  # of one image; of two hundred
            mifid = MemorizationInformedFrechetInceptionDistance(nn.Identity())
            mifid.update(train, real=True)
            mifid.update(rows, real=False)
            values.append(mifid.compute().item())
    assert values[0] < 3 * fd(copies, train)  # no penalty: it asks which real has a copy


def test_some_copies(digits):
    train, heldout, others = digits
    few, half = (torch.cat([train[:count], others[count:]]) for count in (25, 250))
    numbers, _ = measured(train, heldout, few)
    assert 0.05 <= numbers["copy_rate"] < 0.09 and numbers["copy_rate_p"] < 0.01
    assert numbers["auth_pct"] > 40 and numbers["c_t"] > -3  # only the copy rate sees one in twenty
    numbers, _ = measured(train, heldout, half)
    assert 0.5 <= numbers["copy_rate"] < 0.53 and 20 < numbers["auth_pct"] < 35 and numbers["c_t"] < -10


def test_noise_is_no_copy(digits):
    train, heldout, others = digits
    numbers, _ = measured(train, heldout, torch.rand(497, 64, generator=torch.Generator().manual_seed(0)))
    assert numbers["copy_rate"] == 0 and numbers["auth_pct"] == 100 and numbers["c_t"] > 18
    assert numbers["copy_rate_p"] == 1


def test_by_definition(digits):
    """numpy and scipy, complete matrices."""
    train, heldout, others = (rows.double().numpy() for rows in digits)
    numbers, metric = measured(*digits, seed=5, quantile=0.05)
    order = torch.randperm(500, generator=torch.Generator().manual_seed(5)).numpy()

    def distances(a, b):
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))

    baseline = distances(heldout[order[:250]], train).min(1)
    limit = np.sort(baseline)[round(0.05 * 251) - 1]
    within = distances(train, train)
    np.fill_diagonal(within, np.inf)
    assert metric.calibrated_rate == (baseline <= limit).sum() / 251
    for end, rows in (("", others), ("_heldout", heldout[order[250:]])):
        d = distances(rows, train)
        assert numbers["copy_rate" + end] == pytest.approx((d.min(1) <= limit).mean(), abs=1e-12)
        assert numbers["auth_pct" + end] == pytest.approx(
            100 * (within.min(1)[d.argmin(1)] < d.min(1)).mean(), abs=1e-9
        )
        n, m = len(rows), len(baseline)
        u = scipy.stats.mannwhitneyu(d.min(1), baseline).statistic
        assert numbers["c_t" + end] == pytest.approx(
            (u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12), rel=1e-9, abs=1e-9
        )
    between = distances(others, train)
    order = between.min(1).argsort(kind="stable")[:16]
    expected = [(i, between[i].argmin(), between[i].min()) for i in order.tolist()]
    assert [(i, j) for i, j, _ in metric.nearest_pairs] == [(i, j) for i, j, _ in expected]
    assert [d for *_, d in metric.nearest_pairs] == pytest.approx([d for *_, d in expected], rel=1e-12)


def test_self_distances_are_zero_far_from_the_origin(digits):
    train, heldout, _ = (rows + 20 for rows in digits)
    wide = [rows.repeat(1, 32) for rows in (train, heldout)]  # 2,048 features
    numbers, metric = measured(*wide, wide[0][:100])
    assert {distance for *_, distance in metric.nearest_pairs} == {0} and numbers["auth_pct"] == 0
    assert torch.cdist(wide[0], wide[0]).diagonal().max() > 0.1  # the naive distance to itself


def test_one_image_twice_in_training_and_held_out(digits):
    """With held-out images that are in the training set a threshold of 0 still finds copies."""
    train, heldout, others = digits
    mixed = torch.cat([train[:100], heldout[:400]])
    numbers, metric = measured(train, mixed, train[200:600])
    assert numbers["copy_rate"] == 1 and 0.1 < numbers["copy_rate_heldout"] < 0.3
    assert 0.1 < metric.calibrated_rate < 0.3 and numbers["copy_rate_p"] < 1e-12


@pytest.mark.parametrize(
    "copies, n, rank, m",
    [(0, 10, 1, 99), (5, 497, 3, 250), (30, 497, 3, 250), (120, 10_000, 50, 5000), (10_000, 10_000, 50, 5000)],
)
def test_p_is_the_beta_binomial_tail(copies, n, rank, m):
    expected = scipy.stats.betabinom.sf(copies - 1, n, rank, m + 1 - rank)
    assert tail_probability(copies, n, rank, m) == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_p_knows_that_the_rate_is_an_estimate():
    """Honest generators: the p of the binomial test with the calibrated rate as if known is far too often small."""
    generator, ours, naive = np.random.RandomState(0), 0, 0
    for _ in range(2000):
        baseline, generated = np.sort(generator.rand(250)), generator.rand(2000)
        within = int((generated <= baseline[2]).sum())
        ours += tail_probability(within, 2000, 3, 250) < 0.05
        naive += scipy.stats.binom.sf(within - 1, 2000, 3 / 251) < 0.05
    assert 0.03 < ours / 2000 <= 0.06
    assert naive / 2000 > 0.2


def test_mann_whitney_counts_ties_half():
    x, y = torch.tensor([1, 2, 2, 5]).double(), torch.tensor([0, 2, 2, 3, 9]).double()
    u = scipy.stats.mannwhitneyu(x, y).statistic
    assert mann_whitney(x, y) == pytest.approx((u - 10) / np.sqrt(20 * 10 / 12), rel=1e-12)


def test_large_sets_are_subsampled_by_the_seed(digits):
    train, heldout, others = digits
    arguments = dict(max_samples=300, quantile=0.02)
    one, first = measured(train, heldout, others, **arguments)
    assert measured(train, heldout, others, **arguments)[0] == one
    assert measured(train, heldout, others, seed=1, **arguments)[0] != one
    copy = others.clone()
    kept = torch.randperm(497, generator=torch.Generator().manual_seed(0))[:300]
    copy[kept[7]] = train[700]  # every training row is searched
    pair = measured(train, heldout, copy, **arguments)[1].nearest_pairs[0]
    assert pair == (int(kept[7]), 700, 0)  # numbered as they came
    generator = torch.get_rng_state()
    measured(train, heldout, others)
    assert torch.equal(generator, torch.get_rng_state())


def test_too_few_or_bad_rows(digits):
    train, heldout, others = digits
    for sides in ((train[:1], heldout, others), (train, heldout[:90], others), (train, heldout, others[:0])):
        with pytest.raises(
            ValueError, match="2 training images, 1 generated image and about 100 held-out images or more"
        ):
            measured(*sides)
    with pytest.raises(ValueError, match="held-out images are real ones"):
        Memorisation().update(train, real=False, heldout=True)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Memorisation(quantile=1)
    with pytest.raises(ValueError, match="63 features"):
        measured(train, heldout, others[:, :63])
    bad = others.clone()
    bad[11, 3] = float("inf")
    with pytest.raises(ValueError, match="generated features of image 11 "):
        measured(train, heldout, bad)
