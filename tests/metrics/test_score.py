"""The Inception Score: known answers, torch-fidelity's numbers, and what torchmetrics makes of hard cases."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch_fidelity.metric_isc import isc_features_to_metric
from torchmetrics.image.inception import InceptionScore as Naive

from transgan.metrics import InceptionScore
from transgan.metrics.score import inception_score

pytestmark = pytest.mark.filterwarnings("error")


def logits(n=1234, k=10, scale=2.0, seed=0):
    return torch.randn(n, k, generator=torch.Generator().manual_seed(seed)) * scale


def naive(rows, splits=10):
    """torchmetrics, leaving its warnings and the global random state as they were."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        metric = Naive(nn.Identity(), splits=splits)
        metric.update(rows)
        return tuple(value.item() for value in metric.compute())


def fidelity(rows, splits=10):
    return tuple(isc_features_to_metric(rows, splits, shuffle=True, rng_seed=2020).values())


@pytest.mark.parametrize("n, splits", [(1234, 10), (1000, 10), (57, 1), (12, 10), (10, 10)])
def test_equals_torch_fidelity(n, splits):
    rows = logits(n)
    assert inception_score(rows, splits) == pytest.approx(fidelity(rows, splits), rel=1e-12, abs=1e-14)
    metric = InceptionScore(splits=splits)
    for part in rows.split(100):
        assert metric(part) is None
    assert metric.compute() == inception_score(rows, splits) and metric.compute()[0].dtype == torch.float64


def test_12_rows_make_10_splits():
    rows = logits(12)
    assert inception_score(rows)[0] == pytest.approx(fidelity(rows)[0], rel=1e-12)
    assert abs(naive(rows)[0] / fidelity(rows)[0] - 1) > 0.1  # torch.chunk makes 6 of 2


def test_known_answers():
    one_hot = nn.functional.one_hot(torch.arange(1000) % 5, 5).float() * 900
    assert inception_score(one_hot, splits=1) == (pytest.approx(5, abs=1e-9), 0)
    assert inception_score(one_hot[:5].repeat_interleave(200, 0)[torch.arange(1000)] * 0 + one_hot[0]) == (
        pytest.approx(1, abs=1e-12),
        pytest.approx(0, abs=1e-12),
    )
    rows = logits()
    p = torch.softmax(rows.double(), 1).numpy()
    expected = np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean())
    assert inception_score(rows, splits=1) == (pytest.approx(expected, rel=1e-12), 0)
    assert math.isnan(naive(rows, splits=1)[1])  # the deviation of one number


@pytest.mark.parametrize("gap", [200, 900, 1e6])
def test_any_gap_between_logits(gap):
    rows = logits(600, 6) * 0.1 + nn.functional.one_hot(torch.arange(600) % 4, 6) * gap  # two classes never occur
    mean, deviation = inception_score(rows)
    assert mean == pytest.approx(4, rel=0.03) and 0 < deviation < 0.1
    assert math.isnan(naive(rows)[0])
    if gap > 800:
        assert math.isnan(fidelity(rows)[0])  # 0 * log 0, in float64 too


def test_seed_decides_and_nothing_else_does():
    rows = logits(103)
    torch.manual_seed(1)
    before, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = inception_score(rows)
    assert torch.equal(before, torch.get_rng_state()) and (np.random.get_state()[1] == numbers).all()
    torch.manual_seed(2)
    assert inception_score(rows) == first != inception_score(rows, seed=1)
    values = set()
    for seed in (1, 2):  # torchmetrics permutes by the global state
        torch.manual_seed(seed)
        values.add(naive(rows)[0])
    assert len(values) == 2


def test_too_few_or_bad_rows():
    with pytest.raises(ValueError, match="10 splits needs .* there are logits of 9 images"):
        inception_score(logits(9))
    with pytest.raises(ValueError, match="1 split or more"):
        inception_score(logits(9), splits=0)
    metric = InceptionScore()
    with pytest.raises(ValueError, match="there are logits of 0 images"):
        metric.compute()
    metric.update(logits(20))
    bad = logits(20)
    bad[3, 1] = float("inf")
    with pytest.raises(ValueError, match="logits of image 23 "):
        metric.update(bad)
    with pytest.raises(ValueError, match="logits had 10 columns and now have 4"):
        metric.update(logits(20, 4))
    with pytest.raises(ValueError, match="float matrix"):
        metric.update(logits(20).long())
    assert metric.compute() == inception_score(logits(20))  # none of them has left anything
    metric.reset()
    metric.update(logits(20)[:0])
    metric.update(logits(30))
    assert metric.compute() == inception_score(logits(30))


def test_half_precision_logits_are_not_rounded_further():
    rows = logits().bfloat16()
    assert inception_score(rows)[0] == inception_score(rows.float())[0]
    metric = InceptionScore()
    with torch.autocast("cpu", torch.bfloat16):
        metric.update(rows)
        assert metric.compute()[0] == inception_score(rows.double())[0]
