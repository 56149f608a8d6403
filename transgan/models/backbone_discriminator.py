"""A discriminator on the features of a pretrained network: any timm backbone, with a small head per depth.

The idea of Projected GAN (Sauer et al., 2021) and StyleGAN-T (2023), without their random projections. It learns fast,
as its features are already trained; but FID, too, is computed from features of an ImageNet classifier, and a generator
that matches these gets a better FID than its images deserve (Kynkaanniemi et al., 2023): say so beside its numbers.

N batch, C channels, H W image, h w map, K classes.
"""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.describing import Described
from transgan.layers.norm import RMSNorm
from transgan.layers.patch import to_map, to_tokens
from transgan.layers.projection import ProjectionHead

SUFFIXES = (".safetensors", ".pth", ".pt")


class Head(nn.Module):
    """A map of features to a logit: RMSNorm, 1x1, 3x3, the mean over positions, and projection conditioning."""

    def __init__(self, in_dim: int, dim: int, num_classes: int):
        super().__init__()
        self.norm = RMSNorm(in_dim)
        self.conv1 = nn.Conv2d(in_dim, dim, 1)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1)
        self.head = ProjectionHead(dim, num_classes)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:  # (N, C, h, w), (N,)
        x = to_map(self.norm(to_tokens(x)), (x.shape[2], x.shape[3]))
        x = F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(x), 0.2)), 0.2)  # (N, dim, h, w)
        return self.head(x.mean((2, 3)), labels)  # (N,)


class BackboneDiscriminator(Described, nn.Module):
    """Images (N, in_chans, img_size, img_size) in [-1, 1] and labels (N,) to float32 logits (N,), high for real.

    Images are brought to the size, mean and deviation that timm records for the backbone, which stays in eval mode, so
    that a logit depends on its own image alone. Networks with hard sigmoids (MobileNetV3) have no second derivative in
    torch, and so allow no gradient penalty.

    Args:
        img_size, in_chans: of the images. num_classes: 0 for an unconditional discriminator.
        model_name: timm's name, such as vit_small_patch16_224.dino or resnet50.a1_in1k.
        out_indices: the depths that get a head: stages of a convolutional network, blocks of a ViT; counted from 0.
        dim: width of the heads. trainable: fine-tune the backbone, too; otherwise only the heads are trained.
        pretrained: start from published weights, the first of: `weights` (a safetensors or torch file), the folder
            $TRANSGAN_WEIGHTS (as <model_name>.safetensors, .pth or .pt), the Hugging Face cache and, if `download`, the
            Hugging Face hub. False: random weights, useful only in tests or with trainable=true.

    Raises ValueError for a model or depths unknown to timm, and for weights that are missing or do not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        img_size: int,
        in_chans: int,
        num_classes: int,
        model_name: str,
        out_indices: Sequence[int],
        dim: int,
        trainable: bool,
        pretrained: bool,
        weights: str | None,
        download: bool,
    ):
        super().__init__()
        if in_chans not in (1, 3):
            raise ValueError(
                f"a published backbone takes grey or RGB images, not {in_chans} channels; with "
                "supervision=noise_guidance, which stacks images as channels, use another discriminator"
            )
        self.num_classes, self.trainable = num_classes, trainable
        published = published_facts(model_name)
        path = find_weights(model_name, published, weights, download) if pretrained else None
        self.backbone = features_of(model_name, out_indices, path)
        facts = timm.data.resolve_model_data_config(self.backbone)
        self.size, self.interpolation = tuple(facts["input_size"][1:]), facts["interpolation"]
        self.register_buffer("mean", torch.tensor(facts["mean"]).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(facts["std"]).view(1, -1, 1, 1), persistent=False)
        channels: list[int] = self.backbone.feature_info.channels()  # type: ignore[union-attr, operator]  # of timm
        self.heads = nn.ModuleList(Head(width, dim, num_classes) for width in channels)
        self.requires_grad_(True)
        self.train()

    def requires_grad_(self, requires_grad: bool = True) -> "BackboneDiscriminator":
        """As of any module, but a frozen backbone stays frozen, although training toggles this in every step."""
        super().requires_grad_(requires_grad)
        if not self.trainable:
            self.backbone.requires_grad_(False)
        return self

    def train(self, mode: bool = True) -> "BackboneDiscriminator":
        super().train(mode)
        self.backbone.eval()  # no batch statistics, dropout or drop path, even when it is fine-tuned
        return self

    def normalised(self, images: Tensor) -> Tensor:  # (N, in_chans, H, W) in [-1, 1]
        """The images (N, 3, *size) as the backbone was trained on them."""
        x = (images + 1) / 2
        x = x.expand(-1, len(self.mean[0]), -1, -1) if x.shape[1] == 1 else x
        if x.shape[2:] != self.size:
            mode = "bicubic" if self.interpolation == "bicubic" else "bilinear"
            x = F.interpolate(x, self.size, mode=mode, antialias=True, align_corners=False)
        return (x - self.mean) / self.std

    def features(self, images: Tensor) -> list[Tensor]:
        """A map (N, C, h, w) per depth."""
        maps = self.backbone(self.normalised(images))
        if getattr(self.backbone, "output_fmt", "NCHW") == "NHWC":
            maps = [each.permute(0, 3, 1, 2) for each in maps]
        return maps

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        logits = [head(each, labels) for head, each in zip(self.heads, self.features(images), strict=True)]
        return torch.stack(logits).sum(0)  # (N,)


def published_facts(model_name: str) -> Any:
    """What timm records of a model and its weights. Raises ValueError with the nearest names for an unknown model."""
    try:
        if timm.is_model(model_name):
            return timm.models.get_pretrained_cfg(model_name)
    except RuntimeError:  # the model exists, but not with these weights (the part after the dot)
        pass
    near = difflib.get_close_matches(model_name, timm.list_models() + timm.list_pretrained(), 3)
    raise ValueError(
        f"discriminator.model_name={model_name}: timm {timm.__version__} knows no such model; "
        + (f"the nearest: {', '.join(near)}" if near else "timm.list_models() lists them")
    )


def find_weights(model_name: str, published: Any, weights: str | None, download: bool) -> Path:
    """The file with a model's weights. Raises ValueError if there is none; never waits long for a network."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    def missing(what: str) -> ValueError:
        return ValueError(
            f"discriminator {model_name}: {what}; name a file with discriminator.weights=PATH, put "
            f"{model_name}.safetensors into the folder $TRANSGAN_WEIGHTS, fetch it with discriminator.download=true "
            "where there is a network, or start from random weights with discriminator.pretrained=false "
            "discriminator.trainable=true"
        )

    if weights:
        path = Path(weights).expanduser()
        if not path.is_file():
            raise missing(f"discriminator.weights names {path}, where there is no file")
        return path
    folder = os.environ.get("TRANSGAN_WEIGHTS", "")
    for suffix in SUFFIXES if folder else ():
        path = Path(folder).expanduser() / (model_name + suffix)
        if path.is_file():
            return path
    if not published.hf_hub_id:
        raise missing("timm names no published weights for it")
    source = published.hf_hub_id, published.hf_hub_filename or "model.safetensors"
    cached = try_to_load_from_cache(*source)
    if isinstance(cached, str):
        return Path(cached)
    if not download:
        raise missing("its weights are not on this machine, and download is off")
    try:
        return Path(hf_hub_download(*source, etag_timeout=10))
    except OSError as error:  # no network, no such host, a time-out, a full disk
        raise missing(f"its weights could not be downloaded ({' '.join(str(error).split())[:200]})") from error


