"""Generated images of a training step, and how they are made in parts."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from transgan.training.microbatches import MicroBatches, part_of


@dataclass
class Fakes:
    """Outputs of the generator, coarse to fine, and the latents (N, Z) that they are of."""

    latent: Tensor
    outputs: list[Tensor]

    def forget_graph(self) -> None:
        self.outputs = [each.detach() for each in self.outputs]


def fakes_of(module: Any, latent: Tensor, labels: Tensor | None, with_graph: bool) -> Fakes:
    """The fakes of an Adversarial module for latents (n, Z); with their graph only where all are made at once."""
    parts: MicroBatches = module.parts
    count = len(latent)

    def make() -> list[Tensor]:
        with torch.set_grad_enabled(with_graph and not parts.divides(count)):
            found = []
            for part in parts.of(count):
                some = None if labels is None else part_of(labels, part, count)
                found.append(
                    module.make_outputs(module.generator, module.supervision, part_of(latent, part, count), some)
                )
            return found[0] if len(found) == 1 else [torch.cat(each) for each in zip(*found, strict=True)]

    return Fakes(latent, parts.fitting(count, make))
