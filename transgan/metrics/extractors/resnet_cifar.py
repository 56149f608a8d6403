"""The ResNet of 56 layers for CIFAR-10 (He et al., 2016, section 4.2): 64 features and the ten classes."""

import torch.nn.functional as F
from torch import Tensor, nn

from transgan.metrics.extractors import sources
from transgan.metrics.extractors.extractor import Extractor
from transgan.metrics.extractors.resize import Resize
from transgan.metrics.sampling import ImageData


class Block(nn.Module):
    """Two convolutions beside a shortcut without parameters (option A): every second pixel, new channels zero."""

    def __init__(self, in_chans: int, dim: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_chans, dim, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(dim)
        self.stride, self.new = stride, dim - in_chans

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x dim x H / stride x W / stride"""
        inside = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        shortcut = F.pad(shortcut, (0, 0, 0, 0, self.new // 2, self.new // 2))  # half of them on either side
        return F.relu(inside + shortcut)


class ResNet(nn.Module):
    """Three stages of `depth` blocks with 16, 32 and 64 channels: 6 * depth + 2 layers."""

    def __init__(self, depth: int = 9, num_classes: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(16, 16, 1, depth)
        self.layer2 = self._stage(16, 32, 2, depth)
        self.layer3 = self._stage(32, 64, 2, depth)
        self.linear = nn.Linear(64, num_classes)

    @staticmethod
    def _stage(in_chans: int, dim: int, stride: int, depth: int) -> nn.Sequential:
        return nn.Sequential(Block(in_chans, dim, stride), *(Block(dim, dim, 1) for _ in range(depth - 1)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """normalised RGB N x 3 x 32 x 32 -> features N x 64, logits N x 10"""
        x = F.relu(self.bn1(self.conv1(x)))
        features = self.layer3(self.layer2(self.layer1(x))).mean((2, 3))
        return features, self.linear(features)


class ResNet56Cifar10(Extractor):
    """Features for images like those of CIFAR-10; the logits are those of a classifier of its ten classes.

    `weights` is a torch file with a state dict of conv1, bn1, layer1 to layer3 and linear.
    """

    name = "resnet56_cifar10"
    num_features = 64
    class_names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    resize = Resize((32, 32), "bilinear", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    preprocessing = str(resize)

    def __init__(self, weights: str):
        self.weights = weights

    def load(self, dataset: ImageData) -> nn.Module:
        network = ResNet()
        self.hash = sources.load_own(network, self.weights, "the ResNet-56 for CIFAR-10")
        return network

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.network(self.resize(images))
