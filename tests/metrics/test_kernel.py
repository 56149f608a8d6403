"""The kernel distance: torch-fidelity's numbers, the plain double sum, and what changes by chance elsewhere."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch_fidelity.metric_kid import kid_features_to_metric
from torchmetrics.image.kid import KernelInceptionDistance

from transgan.metrics import KernelDistance
from transgan.metrics.kernel import kernel_distance, kernel_distance_full

pytestmark = pytest.mark.filterwarnings("error")


def rows(n, d=32, seed=0, shift=0.0):
    """Like Inception's features: not negative, a mean of about 0.4."""
    return (torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * 0.3 + 0.4 + shift).relu()


def fidelity(fake, real, subsets, size, dtype=torch.float64, **kernel):
    values = kid_features_to_metric(
        fake.to(dtype),
        real.to(dtype),
        kid_subsets=subsets,
        kid_subset_size=size,
        verbose=False,
        rng_seed=2020,
        **{f"kid_kernel_poly_{name}".replace("coef", "coef0"): value for name, value in kernel.items()},
    )
    return tuple(values.values())


def double_sum(fake, real, degree=3, gamma=None, coef=1.0):
    """The definition, in float64 with whole matrices."""
    x, y = fake.double().numpy(), real.double().numpy()
    gamma = 1 / x.shape[1] if gamma is None else gamma
    xx, yy, xy = ((a @ b.T * gamma + coef) ** degree for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    return (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean()


@pytest.mark.parametrize("d", [3, 32, 2048])
def test_whole_set_equals_torch_fidelity(d):
    fake, real = rows(400, d, 1, 0.02), rows(400, d, 0)
    value = kernel_distance(fake, real, subsets=1, subset_size=400)
    assert value == (pytest.approx(fidelity(fake, real, 1, 400)[0], rel=1e-6), 0)
    assert value[0] == pytest.approx(kernel_distance_full(fake, real), rel=1e-6)


@pytest.mark.parametrize("kernel", [{}, {"degree": 2, "gamma": 0.5, "coef": 0.1}])
def test_subsets_equal_torch_fidelity(kernel):
    fake, real = rows(700, seed=1, shift=0.05), rows(900)
    value = kernel_distance(fake, real, 20, 250, **kernel)
    assert value == pytest.approx(fidelity(fake, real, 20, 250, **kernel), rel=1e-6)
    metric = KernelDistance(subsets=20, subset_size=250, **kernel)
    for part in real.split(333):
        metric.update(part, real=True)
    for part in fake.split(70):
        metric.update(part, real=False)
    assert metric.compute() == value and all(each.dtype == torch.float64 for each in metric.compute())
    assert (
        abs(kernel_distance(real, fake, 20, 250, **kernel)[0] / value[0] - 1) > 1e-6
    )  # reals drawn first: other subsets


def test_sums_in_float32_lose_small_distances():
    fake, real = rows(1000, 64, 1, 0.02), rows(1000, 64, 0)  # 5e-4, as good generators have
    exact = double_sum(fake, real)
    assert kernel_distance(fake, real, 1, 1000)[0] == pytest.approx(exact, rel=1e-6)
    naive = fidelity(fake, real, 1, 1000, torch.float32)[0]  # as it is fed by its own extractor
    assert abs(naive / exact - 1) > 1e-5


@pytest.mark.parametrize("n, m", [(2, 2), (333, 1250), (1000, 251)])
def test_full_u_statistic(n, m):
    fake, real = rows(n, seed=1, shift=0.2), rows(m)
    assert kernel_distance_full(fake, real) == pytest.approx(double_sum(fake, real), rel=1e-5)
    assert kernel_distance_full(fake, real) == pytest.approx(kernel_distance_full(real, fake), rel=1e-6)


def test_unbiased():
    fake, real = rows(600, seed=1, shift=0.1), rows(600)
    mean, deviation = kernel_distance(fake, real, 400, 100)
    assert abs(mean - kernel_distance_full(fake, real)) < 4 * deviation / 400**0.5
    same = [kernel_distance_full(rows(200, seed=2 * s), rows(200, seed=2 * s + 1)) for s in range(10)]
    assert min(same) < 0 < max(same)  # no floor: it would be a bias


def test_seed_decides_and_nothing_else_does():
    fake, real = rows(300, seed=1, shift=0.05), rows(300)
    torch.manual_seed(1)
    before, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = kernel_distance(fake, real, 5, 50)
    assert torch.equal(before, torch.get_rng_state()) and (np.random.get_state()[1] == numbers).all()
    torch.manual_seed(2)
    assert kernel_distance(fake, real, 5, 50) == first != kernel_distance(fake, real, 5, 50, seed=1)
    values = set()
    for seed in (1, 2):  # torchmetrics draws from the global state
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            torch.manual_seed(seed)
            naive = KernelInceptionDistance(nn.Identity(), subsets=5, subset_size=50)
            naive.update(real, real=True)
            naive.update(fake, real=False)
            values.add(naive.compute()[0].item())
    assert len(values) == 2


def test_settings_of_training_change_nothing():
    fake, real = rows(300, seed=1, shift=0.02), rows(300)
    expected = kernel_distance(fake, real, 3, 200)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert (real @ real.T).dtype == torch.bfloat16  # what a plain product would be made of
        assert kernel_distance(fake, real, 3, 200) == expected
    assert kernel_distance(fake.clone().requires_grad_(), real, 3, 200) == expected


def test_too_few_or_bad_rows():
    metric = KernelDistance()
    with pytest.raises(ValueError, match="there are 0 generated and 0 real images"):
        metric.compute()
    metric.update(rows(1000), real=True)
    metric.update(rows(999), real=False)
    with pytest.raises(ValueError, match="subsets of 1000 images need .* there are 999 generated and 1000 real images"):
        metric.compute()
    bad = rows(10)
    bad[4, 0] = float("nan")
    with pytest.raises(ValueError, match="generated features of image 1003 "):
        metric.update(bad, real=False)
    for wrong in (dict(subsets=0), dict(subset_size=1)):
        with pytest.raises(ValueError, match="2 images or more each"):
            kernel_distance(rows(9), rows(9), **wrong)
    with pytest.raises(ValueError, match="32 features and real ones have 31"):
        kernel_distance(rows(9), rows(9, 31), subset_size=5)
    with pytest.raises(ValueError, match="1 generated and 9 real"):
        kernel_distance_full(rows(1), rows(9))
