"""What the discriminator sees of the generator: the final image alone, or its intermediate outputs as well.

`transgan.protocols.Supervision` says what a supervision provides. `real_input` and `fake_input` use different parts of
the same noise. Only `check` changes an object.

N batch, K outputs, C channels, H W image.
"""

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transgan.protocols import Augmentation, RandomNumbers, of_batch


class FinalImage:
    """The final image, and nothing else. `num_outputs` can only be 1."""

    def __init__(self, num_outputs: int = 1):
        if num_outputs != 1:
            raise ValueError(
                f"supervision=none sees the final image alone, so supervision.num_outputs is 1, not {num_outputs}; "
                "for more use supervision=scale_wise or supervision=noise_guidance"
            )
        self.num_outputs = num_outputs

    def check(self, generator: nn.Module) -> None:
        pass

    def generate(self, generator: nn.Module, latent: Tensor, labels: Tensor | None) -> list[Tensor]:
        return [generator(latent, labels)]

    def sample_noise(self, rng: RandomNumbers, shape: torch.Size) -> Tensor:
        return rng.uniform(0)  # (N, 0)

    def real_input(self, images: Tensor, noise: Tensor) -> Tensor:
        return images  # (N, C, H, W)

    def fake_input(self, outputs: list[Tensor], noise: Tensor) -> Tensor:
        return outputs[-1]  # (N, C, H, W)

    def repeat(self, values: Tensor, dim: int = 0) -> Tensor:
        return values

    def final_logits(self, logits: Tensor) -> Tensor:
        return logits

    def wrap(self, augmentation: Augmentation) -> Augmentation:
        return augmentation

    def regulariser(self, outputs: list[Tensor]) -> Tensor:
        return outputs[-1].new_zeros(())


class IntermediateOutputs:
    """What the two ways to use all K outputs of a generator share."""

    def __init__(self, num_outputs: int):
        if num_outputs < 2:
            raise ValueError(
                f"supervision.num_outputs={num_outputs} must be at least 2, an intermediate image and the final one; "
                "for the final image alone use supervision=none"
            )
        self.num_outputs = num_outputs

    def check(self, generator: nn.Module) -> None:
        made = len(getattr(generator, "image_sizes", ())) if hasattr(generator, "all_images") else 0
        if made != self.num_outputs:
            raise ValueError(
                f"supervision.num_outputs={self.num_outputs} needs a generator with as many outputs and "
                f"{type(generator).__name__} has {made or 'none'}; use generator=style_transformer or generator=vitgan "
                f"with generator.image_heads={self.num_outputs}, or supervision=none"
            )

    def generate(self, generator: nn.Module, latent: Tensor, labels: Tensor | None) -> list[Tensor]:
        return generator.all_images(latent, labels)  # type: ignore[operator]

    def repeat(self, values: Tensor, dim: int = 0) -> Tensor:
        return values

    def final_logits(self, logits: Tensor) -> Tensor:
        return logits

    def regulariser(self, outputs: list[Tensor]) -> Tensor:
        return outputs[-1].new_zeros(())


class NoiseGuidance(IntermediateOutputs):
    """Multi-level noise-perturbed guidance (MNG): one logit for all outputs, the coarser under the more noise.

    Output k becomes (1 - t_k) x_k + n_k, where n_k has the standard deviation t_k and t falls from almost 1 to `floor`.
    The noise is Markov from fine to coarse: a real image, which stands for each of its outputs, is at output k what it
    is at output k + 1, scaled down, plus new noise. All outputs are stacked as channels: (N, K C, H, W), coarse to
    fine. From GAT (2025), as in its code and with its numbers as defaults; four outputs have t = (.885, .76, .51, .01).

    Args:
        num_outputs: K, at least 2.
        start, floor: t_k = 1 - start^(1 - lambda_k) + floor with lambda from 0 to 1; 0 <= floor < start < 1.
    """

    def __init__(self, num_outputs: int = 2, start: float = 0.125, floor: float = 0.01):
        super().__init__(num_outputs)
        if not 0 <= floor < start < 1:
            raise ValueError(
                f"supervision.start={start} and supervision.floor={floor} must be 0 <= floor < start < 1, "
                "for the noise to fall from one output to the next; GAT has 0.125 and 0.01"
            )
        self.start, self.floor = start, floor
        self.t = [1 - start ** (1 - k / (num_outputs - 1)) + floor for k in range(num_outputs)]

    def sample_noise(self, rng: RandomNumbers, shape: torch.Size) -> Tensor:
        return rng.normal(2, self.num_outputs, *shape)  # (N, 2, K, C, H, W)

    def real_input(self, images: Tensor, noise: Tensor) -> Tensor:
        return self.perturbed([images] * self.num_outputs, noise[:, 0])

    def fake_input(self, outputs: list[Tensor], noise: Tensor) -> Tensor:
        return self.perturbed([upsampled(output, outputs[-1].shape[2:]) for output in outputs], noise[:, 1])

    def wrap(self, augmentation: Augmentation) -> Augmentation:
        return SharedAugmentation(augmentation, self.num_outputs)

    def perturbed(self, outputs: list[Tensor], noise: Tensor) -> Tensor:  # K of (N, C, H, W), (N, K, C, H, W)
        triples = zip(outputs, self.t, self.markov(noise), strict=True)
        return torch.cat([(1 - t) * output + n for output, t, n in triples], dim=1)  # (N, K C, H, W)

    def markov(self, noise: Tensor) -> list[Tensor]:  # (N, K, C, H, W), standard normal
        """n_k (N, C, H, W): the finer output's, scaled as its image is to become the coarser's, and what is missing."""
        found = [self.t[-1] * noise[:, -1]]
        for k in reversed(range(self.num_outputs - 1)):
            keep = (1 - self.t[k]) / (1 - self.t[k + 1])
            new = sqrt(self.t[k] ** 2 - (keep * self.t[k + 1]) ** 2)
            found.append(keep * found[-1] + new * noise[:, k])
        return found[::-1]


