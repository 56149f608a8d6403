"""The standard Inception: where its weights come from, what is said when they are not there, and its numbers."""

import hashlib
import io
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch
from torch.nn.functional import interpolate

from transgan.metrics.extractors import Inception, inception

HEADS = ["2048", "logits_unbiased"]


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """What was asked of the internet, which is not there."""
    asked = []

    def refuse(address, **_):
        asked.append(address)
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return asked


@pytest.fixture
def cached():
    path = Path(torch.hub.get_dir()) / "checkpoints" / inception.FILE
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def unchecked(random_inception, dataset):
    extractor = Inception(weights=random_inception, check=False)
    extractor.prepare(dataset)
    return extractor


def reference(path=None):
    """torch-fidelity's own network, which this one must equal."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    return FeatureExtractorInceptionV3("inception-v3-compat", HEADS, feature_extractor_weights_path=path)


def torchmetrics_network(path, antialias):
    from torchmetrics.image.fid import NoTrainInceptionV3

    network = NoTrainInceptionV3("inception-v3-compat", HEADS, str(path), antialias=antialias)
    return lambda images: network._torch_fidelity_forward(images)


def says_the_way_out(error):
    text = str(error.value)
    assert inception.FILE in text and inception.SHA256 in text and inception.ADDRESS in text
    assert str(Path(torch.hub.get_dir()) / "checkpoints" / inception.FILE) in text
    assert "extractor.weights=PATH" in text and "extractor.download=true" in text and "extractor=classifier" in text
    assert "\n" not in text and "metrics" not in text.replace(str(torch.hub.get_dir()), "")


@pytest.mark.parametrize("size", [32, 64, 299, 512])
def test_features_are_torch_fidelitys_to_the_last_bit(unchecked, random_inception, smooth, size):
    images = smooth(2, size=size)
    for mine, theirs in zip(unchecked(images), reference(random_inception)(images), strict=True):
        assert torch.equal(mine, theirs) and mine.dtype == torch.float32 and mine.std() > 0.01
    if size != 299:  # what torchmetrics does by default: another network for all but 299 px
        theirs = torchmetrics_network(random_inception, antialias=True)(images)[0]
        mine = unchecked(images)[0]
        assert (theirs - mine).norm() > 1e-3 * mine.norm()
        assert torch.equal(torchmetrics_network(random_inception, antialias=False)(images)[0], mine)


def test_missing_without_download_opens_no_socket(dataset, asked, sockets):
    with pytest.raises(ValueError, match="download is off") as error:
        Inception().prepare(dataset)
    says_the_way_out(error)
    assert asked == [] and sockets == []
    with pytest.raises(OSError, match="no network"):  # torch-fidelity goes out without being asked
        reference()
    assert asked or sockets


def test_a_corrupt_file_in_the_cache_is_not_accepted(dataset, random_inception, cached, asked, sockets):
    shutil.copy(random_inception, cached)
    assert reference().fc.weight.std() > 0  # torch-fidelity takes any file of that name, here random
    for extractor in (Inception(), Inception(download=True)):
        with pytest.raises(ValueError, match="not the standard Inception.*SHA-256"):
            extractor.prepare(dataset)
    assert asked == [] and sockets == []


@pytest.mark.parametrize("source", ["weights", "environment", "cache"])
def test_truncated_file_names_file_and_both_hashes(dataset, tmp_path, monkeypatch, cached, asked, source):
    path = cached if source == "cache" else tmp_path / "truncated.pth"
    path.write_bytes(b"PK half a file")
    if source == "environment":
        monkeypatch.setenv("TRANSGAN_INCEPTION", str(path))
    with pytest.raises(ValueError) as error:
        Inception(weights=str(path) if source == "weights" else None).prepare(dataset)
    digest = hashlib.sha256(b"PK half a file").hexdigest()
    assert str(path) in str(error.value) and digest in str(error.value) and inception.SHA256 in str(error.value)
    assert asked == []
    with pytest.raises(Exception) as naive:  # torch-fidelity's error does not say which file it is about
        reference(str(path))
    assert str(path) not in str(naive.value) and digest not in str(naive.value)


@pytest.mark.parametrize("source", ["extractor.weights", "TRANSGAN_INCEPTION"])
def test_a_named_file_that_is_missing_is_not_replaced(dataset, tmp_path, monkeypatch, cached, asked, source):
    path = str(tmp_path / "nowhere.pth")
    cached.write_bytes(b"another file")
    monkeypatch.setenv("TRANSGAN_INCEPTION", path)
    with pytest.raises(ValueError, match=f"{source} names {path}") as error:
        Inception(weights=path if source == "extractor.weights" else None, download=True).prepare(dataset)
    says_the_way_out(error)
    assert asked == []
    naive = next(place for place in (Path(path), cached) if place.exists())  # the first file there is
    assert naive == cached


def test_missing_without_network(dataset, asked):
    with pytest.raises(ValueError, match="no network") as error:
        Inception(download=True).prepare(dataset)
    says_the_way_out(error)
    assert asked == [inception.ADDRESS]
    assert list((Path(torch.hub.get_dir()) / "checkpoints").iterdir()) == []


def test_wrong_download_is_not_kept(dataset, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(b"a login page"))
    with pytest.raises(ValueError, match="12 bytes and SHA-256"):
        Inception(download=True).prepare(dataset)
    assert list((Path(torch.hub.get_dir()) / "checkpoints").iterdir()) == []


def test_right_download_is_kept_and_used(dataset, monkeypatch):
    content = b"stands for the weights"
    monkeypatch.setattr(inception, "SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(content))
    with pytest.raises(ValueError, match="does not hold weights"):  # right hash, but no network in it
        Inception(download=True).prepare(dataset)
    (kept,) = (Path(torch.hub.get_dir()) / "checkpoints").iterdir()
    assert kept.name == inception.FILE and kept.read_bytes() == content


def test_random_weights_are_never_the_standard(unchecked, random_inception, dataset):
    from torchmetrics.image.fid import FrechetInceptionDistance

    assert unchecked.standard is False and unchecked.name == "inception_unchecked"
    assert unchecked.hash == hashlib.sha256(random_inception.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match="not the standard Inception"):
        Inception(weights=random_inception).prepare(dataset)
    with pytest.raises(ValueError, match="weights=PATH"):  # nor can the check be switched off for unknown weights
        Inception(check=False)
    FrechetInceptionDistance(feature_extractor_weights_path=str(random_inception))  # calls the same file FID


def test_grey_is_repeated(unchecked, smooth):
    grey = smooth(2, channels=1)
    assert "grey repeated to RGB" in unchecked.preprocessing
    for mine, theirs in zip(unchecked(grey), unchecked.network(grey.repeat(1, 3, 1, 1)), strict=True):
        assert torch.equal(mine, theirs)
    with pytest.raises(Exception, match="Bx3xHxW"):  # torch-fidelity does not
        unchecked.network(grey)


def test_unchecked_files_are_not_unpickled_blindly(dataset, tmp_path):
    class Malicious:
        def __reduce__(self):
            return open, (str(tmp_path / "was here"), "w")

    torch.save(Malicious(), tmp_path / "bad.pth")
    with pytest.raises(ValueError, match="does not hold weights"):
        Inception(weights=tmp_path / "bad.pth", check=False).prepare(dataset)
    assert not (tmp_path / "was here").exists()


def test_random_inception_is_good_for_tests(unchecked, smooth):
    """Every feature moves with the image, none explodes: else nothing that is tested with it would mean anything."""
    rough = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    for images in (smooth(4), rough, interpolate(rough, size=8)):
        features, logits = unchecked(images)
        assert 0.05 < features.std() < 5 and (features.std(0) > 0).float().mean() > 0.99 and 0.5 < logits.std() < 50
