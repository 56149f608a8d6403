"""MobileNetV2 (Sandler et al., 2018), trained on ImageNet: a small stand-in where the standard Inception is missing."""

import torch
from torch import Tensor, nn

from transgan.metrics.extractors import sources
from transgan.metrics.extractors.extractor import Extractor
from transgan.metrics.extractors.resize import Resize
from transgan.metrics.sampling import ImageData


class MobileNetV2(Extractor):
    """TensorFlow's MobileNetV2 in timm's names: 1280 pooled features, and logits of 1001 classes (0 is background).

    `weights` is a torch file with the state dict of timm's mobilenetv2_100 for 1001 classes, in any floating point.
    """

    name = "mobilenet_v2"
    num_features = 1280
    resize = Resize((224, 224), "bilinear", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # RGB in [-1, 1]
    preprocessing = str(resize)
    cpu_chunk = 8

    def __init__(self, weights: str):
        self.weights = weights

    def load(self, dataset: ImageData) -> nn.Module:
        import timm

        network = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=1001)  # float32 in any case
        self.hash = sources.load_own(network, self.weights, "timm's mobilenetv2_100 with 1001 classes")
        return network.to(memory_format=torch.channels_last)  # a third less time on a CPU

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        features = self.network.forward_features(self.resize(images)).mean((2, 3))
        return features, self.network.classifier(features)
