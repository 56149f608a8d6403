"""R1 and R2 estimated along one random direction per image: by forward differentiation or by differences."""

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.dropout import _DropoutNd

from transgan.penalties.exact import LogitFunction, PointwisePenalty


class R1R2JVP(PointwisePenalty):
    """R1 and R2 by forward differentiation along one random direction e: E (g e)^2 = |g|^2 (Hutchinson, 1989).

    Unbiased and without a step size, with a variance of 2 |g|^4.
    """

    directed = True

    def measure(self, logits_of: LogitFunction, images: Tensor, directions: Tensor | None) -> tuple[Tensor, Tensor]:
        with sdpa_kernel(SDPBackend.MATH):
            logits, along, *_ = torch.func.jvp(logits_of, (images,), (directions,))
        return logits, along.square()


class R1R2FiniteDifference(PointwisePenalty):
    """R1 and R2 by ((D(x + sigma e) - D(x)) / sigma)^2 along one random direction e (APT, 2025; GAT, 2025).

    APT's weight lambda on the squared difference is gamma = 2 lambda sigma^2. Its bias grows with sigma and the
    discriminator's curvature, and below sigma of about 0.02 rounding in bfloat16 is larger than the difference: these
    passes are in float32 whatever the precision. They need no second derivative, so attention may be fused. What
    the discriminator draws itself would differ between the two passes, and be measured instead: it is refused.
    """

    directed = True

    def __init__(self, sigma: float = 0.01, real: bool = True, fake: bool = True):
        super().__init__(real, fake)
        if not sigma > 0:
            raise ValueError(f"penalty.sigma must be above 0, not {sigma}: it is how far the images are moved")
        self.sigma = sigma

    def check(self, batch_size: int, discriminator: nn.Module) -> None:
        parts = [each for each in discriminator.modules() if each.training]
        drawn = {
            "noise": getattr(discriminator, "noise", False),
            "drop_path": any(getattr(each, "drop_prob", 0) for each in parts),
            "dropout": any(isinstance(each, _DropoutNd) and each.p for each in parts),
        }
        if found := [name for name, there in drawn.items() if there]:
            way = "discriminator.noise=false" if found == ["noise"] else "a discriminator without"
            raise ValueError(
                f"a penalty by differences compares two passes, and the {' and '.join(found)} of this discriminator is "
                f"another in each; use {way}, or a penalty that needs one pass, such as r1_r2"
            )

    def measure(self, logits_of: LogitFunction, images: Tensor, directions: Tensor | None) -> tuple[Tensor, Tensor]:
        assert directions is not None
        with torch.autocast(images.device.type, enabled=False):
            logits, moved = logits_of(images), logits_of(images + self.sigma * directions)
        return logits, ((moved - logits) / self.sigma).square()


class R1R2CentralDifference(R1R2FiniteDifference):
    """R1 and R2 by ((D(x + sigma e) - D(x - sigma e)) / (2 sigma))^2, whose bias is of a higher order in sigma.

    The logits are the means of the two, D(x) but for the curvature, so that they cost no more than one-sided ones.
    """

    def __init__(self, sigma: float = 0.03, real: bool = True, fake: bool = True):
        super().__init__(sigma, real, fake)

    def measure(self, logits_of: LogitFunction, images: Tensor, directions: Tensor | None) -> tuple[Tensor, Tensor]:
        assert directions is not None
        with torch.autocast(images.device.type, enabled=False):
            ahead, behind = logits_of(images + self.sigma * directions), logits_of(images - self.sigma * directions)
        return (ahead + behind) / 2, ((ahead - behind) / (2 * self.sigma)).square()
