"""The truncation trick of StyleGAN (Karras et al., 2019, appendix B): variety against typicality.

N batch, Z latent, S style.
"""

from typing import Any

import torch
from torch import Tensor, nn

from transgan.sampling.randomness import seeded_normal


def truncated(generator: nn.Module, latent: Tensor, labels: Tensor | None, psi: float) -> Tensor:
    """Images (N, C, H, W) of latents (N, Z), their styles moved towards the mean style by 1 - psi.

    A class has a mean of its own. Raises ValueError for a generator without `mapping` and `synthesis`.
    """
    network: Any = generator
    if psi == 1:
        return network(latent, labels)
    if not hasattr(network, "mapping"):
        raise ValueError("this generator has no style to truncate; leave psi at 1")
    style = network.mapping(latent, labels)
    return network.synthesis(mean_style(network, latent, labels).lerp(style, psi))


def mean_style(network: Any, latent: Tensor, labels: Tensor | None) -> Tensor:
    """The mean style (1, S), or (N, S) of each label's class, over 1,024 fixed latents as large as those given."""
    latent = seeded_normal(list(range(1024)), latent.shape[1]).to(latent.device)
    if labels is None:
        return network.mapping(latent).mean(0, keepdim=True)
    mean = {int(k): network.mapping(latent, k.expand(1024)).mean(0) for k in labels.unique()}
    return torch.stack([mean[int(k)] for k in labels])
