"""The Frechet distance: known answers, the programs that others use, and where those go wrong."""

import pickle
import warnings

import pytest
import scipy.linalg
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance

from transgan.metrics import FrechetDistance
from transgan.metrics.frechet import frechet_distance, frechet_infinity, is_rank_deficient
from transgan.metrics.moments import Moments, MomentSums, square_root

pytestmark = pytest.mark.filterwarnings("error")


def normal(n, d, seed=0, scale=1.0, mean=0.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64) * scale + mean


def whitened(n, mean, deviation, seed=0):
    """Rows whose mean and covariance are exactly these."""
    x = normal(n, len(mean), seed)
    x = x - x.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(x.T @ x / (n - 1)), x.T, upper=False).T
    return white * torch.tensor(deviation).double() + torch.tensor(mean, dtype=torch.float64)


def ours(fake, real):
    return frechet_distance(Moments.of(fake), Moments.of(real))


def of_torchmetrics(fake, real):
    extractor = nn.Identity()
    extractor.num_features = fake.shape[1]
    metric = FrechetInceptionDistance(extractor)
    metric.update(real, real=True)
    metric.update(fake, real=False)
    return metric.compute()


def by_nuclear_norm(fake, real):
    """Without covariances: tr (A B)^1/2 is the nuclear norm of X Y^T of the centred, scaled rows."""
    x, y = ((rows - rows.mean(0)) / (len(rows) - 1) ** 0.5 for rows in (fake.double(), real.double()))
    distance = (fake.double().mean(0) - real.double().mean(0)).square().sum() + x.square().sum() + y.square().sum()
    return (distance - 2 * torch.linalg.matrix_norm(x @ y.T, "nuc")).item()


def by_eigenvalues(fake, real):
    """The usual form, here the best of its kind: symmetric, and with the rank that the numbers of rows allow."""
    a, b = Moments.of(fake), Moments.of(real)
    values, vectors = torch.linalg.eigh(a.covariance)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    inner = root @ b.covariance @ root
    values = torch.linalg.eigvalsh((inner + inner.T) / 2)[-min(a.n - 1, b.n - 1, len(a.mean)) :].clamp_min(0)
    traces = a.covariance.trace() + b.covariance.trace()
    return ((a.mean - b.mean).square().sum() + traces - 2 * values.sqrt().sum()).item()


def low_rank(n=1000, d=256, rank=40):
    """Two sets of dependent features, in one subspace."""
    mix = normal(rank, d, 7)
    return normal(n, rank, 1) @ mix, normal(n, rank, 2) @ mix


def test_closed_form():
    real = whitened(50, [0.0, 0.0, 0.0], [1.0, 2.0, 3.0])
    fake = whitened(70, [1.0, 2.0, 2.0], [2.0, 2.0, 1.0], seed=1)
    assert ours(fake, real) == pytest.approx(14, abs=1e-12)
    fake = whitened(70, [0.1, 0.2, 0.2], [2.0, 2.0, 1.0], seed=1)
    assert ours(fake, real) == pytest.approx(5.09, abs=1e-12)
    assert abs(of_torchmetrics(fake.float(), real.float()).item() - 5.09) > 1e-12  # float32, as it is mostly fed
    one, two = (
        Moments(None, torch.tensor(mean).double(), torch.diag(torch.tensor(variances).double()))
        for mean, variances in (([0, 0, 0], [1, 4, 9]), ([1, 2, 2], [4, 4, 1]))
    )
    assert frechet_distance(one, two) == frechet_distance(two, one) == pytest.approx(14, abs=1e-13)


def test_equals_torchmetrics_and_sqrtm():
    mix = normal(64, 64, 5)
    real, fake = normal(2000, 64, 0) @ mix, normal(1500, 64, 1, mean=0.1) @ mix.T
    value = ours(fake, real)
    assert value == pytest.approx(of_torchmetrics(fake, real).item(), rel=1e-12)
    a, b = Moments.of(fake), Moments.of(real)
    root = torch.from_numpy(scipy.linalg.sqrtm((a.covariance @ b.covariance).numpy()).real)
    traces = (a.covariance + b.covariance - 2 * root).trace()
    assert value == pytest.approx(((a.mean - b.mean).square().sum() + traces).item(), rel=1e-9)
    rounded = of_torchmetrics(fake.float(), real.float()).item()  # it returns the type of the features
    assert abs(rounded / value - 1) > 1e-12