def features_of(model_name: str, out_indices: Sequence[int], path: Path | None) -> nn.Module:
    """The backbone, which outputs a list of maps, with the weights of a file or random ones."""

    def create(**arguments: Any) -> nn.Module:
        # exportable: activations made of plain operations, which have a second derivative
        with timm.layers.set_exportable(True):
            made: nn.Module = timm.create_model(
                model_name, features_only=True, out_indices=tuple(out_indices), **arguments
            )
        return made

    try:
        network = create()
    except (AssertionError, IndexError, KeyError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"discriminator.out_indices={list(out_indices)} does not fit {model_name}: "
            f"{' '.join(str(error).split()) or type(error).__name__}"
        ) from error
    if path is None:
        return network
    # timm does not load features strictly: what the file lacks still differs between two random initialisations
    twins = []
    for seed in (0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(seed)
            try:
                timm.models.load_state_dict(
                    str(path), weights_only=True
                )  # earlier versions of timm would unpickle anything
                twins.append(create(pretrained=True, pretrained_cfg_overlay={"file": str(path), "custom_load": False}))
            except Exception as error:  # of many kinds: zip, pickle, safetensors, shapes
                raise ValueError(
                    f"{path} does not hold weights of {model_name} ({type(error).__name__}: "
                    f"{' '.join(str(error).split())[:200]})"
                ) from error
    for (name, one), other in zip(twins[0].state_dict().items(), twins[1].state_dict().values(), strict=True):
        if not torch.equal(one, other):
            raise ValueError(f"{path} does not hold weights of {model_name}: there is no {name} in it")
    return twins[0]
