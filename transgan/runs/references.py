"""The real images that something is compared with, and held-out ones: those of a run, or what the user names."""

from typing import Any

from omegaconf import DictConfig

from transgan.data.npz import holds_images
from transgan.errors import UserError
from transgan.instantiation import container, make
from transgan.metrics.statistics import read_statistics
from transgan.runs.images import images_at, is_run


class Statistics:
    """A file of mu and sigma in the place of real images; called with an extractor, it is their Reference."""

    def __init__(self, path: str, num_real: int | None, resolution: int):
        self.path, self.num_real, self.resolution = path, num_real, resolution

    def __call__(self, extractor: Any) -> Any:
        return read_statistics(self.path, extractor, self.num_real, self.resolution)

    def describe(self) -> str:
        return f"mu and sigma of {self.path}"


def compared_with(
    config: DictConfig, resolution: int, channels: int, as_they_are: bool = False
) -> tuple[Any, Statistics | None]:
    """-> (the real images that against= or data= names, or None; a file of statistics, or None)"""
    is_npz = config.against is not None and str(config.against).lower().endswith(".npz")
    if is_npz and (config.num_real is not None or not holds_images(config.against)):
        return None, Statistics(config.against, config.num_real, resolution)
    if config.against is not None:
        size = (None, config.channels) if as_they_are else (resolution, channels)
        real = images_at(config.against, size[0], size[1], key="against")
        same_kind(real, resolution, channels, f"the real images in {config.against}")
        return real, None
    if config.get("data"):
        data = container(config.data)
        data["resolution"], data["channels"] = resolution, channels
        return make(data), None
    return None, None


def heldout_of(config: DictConfig, evaluator: Any, real: Any, kept: Any, resolution: int, channels: int) -> Any:
    """The held-out images: those of heldout=PATH, else what the run or data set keeps, where wanted."""
    if config.heldout is not None:
        as_they_are = config.resolution is None and kept is None and not is_run(config.run)
        size = (None, None) if as_they_are else (resolution, channels)
        heldout = images_at(config.heldout, size[0], size[1], key="heldout", like=real)
        same_kind(heldout, resolution, channels, f"the held-out images in {config.heldout}")
        return heldout
    if not evaluator.with_heldout:
        return None
    return kept if kept is not None or real is None else real.heldout()


class Unlike(UserError):
    """Real images that are not of the generated ones' size and colour. keys: what mends that, with their values."""

    def __init__(self, findings: list[str], keys: dict[str, int]):
        super().__init__(*findings)
        self.keys = keys


def same_kind(images: Any, resolution: int, channels: int, what: str) -> None:
    """Raises Unlike where real images are not of the generated ones' size and colour."""
    found, keys = [], {}
    if images.resolution != resolution:
        found.append(
            f"{what} have {images.resolution} px and the generated ones {resolution} px: a distance between "
            f"them measures the resizing; give resolution={resolution} to bring the real ones to it, as "
            "training does"
        )
        keys["resolution"] = resolution
    if images.channels != channels:
        keys["channels"] = 3
        kinds = {1: "grey", 3: "in colour"}
        found.append(
            f"{what} are {kinds[images.channels]} and the generated ones are {kinds[channels]}; give "
            "channels=3 to repeat grey in all three, or channels=1 to take the colour away, on both sides"
        )
    if found:
        raise Unlike(found, keys)
