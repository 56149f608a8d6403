"""The distribution of an image given a decoder's output: a mixture of discretised logistics for every pixel value.

The values are the levels of tokens.py, so that bits per dimension can be compared with those of an image GPT.

N batch, K components, C channels of the image, H W its size.
"""

import torch
from torch import Tensor

from transgan.layers.precision import wide, without_autocast
from transgan.models.tokens import Levels, choose, log_mass


class Logistics(Levels):
    """Independent values given the decoder's output: sum_k pi_k P_k(level), P_k as in tokens.Patches.

    The output has `channels` numbers per pixel: in_chans times K means, K log scales and K - 1 log odds of the later
    components against the first. All zeros mean evenly spread components, of a quarter of the range each.

    Args:
        img_size, in_chans: of the images. components: K. levels, quantise: as in tokens.py.
    """

    group = "autoencoder.observation"

    def __init__(self, img_size: int, in_chans: int, components: int, levels: int = 256, quantise: bool = False):
        super().__init__(img_size, in_chans, levels, quantise)
        if components < 1:
            raise ValueError(f"{self.group}.components={components}: a mixture has at least one")
        self.components, self.channels = components, in_chans * (3 * components - 1)

    def mixture(self, output: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # (N, channels, H, W)
        """log pi, means and log scales (N, K, C, H, W)."""
        k = self.components
        means, scales, odds = output.unflatten(1, (3 * k - 1, -1)).split((k, k, k - 1), dim=1)
        first = torch.linspace(-1, 1, k + 2, dtype=output.dtype, device=output.device)[1:-1].view(-1, 1, 1, 1)
        log_pi = torch.cat([torch.zeros_like(means[:, :1]), odds], 1).log_softmax(1)
        return log_pi, first + means, (scales - 1.4).clamp(min=-7.0)

    def nats(self, output: Tensor, images: Tensor) -> Tensor:  # ..., (N, C, H, W)
        """-log p of each image (N,)."""
        with without_autocast(output):
            log_pi, means, scales = self.mixture(wide(output))
            mass = log_mass(self.value(self.nearest(images)).unsqueeze(1), means, scales, self.levels)
            return -(log_pi + mass).logsumexp(1).flatten(1).sum(1)

    def draw(self, output: Tensor, uniform: Tensor) -> Tensor:  # (N, 2, C, H, W)
        """Images (N, C, H, W), each value sampled with two uniform numbers."""
        log_pi, means, scales = self.mixture(output)
        k = choose(log_pi.exp().movedim(1, -1), uniform[:, 0]).unsqueeze(1)
        means, scales = (each.gather(1, k).squeeze(1) for each in (means, scales))
        return self.value(self.nearest(means + scales.exp() * uniform[:, 1].logit()))

    def middle(self, output: Tensor) -> Tensor:
        """Images (N, C, H, W) of the levels nearest to the means."""
        log_pi, means, _ = self.mixture(output)
        return self.value(self.nearest((log_pi.exp() * means.clamp(-1, 1)).sum(1)))
