"""A discriminator on a timm backbone: what it hands the backbone, what learns, where weights come from, and sentences without."""

import socket

import pytest
import timm
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchvision.transforms.v2 import functional as reference

from transgan import checkpoint
from transgan.models.backbone_discriminator import BackboneDiscriminator

TINY = dict(
    img_size=8, in_chans=3, num_classes=3, model_name="test_vit", out_indices=[0, 2], dim=8, trainable=False,
    pretrained=False, weights=None, download=False,
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", fail)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    monkeypatch.delenv("TRANSGAN_WEIGHTS", raising=False)


def make(**changes):
    return BackboneDiscriminator(**TINY | changes)


@pytest.mark.parametrize("name, depths", [("test_vit", [0, 1]), ("test_resnet", [1, 3]), ("test_efficientnet", [0, 4])])
@pytest.mark.parametrize("channels, classes", [(1, 0), (3, 3)])
@pytest.mark.parametrize("trainable", [False, True])
def test_logits_and_exact_penalties(name, depths, channels, classes, trainable):
    network = make(
        model_name=name, out_indices=depths, in_chans=channels, num_classes=classes, trainable=trainable
    ).train()
    images, labels = torch.randn(2, channels, 8, 8), torch.tensor([0, 2]) if classes else None
    logits = network(images, labels)
    assert logits.shape == (2,) and logits.dtype == torch.float32 and len(network.heads) == len(depths)
    with sdpa_kernel(SDPBackend.MATH):
        gradient = torch.func.grad(lambda x: network(x, labels).sum())(images)
        (gradient.square().sum() + logits.square().sum()).backward()
    assert gradient.any()
    for part, learns in ((network.heads, True), (network.backbone, trainable)):
        assert all((p.grad is not None) == learns for p in part.parameters())
        assert not learns or all(p.grad.isfinite().all() for p in part.parameters())


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_a_logit_depends_on_its_own_image_alone_in_training_too(name):
    network = make(model_name=name, trainable=True).train()
    images, labels = torch.randn(3, 3, 8, 8), torch.tensor([0, 1, 2])
    before = {key: value.clone() for key, value in network.state_dict().items()}
    torch.testing.assert_close(network(images[1:2], labels[1:2]), network(images, labels)[1:2])
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())  # no running statistics


