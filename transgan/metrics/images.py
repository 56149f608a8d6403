"""The metrics that name `images`: shown every batch while the extractor sees it, and brought together afterwards."""

from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from transgan.metrics import cache
from transgan.metrics.collection import collection, takes
from transgan.metrics.context import Context
from transgan.metrics.features import Extracted
from transgan.metrics.image_metric import ImageMetric
from transgan.metrics.reference import Reference, facts_of
from transgan.metrics.sampling import ImageData

DTYPES = (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16,
    torch.float32, torch.float64, torch.complex64, torch.complex128,
)  # fmt: skip
MOST = 8  # dimensions of a state

States = dict[str, Any]


class ImageMetrics:
    """Those of `metrics` whose `update` names `images`.

    It is called with each batch of real images, then with each batch of generated ones: with their images, and with
    those of features, logits, class_logits, labels, real and heldout that it names. What a metric is after the real
    images is kept, so that they are read once; of an ImageMetric with a `version`, for other commands as well.

    Over processes each has seen images of its own; rank 0, which alone has the real ones, gets the states of all by the
    reductions that they were added with (`dist_reduce_fx`), as in torchmetrics.
    """

    def __init__(self, metrics: dict[str, Metric]):
        self.metrics = {name: metric for name, metric in metrics.items() if takes(metric, "images")}
        self.together = collection(self.metrics)
        self.real: dict[str, States] = {}  # after the real images, on the process that has them

    def forget(self) -> None:
        """Before the real images of a reference are shown."""
        self.reset()
        self.real = {}

    def reset(self) -> None:
        """As after the real images; as new on processes that have none."""
        for name, metric in self.metrics.items():
            metric.reset()
            if name in self.real:
                load(metric, self.real[name])

    def update(self, images: Tensor, extracted: Extracted) -> None:
        """A batch of generated images."""
        given = extracted.arguments() | {"images": images, "real": False, "heldout": False}
        self.together.update(**given)

    def of_real(self, dataset: ImageData, split: str) -> "RealImages":
        return RealImages(self, dataset, split)

    def gather(self, context: Context, device: torch.device) -> None:
        """The states of all processes on rank 0."""
        if context.world_size == 1:
            return

        def of_all(state: Tensor, group: Any = None) -> Sequence[Tensor]:
            return fitted(gathered(state, context, device))

        for metric in self.metrics.values():
            metric.sync(dist_sync_fn=of_all, distributed_available=lambda: True)
            states = copied(metric)
            metric.unsync()
            if context.rank == 0:
                load(metric, states)


class RealImages:
    """Real images of a split for the metrics that name their side, except those whose sums of them are in the cache."""

    def __init__(self, owner: ImageMetrics, dataset: ImageData, split: str):
        self.owner, self.dataset, self.seen = owner, dataset, 0
        self.heldout = split == "heldout"
        self.side = "heldout" if self.heldout else "real"
        self.facts = facts_of(dataset, split) if owner.metrics else {}
        wanted = {name: metric for name, metric in owner.metrics.items() if takes(metric, self.side)}
        self.metrics = {
            name: metric
            for name, metric in wanted.items()
            if not is_cached(metric) or not cache.load_sums(self.facts, dataset.labels, metric, self.side)
        }
        self.together = collection(self.metrics)

    def show(self, images: Tensor, extracted: Extracted) -> None:
        """The next batch, with what was extracted from it."""
        given = extracted.arguments() | {"images": images, "real": True, "heldout": self.heldout}
        self.together.update(**given)
        self.seen += len(images)

    def complete(self, reference: Reference, batches: Sequence[range]) -> None:
        """Shows all batches unless that was done, as where the features were in the cache and the sums were not; then
        keeps the states."""
        if self.metrics and not self.seen:
            assert reference.extracted is not None
            for part in batches:
                self.show(self.dataset.__getitems__(list(part))[0], reference.extracted.part(part))
        for metric in self.metrics.values():
            if is_cached(metric):
                cache.save_sums(self.facts, self.dataset.labels, metric, self.side)
        self.owner.real = {name: copied(metric) for name, metric in self.owner.metrics.items()}


def is_cached(metric: Metric) -> TypeGuard[ImageMetric]:
    return isinstance(metric, ImageMetric) and metric.version is not None


def copied(metric: Metric) -> States:
    """A copy of the states of a metric, by name."""
    return {name: copy_of(getattr(metric, name)) for name in metric.metric_state}


def load(metric: Metric, states: States) -> None:
    """Gives a metric copies of these states. A list that was brought together, and is a tensor now, is a list again."""
    for name, value in states.items():
        is_list = isinstance(getattr(metric, name), list) and isinstance(value, Tensor)
        setattr(metric, name, copy_of([value] if is_list else value))


def copy_of(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.clone()
    return [copy_of(each) for each in state] if isinstance(state, list) else state


def gathered(state: Tensor, context: Context, device: torch.device) -> list[Tensor]:
    """The tensors of all processes, of any type and shape, in the order of the ranks."""
    known = torch.tensor([DTYPES.index(state.dtype), state.ndim, *state.shape, *[0] * (MOST - state.ndim)])
    facts = [each.tolist() for each in context.gather(known.to(device))]
    shapes = [each[2 : 2 + each[1]] for each in facts]
    sizes = [torch.Size(shape).numel() * DTYPES[each[0]].itemsize for shape, each in zip(shapes, facts, strict=True)]
    own = state.detach().to(device).flatten().clone(memory_format=torch.contiguous_format).view(torch.uint8)
    parts = context.gather(nn.functional.pad(own, (0, max(sizes) - len(own))))
    return [
        part[:size].view(DTYPES[each[0]]).reshape(shape).to(state.device)
        for part, size, each, shape in zip(parts, sizes, facts, shapes, strict=True)
    ]


def fitted(parts: list[Tensor]) -> list[Tensor]:
    """Those of processes without images in the shape of the others': no rows, or in the place of sums zeros."""
    like = next((part for part in parts if part.numel()), None)
    if like is None:
        return parts
    empty = {0: like[:0] if like.ndim else like, 1: torch.zeros_like(like)}
    return [part if part.numel() else empty[min(len(part), 1)] for part in parts]