def test_few_images_or_dependent_features():
    real, fake = normal(100, 512, 0), normal(90, 512, 1)
    assert ours(fake, real) == pytest.approx(by_nuclear_norm(fake, real), abs=1e-9)
    assert is_rank_deficient(Moments.of(fake), Moments.of(real))
    assert not is_rank_deficient(Moments.of(normal(513, 512)), Moments(None, None, None))
    assert 0 <= ours(real, real) <= 1e-9
    assert of_torchmetrics(real, real) < -1e-7  # a negative distance

    fake, real = low_rank()  # the numbers of rows do not give this away
    assert ours(fake, real) == pytest.approx(by_nuclear_norm(fake, real), abs=1e-9)
    assert abs(by_eigenvalues(fake, real) - by_nuclear_norm(fake, real)) > 1e-5
    assert 0 <= ours(real, real) <= 1e-9
    assert by_eigenvalues(real, real) < -1e-5

    steep = torch.logspace(0, -8, 128, dtype=torch.float64)  # eigenvalues over 16 orders of magnitude
    turn = torch.linalg.qr(normal(128, 128, 3))[0]
    fake, real = (normal(1000, 128, seed) * steep @ turn for seed in (1, 2))
    assert ours(fake, real) == pytest.approx(by_nuclear_norm(fake, real), abs=1e-11)
    assert abs(by_eigenvalues(fake, real) - by_nuclear_norm(fake, real)) > 1e-9


def test_more_than_rounding_below_zero_is_an_error():
    broken = Moments(100, torch.zeros(2).double(), torch.tensor([[1.0, 2.0], [2.0, 1.0]]).double())  # no covariance
    with pytest.raises(AssertionError, match="these are no covariances"):
        frechet_distance(broken, Moments(100, broken.mean, torch.full((2, 2), 1.5).double()))


def test_dead_features_add_nothing():
    live = normal(500, 32, 0), normal(500, 32, 1, mean=0.1)
    fake, real = (torch.cat([rows, torch.full_like(rows, 0.25)], 1) for rows in live)
    assert ours(fake, real) == pytest.approx(ours(*live), abs=1e-12)
    assert torch.linalg.cholesky_ex(Moments.of(fake).covariance).info > 0  # the quick root alone would fail
    constant = torch.ones(10, 3)
    assert ours(constant, constant) == 0 and ours(constant, constant + 2) == 12


def test_large_offset():
    fake, real = (normal(500, 4, seed, 1e-3, 1e6) for seed in (0, 1))
    expected = by_nuclear_norm(fake - 1e6, real - 1e6)  # these differences are exact
    assert ours(fake, real) == pytest.approx(expected, rel=1e-5)
    parts = MomentSums(4, block=64)  # begins far away: no shift is fixed by it
    parts.update(torch.zeros(64, 4))
    parts.update(real)
    two_pass = torch.cat([torch.zeros(64, 4), real]).T.cov()
    torch.testing.assert_close(parts.moments().covariance, two_pass, rtol=1e-12, atol=0)
    raw = of_torchmetrics(fake, real).item()
    assert raw < 0 or abs(raw / expected - 1) > 100


