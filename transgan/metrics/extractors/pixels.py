"""The pixels themselves as features: for data of a few hundred numbers an image, and for tests."""

import hashlib

from torch import Tensor, nn

from transgan.metrics.extractors.extractor import Extractor
from transgan.metrics.sampling import ImageData


class Pixels(Extractor):
    """All pixels in [0, 1], channel by channel; no logits."""

    name = "pixels"
    hash = hashlib.sha256().hexdigest()  # of nothing
    preprocessing = "pixels in [0, 1]"
    rgb = False

    def prepare(self, dataset: ImageData) -> None:
        self.num_features = dataset.channels * dataset.resolution**2
        super().prepare(dataset)

    def load(self, dataset: ImageData) -> nn.Module:
        return nn.Flatten()

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.network(images.float() / 255), None
