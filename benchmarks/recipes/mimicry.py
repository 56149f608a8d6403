"""torch-mimicry (Lee and Town, 2020; MIT): its ResNet GANs of 32 px, trained by its own `train_step` of each network.

What had to be helped from outside, with torch-mimicry 0.1.16 and torch 2.14: `torch_mimicry/__init__.py` imports its
metrics, which want TensorFlow 1, and is stepped over; its networks have three channels, so grey images are repeated to
them and averaged back; at 16 px the generator begins with a map of 2x2 (`bottom_width`), and the discriminator pools
over whatever is left. Its loop, n_dis steps of the discriminator to one of the generator, is in `step`.
"""

import importlib
import importlib.util
import sys
import types
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from benchmarks.recipes.foreign import Foreign
from transgan.sampling.randomness import seeded_normal

NETWORKS = {  # module and prefix of its classes; whether it takes classes
    "cgan_pd": ("cgan_pd.cgan_pd_32", "CGANPD", True),
    "sagan": ("sagan.sagan_32", "SAGAN", True),
    "sngan": ("sngan.sngan_32", "SNGAN", False),
    "dcgan": ("dcgan.dcgan_32", "DCGAN", False),
}


def package(name: str) -> Any:
    """A module of torch_mimicry, without what its `__init__` imports."""
    if "torch_mimicry" not in sys.modules:
        found = importlib.util.find_spec("torch_mimicry")
        if found is None or not found.submodule_search_locations:
            raise ImportError("torch_mimicry is not installed: see benchmarks/requirements.txt")
        module = types.ModuleType("torch_mimicry")
        module.__path__, module.__spec__ = list(found.submodule_search_locations), found
        sys.modules["torch_mimicry"] = module
    return importlib.import_module(f"torch_mimicry.{name}")


class Quiet:
    """Stands in for its log, which would be written nowhere."""

    def add_metric(self, *values: Any, **options: Any) -> None:
        pass


class Mimicry(Foreign):
    """net: cgan_pd (with classes; Miyato and Koyama, 2018), sagan (with classes), sngan or dcgan (without). ngf, ndf:
    the widths of the networks. The defaults are the package's, and the learning rates those of its examples."""

    defaults: ClassVar[dict[str, Any]] = {
        "net": "cgan_pd", "ngf": 256, "ndf": 128, "nz": 128, "loss": "hinge", "n_dis": 5, "lr_g": 2e-4, "lr_d": 2e-4,
        "beta1": 0.0, "beta2": 0.9, "schedule": "linear",
    }  # fmt: skip
    sampler = "generator"
    statistics_of = -1  # images seen when they were taken

    def build(self) -> dict[str, nn.Module]:
        path, prefix, self.takes_classes = NETWORKS[self.options.net]
        module = package(f"nets.{path}")
        classes = {"num_classes": self.num_classes} if self.takes_classes else {}
        common = {"loss_type": self.options.loss, **classes}
        self.generator: Any = getattr(module, f"{prefix}Generator32")(
            nz=self.options.nz, ngf=self.options.ngf, bottom_width=self.task.resolution // 8, **common
        )
        self.discriminator: Any = getattr(module, f"{prefix}Discriminator32")(ndf=self.options.ndf, **common)
        return {"generator": self.generator, "discriminator": self.discriminator}

    def optimizers_of(self) -> list[torch.optim.Optimizer]:
        betas = self.options.beta1, self.options.beta2
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), self.options.lr_g, betas)
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), self.options.lr_d, betas)
        return [self.optimizer_g, self.optimizer_d]

    def step(self, images: Tensor, labels: Tensor) -> bool:
        batch = images.expand(-1, 3, -1, -1), labels
        self.discriminator.train_step(real_batch=batch, netG=self.generator, optD=self.optimizer_d, log_data=Quiet())
        self.taken = getattr(self, "taken", 0) + 1
        if self.taken % self.options.n_dis:
            return False
        self.generator.train_step(real_batch=batch, netD=self.discriminator, optG=self.optimizer_g, log_data=Quiet())
        return True

    def ready(self, network: nn.Module) -> None:
        """EMA weights get statistics of batch norm of their own (BigGAN's standing statistics), once per time."""
        if network is self.sampled or self.statistics_of == self.images_seen:
            return
        self.statistics_of = self.images_seen
        for norm in [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean of what follows
        network.train()
        for part in torch.arange(640).split(64):
            self.images_of(network, seeded_normal(part.tolist(), *self.noise_shape), part % self.num_classes)

    def images_of(self, network: nn.Module, noise: Tensor, labels: Tensor) -> Tensor:
        images = network(noise, labels) if self.takes_classes else network(noise)
        return images if self.task.channels == 3 else images.mean(1, keepdim=True)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.options.nz,)
