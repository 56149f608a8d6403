"""Networks, one idea per file. They import layers, and of ours nothing else but what describes their arguments."""

from transgan.models.convolutional import DCGANDiscriminator, DCGANGenerator, ResNetDiscriminator, ResNetGenerator
from transgan.models.flow_transformer import FlowTransformer, OneStep
from transgan.models.image_gpt import ImageGPT
from transgan.models.masked_images import MaskedImages
from transgan.models.palette import Palette
from transgan.models.pixel_rnn import PixelRNN
from transgan.models.style_transformer import StyleTransformer
from transgan.models.tokens import Patches, Pixels
from transgan.models.vae import VAE
from transgan.models.vit_discriminator import ViTDiscriminator

__all__ = [
    "BackboneDiscriminator", "DCGANDiscriminator", "DCGANGenerator", "FlowTransformer", "ImageGPT", "MaskedImages",
    "OneStep", "Palette", "Patches", "PixelRNN", "Pixels", "ResNetDiscriminator", "ResNetGenerator", "StyleTransformer",
    "VAE", "ViTDiscriminator",
]  # fmt: skip


def __getattr__(name: str) -> type:
    if name == "BackboneDiscriminator":  # timm takes a second to import
        from transgan.models.backbone_discriminator import BackboneDiscriminator

        return BackboneDiscriminator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
