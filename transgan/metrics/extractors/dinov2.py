"""DINOv2 as the distance FD-DINOv2 defines it (Oquab et al., 2023; Stein et al., 2023): the normed class token."""

import math
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transgan import files
from transgan.metrics.extractors import sources
from transgan.metrics.extractors.extractor import Extractor
from transgan.metrics.extractors.resize import Resize
from transgan.metrics.sampling import ImageData

MODELS = {  # name: timm's name, num_features
    "vits14": ("vit_small_patch14_dinov2.lvd142m", 384),
    "vitb14": ("vit_base_patch14_dinov2.lvd142m", 768),
    "vitl14": ("vit_large_patch14_dinov2.lvd142m", 1024),
}
GRID = 16  # patches along a side of 224 px; the published position embeddings have 37


class DINOv2(Extractor):
    """DINOv2 without registers at 224 px. Published distances are those of `vitl14`.

    The weights come from the first of: `weights`, the folder $TRANSGAN_WEIGHTS, torch hub's cache, the Hugging Face
    cache, and, if `download`, the internet (into torch hub's cache). Facebook's file and timm's hold the same network.
    `hash` is that of the file: there is none to check it against, for Facebook publishes none.
    """

    cpu_chunk = 8

    def __init__(self, model: str = "vitl14", weights: str | None = None, download: bool = False):
        if model not in MODELS:
            raise ValueError(f"DINOv2: there is no model={model}; there are {', '.join(MODELS)}.")
        self.weights, self.download = weights, download
        self.name = f"dinov2_{model}"
        self.file = f"dinov2_{model}_pretrain.pth"
        self.address = f"https://dl.fbaipublicfiles.com/dinov2/dinov2_{model}/{self.file}"
        self.architecture, self.num_features = MODELS[model]
        self.resize = Resize((224, 224), "bicubic", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        self.preprocessing = str(self.resize)

    def load(self, dataset: ImageData) -> nn.Module:
        import timm

        cache = sources.torch_hub(self.file)

        def cached() -> Iterator[Path]:
            yield from sources.folder(self.file, f"{self.architecture}.safetensors")
            yield cache
            yield from sources.hugging_face(f"timm/{self.architecture}", "model.safetensors")

        path = sources.find(
            [("extractor.weights", self.weights)],
            cached(),
            self.download,
            lambda: sources.fetch(self.address, cache),
            self._missing,
        )
        self.hash = files.sha256(path)
        network = timm.create_model(self.architecture, img_size=224, num_classes=0)
        with sources.loading(path, self.name):
            state = timm.models.load_state_dict(str(path), weights_only=True)
            state.pop("mask_token", None)  # of the pre-training; timm leaves it out
            state["pos_embed"] = resampled(state["pos_embed"], GRID)
            network.load_state_dict(state)
        return network

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.network.forward_features(self.resize(images))[:, 0], None

    def _missing(self, what: str) -> str:
        return (
            f"{self.name}: {what}; get {self.file} from {self.address} and put it into the folder "
            f"$TRANSGAN_WEIGHTS or at {sources.torch_hub(self.file)}, or name another place with "
            f"extractor=dinov2 extractor.weights=PATH, or let it be fetched with extractor.download=true there."
        )


def resampled(embedding: Tensor, grid: int) -> Tensor:
    """1 x (1 + n * n) x D -> 1 x (1 + grid * grid) x D: the positions of patches bicubically, as DINOv2 does it.

    Without antialias, and with a scale that is a tenth of a patch more than the sizes say: the network's authors
    added it against rounding, and published numbers depend on it. timm resamples with antialias and exact sizes.
    """
    first, patches = embedding[:, :1], embedding[:, 1:]
    side = math.isqrt(patches.shape[1])
    patches = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2).float()
    patches = F.interpolate(patches, scale_factor=((grid + 0.1) / side,) * 2, mode="bicubic")
    return torch.cat([first, patches.flatten(2).transpose(1, 2)], 1)
