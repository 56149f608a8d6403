"""A generator without a discriminator: its samples drift towards the data while it is trained (Deng et al., 2026).

One batch is one step of the generator on the distance of its samples' features from where the drifting field would
carry them (transgan/drifting.py). Time is counted in images shown.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from transgan.drifting import classes_apart, drift_loss
from transgan.gathering import gathered
from transgan.sampling.pixels import to_float
from transgan.schedules import Schedule
from transgan.training.generative import Batch
from transgan.training.latents import FromLatents, latent_dim_of
from transgan.training.one_network import OneNetwork
from transgan.training.pretrained import Pretrained

LEAST = 4  # images of a class in a batch: a sample alone does not move at all


class Drifting(OneNetwork, FromLatents):
    """Trains `generator` so that its samples stand still in the drifting field.

    Args:
        generator: (latent (N, Z), labels (N,) or None) -> images (N, C, H, W) in [-1, 1]; has `latent_dim`, Z.
        features: (images, labels) -> a list of features (N, T, D), by its `all_features`; it is not trained. Each of
            the T tokens has a field of its own, and so have the mean and the standard deviation over them. None: the
            images alone.
        temperatures: of the kernel, in units of the mean distance of two samples; the fields of all of them are added.
        pixels: whether images have a field, too, and not only their features.
        fakes: generated images for each real one.
        images_per_class: real images of a class that stand beside each other in the batches; None: batches are drawn
            without regard to classes, and have batch_size / num_classes of each.
        compile: None for eager, or a torch.compile backend such as "inductor".
        generator_pretrained: how pretrained weights are trained (pretrained.py).
        others: as in one_network.py and generative.py.

    A sample sees others of its own class alone, so that a batch needs several of a class: `attach` asks for four.
    Raises ValueError where there is nothing to measure by.
    """

    networks = ("generator",)
    main_values = ("drift",)
    generator: nn.Module

    def __init__(
        self,
        generator: nn.Module,
        features: nn.Module | None = None,
        *,
        temperatures: Sequence[float] = (0.02, 0.05, 0.2),
        pixels: bool = True,
        fakes: int = 1,
        images_per_class: int | None = None,
        optimizer: Any = None,
        lr: float | Schedule = 1e-3,
        compile: str | None = None,
        generator_pretrained: Pretrained | None = None,
        **others: Any,
    ):
        super().__init__(generator, optimizer=optimizer, lr=lr, pretrained=generator_pretrained, **others)
        if not temperatures or min(temperatures) <= 0:
            raise ValueError(f"algorithm.temperatures={list(temperatures)}: give at least one number, more than 0")
        if fakes < 1:
            raise ValueError(f"algorithm.fakes={fakes}: it takes a whole number, 1 or more")
        if images_per_class is not None and images_per_class < LEAST:
            raise ValueError(f"algorithm.images_per_class={images_per_class}: give {LEAST} or more, or null")
        if features is None and not pixels:
            raise ValueError("algorithm.pixels=false needs features: give checkpoint=RUN of a masked model")
        self.features = None if features is None else features.eval().requires_grad_(False)
        self.latent_dim = latent_dim_of(generator)
        self.temperatures, self.pixels, self.fakes = tuple(temperatures), pixels, fakes
        self.images_per_class = images_per_class if self.num_classes else None  # read by the sampler of the batches
        self.objective = objective
        self.compile_objectives(compile)
        self.take_parts()

    def obstacle(self) -> str | None:
        return "the drifting field is one of a whole batch"

    def attach(self, dataset: Any, heldout: Any) -> None:
        """Raises ValueError for batches in which a sample would see next to none of its class, and not move."""
        super().attach(dataset, heldout)
        classes, size = self.num_classes or 1, self.batch_size
        if self.images_per_class:
            classes = 1
        if size and size < LEAST * classes:
            of, way = "", ""
            if classes > 1:
                of = f" of each of {classes} classes, about {size / classes:.2g} in a batch"
                way = ", algorithm.images_per_class=16, or conditional=false, with which all images see each other"
            raise ValueError(
                f"batch_size={size}: drifting moves images by others of their class, and needs {LEAST} or more{of}; "
                f"give batch_size={LEAST * classes} or more{way}"
            )

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        images, labels = self.images_and_labels(batch)  # uint8 (n, C, H, W), (n,) or None
        rng = self.begin_step(len(images))
        real = self.mirrored(to_float(images), rng)
        latent = rng.normal(self.fakes, self.latent_dim).flatten(0, 1)  # (n * fakes, Z)
        own = None if labels is None else labels.repeat_interleave(self.fakes)

        def whole(part: slice) -> tuple[Tensor, dict[str, Tensor]]:
            value, moved = self.objective(
                self.generator, self.features, self.temperatures, self.pixels, latent, real, own, labels
            )
            return value, {"loss": value, "drift": moved}

        self.learn(whole, len(images), self.scheduled())

    def train(self, mode: bool = True) -> "Drifting":
        """Leaves the features in evaluation mode."""
        super().train(mode)
        if self.features is not None:
            self.features.eval()
        return self


def objective(
    generator: nn.Module,
    features: Any,
    temperatures: Sequence[float],
    pixels: bool,
    latent: Tensor,
    real: Tensor,
    labels: Tensor | None,
    real_labels: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The mean over features of the loss for latents (N, Z), and of how far samples drift."""
    fake = generator(latent, labels)
    with torch.no_grad():
        theirs = compared(real, features, real_labels, pixels)
    ours = compared(fake, features, labels, pixels)
    labels, real_labels = (None if each is None else gathered(each) for each in (labels, real_labels))
    apart = classes_apart(labels, real_labels, ours[0].shape[1], theirs[0].shape[1])
    apart = (apart[0].to(fake.device), apart[1].to(fake.device))
    found = [drift_loss(x, y, temperatures, apart) for x, y in zip(ours, theirs, strict=True)]
    values, moved = zip(*found, strict=True)
    return torch.stack(values).mean(), torch.stack(moved).mean()


def compared(images: Tensor, features: Any, labels: Tensor | None, pixels: bool) -> list[Tensor]:
    """What is compared of images (N, C, H, W): tensors (L, N, D), L of them with a field of their own.

    Of several processes they are those of all images, so that all train as one.
    """
    found = [gathered(images.flatten(1)).unsqueeze(0)] if pixels else []  # (1, N, C H W)
    for own in features.all_features(images, labels) if features is not None else ():
        x = gathered(own)  # (N, T, D)
        found.append(x.transpose(0, 1))  # (T, N, D)
        found.append(x.mean(1).unsqueeze(0))  # (1, N, D)
        found.append((x.var(1, correction=min(1, x.shape[1] - 1)) + 1e-6).sqrt().unsqueeze(0))
    return found
