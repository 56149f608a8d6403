"""DINOv2: its authors' position embedding and class token, and weights in either format."""

import hashlib
import io
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch

from transgan.metrics.extractors import DINOv2
from transgan.metrics.extractors.dinov2 import resampled

NAME = "vit_small_patch14_dinov2"


def facebooks(state):
    """Random weights made into a file like Facebook's: blocks that matter, smooth positions, a mask token."""
    for key in state:
        if key.endswith("gamma"):
            state[key].fill_(1.0)  # 1e-5 at first, and the class token would not see the image
    grid = torch.randn(1, 384, 6, 6)
    grid = torch.nn.functional.interpolate(grid, size=37, mode="bilinear").flatten(2).transpose(1, 2)
    state["pos_embed"] = torch.cat([torch.randn(1, 1, 384), grid], 1)
    state["mask_token"] = torch.zeros(1, 384)


@pytest.fixture(scope="module")
def weights(save_backbone):
    """(path of Facebook's file, path of timm's) with the same random numbers"""

    def timms(state):
        facebooks(state)
        del state["mask_token"]

    return save_backbone(NAME, facebooks, suffix=".pth")[1], save_backbone(NAME, timms)[1]


def prepared(dataset, **arguments):
    extractor = DINOv2(model="vits14", **arguments)
    extractor.prepare(dataset)
    return extractor


def cubic(distance, a=-0.75):
    """Keys' kernel with the parameter of torch's bicubic interpolation without antialias."""
    x = np.abs(distance)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def naive_positions(embedding):
    """37 x 37 positions read at 16 x 16 points, (16 + 0.1) / 37 apart by DINOv2's reckoning: number by number."""
    weights = np.zeros((16, 37))
    for target in range(16):
        source = (target + 0.5) / (16.1 / 37) - 0.5
        for neighbour in range(int(np.floor(source)) - 1, int(np.floor(source)) + 3):
            weights[target, min(max(neighbour, 0), 36)] += cubic(source - neighbour)
    grid = embedding[0, 1:].double().numpy().reshape(37, 37, -1)
    grid = np.einsum("yh,xw,hwd->yxd", weights, weights, grid).reshape(256, -1)
    return torch.cat([embedding[:, :1], torch.from_numpy(grid)[None].float()], 1)


def test_position_embedding_is_the_authors(weights):
    from timm.layers import resample_abs_pos_embed

    embedding = torch.load(weights[0], weights_only=True)["pos_embed"]
    expected = naive_positions(embedding)
    assert torch.allclose(resampled(embedding, 16), expected, atol=1e-4)
    timms = resample_abs_pos_embed(embedding, [16, 16], [37, 37], num_prefix_tokens=1)
    assert (timms - expected).norm() > 0.01 * expected.norm()  # timm's is another network


def test_features_are_the_normed_class_token(weights, dataset, smooth):
    import timm

    extractor = prepared(dataset, weights=weights[0])
    state = torch.load(weights[0], weights_only=True)
    network = timm.create_model(NAME, img_size=224, num_classes=0).eval()
    del state["mask_token"]
    network.load_state_dict(state | {"pos_embed": naive_positions(state["pos_embed"])})
    images = smooth(2)
    with torch.no_grad():
        patches = network.patch_embed(extractor.resize(images))
        tokens = torch.cat([network.cls_token.expand(2, -1, -1), patches], 1) + network.pos_embed
        expected = network.norm(network.blocks(tokens))[:, 0]
    features, logits = extractor(images)
    assert features.shape == (2, 384) and logits is None and features.std(0).mean() > 0.01
    assert torch.allclose(features, expected, atol=1e-3)
    assert extractor.hash == hashlib.sha256(weights[0].read_bytes()).hexdigest()
    assert extractor.name == "dinov2_vits14" and "bicubic with antialias to 224x224" in extractor.preprocessing


@pytest.mark.parametrize("source", ["timm's file", "folder", "torch hub", "hugging face"])
def test_weights_in_both_formats_from_everywhere(weights, dataset, smooth, tmp_path, monkeypatch, sockets, source):
    expected = prepared(dataset, weights=weights[0])(smooth(1))[0]
    if source == "folder":
        (tmp_path / "dinov2_vits14_pretrain.pth").symlink_to(weights[0])
        monkeypatch.setenv("TRANSGAN_WEIGHTS", str(tmp_path))
    elif source == "torch hub":
        (folder := Path(torch.hub.get_dir()) / "checkpoints").mkdir(parents=True)
        (folder / "dinov2_vits14_pretrain.pth").symlink_to(weights[0])
    elif source == "hugging face":
        monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, name: str(weights[1]))
    extractor = prepared(dataset, weights=weights[1] if source == "timm's file" else None)
    assert torch.equal(extractor(smooth(1))[0], expected) and sockets == []


def test_missing_and_wrong_weights(dataset, resnet10t, sockets):
    with pytest.raises(ValueError, match="dinov2_vits14: the weights are not on this machine") as error:
        prepared(dataset)
    text = str(error.value)
    assert "dinov2_vits14_pretrain.pth" in text and "https://dl.fbaipublicfiles.com" in text and "\n" not in text
    assert "extractor.weights=PATH" in text and "extractor.download=true" in text and "$TRANSGAN_WEIGHTS" in text
    with pytest.raises(ValueError, match="does not hold weights of dinov2_vits14"):
        prepared(dataset, weights=resnet10t[1])
    with pytest.raises(ValueError, match="no model=vitg14; there are vits14, vitb14, vitl14"):
        DINOv2(model="vitg14")
    assert sockets == []


def test_download_only_when_asked(weights, dataset, monkeypatch):
    asked = []

    def answer(address, timeout):
        asked.append(address)
        return io.BytesIO(weights[0].read_bytes())

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    extractor = prepared(dataset, download=True)
    assert asked == ["https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth"]
    assert prepared(dataset).hash == extractor.hash and len(asked) == 1  # kept in torch hub's cache


def test_sizes():
    assert [DINOv2(model=model).num_features for model in ("vits14", "vitb14", "vitl14")] == [384, 768, 1024]
    assert DINOv2().name == "dinov2_vitl14"
