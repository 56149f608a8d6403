"""A penalty on some of the steps, or on some of the images."""

from math import ceil, floor

import torch
from torch import Tensor

from .critic import Critic, Judged, NoPenalty, Penalty


class Lazy(Penalty):
    """A penalty on every `every`-th discriminator step, times `every` (StyleGAN2, 2020, section 3.1).

    In between it is logged as 0, so that its mean is the penalty's. Adam's settings stay as they are.
    """

    def __init__(self, penalty: Penalty, every: int):
        if every < 1:
            raise ValueError(f"penalty.every must be at least 1, not {every}: it counts discriminator steps")
        self.penalty, self.every, self.names = penalty, every, penalty.names

    def at(self, step: int) -> Penalty:
        return Skipped(self.names) if step % self.every else Weighted(self.penalty.at(step), self.every)

    def check(self, batch_size: int, discriminator) -> None:
        self.penalty.check(batch_size, discriminator)


class Weighted(Penalty):
    """A penalty times `weight`."""

    def __init__(self, penalty: Penalty, weight: float):
        self.penalty, self.weight, self.names = penalty, weight, penalty.names

    def draw(self, draws, shape: torch.Size) -> Tensor:
        return self.penalty.draw(draws, shape)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, numbers: Tensor) -> Judged:
        logits_real, logits_fake, found = self.penalty(critic, real, fake, numbers)
        return logits_real, logits_fake, {name: self.weight * each for name, each in found.items()}


class Skipped(NoPenalty):
    """Only the logits, and zeros under the names of a penalty that rests."""

    def __init__(self, names: tuple[str, ...]):
        self.names = names

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, numbers: Tensor) -> Judged:
        logits_real, logits_fake, _ = super().__call__(critic, real, fake, numbers)
        return logits_real, logits_fake, dict.fromkeys(self.names, logits_real.new_zeros(1))


class Subsampled(Penalty):
    """A penalty on a share of the pairs of a batch, spread evenly over it (a quarter in Adversarial Flow Models, 2025).

    The pairs come in random order, so any of them will do. Two processes penalise what one would where the share of
    their parts of the batch is a whole number.
    """

    def __init__(self, penalty: Penalty, share: float):
        if not 0 < share < 1:
            raise ValueError(f"penalty.share must be between 0 and 1, not {share}: it is a share of the images")
        self.penalty, self.share, self.names = penalty, share, penalty.names

    def at(self, step: int) -> Penalty:
        return Subsampled(self.penalty.at(step), self.share)

    def check(self, batch_size: int, discriminator) -> None:
        if not self.places(batch_size)[0]:
            raise ValueError(
                f"penalty.share={self.share} of a batch of {batch_size} images is not one image; "
                f"make it at least {ceil(10_000 / batch_size) / 10_000}"
            )
        self.penalty.check(len(self.places(batch_size)[0]), discriminator)

    def places(self, n: int) -> tuple[list[int], list[int]]:
        """Which of n pairs are penalised, and which are not."""
        upto = [floor(i * self.share + 1e-9) for i in range(n + 1)]  # 100 * 0.29 is 28.999...
        chosen = [upto[i + 1] > upto[i] for i in range(n)]
        return [i for i in range(n) if chosen[i]], [i for i in range(n) if not chosen[i]]

    def draw(self, draws, shape: torch.Size) -> Tensor:
        return self.penalty.draw(draws, shape)

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor, numbers: Tensor) -> Judged:
        places = self.places(len(real))
        if not places[0]:  # a last batch of few images
            logits_real, logits_fake = critic.both(torch.cat([real, fake])).chunk(2)
            return logits_real, logits_fake, dict.fromkeys(self.names, logits_real.new_zeros(1))
        some, rest = (torch.tensor(each, dtype=torch.long, device=real.device) for each in places)
        some_real, some_fake, found = self.penalty(critic.of(some), real[some], fake[some], numbers[some])
        rest_real, rest_fake = critic.of(rest).both(torch.cat([real[rest], fake[rest]])).chunk(2)
        back = torch.cat([some, rest]).argsort()
        return torch.cat([some_real, rest_real])[back], torch.cat([some_fake, rest_fake])[back], found
