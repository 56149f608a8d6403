"""The drifting field: where generated samples should move so that their distribution becomes that of the data.

V(x) attracts a generated x to real samples y+ and repels it from generated ones y- (Deng et al., 2026, equations 10 and
11, with the kernel of equation 12):

    V(x) = 1 / (Z_p Z_q) E [k(x, y+) k(x, y-) (y+ - y-)],   k(x, y) = exp(-|x - y| / temperature)

It changes its sign if the real and the generated samples are exchanged, so that it is zero where both are alike.

L places in an image, each of which has a field of its own; N generated samples, P real ones, C features.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def drift(
    x: Tensor, real: Tensor, fake: Tensor, temperature: float, apart: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """V (L, N, C) at x (L, N, C), given real (L, P, C) and fake (L, M, C).

    apart: which pairs (N, P) and (N, M) do not see each other, such as those of two classes, or a sample and itself.
    A sample that sees none of one kind does not move. The kernel is normalised over what a sample sees, and over the
    samples that see it: the geometric mean of both, as in the paper.
    """
    count = real.shape[1]
    logits = -torch.cat([torch.cdist(x, real), torch.cdist(x, fake)], 2) / temperature  # (L, N, P + M)
    if apart is not None:
        logits = logits.masked_fill(torch.cat(apart, 1), -torch.inf)
    kernel = (0.5 * (logits.log_softmax(2) + logits.log_softmax(1))).exp().nan_to_num(0.0)
    near, far = kernel[..., :count], kernel[..., count:]  # k(x, y+), k(x, y-)
    return (near * far.sum(2, keepdim=True)) @ real - (far * near.sum(2, keepdim=True)) @ fake


def drift_loss(
    x: Tensor,
    real: Tensor,
    temperatures: Sequence[float],
    apart: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor]:
    """mean |x - (x + V)|^2 with what x should become held fixed (equation 6), and how far V moves before it is scaled.

    x (L, N, C), real (L, P, C) without a gradient; the samples repel each other. Distances are measured in units of
    their mean, so that temperatures mean the same for all features, and the fields of all temperatures count alike
    (section 4 of the paper: feature and drift normalisation). The second value is the root of the mean square of V in
    those units, a number that falls as the distributions come together; the loss itself does not.
    """
    with torch.no_grad():
        here = x.detach()
        between = torch.cdist(here, real)
        seen = ~apart[0]
        unit = (between * seen).sum((1, 2), keepdim=True) / seen.sum().clamp(min=1)
        unit = (unit / here.shape[2] ** 0.5).clamp(min=1e-6)  # then the mean distance is sqrt(C)
        here, real = here / unit, real / unit
        total, moved = torch.zeros_like(here), []
        for temperature in temperatures:
            field = drift(here, real, here, temperature * here.shape[2] ** 0.5, apart)
            size = field.square().mean((1, 2), keepdim=True).sqrt()
            total += field / size.clamp(min=1e-6)
            moved.append(size.mean())
        goal = here + total
    return (x / unit - goal).square().mean(), torch.stack(moved).mean()


def classes_apart(labels: Tensor | None, real_labels: Tensor | None, count: int, real: int) -> tuple[Tensor, Tensor]:
    """The pairs (N, P) and (N, N) that do not see each other: of two classes, and each generated sample and itself."""
    own = torch.eye(count, dtype=torch.bool)
    if labels is None or real_labels is None:
        return torch.zeros(count, real, dtype=torch.bool), own
    return labels[:, None] != real_labels, (labels[:, None] != labels) | own.to(labels.device)
