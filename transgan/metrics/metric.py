"""FeatureMetric, the base class of the metrics: a torchmetrics Metric of features, or of images by an extractor."""

import inspect
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities.distributed import gather_all_tensors

from transgan.at_once import filled
from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.extractors.module import FromModule
from transgan.metrics.features import Extracted, checked
from transgan.metrics.report import Report
from transgan.metrics.sampling import isolated

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)  # of states
SIDES = {"real": "real", "heldout": "held-out", "fake": "generated"}


class FeatureMetric(Metric):
    """Keeps the features (N, D) of real and of generated images, as torchmetrics' FID and KID do.

    `update(features, real)` takes float features (N, D); with an `extractor`, uint8 images N x C x H x W in their
    place. Features are kept without a copy, so a buffer that is filled again later must be cloned. Over processes
    they are in the order of the ranks; a process may have none. With several processes compute() is for all of them.

    Args:
        extractor: turns images into features, and is prepared by the first images unless that is done; one that is
            trained on data (Classifier) must be prepared before. A torch module is taken as in `FromModule`.
        reset_real_features: False: reset() keeps what is known of real images, held-out ones included.
        kwargs: those of torchmetrics.Metric.

    Raises ValueError at update() for features that are no float matrix or not finite, or whose width changes.
    """

    full_state_update = False
    is_differentiable = False
    uses_device: ClassVar[bool] = False  # worth computing on the evaluator's device: the same numbers, in less time
    needs_features: ClassVar[bool] = True  # of the real images, not their moments alone
    unstated: ClassVar[bool] = False  # in the protocol, at the usual settings: ids are those of evaluations without it

    def __init__(
        self,
        *states: str,
        extractor: FeatureExtractor | nn.Module | None = None,
        reset_real_features: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**{"dist_sync_fn": gather} | kwargs)
        if isinstance(extractor, nn.Module):
            extractor = FromModule(extractor, "module")
        self.extractor: FeatureExtractor | None = extractor
        self.reset_real_features = reset_real_features
        for state in states:
            self.add_state(state, [], dist_reduce_fx="cat")

    @property
    def update_called(self) -> bool:
        """A process without images is no mistake; compute() itself says what is missing."""
        return True

    def forward(self, *args: Any, **kwargs: Any) -> None:
        """The same as update(): a batch has no value of its own."""
        self.update(*args, **kwargs)

    def reset(self) -> None:
        kept = {} if self.reset_real_features else {n: v for n, v in self._defaults.items() if not n.startswith("fake")}
        for name in kept:
            del self._defaults[name]
        super().reset()
        self._defaults.update(kept)

    def extracted(self, inputs: Tensor) -> Extracted:
        """What the extractor makes of images; features themselves where there is no extractor."""
        if self.extractor is None:
            return Extracted(inputs)
        with isolated():
            if self.extractor.hash is None or getattr(self.extractor, "num_features", None) is None:
                self.extractor.prepare(Batch(inputs))
            self.extractor.to(self.device)
            features, logits = self.extractor(filled(inputs))
        return Extracted(features[: len(inputs)], None if logits is None else logits[: len(inputs)])

    def keep(self, state: str, features: Tensor, dtype: torch.dtype = torch.float32) -> None:
        """Adds features to a state; their numbers in messages count on from what is kept already."""
        held = getattr(self, state)
        name = f"{SIDES[state]} features" if state in SIDES else state
        features = checked(features, name, sum(map(len, held)))
        if held and held[0].shape[1] != features.shape[1]:
            raise ValueError(f"{name} had {held[0].shape[1]} columns and now have {features.shape[1]}")
        if len(features):
            held.append(features.to(self.device, dtype))

    def kept(self, state: str, dtype: torch.dtype = torch.float32) -> Tensor:
        """All that was kept in a state (N, D); (0, 0) if that is nothing."""
        held = getattr(self, state)
        if isinstance(held, Tensor):  # gathered
            return held
        if len(held) > 1:
            held[:] = [torch.cat(held)]  # in its place, or 50,000 images would be held twice
        return held[0] if held else torch.empty(0, 0, dtype=dtype, device=self.device)

    def scalar(self, value: float) -> Tensor:
        return torch.tensor(value, dtype=torch.float64, device=self.device)

    def report(self) -> Report:
        """The numbers of metrics.jsonl from what this process holds, with details and flags."""
        raise NotImplementedError  # for subclasses

    def facts(self) -> dict[str, Any]:
        """The settings that the numbers depend on, for the protocol."""
        return self.settings()

    def settings(self, *stated: str) -> dict[str, Any]:
        """The arguments named, and any others that are not at their defaults: so an id outlives new arguments."""
        others = ("self", "extractor", "reset_real_features", "kwargs")
        parameters = inspect.signature(type(self).__init__).parameters
        values = {name: getattr(self, name) for name in parameters if name not in others}
        return {n: value for n, value in values.items() if n in stated or value != parameters[n].default}


class Batch:
    """Images as the data set that an extractor is prepared by."""

    num_classes, class_names, fingerprint = 0, (), ""

    def __init__(self, images: Tensor):
        if images.ndim != 4:
            raise ValueError(
                f"a metric with an extractor takes uint8 images N x C x H x W, not a tensor of shape "
                f"{tuple(images.shape)}; without one it takes features"
            )
        self.images, self.channels, self.resolution = images, images.shape[1], images.shape[2]
        self.labels = torch.zeros(len(images), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, indices: range | list[int]) -> tuple[Tensor, Tensor]:
        return self.images[list(indices)], self.labels[list(indices)]


def side(real: bool, heldout: bool = False) -> str:
    """The name of the state of these images."""
    if heldout and not real:
        raise ValueError("held-out images are real ones: give real=True, heldout=True")
    return "heldout" if heldout else "real" if real else "fake"


def gather(state: Tensor, group: Any = None) -> list[Tensor]:
    """A state of every process, in the order of the ranks. One that has seen nothing knows neither type nor width."""
    nothing = state.ndim == 1 and not len(state)  # what torchmetrics puts in the place of an empty list
    kind = torch.tensor(-1 if nothing else DTYPES.index(state.dtype), device=state.device)
    known = max(int(each) for each in gather_all_tensors(kind, group))
    if nothing:
        state = state.new_empty(0, 0, dtype=torch.float32 if known < 0 else DTYPES[known])
    parts = gather_all_tensors(state, group)
    if state.ndim != 2:
        return parts
    width = max(part.shape[1] for part in parts)
    height = max(len(part) for part in parts)
    # no features are none of any width; no sums are zeros
    return [
        part if part.shape[1] == width else part.new_zeros(height if len(part) else 0, width) for part in parts
    ]  # fmt: skip
