"""Files of mu and sigma: ours say how they were made, others' are taken with the questions they leave open."""

import numpy as np
import pytest
import torch

from transgan.metrics.frechet import Moments
from transgan.metrics.reference import Features, Reference
from transgan.metrics.statistics import read_statistics, write_statistics


class Extractor:
    name, hash, preprocessing, num_features = "inception", "ab" * 32, "TensorFlow 1 bilinear to 299 px", 5


@pytest.fixture
def reference():
    rows = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    return Reference({"split": "train", "num_real": 40, "dataset": "d" * 64, "preparation": "as they are",
                      "resolution": 32}, Features(rows))


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
    with np.load(path, allow_pickle=False) as file:         # what every other program reads
        assert file["mu"].dtype == np.float64 and file["sigma"].shape == (5, 5)


def test_of_another_program(tmp_path, reference):
    moments = reference.moments
    path = plain(tmp_path / "adm.npz", mu=moments.mean.numpy(), sigma=moments.covariance.numpy(), arr_0=np.zeros(3),
                 mu_s=np.zeros(7))
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
        (plain(tmp_path / "a.npz", mean=mu), Extractor(), "has no arrays mu and sigma"),
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
