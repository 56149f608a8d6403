"""A discriminator of which way up a handwritten digit stands."""

import numpy as np
import pytest
import torch
from sklearn.svm import SVC

from transgan.data import Digits


class Orientation:
    """Tells by how many quarter turns an 8x8 digit is turned, from scikit-learn's digits turned by 0 to 3.

    Learns from 1,200 of them in well under a second and is the same every time; `heldout` are the other 597, upright.
    Of those it takes 97 of 100 for upright; of images turned at random, 25.
    """

    def __init__(self):
        images = Digits().images
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
        known, self.heldout = images[order[:1200]], images[order[1200:]]
        turned = torch.cat([torch.rot90(known, k, [2, 3]) for k in range(4)])
        self.machine = SVC(C=10).fit(self.features(turned), np.repeat(np.arange(4), len(known)))

    @staticmethod
    def features(images):
        return images.flatten(1).numpy() / 255

    def quarters(self, images):
        """uint8 images (N, 1, 8, 8) -> quarter turns, counter-clockwise, (N,)"""
        return torch.from_numpy(self.machine.predict(self.features(images)))

    def upright(self, images) -> float:
        """The share of uint8 images (N, 1, 8, 8) that stand upright."""
        return (self.quarters(images) == 0).float().mean().item()


@pytest.fixture(scope="session")
def orientation():
    return Orientation()