def test_bad_features(capfd):
    rows = normal(50, 4).float()
    bad = rows.clone()
    bad[17, 2] = float("nan")
    bad[40, 0] = float("inf")
    for refused in (lambda: Moments.of(bad), lambda: FrechetDistance().update(bad, real=True)):
        with pytest.raises(ValueError, match="of image 17 are not finite, nor are those of 2 of these 50 images"):
            refused()
    metric = FrechetDistance()
    metric.update(rows, real=True)
    with pytest.raises(ValueError, match="real features of image 67 "):  # counted over the batches
        metric.update(bad, real=True)
    with pytest.raises(ValueError, match="not finite"):
        frechet_distance(Moments(9, torch.zeros(2), torch.full((2, 2), torch.nan)), Moments(9, *[torch.zeros(2)] * 2))
    for count in (0, 1):
        with pytest.raises(ValueError, match=f"2 images or more, and there are {count}"):
            Moments.of(rows[:count])
        metric.reset()
        metric.update(rows, real=True)
        metric.update(rows[:count], real=False)
        with pytest.raises(ValueError, match=f"2 generated images or more, and there are {count}"):
            metric.compute()
    for wrong in (rows[0], rows.long(), rows[:, :3]):
        with pytest.raises(ValueError, match="float matrix|3 columns instead of 4"):
            metric.update(wrong, real=True)
    assert "".join(capfd.readouterr()) == ""
    assert of_torchmetrics(bad, rows).isnan()  # and a page of MKL's on stderr


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features(dtype):
    real, fake = normal(300, 16, 0, 3).to(dtype), normal(300, 16, 1, 3, 0.5).to(dtype)
    metric = FrechetDistance()
    metric.update(real, real=True)
    metric.update(fake, real=False)
    value = metric.compute()
    assert value.dtype == torch.float64 and value == ours(fake.double(), real.double())
    value = value.item()
    assert value == pytest.approx(by_nuclear_norm(fake, real), rel=1e-10)
    assert abs(of_torchmetrics(fake, real).item() / value - 1) > 1e-5


def test_symmetric_invariant_and_of_the_second_degree():
    fake, real = normal(400, 32, 0) @ normal(32, 32, 2), normal(300, 32, 1, mean=0.2) @ normal(32, 32, 3)
    value, turn = ours(fake, real), torch.linalg.qr(normal(32, 32, 4))[0]
    assert ours(real, fake) == pytest.approx(value, rel=1e-10)
    assert ours(fake @ turn + 5, real @ turn + 5) == pytest.approx(value, rel=1e-10)
    assert ours(fake * 10, real * 10) == pytest.approx(100 * value, rel=1e-10)
    a, b = Moments.of(fake), Moments.of(real)
    assert frechet_distance(a, b, square_root(b.covariance)) == value
    fake, real = low_rank()
    assert ours(fake, real) == pytest.approx(ours(real, fake), rel=1e-10)
    assert abs(by_eigenvalues(fake, real) / by_eigenvalues(real, fake) - 1) > 1e-10


