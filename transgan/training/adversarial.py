"""A generator against a discriminator.

One batch is one discriminator step; every `n_critic` batches the generator takes one. Time is images shown.
"""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from transgan.augmentation import AdaptiveStrength, DiffAugment, GivenStrength
from transgan.consistency import BalancedConsistency
from transgan.ema import decay, update_ema
from transgan.losses import Relativistic
from transgan.penalties import Critic, Penalty
from transgan.schedules import Schedule, schedule
from transgan.supervision import FinalImage
from transgan.training.generative import Generative, to_float, to_uint8
from transgan.training.leak import GradientLeak
from transgan.training.objectives import discriminator_objective, fakes_per_image, generator_objective
from transgan.training.pretrained import FromScratch, Pretrained
from transgan.training.randomness import StepRNG, mix, seeded_normal


class Adversarial(Generative):
    """Trains `generator` against `discriminator`; keeps an exponential moving average of the generator to sample from.

    Args:
        generator: (latent (N, Z), labels) -> images; has `latent_dim`. discriminator: (images, labels) -> logits (N,).
        loss, penalty, consistency, augmentation, supervision: objects as in the files and folders of these names.
        optimizer: makes an optimizer from parameters and `lr`, such as a partial of torch.optim.Adam.
        generator_lr, discriminator_lr, beta2, gamma, augment, ema_halflife: numbers or schedules over images shown.
            gamma weighs the penalties by gamma / 2; augment is the augmentation's strength in [0, 1], or the largest
            if it adapts; ema_halflife is in kimg. beta2 of None leaves the optimizer's own.
        adaptive: whether and how the strength follows the discriminator's overfitting, as in augmentation/adaptive.py.
            If it `needs_heldout`, `attach` must be given images kept out of training.
        n_critic: discriminator steps per generator step.
        generator_batch_size: fakes in a generator step over all processes, a multiple of batch_size, which None means.
        leak: what the generator's step leaves in the discriminator's gradient, as in leak.py.
        generator_pretrained, discriminator_pretrained: how pretrained weights are trained (pretrained.py).
        compile: None for eager, or a torch.compile backend such as "inductor".
        mirror, clip, max_nonfinite and the rest: as in generative.py.

    Raises ValueError for parts that do not go together.
    """

    networks = ("generator", "discriminator")
    remedy = "a lower algorithm.generator_lr.start or a larger algorithm.gamma.start"

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        loss: Relativistic,
        penalty: Penalty,
        consistency: BalancedConsistency,
        augmentation: DiffAugment,
        adaptive: AdaptiveStrength | GivenStrength,
        supervision: FinalImage,
        optimizer: Callable[..., torch.optim.Optimizer],
        generator_lr: float | Schedule,
        discriminator_lr: float | Schedule,
        beta2: float | Schedule | None,
        gamma: float | Schedule,
        augment: float | Schedule,
        ema_halflife: float | Schedule,
        n_critic: int,
        clip: float | None,
        generator_batch_size: int | None,
        leak: GradientLeak,
        mirror: bool,
        max_nonfinite: int,
        compile: str | None,
        batch_size: int,
        seed: int,
        num_classes: int,
        generator_pretrained: Pretrained | None = None,
        discriminator_pretrained: Pretrained | None = None,
    ):
        super().__init__(batch_size, seed, num_classes, mirror, clip, max_nonfinite)
        self.generator, self.discriminator = generator, discriminator
        self.generator_ema = deepcopy(generator).eval().requires_grad_(False)
        self.loss, self.penalty, self.consistency, self.augmentation = loss, penalty, consistency, augmentation
        self.adaptive, self.supervision = adaptive, supervision
        self.augment = supervision.augmentation(augmentation)
        self.heldout = None
        self.optimizer, self.leak = optimizer, leak
        self.starts = {
            "generator": generator_pretrained or FromScratch(),
            "discriminator": discriminator_pretrained or FromScratch(),
        }
        for name, start in self.starts.items():
            start.copied(getattr(self, name))  # raises ValueError for more blocks than there are
        self.schedules = {
            name: schedule(value)
            for name, value in {
                "generator_lr": generator_lr,
                "discriminator_lr": discriminator_lr,
                "beta2": beta2,
                "gamma": gamma,
                "augment": augment,
                "ema_halflife": ema_halflife,
            }.items()
            if value is not None
        }
        if n_critic < 1:
            raise ValueError(f"algorithm.n_critic must be at least 1, not {n_critic}")
        penalty.check(batch_size, discriminator)
        consistency.check(augmentation.num_random)
        adaptive.check(loss, augmentation.num_random)
        supervision.check(generator)
        self.fakes_per_image = fakes_per_image(generator_batch_size, batch_size, loss)  # in a generator step
        self.n_critic = n_critic
        self.discriminator_objective, self.generator_objective = discriminator_objective, generator_objective
        if compile:
            self.discriminator_objective = torch.compile(discriminator_objective, backend=compile)
            self.generator_objective = torch.compile(generator_objective, backend=compile)
        self.images_before = 0  # in the steps since the generator's last one
        self.leaked: dict[str, Tensor] = {}  # of a checkpoint, until training starts

    def attach(self, dataset, heldout) -> None:
        super().attach(dataset, heldout)
        if not self.adaptive.needs_heldout:
            return
        if heldout is None:
            raise ValueError(
                "this adaptive strength compares with images that are not trained on, and none are "
                "kept out: give holdout=0.1, or adaptive=pair_signs, which needs none"
            )
        self.heldout = heldout

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            self.optimizer(self.starts[name].groups(getattr(self, name)), lr=self.schedules[f"{name}_lr"](0))
            for name in self.networks
        ]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        images, labels = batch  # uint8 (n, C, H, W), (n,)
        labels = labels if self.num_classes else None
        n = len(images)
        draws = self.draws(n)
        now = {name: value(self.images_seen) for name, value in self.schedules.items()}
        largest = now["augment"]
        now["augment"] = self.adaptive.at(largest)
        for name, start in self.starts.items():
            start.at(getattr(self, name), self.images_seen)
        # as tensors: a compiled graph would be rebuilt for every new Python number
        strength, gamma = (torch.tensor(now[name], device=self.device) for name in ("augment", "gamma"))
        logits_heldout = self.heldout_logits(n, strength) if self.adaptive.needs_heldout else None

        real = self.mirrored(to_float(images), draws)
        generator_optimizer, discriminator_optimizer = self.optimizers()
        supervision, loss = self.supervision, self.loss
        with torch.no_grad():
            levels = supervision.generate(self.generator, draws.normal(self.generator.latent_dim), labels)
            noise = supervision.draw(draws, real.shape[1:])
            fake, judged = supervision.fake(levels, noise).float(), supervision.real(real, noise)
        augmentation_numbers = supervision.spread(self.augmentation_numbers(draws, 2 + self.consistency.views), 1)
        penalty = self.penalty.at(self.step)
        value, self.log_values, logits = self.discriminator_objective(
            self.discriminator, loss, penalty, self.consistency, self.augment, judged, fake, supervision.labels(labels),
            augmentation_numbers, supervision.spread(penalty.draw(draws, judged.shape[1:])), strength, gamma,
        )  # fmt: skip
        # The raw optimizer: Lightning counts only its own steps, so that global_step is generator updates.
        raw = discriminator_optimizer.optimizer
        rates = self.starts["discriminator"].rates(now["discriminator_lr"])
        self.step_optimizer("discriminator", raw, value, rates, now.get("beta2"))
        logits = map(supervision.finished, logits)
        self.log_values |= self.adaptive.observe(*logits, logits_heldout, largest, self.all_reduce)

        if (self.step + 1) % self.n_critic == 0:
            each = self.fakes_per_image
            latent = draws.normal(each, self.generator.latent_dim).flatten(0, 1)
            noise = supervision.draw(draws, real.shape[1:], each)
            labels = None if labels is None else labels.repeat_interleave(each)
            with self.leak(self.discriminator):
                value = self.generator_objective(
                    self.generator, self.discriminator, loss, supervision, self.augment,
                    real, latent, labels, self.augmentation_numbers(draws, 2, each), noise, strength,
                )  # fmt: skip
                self.log_values["loss_g"] = value.detach()
                rates = self.starts["generator"].rates(now["generator_lr"])
                stepped = self.step_optimizer("generator", generator_optimizer, value, rates, now.get("beta2"))
            if stepped:
                shown = self.images_before + self.images_in_step
                update_ema(self.generator_ema, self.generator, decay(shown, 1000 * now["ema_halflife"]))
            self.images_before = 0
        else:
            self.images_before += self.images_in_step

        self.log_values |= now
        self.end_step()

    @torch.no_grad()
    def heldout_logits(self, n: int, strength: Tensor) -> Tensor:
        """The logits of n held-out images, prepared as training images are; other random numbers than the step's."""
        draws = StepRNG(mix(self.seed, 1), self.step, n, self.global_rank, self.trainer.world_size, self.device)
        positions = (draws.uniform().double() * len(self.heldout)).long().tolist()
        images, labels = (part.to(self.device) for part in self.heldout.__getitems__(positions))
        real = self.mirrored(to_float(images), draws)
        supervision = self.supervision
        numbers = supervision.spread(self.augmentation_numbers(draws, 2), 1)
        labels = supervision.labels(labels) if self.num_classes else None
        critic = Critic(self.discriminator, self.augment, strength, labels, numbers)
        return supervision.finished(critic.real(supervision.real(real, supervision.draw(draws, real.shape[1:]))))

    def all_reduce(self, sums: Tensor) -> Tensor:
        """The sums over all processes."""
        return self.trainer.strategy.reduce(sums, reduce_op="sum")

    def augmentation_numbers(self, draws: StepRNG, views: int, each: int = 1) -> Tensor:
        """(views, n * each, num_random) uniform numbers, for the reals and then for the fakes of `each` per real."""
        numbers = (draws.uniform(each, self.augmentation.num_random).flatten(0, 1) for _ in range(views))
        return torch.stack(list(numbers))

    @torch.no_grad()
    def generate(self, seeds: list[int], labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """uint8 images (N, C, H, W) of the averaged generator, image i a function of seeds[i] and labels[i].

        `truncation` is psi of StyleGAN (Karras et al., 2019, appendix B): styles move towards their mean by 1 - psi;
        a class has a mean of its own.
        """
        network = self.generator_ema
        labels = self.labels_of(seeds) if labels is None else labels
        labels = labels.to(self.device) if self.num_classes else None
        latent = seeded_normal(seeds, network.latent_dim).to(self.device)
        if truncation == 1:
            return to_uint8(network(latent, labels))
        if not hasattr(network, "mapping"):
            raise ValueError("this generator has no style to truncate; leave psi at 1")
        style = network.mapping(latent, labels)
        return to_uint8(network.synthesis(self.mean_style(labels).lerp(style, truncation)))

    def mean_style(self, labels: Tensor | None) -> Tensor:
        """The mean style (1, S), or (N, S) of each label's class, over 1,024 fixed latents."""
        network = self.generator_ema
        latent = seeded_normal(list(range(1024)), network.latent_dim).to(self.device)
        if labels is None:
            return network.mapping(latent).mean(0, keepdim=True)
        mean = {int(k): network.mapping(latent, k.expand(1024)).mean(0) for k in labels.unique()}
        return torch.stack([mean[int(k)] for k in labels])

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["adaptive"] = self.adaptive.state_dict()
        checkpoint["images_before"] = self.images_before
        gradients = {name: parameter.grad for name, parameter in self.discriminator.named_parameters()}
        checkpoint["leaked"] = {name: value for name, value in gradients.items() if value is not None}

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        super().on_load_checkpoint(checkpoint)
        self.adaptive.load_state_dict(checkpoint["adaptive"])
        self.leaked = dict(checkpoint.get("leaked", {}))  # earlier versions wrote none, and whole batches
        self.images_before = checkpoint.get("images_before", self.step % self.n_critic * self.batch_size)

    def on_train_start(self) -> None:
        for name, value in self.leaked.items():  # here, because Lightning clears gradients before it trains
            self.discriminator.get_parameter(name).grad = value.to(self.device, copy=True)
        self.leaked = {}