class ScaleWise(IntermediateOutputs):
    """Every output has a logit of its own, by the same discriminator, and is drawn to the final image (CAT, 2026).

    The discriminator sees (N K, C, H, W): outputs 1 to K of image 0, then those of image 1. An output smaller than the
    image is enlarged by repeating pixels, and the real image that it is compared with has no more detail. The weight,
    and that the final image is an anchor without a gradient, are ours: CAT's are not known.

    Args:
        num_outputs: K, at least 2.
        weight: of the mean squared difference between the outputs and the final image, averaged to their size.
    """

    def __init__(self, num_outputs: int = 2, weight: float = 1.0):
        super().__init__(num_outputs)
        if weight < 0:
            raise ValueError(
                f"supervision.weight={weight} must be at least 0, where 0 leaves the outputs to themselves"
            )
        self.weight = weight
        self.sizes: list[int] | None = None

    def check(self, generator: nn.Module) -> None:
        super().check(generator)
        self.sizes = list(generator.image_sizes)  # type: ignore[arg-type]

    def sample_noise(self, rng: RandomNumbers, shape: torch.Size) -> Tensor:
        return rng.uniform(0)  # (N, 0)

    def real_input(self, images: Tensor, noise: Tensor) -> Tensor:
        assert self.sizes is not None, "check(generator) comes first"
        return self.interleaved([downsampled(images, (size, size)) for size in self.sizes], images.shape[2:])

    def fake_input(self, outputs: list[Tensor], noise: Tensor) -> Tensor:
        return self.interleaved(outputs, outputs[-1].shape[2:])

    def interleaved(self, outputs: list[Tensor], size: torch.Size) -> Tensor:
        return torch.stack([upsampled(output, size) for output in outputs], dim=1).flatten(0, 1)  # (N K, C, H, W)

    def repeat(self, values: Tensor, dim: int = 0) -> Tensor:
        return values.repeat_interleave(self.num_outputs, dim)

    def final_logits(self, logits: Tensor) -> Tensor:  # (N K,)
        return logits[self.num_outputs - 1 :: self.num_outputs]  # (N,)

    def wrap(self, augmentation: Augmentation) -> Augmentation:
        return augmentation

    def regulariser(self, outputs: list[Tensor]) -> Tensor:
        anchor = outputs[-1].detach()
        apart = [(output - downsampled(anchor, output.shape[2:])).square().mean() for output in outputs[:-1]]
        return self.weight * torch.stack(apart).mean()


class SharedAugmentation:
    """An augmentation that treats all K images that are stacked as channels alike."""

    def __init__(self, augmentation: Augmentation, num_outputs: int):
        self.augmentation, self.num_outputs = augmentation, num_outputs
        self.num_random = augmentation.num_random

    def __call__(self, images: Tensor, random: Tensor, strength: Tensor | float) -> Tensor:
        """images (N, K C, H, W), random (N, num_random), strength in [0, 1] -> (N, K C, H, W)."""
        # output after output, as their random numbers are repeated
        images = images.unflatten(1, (self.num_outputs, -1)).transpose(0, 1).flatten(0, 1)  # (K N, C, H, W)
        images = self.augmentation(images, random.repeat(self.num_outputs, 1), strength)
        return images.unflatten(0, (self.num_outputs, -1)).transpose(0, 1).flatten(1, 2)

    def of_batch(self, random: Tensor) -> Tensor:
        return of_batch(self.augmentation, random)


def upsampled(images: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """(N, C, h, w) to (N, C, *size) by repeating pixels."""
    return images if images.shape[2:] == size else F.interpolate(images, tuple(size), mode="nearest")


def downsampled(images: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """(N, C, H, W) to (N, C, *size) by the mean over what becomes one pixel."""
    return images if images.shape[2:] == size else F.interpolate(images, tuple(size), mode="area")
