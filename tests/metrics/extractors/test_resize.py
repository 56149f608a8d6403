"""Resizing is Pillow's, on every device."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode, functional

from transgan.metrics.extractors.resize import Resize

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def levels(resize, images):
    return (resize(images) * 255).round()


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("size", [32, 64, 224, 512])
def test_equals_pillow_up_to_rounding(noise, interpolation, size, monkeypatch):
    images = noise(1, channels=3, size=size)
    image = Image.fromarray(images[0].permute(1, 2, 0).numpy()).resize((224, 224), FILTERS[interpolation])
    expected = torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
    resize = Resize((224, 224), interpolation, (0, 0, 0), (1, 1, 1))
    made = levels(resize, images)[0]
    assert made.shape == expected.shape and (made - expected).abs().max() <= 2
    assert ((made - expected).abs() > 0).float().mean() < 0.15

    # torchvision's way on CUDA, floating point and back, tried on the CPU: in two steps it is close as well
    actual, at_once = functional.resize, images.float()

    def as_on_cuda(images, size, interpolation, antialias):
        return actual(images.float(), size, interpolation, antialias=antialias).round().clamp(0, 255).byte()

    monkeypatch.setattr(functional, "resize", as_on_cuda)
    assert (levels(resize, images)[0] - expected).abs().max() <= 2
    at_once = as_on_cuda(images, [224, 224], InterpolationMode(interpolation), True)[0].float()
    if interpolation == "bicubic" and size != 224:
        assert (at_once - expected).abs().max() > 3


def test_normalises_and_says_what_it_did(noise):
    images = noise(2, channels=3, size=16)
    resize = Resize((16, 16), "bilinear", (0.5, 0.4, 0.3), (0.5, 0.25, 0.125))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.5, 0.4, 0.3), (0.5, 0.25, 0.125)))
    assert torch.allclose(resize(images), (images / 255 - mean) / std, atol=1e-6)
    assert (
        str(resize) == "bilinear with antialias to 16x16 px, mean 0.5 0.4 0.3, std 0.5 0.25 0.125, grey repeated to RGB"
    )
