"""Files of mu and sigma: ours say how they were made, others' are taken with the questions they leave open."""

import numpy as np
import pytest
import torch

from transgan.metrics.features import Extracted
from transgan.metrics.frechet import frechet_distance
from transgan.metrics.moments import Moments
from transgan.metrics.reference import Reference
from transgan.metrics.statistics import read_statistics, write_statistics


class Extractor:
    name, hash, preprocessing, num_features = "inception", "ab" * 32, "TensorFlow 1 bilinear to 299 px", 5


@pytest.fixture
def reference():
    rows = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    return Reference(
        {"split": "train", "num_real": 40, "dataset": "d" * 64, "preparation": "as they are", "resolution": 32},
        Extracted(rows),
    )


def plain(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_written_and_read_again(tmp_path, reference):
    path = tmp_path / "some" / "real.npz"
    write_statistics(path, reference, Extractor())
    again = read_statistics(path, Extractor(), resolution=32)
    assert torch.equal(again.moments.mean, reference.moments.mean) and again.moments.n == 40
    assert torch.equal(again.moments.covariance, reference.moments.covariance)
    assert again.facts["resize"] == Extractor.preprocessing and again.facts["dataset"] == "d" * 64
    assert [each.name for each in path.parent.iterdir()] == ["real.npz"]
    with np.load(path, allow_pickle=False) as file:  # what every other program reads
        assert file["mu"].dtype == np.float64 and file["sigma"].shape == (5, 5)


def test_of_another_program(tmp_path, reference):
    moments = reference.moments
    path = plain(
        tmp_path / "adm.npz",
        mu=moments.mean.numpy(),
        sigma=moments.covariance.numpy(),
        arr_0=np.zeros(3),
        mu_s=np.zeros(7),
    )
    with pytest.raises(ValueError, match="does not say how many images.*num_real=N"):
        read_statistics(path, Extractor())
    facts = read_statistics(path, Extractor(), num_real=40).facts
    assert facts["resize"] == facts["dataset"] == "not stated" and len(facts["file_sha256"]) == 64


def test_refused_in_one_sentence(tmp_path, reference):
    write_statistics(tmp_path / "good.npz", reference, Extractor())
    mu, sigma = reference.moments.mean.numpy(), reference.moments.covariance.numpy()
    cut = tmp_path / "cut.npz"
    cut.write_bytes((tmp_path / "good.npz").read_bytes()[:300])
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    skewed = sigma.copy()
    skewed[0, 1] += 1

    class Other(Extractor):
        hash = "cd" * 32

    cases = [
        (tmp_path / "none.npz", Extractor(), "cannot be read"),
        (cut, Extractor(), "not an npz file of plain arrays"),
        (tmp_path / "pickle.npy", Extractor(), "not an npz file of plain arrays"),
        (plain(tmp_path / "a.npz", mean=mu), Extractor(), "has no arrays mu and sigma, or mean and cov; it holds mean"),
        (plain(tmp_path / "z.npz", mu=mu, sigma=sigma, mean=mu + 1, cov=sigma), Extractor(), "they differ; leave one"),
        (
            plain(tmp_path / "w.npz", mu=mu, sigma=sigma, n=np.ones((9, 9))),
            Extractor(),
            r"n in .* an array of shape \(9, 9",
        ),
        (plain(tmp_path / "x.npz", mean=mu, sigma=sigma), Extractor(), "has no arrays mu and sigma"),
        (plain(tmp_path / "y.npz", mu=mu.astype(complex), sigma=sigma), Extractor(), "mu in .* holds no real numbers"),
        (plain(tmp_path / "b.npz", mu=mu[:3], sigma=sigma[:3, :3]), Extractor(), "has 5 features.*another extractor"),
        (plain(tmp_path / "c.npz", mu=mu * np.nan, sigma=sigma), Extractor(), "not finite"),
        (plain(tmp_path / "d.npz", mu=mu, sigma=skewed), Extractor(), "not symmetric"),
        (tmp_path / "good.npz", Other(), "other weights of inception"),
    ]
    for path, extractor, sentence in cases:
        with pytest.raises(ValueError, match=sentence) as caught:
            read_statistics(path, extractor, num_real=40)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="images of 32 px and the generated ones have 64 px"):
        read_statistics(tmp_path / "good.npz", Extractor(), resolution=64)


def test_reads_no_pickle(tmp_path, reference):
    path = tmp_path / "evil.npz"
    np.savez(path, mu=np.array([print], dtype=object), sigma=reference.moments.covariance.numpy())
    with pytest.raises(ValueError, match="not an npz file of plain arrays"):
        read_statistics(path, Extractor(), num_real=40)


def test_moments_have_their_number(reference):
    assert isinstance(reference.moments, Moments) and reference.moments.n == 40


@pytest.mark.parametrize("names", [("mu", "sigma"), ("mean", "cov")])
def test_the_names_that_programs_use(tmp_path, reference, names):
    moments = reference.moments
    path = plain(tmp_path / "a.npz", **{names[0]: moments.mean.numpy(), names[1]: moments.covariance.numpy()})
    read = read_statistics(path, Extractor(), num_real=40).moments
    assert torch.equal(read.mean, moments.mean) and torch.equal(read.covariance, moments.covariance) and read.n == 40


