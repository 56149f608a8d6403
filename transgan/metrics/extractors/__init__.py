"""Feature extractors: uint8 images in, features and perhaps logits out; one file for each network of another origin.

What is heavy (timm, torchvision, torch-fidelity, the Hugging Face hub) is imported when an extractor is prepared.
"""

from transgan.metrics.extractors.backbone import Backbone
from transgan.metrics.extractors.classifier import Classifier
from transgan.metrics.extractors.dinov2 import DINOv2
from transgan.metrics.extractors.efficientnet_lite0 import EfficientNetLite0
from transgan.metrics.extractors.extractor import Extractor
from transgan.metrics.extractors.inception import Inception
from transgan.metrics.extractors.masked import Masked
from transgan.metrics.extractors.mobilenet_v2 import MobileNetV2
from transgan.metrics.extractors.module import FromModule
from transgan.metrics.extractors.pixels import Pixels
from transgan.metrics.extractors.resnet_cifar import ResNet56Cifar10

__all__ = [
    "Backbone", "Classifier", "DINOv2", "EfficientNetLite0", "Extractor", "FromModule", "Inception", "Masked",
    "MobileNetV2", "Pixels", "ResNet56Cifar10",
]  # fmt: skip
