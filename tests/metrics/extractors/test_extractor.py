"""What holds for every extractor: what it refuses, that it stays as it is, and that it leaves no trace outside."""

import ast
import re
from pathlib import Path

import pytest
import pytorch_lightning
import torch
from torch import nn

from transgan.metrics import extractors
from transgan.metrics.extractors import Backbone, Classifier, Extractor, FromModule, Inception, Pixels, ResNet56Cifar10
from transgan.metrics.extractors.resnet_cifar import ResNet


class Net(nn.Module):
    """What a user brings: BatchNorm, uint8 in, features and logits out."""

    def __init__(self, channels=3):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(channels, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 5)

    def forward(self, images):
        features = self.norm(self.conv(images.float() / 255)).mean((2, 3))
        return features, self.head(features)


@pytest.fixture(params=["pixels", "classifier", "module", "resnet56_cifar10", "timm", "inception"])
def extractor(request, dataset, resnet10t, random_inception, tmp_path):
    torch.save(ResNet().state_dict(), tmp_path / "resnet56.pt")
    made = {
        "pixels": lambda: Pixels(), "classifier": lambda: Classifier(steps=1), "module": lambda: FromModule(Net(), "net"),
        "resnet56_cifar10": lambda: ResNet56Cifar10(tmp_path / "resnet56.pt"),
        "timm": lambda: Backbone("resnet10t", weights=resnet10t[1]),
        "inception": lambda: Inception(weights=random_inception, check=False),
    }[request.param]()  # fmt: skip
    made.prepare(dataset)
    return made


def test_contract(extractor, dataset, smooth):
    features, logits = extractor(smooth(3))
    assert isinstance(extractor, Extractor) and not isinstance(extractor, nn.Module)
    assert (
        features.shape == (3, extractor.num_features) and features.dtype == torch.float32 and features.isfinite().all()
    )
    assert logits is None or (logits.shape[0] == 3 and logits.dtype == torch.float32)
    assert re.fullmatch("[0-9a-f]{64}", extractor.hash) and extractor.name.isidentifier() and extractor.preprocessing
    assert extractor.class_names is None or len(extractor.class_names) == logits.shape[1]
    assert extractor.standard is False and extractor.to("cpu") is extractor


def test_prepared_twice_is_loaded_once(extractor, dataset, monkeypatch):
    network, before = extractor.network, torch.get_rng_state()
    monkeypatch.setattr(type(extractor), "load", lambda *_: pytest.fail("loaded again"))
    extractor.prepare(dataset)
    assert extractor.network is network and torch.equal(before, torch.get_rng_state())


def test_random_numbers_outside_are_untouched(dataset, resnet10t):
    torch.manual_seed(4711)
    before = torch.get_rng_state()
    Backbone("resnet10t", weights=resnet10t[1]).prepare(dataset)
    assert torch.equal(before, torch.get_rng_state())


def test_same_numbers_in_inference_mode_and_autocast(extractor, smooth):
    images = smooth(3)
    plain = extractor(images)[0]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        inside = extractor(images)[0]
    assert torch.equal(inside, plain) and not inside.is_inference() and not plain.requires_grad


def test_only_uint8_images_give_numbers(extractor, smooth):
    images = smooth(3)
    unit = images / 255
    wrong = [unit, unit * 2 - 1, images.int(), images[0], images[:, :2], images.repeat(1, 2, 1, 1), unit.half()]
    for tensor in wrong:
        with pytest.raises(ValueError, match=r"takes uint8 images N x C x H x W .* and got torch\.") as error:
            extractor(tensor)
        assert "\n" not in str(error.value)


def test_torchmetrics_makes_a_number_of_two_ranges(smooth):
    from torchmetrics.image.fid import FrechetInceptionDistance

    pixels = nn.Flatten()
    pixels.num_features = 3 * 8 * 8
    naive = FrechetInceptionDistance(pixels, normalize=True)
    unit = smooth(3, size=8) / 255
    naive.update(unit, real=True)
    naive.update(unit * 2 - 1, real=False)
    assert naive.compute() > 1  # the same images, and yet a distance


def test_data_of_other_channels_are_refused(images_dataset, noise):
    with pytest.raises(ValueError, match="pixels looks at grey or RGB images, and these have 4 channels"):
        Pixels().prepare(images_dataset(noise(4, channels=4)))


def test_grey_is_repeated_for_networks_that_want_colour_only(images_dataset, resnet10t, smooth):
    grey = images_dataset(smooth(4, channels=1), torch.arange(4) % 2)
    backbone, module, pixels, classifier = made = (
        Backbone("resnet10t", weights=resnet10t[1]),
        FromModule(Net(channels=1), "grey_net"),
        Pixels(),
        Classifier(steps=1),
    )
    for extractor in made:
        extractor.prepare(grey)
        assert extractor(grey.images)[0].shape == (4, extractor.num_features)
        assert ("grey repeated to RGB" in extractor.preprocessing) == (extractor is backbone)
    assert torch.equal(backbone(grey.images)[0], backbone(grey.images.repeat(1, 3, 1, 1))[0])
    assert pixels.num_features == 32 * 32
    assert module.network.conv.in_channels == classifier.network.body[0].in_channels == 1
    with pytest.raises(RuntimeError, match="channels"):  # timm's network alone does not take grey
        backbone.network(grey.images / 255)


class Owner(pytorch_lightning.LightningModule):
    """Holds the same network twice: as its own submodule, as the naive do, and in an extractor."""

    def __init__(self, network):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.naive = network
        self.extractor = FromModule(network, "net")


def test_an_extractor_stays_frozen_and_outside_its_owner(dataset, tmp_path):
    owner = Owner(Net())
    owner.extractor.prepare(dataset)
    assert torch.equal(owner.eval().naive(dataset.images)[0], owner.extractor(dataset.images)[0])
    before = {key: value.clone() for key, value in owner.extractor.network.state_dict().items()}
    owner.train()
    for _ in range(2):
        naive, mine = owner.naive(dataset.images)[0], owner.extractor(dataset.images)[0]
    after = owner.extractor.network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not any(module.training for module in owner.extractor.network.modules())
    assert not mine.requires_grad and not any(p.requires_grad for p in owner.extractor.network.parameters())
    assert owner.naive.training and naive.requires_grad  # the naive one follows, and its BatchNorm drifts
    assert (owner.naive.norm.running_mean - before["norm.running_mean"]).abs().sum() > 0.01

    trainer = pytorch_lightning.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        default_root_dir=tmp_path,
    )
    trainer.strategy.connect(owner)
    trainer.save_checkpoint(tmp_path / "owner.ckpt")
    saved = torch.load(tmp_path / "owner.ckpt", weights_only=True)["state_dict"]
    for names in (dict(owner.named_parameters()), owner.state_dict(), saved):
        assert {name.split(".")[0] for name in names} == {"layer", "naive"}


def test_nothing_heavy_is_imported_before_it_is_needed():
    for path in Path(extractors.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text()).body:  # not inside functions
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            heavy = {"timm", "torchvision", "torch_fidelity", "huggingface_hub", "torchmetrics", "safetensors"}
            assert not {name.split(".")[0] for name in names} & heavy, path.name