NO_NUMBERS = [-5, 0, 1, 2.5, float("nan"), float("inf"), True, "many", [40, 40]]


@pytest.mark.parametrize("n", NO_NUMBERS)
def test_a_number_of_images_is_a_whole_one(tmp_path, reference, n):
    moments = reference.moments
    arrays = {"mu": moments.mean.numpy(), "sigma": moments.covariance.numpy()}
    with pytest.raises(ValueError, match=r"^n in .*it takes a whole number of images, 2 or more$"):
        read_statistics(plain(tmp_path / "own.npz", n=np.array(n), **arrays), Extractor())
    with pytest.raises(ValueError, match=r"^num_real=.*it takes a whole number of images, 2 or more$"):
        read_statistics(plain(tmp_path / "given.npz", **arrays), Extractor(), num_real=n)


@pytest.mark.parametrize("n", [np.int32(40), np.uint8(40), np.float32(40), np.array([40]), np.array(40.0)])
def test_of_any_type_that_holds_it(tmp_path, reference, n):
    moments = reference.moments
    path = plain(tmp_path / "own.npz", mu=moments.mean.numpy(), sigma=moments.covariance.numpy(), n=n)
    for given in (None, 40):
        read = read_statistics(path, Extractor(), num_real=given)
        assert read.moments.n == read.facts["num_real"] == 40 and type(read.moments.n) is int
    with pytest.raises(ValueError, match="num_real=50: .*itself says that it was made of 40 images"):
        read_statistics(path, Extractor(), num_real=50)


def test_a_number_that_the_covariance_gives_the_lie(tmp_path, reference):
    """Fewer images than its rank: the distance would leave out a part of its trace."""
    moments = reference.moments
    path = plain(tmp_path / "given.npz", mu=moments.mean.numpy(), sigma=moments.covariance.numpy())
    assert read_statistics(path, Extractor(), num_real=6).moments.n == 6
    for n in (2, 4, 5):
        with pytest.raises(ValueError, match=f"has a rank of 5 or more, and that of {n} images is {n - 1} at most"):
            read_statistics(path, Extractor(), num_real=n)
        other = Moments.of(torch.randn(40, 5, generator=torch.Generator().manual_seed(1)))
        right = frechet_distance(other, moments)
        assert abs(frechet_distance(other, Moments(n, moments.mean, moments.covariance)) - right) > 0.01 * right


def with_one_negative(sigma):
    values, vectors = torch.linalg.eigh(sigma)
    values[0] = -1e-3
    return vectors * values @ vectors.T


NO_COVARIANCES = {
    "negated": lambda sigma: -sigma,
    "a negative variance": lambda sigma: sigma - torch.diag(torch.tensor([3.0, 0, 0, 0, 0])),
    "a correlation above 1": lambda sigma: sigma + 4 * torch.ones(5, 5).fill_diagonal_(0),
    "one direction": with_one_negative,
    "too much taken off": lambda sigma: sigma - 0.9 * torch.eye(5),
}


@pytest.mark.parametrize("name", NO_COVARIANCES)
def test_what_is_no_covariance(tmp_path, reference, name):
    sigma = NO_COVARIANCES[name](reference.moments.covariance)
    sigma = (sigma + sigma.T) / 2
    assert torch.linalg.eigvalsh(sigma)[0] < 0
    path = plain(tmp_path / "bad.npz", mu=np.zeros(5), sigma=sigma.numpy())
    with pytest.raises(ValueError, match="sigma in .* is not positive semi-definite .* it is no covariance"):
        read_statistics(path, Extractor(), num_real=40)


@pytest.mark.parametrize("rank", [1, 7, 60])
@pytest.mark.parametrize("computed", ["rounded", "in float32", "from raw moments"])
def test_what_float32_leaves_of_a_covariance_is_one(tmp_path, rank, computed):
    class Wide(Extractor):
        num_features = 200

    generator = torch.Generator().manual_seed(rank)
    rows = (torch.randn(rank + 1, 200, generator=generator) * torch.randn(200, generator=generator).exp() + 3).relu()
    centred = rows - rows.mean(0)
    sigma = {
        "rounded": rows.double().T.cov().float(),
        "in float32": centred.T @ centred / rank,
        "from raw moments": (rows.T @ rows / (rank + 1) - rows.mean(0).outer(rows.mean(0))) * ((rank + 1) / rank),
    }[computed]
    sigma = (sigma + sigma.T) / 2
    path = plain(tmp_path / "single.npz", mu=rows.mean(0).numpy(), sigma=sigma.numpy())
    read = read_statistics(path, Wide(), num_real=rank + 1).moments
    assert torch.linalg.eigvalsh(read.covariance)[0] >= -1e-12
    torch.testing.assert_close(read.covariance, sigma.double(), rtol=0, atol=2e-5 * sigma.abs().max().item() * 14)
    true, other = Moments.of(rows), Moments.of(rows.flip(0) + 1)
    right = frechet_distance(other, true)
    assert frechet_distance(other, read) == pytest.approx(right, rel=1e-4)
    assert frechet_distance(true, read) < 1e-4 * true.covariance.trace()
