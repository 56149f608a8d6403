"""ImageMetric, the base class of metrics of the images themselves, which keep sums of them and not the images."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from transgan.metrics.metric import SIDES, FeatureMetric, side

Sums = dict[str, Tensor]


class ImageMetric(FeatureMetric):
    """Takes uint8 images N x C x H x W, as a PNG holds them, and no features: `update(images, real, heldout)`.

    A subclass adds states whose names begin with real_, heldout_ or fake_, calls `begin` in its update, and fills
    `of_images` of its report, whose names get no extractor's. States should be sums of whole numbers in float64, which
    no order of the images rounds: the same for any batches and any number of processes.

    Arguments: see FeatureMetric. `real_shape` (C, H, W) and `real_count`, images, are states of this class.
    """

    unstated = True
    version: ClassVar[int | None] = None  # of what the states of real images are; a number: they are kept in the cache

    def __init__(self, reset_real_features: bool = True, **kwargs: Any):
        super().__init__(reset_real_features=reset_real_features, **kwargs)
        for name in SIDES:
            self.add_state(f"{name}_shape", torch.zeros(3, dtype=torch.int64), dist_reduce_fx="max")
            self.add_state(f"{name}_count", torch.tensor(0), dist_reduce_fx="sum")

    def begin(self, images: Tensor, real: bool, heldout: bool) -> tuple[str, Tensor]:
        """Counts images -> their side, and the images on a device that computes in float64. Raises ValueError unless
        they are uint8, and of the size and colour of those before them."""
        name = side(real, heldout)
        if images.dtype != torch.uint8 or images.ndim != 4 or not images.shape[1:].numel():
            raise ValueError(
                f"{type(self).__name__} takes uint8 images N x C x H x W, and got {images.dtype} of shape "
                f"{tuple(images.shape)}: round them to 0..255 first"
            )
        shape = torch.tensor(images.shape[1:])
        before = self.shape(name)
        if before not in (None, tuple(images.shape[1:])):
            raise ValueError(f"{SIDES[name]} images had the shape {before} and now have {tuple(images.shape[1:])}")
        setattr(self, f"{name}_shape", shape.to(self.device))
        setattr(self, f"{name}_count", getattr(self, f"{name}_count") + len(images))
        return name, images.cpu() if images.device.type == "mps" else images

    def shape(self, name: str) -> tuple[int, ...] | None:
        """(C, H, W) of the images of a side; None without images."""
        shape = tuple(getattr(self, f"{name}_shape").tolist())
        return shape if any(shape) else None

    def alike(self, name: str) -> tuple[int, ...]:
        """(C, H, W) of the images of a side and of the real ones. Raises ValueError where there are none of either, or
        they differ."""
        shape, real = self.shape(name), self.shape("real")
        if shape is None or real is None:
            missing = SIDES[name] if shape is None else "real"
            raise ValueError(f"{type(self).__name__} compares with real images, and there are no {missing} ones")
        if shape != real:
            raise ValueError(f"{SIDES[name]} images have the shape {shape} and real ones {real}: give both in one size")
        return shape

    def compared(self) -> dict[str, str]:
        """The sides that the report compares with real images -> what the names of their numbers end in."""
        return {"fake": "", "heldout": "_heldout"} if self.shape("heldout") else {"fake": ""}

    def sums(self, name: str) -> Sums:
        """The states of a side by their names without it; lists as one tensor."""
        found = {}
        for state in self.metric_state:
            if state.startswith(f"{name}_"):
                value = getattr(self, state)
                found[state.removeprefix(f"{name}_")] = self.kept(state) if isinstance(value, list) else value
        return found

    def put(self, name: str, sums: Sums) -> None:
        """What `sums` has returned in the place of the states of a side. Raises ValueError for other states."""
        held = {state: getattr(self, f"{name}_{state}") for state in self.sums(name)}
        if held.keys() != sums.keys():
            raise ValueError(f"it has other sums than {type(self).__name__} keeps")
        for state, value in sums.items():
            value = value.to(self.device, copy=True)
            setattr(self, f"{name}_{state}", [value] if isinstance(held[state], list) else value)
