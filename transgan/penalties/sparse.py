"""A penalty on some of the steps, or on some of the images."""

from math import ceil, floor, lcm

import torch
from torch import Tensor, nn

from transgan.penalties.base import fewest_of, paired_logits, period_of
from transgan.protocols import PairedDiscriminator, Penalty, PenaltyOutput, RandomNumbers


class Lazy(Penalty):
    """A penalty on every `every`-th discriminator step, times `every` (StyleGAN2, 2020, section 3.1).

    In between it is logged as 0, so that its mean is the penalty's. Adam's settings stay as they are.
    """

    def __init__(self, penalty: Penalty, every: int = 16):
        if every < 1:
            raise ValueError(f"penalty.every must be at least 1, not {every}: it counts discriminator steps")
        self.penalty, self.every, self.names = penalty, every, penalty.names
        self.period, self.fewest = lcm(every, period_of(penalty)), fewest_of(penalty)

    def at_step(self, step: int) -> Penalty:
        return Skipped(self.names) if step % self.every else Weighted(self.penalty.at_step(step), self.every)

    def check(self, batch_size: int, discriminator: nn.Module) -> None:
        self.penalty.check(batch_size, discriminator)


class Weighted(Penalty):
    """A penalty times `weight`."""

    def __init__(self, penalty: Penalty, weight: float):
        self.penalty, self.weight, self.names = penalty, weight, penalty.names

    def of_part(self, part: slice, n: int) -> Penalty:
        return Weighted(self.penalty.of_part(part, n), self.weight)

    def sample_noise(self, rng: RandomNumbers, shape: torch.Size) -> Tensor:
        return self.penalty.sample_noise(rng, shape)

    def __call__(self, discriminator: PairedDiscriminator, real: Tensor, fake: Tensor, noise: Tensor) -> PenaltyOutput:
        logits_real, logits_fake, penalties = self.penalty(discriminator, real, fake, noise)
        return logits_real, logits_fake, {name: self.weight * value for name, value in penalties.items()}


class Skipped(Penalty):
    """The logits alone, and zeros under the names of a penalty that is left out in this step."""

    def __init__(self, names: tuple[str, ...]):
        self.names = names

    def __call__(self, discriminator: PairedDiscriminator, real: Tensor, fake: Tensor, noise: Tensor) -> PenaltyOutput:
        logits_real, logits_fake = paired_logits(discriminator, real, fake)
        return logits_real, logits_fake, dict.fromkeys(self.names, logits_real.new_zeros(1))


class Subsampled(Penalty):
    """A penalty on a share of the pairs of a batch, spread evenly over it (a quarter in Adversarial Flow Models, 2025).

    The pairs come in random order, so any of them will do. Two processes penalise what one would where the share of
    their parts of the batch is a whole number.
    """

    def __init__(self, penalty: Penalty, share: float = 0.25):
        if not 0 < share < 1:
            raise ValueError(
                f"penalty.share must be between 0 and 1, not {share}: it is a share of the images; for all, "
                "use penalty=r1_r2"
            )
        self.penalty, self.share, self.names = penalty, share, penalty.names
        self.period, self.fewest = period_of(penalty), ceil((fewest_of(penalty) - 1e-9) / share)
        self.first = 0  # of the batch's pairs, where these are a part of it
        self.kept: dict[tuple[int, int, torch.device], tuple[Tensor, Tensor, Tensor]] = {}  # of those around others too
        self.others: dict[int, Subsampled] = {}  # by `first`

    def at_step(self, step: int) -> Penalty:
        penalty = self.penalty.at_step(step)
        return self if penalty is self.penalty else self.around(penalty, self.first)

    def around(self, penalty: Penalty, first: int) -> "Subsampled":
        """The same of another penalty, or of pairs that begin with another one; what is kept is kept for all."""
        other = Subsampled(penalty, self.share)
        other.first, other.kept = first, self.kept
        return other

    def of_part(self, part: slice, n: int) -> Penalty:
        """Those of its pairs that are penalised in the whole batch, with the weight that their number has there."""
        first = next(i for i in range(part.start + 1) if is_whole((part.start - i) * self.share))  # 0 for most parts
        own = self if first == self.first else self.others.get(first)
        if own is None:
            own = self.others[first] = self.around(self.penalty, first)
        size, count = part.stop - part.start, len(self.indices(n)[0])
        share = len(own.indices(size)[0]) / count if count else 0.0
        return own if share * n == size else Weighted(own, share * n / size)

    def check(self, batch_size: int, discriminator: nn.Module) -> None:
        if not self.indices(batch_size)[0]:
            share, enough = ceil(10_000 / batch_size) / 10_000, ceil(1 / self.share - 1e-9)
            remedy = f"make it at least {share}" if share < 1 else f"use batch_size={enough} or penalty=r1_r2"
            raise ValueError(f"penalty.share={self.share} of a batch of {batch_size} images is not one image; {remedy}")
        self.penalty.check(len(self.indices(batch_size)[0]), discriminator)

    def indices(self, n: int) -> tuple[list[int], list[int]]:
        """Which of n pairs are penalised, and which are not."""
        count = [floor((self.first + i) * self.share + 1e-9) for i in range(n + 1)]  # 100 * 0.29 is 28.999...
        chosen = [count[i + 1] > count[i] for i in range(n)]
        return [i for i in range(n) if chosen[i]], [i for i in range(n) if not chosen[i]]

    def on_device(self, n: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """`indices`, and what puts the one after the other back into order. Kept: a copy to a GPU waits for it."""
        if (found := self.kept.get((self.first, n, device))) is None:
            some, rest = (torch.tensor(each, dtype=torch.long, device=device) for each in self.indices(n))
            found = some, rest, torch.cat([some, rest]).argsort()
            if not torch.compiler.is_compiling():
                self.kept[self.first, n, device] = found
        return found

    def sample_noise(self, rng: RandomNumbers, shape: torch.Size) -> Tensor:
        return self.penalty.sample_noise(rng, shape)

    def __call__(self, discriminator: PairedDiscriminator, real: Tensor, fake: Tensor, noise: Tensor) -> PenaltyOutput:
        chosen, others = self.indices(len(real))
        if not chosen:  # a last batch of few images, or a small part
            logits_real, logits_fake = paired_logits(discriminator, real, fake)
            return logits_real, logits_fake, dict.fromkeys(self.names, logits_real.new_zeros(1))
        if not others:
            return self.penalty(discriminator, real, fake, noise)
        some, rest, order = self.on_device(len(real), real.device)
        some_real, some_fake, penalties = self.penalty(discriminator.subset(some), real[some], fake[some], noise[some])
        rest_real, rest_fake = paired_logits(discriminator.subset(rest), real[rest], fake[rest])
        return torch.cat([some_real, rest_real])[order], torch.cat([some_fake, rest_fake])[order], penalties


def is_whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-9