def test_images_are_brought_to_the_backbones_own_size_and_normalisation():
    network = make(model_name="test_efficientnet", out_indices=[1])  # bicubic, ImageNet mean and deviation, 160 px
    images = torch.rand(2, 3, 8, 8) * 2 - 1
    expected = reference.resize((images + 1) / 2, [160, 160], reference.InterpolationMode.BICUBIC, antialias=True)
    expected = reference.normalize(expected, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    torch.testing.assert_close(network.normalised(images), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(network.features(images)[0], network.backbone(expected)[0], atol=1e-4, rtol=1e-4)
    gray = make(model_name="test_efficientnet", out_indices=[1], in_chans=1)
    torch.testing.assert_close(gray.normalised(images[:, :1]), network.normalised(images[:, :1].expand(-1, 3, -1, -1)))


def test_the_logit_is_the_sum_of_its_heads():
    network, images, labels = make(), torch.randn(2, 3, 8, 8), torch.tensor([1, 2])
    each = [head(features, labels) for head, features in zip(network.heads, network.features(images), strict=True)]
    torch.testing.assert_close(network(images, labels), each[0] + each[1])
    assert not torch.allclose(network(images, labels), network(images, labels.flip(0)))


def test_a_frozen_backbone_stays_frozen_when_training_toggles_the_discriminator(adversarial):
    module = adversarial(discriminator=make(in_chans=1))
    discriminator = module.discriminator
    discriminator.requires_grad_(False)
    assert not any(p.requires_grad for p in discriminator.parameters())
    discriminator.requires_grad_(True)
    assert all(p.requires_grad for p in discriminator.heads.parameters())
    assert not any(p.requires_grad for p in discriminator.backbone.parameters())
    assert not discriminator.train().backbone.training and discriminator.heads.training


def test_features_last_in_other_orders():
    """Swin's maps have their channels last."""

    class Swin(torch.nn.Module):
        output_fmt = "NHWC"

        def forward(self, x):
            return [x.mean((2, 3))[:, None, None, :].expand(-1, 5, 5, -1).repeat(1, 1, 1, 32)]

    network = make(model_name="test_resnet", out_indices=[2])
    network.backbone = Swin()
    assert network.features(torch.randn(2, 3, 8, 8))[0].shape == (2, 96, 5, 5)


@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
@pytest.mark.parametrize("place", ["argument", "folder"])
def test_weights_from_a_file_and_from_the_folder(name, place, tmp_path, monkeypatch):
    torch.manual_seed(7)
    published = timm.create_model(name).eval()
    path = tmp_path / f"{name}.pth"
    torch.save(published.state_dict(), path)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    if place == "folder":
        monkeypatch.setenv("TRANSGAN_WEIGHTS", str(tmp_path))
    network = make(model_name=name, pretrained=True, weights=str(path) if place == "argument" else None)
    own = network.backbone.state_dict()
    found = [key for key in published.state_dict() if key in own or f"model.{key}" in own]
    assert len(found) > 20
    for key in found:
        assert torch.equal(own.get(key, own.get(f"model.{key}")), published.state_dict()[key])
    torch.set_rng_state(state)  # looking for weights takes no random numbers from what follows
    assert torch.equal(make(model_name=name).heads[0].conv1.weight, network.heads[0].conv1.weight)


def test_weights_that_do_not_fit(tmp_path):
    state = timm.create_model("test_vit").state_dict()
    path = tmp_path / "a.pth"
    torch.save({key: value for key, value in state.items() if key != "blocks.1.attn.qkv.weight"}, path)
    with pytest.raises(
        ValueError, match="a.pth does not hold weights of test_vit: there is no .*blocks.1.attn.qkv.weight"
    ):
        make(pretrained=True, weights=str(path))
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    with pytest.raises(ValueError, match="a.pth does not hold weights of test_vit"):
        make(pretrained=True, weights=str(path))
    path.write_text("nothing")
    with pytest.raises(ValueError, match="a.pth does not hold weights of test_vit"):
        make(pretrained=True, weights=str(path))


@pytest.mark.parametrize("options", [{}, {"weights": "/nowhere.pth"}, {"model_name": "test_resnet"}])
def test_no_weights_is_one_sentence_with_the_way_out(options):
    with pytest.raises(ValueError) as error:
        make(pretrained=True, **options)
    message = str(error.value)
    assert "\n" not in message
    for word in ("discriminator.weights=PATH", "TRANSGAN_WEIGHTS", "download=true", "pretrained=false"):
        assert word in message


def test_a_download_that_fails_is_one_sentence(monkeypatch):
    def fail(*_, **__):
        raise OSError("no network\nin this test")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    with pytest.raises(ValueError, match=r"could not be downloaded \(no network in this test\)"):
        make(pretrained=True, download=True)


def test_unknown_models_and_depths():
    with pytest.raises(ValueError, match="timm .* knows no such model; the nearest: .*test_vit"):
        make(model_name="test_vitt")
    with pytest.raises(ValueError, match="knows no such model"):
        make(model_name="test_vit.no_such_weights")
    for name in ("test_vit", "test_resnet"):
        with pytest.raises(ValueError, match=rf"out_indices=\[99\] does not fit {name}"):
            make(model_name=name, out_indices=[99])


def test_a_checkpoint_needs_no_published_weights():
    config = {"algorithm": {"discriminator": {"pretrained": True, "dim": 8}, "generator": {"dim": [8]}, "clip": None}}
    plain = checkpoint.without_weights(config)
    assert plain["algorithm"]["discriminator"] == {"pretrained": False, "dim": 8}
    assert plain["algorithm"]["generator"] == {"dim": [8]} and config["algorithm"]["discriminator"]["pretrained"]
