"""What an extractor makes of images, and the check that numbers can be computed from it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Extracted:
    """What an extractor made of N images: features (N, D) float32; logits (N, K) or None; labels (N,) int64 or None.

    `names_classes`: whether column k of the logits is class k of the labels.
    """

    features: Tensor
    logits: Tensor | None = None
    labels: Tensor | None = None
    names_classes: bool = False

    def __len__(self) -> int:
        return len(self.features)

    def part(self, block: range) -> "Extracted":
        """Of the images of these indices, one after the other."""
        chosen = slice(block.start, block.stop)
        logits, labels = (None if each is None else each[chosen] for each in (self.logits, self.labels))
        return Extracted(self.features[chosen], logits, labels, self.names_classes)

    def arguments(self) -> dict[str, Tensor | None]:
        """For `update` of any metric, each of which takes what it names."""
        return {
            "features": self.features,
            "logits": self.logits,
            "class_logits": self.logits if self.names_classes else None,
            "labels": self.labels,
        }


def checked(features: Tensor, name: str, first: int = 0) -> Tensor:
    """`features` without their gradient. ValueError unless they are a float matrix (N, D) of finite numbers; it names
    the first bad image, counted from `first`."""
    if features.ndim != 2 or not features.is_floating_point():
        raise ValueError(f"{name} must be a float matrix (N, D), not {features.dtype} of shape {tuple(features.shape)}")
    bad = (~features.isfinite().all(1)).nonzero().flatten()
    if len(bad):
        raise ValueError(
            f"{name} of image {first + int(bad[0])} are not finite, nor are those of {len(bad)} of these "
            f"{len(features)} images: nothing can be computed from them"
        )
    return features.detach()


def of_equal_width(fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Generated and real features as float32. Raises ValueError unless both are float matrices of one width."""
    fake, real = checked(fake, "generated features").float(), checked(real, "real features").float()
    if len(fake) and len(real) and fake.shape[1] != real.shape[1]:
        raise ValueError(f"generated images have {fake.shape[1]} features and real ones have {real.shape[1]}")
    return fake, real


def subsampled(features: Tensor, most: int, seed: int) -> Tensor:
    """Indices of `most` of the images, drawn from `seed`; of all of them, in order, if there are no more."""
    if len(features) <= most:
        return torch.arange(len(features), device=features.device)
    return torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))[:most].to(features.device)
