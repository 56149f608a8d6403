"""One pass of an extractor over real or generated images, a batch at a time, by one process or several."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from transgan.at_once import AtOnce, filled
from transgan.metrics.context import Context
from transgan.metrics.extractors.extractor import FeatureExtractor
from transgan.metrics.features import Extracted
from transgan.metrics.sampling import ImageData

Generate = Callable[[list[int], Tensor | None], Tensor]  # seeds, int64 labels or None -> uint8 N x C x H x W
Watch = Callable[[Tensor, Extracted], None]  # is shown every batch of images with what was extracted from it


class Extraction:
    """Features of a prepared `extractor` on `device`, `batch_size` images at a time, made up to a multiple of 8, and
    fewer where memory is lacking: they do not depend on the batch size or the number of processes.

    `sample` are two images of the data, from which also a process that generates nothing knows how many features
    there are.
    """

    def __init__(self, extractor: FeatureExtractor, device: torch.device, batch_size: int, sample: Tensor):
        assert extractor.num_features is not None, "prepare() comes first"
        self.extractor, self.device, self.batch_size = extractor, device, batch_size
        self.num_features, self.at_once = extractor.num_features, AtOnce()
        self.columns = self.matrix(sample).shape[1]

    def matrix(self, images: Tensor) -> Tensor:
        """Features, and logits beside them if there are any: float32 N x (D + K), on the CPU."""
        given = filled(images)

        def rows(part: list[int]) -> Tensor:
            features, logits = self.extractor(given[part].to(self.device))
            parts = [features] if logits is None else [features, logits]
            return torch.cat([each.float() for each in parts], 1).cpu()

        return self.at_once.of(len(given), rows)[: len(images)]

    def split(self, matrix: Tensor, labels: Tensor | None = None, names_classes: bool = False) -> Extracted:
        """What `matrix` has put together."""
        logits = matrix[:, self.num_features :] if self.columns > self.num_features else None
        return Extracted(matrix[:, : self.num_features], logits, labels, names_classes)

    def real(self, dataset: ImageData, block: range, watch: Watch | None = None) -> Extracted:
        """Of the images of these indices. Raises ValueError where features are not finite."""
        parts = []
        for part in self.batches(block):
            images, labels = dataset.__getitems__(list(part))
            parts.append(self.matrix(images))
            if watch is not None:
                watch(images, self.split(parts[-1], labels))
        matrix = torch.cat(parts)
        refuse_non_finite(matrix, lambda i: f"real image {block[i]}")
        return self.split(matrix)

    def generated(
        self, generate: Generate, seeds: range, labels: Tensor | None, context: Context, watch: Watch | None = None
    ) -> Tensor | None:
        """The matrix of the images of all `seeds` and `labels`, in their order, on rank 0; None elsewhere.

        Rank r makes the images r, r + world_size, ..., and `watch` is shown those; one `gather` for all that is
        extracted, so that no metric of it has to.
        """
        rank, world_size = context.rank, context.world_size
        with context.together():
            own = range(rank, len(seeds), world_size)
            parts = []
            for part in self.batches(own):
                images = made(generate, seeds, labels, part)
                parts.append(self.matrix(images))
                if watch is not None:
                    chosen = None if labels is None else labels[part.start : part.stop : part.step]
                    watch(images, self.split(parts[-1], chosen))
            matrix = torch.cat([torch.empty(0, self.columns), *parts])
        if world_size > 1:
            share = -(-len(seeds) // world_size)
            padded = nn.functional.pad(matrix, (0, 0, 0, share - len(matrix))).to(self.device)
            # share x world_size x D, flattened, is the order of the indices: the padding ends up last
            matrix = torch.stack([part.cpu() for part in context.gather(padded)], 1).flatten(0, 1)[: len(seeds)]
        refuse_non_finite(matrix, lambda i: f"generated image {i} (seed {seeds[i]})")
        return matrix if rank == 0 else None

    def batches(self, indices: range) -> list[range]:
        return [indices[first : first + self.batch_size] for first in range(0, len(indices), self.batch_size)]


def made(generate: Generate, seeds: range, labels: Tensor | None, part: range) -> Tensor:
    """Generated images of these indices. Raises ValueError unless they are uint8, and as many as were asked for."""
    chosen = None if labels is None else labels[part.start : part.stop : part.step]
    wanted = filled([seeds[index] for index in part])
    images = generate(wanted, None if chosen is None else filled(chosen))
    if images.dtype != torch.uint8 or len(images) != len(wanted):
        raise ValueError(
            f"Generated image {part[0]} (seed {seeds[part[0]]}) and those after it: expected "
            f"{len(wanted)} uint8 images, got {images.dtype} of shape {tuple(images.shape)}."
        )
    return images[: len(part)]


def refuse_non_finite(matrix: Tensor, name: Callable[[int], str]) -> None:
    bad = (~matrix.isfinite().all(1)).nonzero()
    if len(bad):
        raise ValueError(
            f"The features of {name(int(bad[0]))} are not finite (and so for {len(bad)} of {len(matrix)} "
            f"images): no distance can be computed from them."
        )
