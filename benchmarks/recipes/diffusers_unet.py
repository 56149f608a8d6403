"""diffusers (von Platen et al., Apache-2.0): a class-conditional UNet2DModel with its noise schedules and samplers.

Training is the package's tutorial: noise at uniform times by DDPMScheduler, mean squared error, AdamW. Sampling is by
its DDIM or its DPM-Solver++, in so few steps that measuring stays affordable; that time is no training time.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.recipes.foreign import Foreign


class Diffusers(Foreign):
    """dims: channels at each resolution, from the image's down. attention: at each of them. layers: residual blocks of
    each. objective: v_prediction or epsilon, which the few steps of a sampler take badly. drop: share of the images
    shown without their class. scale: of classifier-free guidance, which makes sampling twice as long, 1 for none.
    sampler: dpm or ddim; sampling: its steps."""

    defaults: ClassVar[dict[str, Any]] = {
        "dims": [32, 64, 64], "attention": [False, False, True], "layers": 1, "head_dim": 16, "groups": 8,
        "objective": "v_prediction", "timesteps": 1000, "betas": "squaredcos_cap_v2", "drop": 0.0, "scale": 1.0,
        "sampler": "dpm", "sampling": 10, "lr": 1e-3, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0, "clip": 1.0,
        "batch_size": 16, "ema": 0.1, "schedule": "cosine",
    }  # fmt: skip
    sampler = "unet"
    shares = (0.3,)  # of the budget, where the distance is measured along the way: sampling takes long

    def build(self) -> dict[str, nn.Module]:
        import diffusers

        diffusers.utils.logging.set_verbosity_error()
        o, attention = self.options, list(self.options.attention)
        self.unet: Any = diffusers.UNet2DModel(
            sample_size=self.task.resolution, in_channels=self.task.channels, out_channels=self.task.channels,
            block_out_channels=tuple(o.dims), layers_per_block=o.layers, attention_head_dim=o.head_dim,
            down_block_types=tuple("AttnDownBlock2D" if each else "DownBlock2D" for each in attention),
            up_block_types=tuple("AttnUpBlock2D" if each else "UpBlock2D" for each in reversed(attention)),
            add_attention=attention[-1], norm_num_groups=o.groups, num_class_embeds=self.num_classes + 1,
        )  # fmt: skip
        self.noising = diffusers.DDPMScheduler(o.timesteps, beta_schedule=o.betas, prediction_type=o.objective)
        kind = {"ddim": diffusers.DDIMScheduler, "dpm": diffusers.DPMSolverMultistepScheduler}[o.sampler]
        stable = {"lambda_min_clipped": -5.1} if o.sampler == "dpm" and o.betas == "squaredcos_cap_v2" else {}
        self.solver: Any = kind.from_config(self.noising.config, timestep_spacing="trailing", **stable)
        return {"unet": self.unet}

    def optimizers_of(self) -> list[torch.optim.Optimizer]:
        betas, decay = (self.options.beta1, self.options.beta2), self.options.weight_decay
        self.optimizer = torch.optim.AdamW(self.unet.parameters(), self.options.lr, betas, weight_decay=decay)
        return [self.optimizer]

    def step(self, images: Tensor, labels: Tensor) -> bool:
        noise, times = torch.randn_like(images), torch.randint(self.options.timesteps, (len(images),))
        if self.options.drop:
            labels = torch.where(torch.rand(len(labels)) < self.options.drop, self.num_classes, labels)
        target = noise if self.options.objective == "epsilon" else self.noising.get_velocity(images, noise, times)
        loss = F.mse_loss(self.unet(self.noising.add_noise(images, noise, times), times, labels).sample, target)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.unet.parameters(), self.options.clip)
        self.optimizer.step()
        return True

    def images_of(self, network: nn.Module, noise: Tensor, labels: Tensor) -> Tensor:
        self.solver.set_timesteps(self.options.sampling)
        images = noise * self.solver.init_noise_sigma
        for time in self.solver.timesteps:
            images = self.solver.step(self.predicted(network, images, time, labels), time, images).prev_sample
        return images.clamp(-1, 1)

    def predicted(self, network: Any, images: Tensor, time: Tensor, labels: Tensor) -> Tensor:
        found = network(images, time, labels).sample
        if self.options.scale == 1:
            return found
        other = network(images, time, torch.full_like(labels, self.num_classes)).sample
        return other + self.options.scale * (found - other)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return self.task.channels, self.task.resolution, self.task.resolution
