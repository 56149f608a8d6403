"""The standard Inception: where its weights come from, what is said when they are not there, and its numbers."""

import io
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch
from torch import nn

from transgan.metrics import Inception, Judge, inception


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """No test reaches the network; what they asked for is listed."""
    asked = []

    def refuse(address, **_):
        asked.append(address)
        raise urllib.error.URLError("no network")
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return asked


@pytest.fixture
def dataset(images_dataset, noise):
    return images_dataset(noise(24, channels=3, size=32, low=0, high=130), torch.arange(24) % 2)


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory):
    """The exact network with random weights: BatchNorm statistics measured, or features explode or vanish."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Blank(FeatureExtractorInceptionV3):
        def load_state_dict(self, *_, **__):
            return None                       # the constructor always loads weights

    folder = tmp_path_factory.mktemp("weights")
    torch.save({}, folder / "empty.pth")
    network = Blank("inception-v3-compat", ["2048"], feature_extractor_weights_path=folder / "empty.pth")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                shape = module.weight.shape
                module.weight.copy_(torch.randn(shape, generator=generator) * (2 / module.weight[0].numel()) ** 0.5)
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None
        images = torch.randint(0, 256, (16, 3, 8, 8), generator=generator).float()
        images = nn.functional.interpolate(images, size=64, mode="bilinear").byte()
        network.train()
        network(images)
        features = network.eval()(images)[0]
        scale = features.std() * 2048 ** 0.5
        network.fc.weight.copy_(torch.randn(network.fc.weight.shape, generator=generator) / scale)
        network.fc.bias.zero_()
    torch.save(network.state_dict(), folder / "random.pth")
    return folder / "random.pth"


def says_the_way_out(error):
    text = str(error.value)
    assert inception.FILE in text and inception.SHA256 in text and inception.ADDRESS in text
    assert str(Path(torch.hub.get_dir()) / "checkpoints" / inception.FILE) in text
    assert "metrics.extractor.weights=PATH" in text and "metrics=classifier" in text and "\n" not in text


def test_missing_without_download_asks_nobody(dataset, asked):
    with pytest.raises(ValueError, match="download is off") as error:
        Inception(download=False).prepare(dataset)
    says_the_way_out(error)
    assert asked == []


def test_missing_without_network(dataset, asked):
    with pytest.raises(ValueError, match="no network") as error:
        Inception().prepare(dataset)
    says_the_way_out(error)
    assert asked == [inception.ADDRESS]
    assert list((Path(torch.hub.get_dir()) / "checkpoints").iterdir()) == []


def test_wrong_download_is_not_kept(dataset, monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(b"a login page"))
    with pytest.raises(ValueError, match="12 bytes and SHA-256"):
        Inception().prepare(dataset)
    assert list((Path(torch.hub.get_dir()) / "checkpoints").iterdir()) == []


def test_right_download_is_kept_and_used(dataset, monkeypatch):
    content = b"stands for the weights"
    monkeypatch.setattr(inception, "SHA256", inception.hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(content))
    with pytest.raises(ValueError, match="does not hold weights"):      # right hash, but no network in it
        Inception().prepare(dataset)
    kept, = (Path(torch.hub.get_dir()) / "checkpoints").iterdir()
    assert kept.name == inception.FILE and kept.read_bytes() == content


@pytest.mark.parametrize("source", ["weights", "environment", "cache"])
def test_wrong_file_names_file_and_both_hashes(dataset, tmp_path, monkeypatch, asked, source):
    path = tmp_path / "truncated.pth"
    if source == "cache":
        path = Path(torch.hub.get_dir()) / "checkpoints" / inception.FILE
        path.parent.mkdir(parents=True)
    path.write_bytes(b"PK half a file")
    if source == "environment":
        monkeypatch.setenv("TRANSGAN_INCEPTION", str(path))
    with pytest.raises(ValueError) as error:
        Inception(weights=str(path) if source == "weights" else None).prepare(dataset)
    digest = inception.hashlib.sha256(b"PK half a file").hexdigest()
    assert str(path) in str(error.value) and digest in str(error.value) and inception.SHA256 in str(error.value)
    assert asked == []


@pytest.mark.parametrize("source", ["weights", "TRANSGAN_INCEPTION"])
def test_a_named_file_that_is_missing_is_not_replaced_by_another(dataset, tmp_path, monkeypatch, asked, source):
    path = str(tmp_path / "nowhere.pth")
    monkeypatch.setenv("TRANSGAN_INCEPTION", path)
    with pytest.raises(ValueError, match=f"{source} names {path}") as error:
        Inception(weights=path if source == "weights" else None).prepare(dataset)
    says_the_way_out(error)
    assert asked == []


def test_unchecked_files_are_not_unpickled_blindly(dataset, tmp_path):
    class Malicious:
        def __reduce__(self):
            return open, (str(tmp_path / "was here"), "w")
    torch.save(Malicious(), tmp_path / "bad.pth")
    with pytest.raises(ValueError, match="does not hold weights"):
        Inception(weights=tmp_path / "bad.pth", check=False).prepare(dataset)
    assert not (tmp_path / "was here").exists()


def test_unchecked_needs_a_path_and_channels_are_one_or_three(images_dataset, noise):
    with pytest.raises(ValueError, match="weights=PATH"):
        Inception(check=False)
    with pytest.raises(ValueError, match="4 channels"):
        Inception().prepare(images_dataset(noise(4, channels=4)))


@pytest.mark.slow
def test_equals_torch_fidelity(random_weights, dataset, noise, tmp_path):
    import torch_fidelity
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    fakes = noise(20, channels=3, size=32, seed=1)
    judge = Judge(Inception(weights=random_weights, check=False), num_samples=20, batch_size=12)
    judge.prepare(dataset)
    numbers = judge(lambda seeds, labels: fakes[torch.tensor(seeds)])
    assert set(numbers) == {"fd_inception_unchecked", "cs_inception_unchecked"}
    assert judge.protocol()["comparable_to_published"] is False
    assert judge.extractor.hash == inception.hashlib.sha256(random_weights.read_bytes()).hexdigest()

    reference = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=random_weights)
    for mine, theirs in zip(judge.extractor(fakes[:6]), reference(fakes[:6]), strict=True):
        assert torch.equal(mine, theirs) and not mine.requires_grad
    with torch.autocast("cpu", torch.bfloat16):
        inside = judge.extractor(fakes[:6])[0]
    assert torch.equal(inside, judge.extractor(fakes[:6])[0])
    grey = fakes[:2, :1]
    assert torch.equal(judge.extractor(grey)[0], reference(grey.repeat(1, 3, 1, 1))[0])

    theirs = torch_fidelity.calculate_metrics(
        input1=_Tensors(fakes), input2=_Tensors(dataset.images), fid=True,
        cuda=False, batch_size=12, verbose=False, cache=False, save_cpu_ram=True,
        feature_extractor_weights_path=str(random_weights))
    assert numbers["fd_inception_unchecked"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-5)


class _Tensors(torch.utils.data.Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]
