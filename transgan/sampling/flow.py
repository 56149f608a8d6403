"""Images from a flow, whose network says how fast noise becomes an image: an equation is solved in steps."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from transgan.ode import Field, check, solve
from transgan.sampling.pixels import to_uint8
from transgan.sampling.randomness import seeded_normal
from transgan.sampling.sampler import Sampler


def guided(function: Callable[..., Tensor], labels: Tensor | None, guidance: float) -> Field:
    """(x, times) -> what a function of (x, times, labels) says for these labels, `guidance` times as far away from what
    it says without a class (classifier-free guidance, Ho and Salimans, 2022)."""

    def found(x: Tensor, time: Tensor) -> Tensor:
        own = function(x, time, labels)
        return own if guidance == 1 else torch.lerp(function(x, time, None), own, guidance)

    return found


def carried(
    network: nn.Module, noise: Tensor, labels: Tensor | None, steps: int, solver: str, guidance: float = 1.0
) -> Tensor:
    """Where a flow's network carries noise (N, C, H, W): images of the same shape.

    Where the network has an `ending`, the last step goes to the image that it says.
    """
    ending = getattr(network, "ending", None)
    last = None if ending is None else guided(ending, labels, guidance)
    return solve(guided(network, labels, guidance), noise, 0.0, 1.0, steps, solver, last)


class FlowSampler(Sampler):
    """Carries noise to images. `truncation` scales the noise: below 1, images are more typical and less varied.

    Args:
        network: (x_t, times, labels) -> velocity, with the other methods of FlowTransformer.
        steps, solver: "euler" or "heun", which takes two evaluations a step.
        guidance: 1 for none; above it, velocities go so many times as far away from those without a class as those with
            it do (classifier-free guidance, Ho and Salimans, 2022).
        others: as in sampler.py.

    Raises ValueError for what is not possible.
    """

    how = "in many steps"

    def __init__(
        self, network: nn.Module, num_classes: int = 0, steps: int = 16, solver: str = "euler", guidance: float = 1.0
    ) -> None:
        super().__init__(network, num_classes)
        check(steps, solver)
        self.steps, self.solver, self.guidance = steps, solver, guidance

    @property
    def protocol(self) -> dict[str, Any]:
        """How images are made, for protocols."""
        found: dict[str, Any] = {"steps": self.steps, "solver": self.solver}
        return found | ({} if self.guidance == 1 else {"guidance": self.guidance})

    def images(self, seeds: list[int], labels: Tensor | None, truncation: float) -> Tensor:
        return self.images_of(truncation * self.latents_of(seeds), labels)

    def latents_of(self, seeds: list[int]) -> Tensor:
        """The noise (N, C * H * W) of these seeds, as in `generate` with `truncation` 1."""
        return seeded_normal(seeds, self.network.num_values)

    @torch.no_grad()
    def images_of(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """uint8 images (N, C, H, W) of noise (N, C * H * W)."""
        network = self.network
        noise = latent.to(self.device).unflatten(1, (network.in_chans, network.img_size, network.img_size))
        found = carried(network, noise, self.on_device(labels), self.steps, self.solver, self.guidance)
        return to_uint8(network.quantised(found))
