"""From seeds to uint8 images, by a network alone: what a Lightning module and an exported file do alike.

These import torch and neither Lightning nor Hydra.
"""

from transgan.sampling.decoder import DecoderSampler
from transgan.sampling.flow import FlowSampler
from transgan.sampling.latents import LatentSampler
from transgan.sampling.sampler import Sampler
from transgan.sampling.tokens import TokenSampler

__all__ = ["DecoderSampler", "FlowSampler", "LatentSampler", "Sampler", "TokenSampler"]
