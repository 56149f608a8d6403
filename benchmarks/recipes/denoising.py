"""denoising-diffusion-pytorch (Wang, MIT): its U-Net with classes and its Gaussian diffusion, sampled by its own DDIM.

Adam with the package's betas and clipping as in its Trainer, which itself takes a folder of files and no classes. The
noise of its sampler is handed in, so that an image is a function of its seed. Without guidance the sampler of 2.3.4
fails (it unpacks two outputs of one), and is given the network's own output. Time to sample is no training time.
"""

import contextlib
import io
from typing import Any, ClassVar
from unittest import mock

import torch
from torch import Tensor, nn

from benchmarks.recipes.foreign import Foreign


class Denoising(Foreign):
    """dim, mults: the U-Net's width and its multiples at each resolution. objective: pred_noise, pred_v or pred_x0.
    drop: share of the images shown without their class. scale: of classifier-free guidance, 1 for none. sampling: DDIM
    steps; eta is 0."""

    defaults: ClassVar[dict[str, Any]] = {
        "dim": 32, "mults": [1, 2, 4], "heads": 4, "head_dim": 32, "objective": "pred_v", "timesteps": 1000,
        "beta_schedule": "cosine", "min_snr": False, "drop": 0.1, "scale": 1.0, "sampling": 20, "lr": 1e-4,
        "beta1": 0.9, "beta2": 0.99, "clip": 1.0, "batch_size": 16, "ema": 0.1,
    }  # fmt: skip
    sampler = "diffusion"
    shares = (0.3,)  # of the budget, where the distance is measured along the way: sampling takes long

    def build(self) -> dict[str, nn.Module]:
        from denoising_diffusion_pytorch import classifier_free_guidance as package

        o = self.options
        network = package.Unet(
            dim=o.dim, num_classes=self.num_classes, cond_drop_prob=o.drop, dim_mults=tuple(o.mults),
            channels=self.task.channels, attn_dim_head=o.head_dim, attn_heads=o.heads,
        )  # fmt: skip
        self.diffusion: Any = package.GaussianDiffusion(
            network, image_size=self.task.resolution, timesteps=o.timesteps, sampling_timesteps=o.sampling,
            objective=o.objective, beta_schedule=o.beta_schedule, ddim_sampling_eta=0.0, min_snr_loss_weight=o.min_snr,
        )  # fmt: skip
        return {"diffusion": self.diffusion}

    def optimizers_of(self) -> list[torch.optim.Optimizer]:
        betas = self.options.beta1, self.options.beta2
        self.optimizer = torch.optim.Adam(self.diffusion.parameters(), self.options.lr, betas)
        return [self.optimizer]

    def step(self, images: Tensor, labels: Tensor) -> bool:
        loss = self.diffusion((images + 1) / 2, classes=labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.diffusion.parameters(), self.options.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return True

    def images_of(self, network: Any, noise: Tensor, labels: Tensor) -> Tensor:
        def plain(*inputs: Any, cond_scale: float, rescaled_phi: float) -> tuple[Tensor, None]:
            return network.model(*inputs, cond_drop_prob=0.0), None

        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch("torch.randn", lambda *shape, **options: noise))
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
            if self.options.scale == 1:
                stack.enter_context(mock.patch.object(network.model, "forward_with_cond_scale", plain))
            images = network.sample(labels, cond_scale=self.options.scale)
        return images.mul(2).sub(1).clamp(-1, 1)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return self.task.channels, self.task.resolution, self.task.resolution