def test_any_batches_give_the_same_bits():
    rows = normal(2345, 8, mean=3).float()
    whole = Moments.of(rows, block=100)
    for size in (1, 7, 64, 100, 250, 2345):
        sums = MomentSums(8, block=100)
        for part in rows.split(size):
            sums.update(part)
        moments = sums.moments()
        assert moments.n == 2345 and torch.equal(moments.mean, whole.mean)
        assert torch.equal(moments.covariance, whole.covariance)
    halves = [MomentSums(8, block=100) for _ in range(3)]  # the third stays empty
    halves[0].update(rows[:1111])
    halves[1].update(rows[1111:])
    halves[0].merge(halves[2])
    halves[2].merge(halves[0])
    halves[2].merge(halves[1])
    merged = halves[2].moments()
    torch.testing.assert_close(merged.covariance, rows.double().T.cov(), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(whole.covariance, rows.double().T.cov(), rtol=1e-12, atol=1e-14)
    naive = [sum(part.T @ part for part in rows.split(size)) for size in (1, 64)]  # float32 sums
    assert (naive[0] / naive[1] - 1).abs().max() > 1e-10


def test_metric_keeps_counts_and_reference():
    real, fake = normal(500, 6, 0), normal(400, 6, 1, mean=0.3)
    metric = FrechetDistance()
    assert metric(real, real=True) is None and metric(fake[:100], real=False) is None  # no value of a batch
    metric(fake[100:], real=False)
    assert metric.compute() == ours(fake, real)
    assert metric.sums("real").n == 500 and metric.sums("fake").n == 400
    extractor = nn.Identity()
    extractor.num_features = 6
    naive = FrechetInceptionDistance(extractor)
    naive.update(real, real=True)
    with pytest.raises(RuntimeError):
        naive(fake[:1], real=False)
    assert naive.real_features_num_samples == 0  # what was there is lost

    metric = FrechetDistance()
    metric.set_real(Moments.of(real))
    with pytest.raises(ValueError, match="no place for real images"):
        metric.update(real, real=True)
    for part in (fake, fake[:50]):
        metric.reset()
        metric.update(part, real=False)
        assert metric.compute() == ours(part, real)
    metric.set_real(Moments.of(fake))  # and neither root nor result of the old one
    assert metric.compute() == ours(fake[:50], fake)
    late = FrechetDistance()
    late.update(real, real=True)
    with pytest.raises(ValueError, match="must come first"):
        late.set_real(Moments.of(real))


def test_real_images_stay_where_reset_is_asked_to_keep_them():
    real, fake = normal(500, 6, 0), normal(400, 6, 1, mean=0.3)
    metric = FrechetDistance(reset_real_features=False)
    metric.update(real, real=True)
    for part in (fake, fake[:50]):
        metric.update(part, real=False)
        assert metric.compute() == ours(part, real)
        metric.reset()
    metric = FrechetDistance()
    metric.update(real, real=True)
    metric.reset()
    metric.update(fake, real=False)
    with pytest.raises(ValueError, match="2 real images or more, and there are 0"):
        metric.compute()


def test_clones_are_independent():
    rows = normal(1500, 4)
    metric = FrechetDistance()
    metric.update(rows, real=True)
    for copy in (metric.clone(), pickle.loads(pickle.dumps(metric))):
        copy.update(rows + 1, real=False)
        assert copy.compute().item() == pytest.approx(4, rel=1e-10)
    assert metric.sums("fake").n == 0


def test_a_buffer_may_be_filled_again():
    rows, metric = normal(300, 4), FrechetDistance()
    buffer = torch.empty(10, 4, dtype=torch.float64)
    for part in rows.split(10):
        metric.update(buffer.copy_(part), real=True)
        metric.update(buffer.add_(1), real=False)
    assert metric.compute().item() == pytest.approx(4, rel=1e-10)


def test_made_in_inference_mode_and_used_outside():
    rows = normal(1500, 4)
    with torch.inference_mode():
        metric = FrechetDistance()
        metric.update(rows, real=True)
        metric.update(rows[:700] + 1, real=False)
    metric.update(rows[700:] + 1, real=False)
    assert metric.compute().item() == pytest.approx(4, rel=1e-10)


def test_infinity_takes_the_bias_away():
    scale = torch.arange(1, 33, dtype=torch.float64) ** -0.5
    real = Moments(None, torch.zeros(32).double(), torch.diag(scale.square()))
    rows = (normal(20_000, 32, 3) * scale * 1.1).float()  # true distance: 0.01 tr = 0.0406
    true = 0.01 * scale.square().sum().item()
    value, r_squared = frechet_infinity(real, rows, smallest=500, minimum=10_000)
    assert value == pytest.approx(true, rel=0.1) and r_squared > 0.95
    assert frechet_distance(Moments.of(rows[:500]), real) > 2 * true  # the naive number, of 500
    again = frechet_infinity(real, rows, smallest=500, minimum=10_000, root=square_root(real.covariance))
    assert again == (value, r_squared)
    assert frechet_infinity(real, rows, smallest=500, minimum=10_000, seed=1)[0] != value

    order = torch.randperm(20_000, generator=torch.Generator().manual_seed(0))
    sizes = [500 + i * 19_500 // 14 for i in range(15)]
    y = [frechet_distance(Moments.of(rows[order[:size]]), real) for size in sizes]
    inverse = torch.tensor([[1.0, 1 / size] for size in sizes]).double()
    line = torch.linalg.lstsq(inverse, torch.tensor(y).double()[:, None]).solution
    assert value == pytest.approx(line[0].item(), rel=1e-6)

    same = [frechet_infinity(real, (normal(2000, 32, s) * scale).float(), smallest=50, minimum=0)[0] for s in range(6)]
    assert min(same) < 0  # and it stays negative
    with pytest.raises(ValueError, match="50,000 generated images or more.*there are 20,000"):
        frechet_infinity(real, rows)


def test_nothing_is_said_and_no_random_state_moves(capfd):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frechet_infinity(Moments.of(normal(100, 3)), normal(200, 3), smallest=50, minimum=100)
        FrechetDistance().set_real(Moments.of(normal(100, 3)))
    assert torch.equal(before, torch.get_rng_state()) and "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize("n", [-5, 0, 1, 2.0, True])
def test_moments_of_no_number_of_images(n):
    with pytest.raises(ValueError, match="a whole number of images, 2 or more"):
        Moments(n, torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64))
