"""The pixels themselves as features: for data of a few hundred numbers an image, and for tests."""

import hashlib

from torch import nn

from transgan.metrics.extractors.extractor import Extractor


class Pixels(Extractor):
    """All pixels in [0, 1], channel by channel; no logits."""

    name = "pixels"
    hash = hashlib.sha256().hexdigest()  # of nothing
    preprocessing = "pixels in [0, 1]"
    rgb = False

    def prepare(self, dataset):
        self.num_features = dataset.channels * dataset.resolution**2
        super().prepare(dataset)

    def load(self, dataset):
        return nn.Flatten()

    def extract(self, images):
        return self.network(images.float() / 255), None
