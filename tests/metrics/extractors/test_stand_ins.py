"""MobileNetV2 and ResNet-56, with random weights always and with real ones where they lie."""

import os
from pathlib import Path

import pytest
import torch

from transgan.data import Zip
from transgan.metrics.extractors import MobileNetV2, ResNet56Cifar10
from transgan.metrics.extractors.resnet_cifar import Block, ResNet

CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()


@pytest.fixture(scope="module")
def shared():
    folder = os.environ.get("TRANSGAN_TEST_SHARED")
    if not folder or not Path(folder, "weights").is_dir():
        pytest.skip("TRANSGAN_TEST_SHARED does not name a folder with weights/ and data/")
    return Path(folder)


@pytest.fixture(scope="module")
def cifar10(shared):
    return Zip(shared / "data" / "cifar10-test.zip", 32, 3)


def prepared(extractor, dataset):
    extractor.prepare(dataset)
    return extractor


def test_resnet_has_56_layers_and_shortcuts_without_parameters():
    network = ResNet()
    layers = [name for name, tensor in network.named_parameters() if tensor.ndim > 1]
    assert len(layers) == 56 and sum(p.numel() for p in network.parameters()) == 853_018
    block = Block(4, 8, 2).eval()
    torch.nn.init.zeros_(block.conv2.weight)  # what is left is the shortcut
    x = torch.rand(1, 4, 6, 6)
    made = block(x)
    assert torch.equal(made[:, 2:6], x[:, :, ::2, ::2]) and not made[:, :2].any() and not made[:, 6:].any()


@pytest.mark.parametrize("size, channels", [(32, 3), (48, 1)])
def test_resnet_takes_other_sizes_and_grey(dataset, smooth, tmp_path, size, channels):
    torch.save(ResNet().state_dict(), tmp_path / "random.pt")
    extractor = prepared(ResNet56Cifar10(tmp_path / "random.pt"), dataset)
    features, logits = extractor(smooth(2, channels, size))
    assert features.shape == (2, 64) and logits.shape == (2, 10) and extractor.class_names == CIFAR10


def test_mobilenet_in_half_precision(dataset, smooth, tmp_path):
    import timm

    network = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=1001).eval()
    torch.save(network.half().state_dict(), tmp_path / "half.pt")
    extractor = prepared(MobileNetV2(tmp_path / "half.pt"), dataset)
    images = smooth(2, size=224)
    features, logits = extractor(images)
    expected = network.float().forward_features(images / 127.5 - 1)
    assert torch.allclose(features, expected.mean((2, 3)), atol=1e-3) and features.dtype == torch.float32
    assert torch.allclose(logits, network(images / 127.5 - 1), atol=1e-3) and logits.shape == (2, 1001)


@pytest.mark.parametrize("kind", [MobileNetV2, ResNet56Cifar10])
def test_missing_and_wrong_files_are_said(dataset, tmp_path, kind):
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "wrong.pt")
    with pytest.raises(
        ValueError, match="extractor.weights names /nowhere, where there is no file; give extractor.weights"
    ):
        prepared(kind("/nowhere"), dataset)
    with pytest.raises(ValueError, match="wrong.pt does not hold weights of .*RuntimeError") as error:
        prepared(kind(tmp_path / "wrong.pt"), dataset)
    assert "\n" not in str(error.value)


def test_real_resnet_knows_cifar10(shared, cifar10):
    extractor = prepared(ResNet56Cifar10(shared / "weights" / "resnet56_cifar10.pt"), cifar10)
    images, labels = cifar10.__getitems__(range(0, len(cifar10), 50))
    features, logits = extractor(images)
    assert features.isfinite().all() and features.std(0).min() > 0.01
    assert extractor.class_names == cifar10.class_names
    assert (logits.argmax(1) == labels).float().mean() > 0.75


def test_real_mobilenet_sees_differences(shared, cifar10):
    extractor = prepared(MobileNetV2(shared / "weights" / "mobilenet_v2_imagenet.pt"), cifar10)
    images, labels = cifar10.__getitems__(range(0, len(cifar10), 250))
    features, logits = extractor(images)
    assert features.isfinite().all() and (features.std(0) > 0).float().mean() > 0.95 and features.std() > 0.1
    same, middle = labels[:, None] == labels, torch.nn.functional.normalize(features - features.mean(0))
    likeness = middle @ middle.T
    assert likeness[same & ~torch.eye(len(labels), dtype=torch.bool)].mean() > likeness[~same].mean() + 0.05
    assert len(logits.argmax(1).unique()) > 10
