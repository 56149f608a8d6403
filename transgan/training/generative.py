"""What all Lightning modules share: they count images, resume exactly, and generate from seeds."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Any

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from transgan.at_once import AtOnce
from transgan.loadable import Loadable
from transgan.migration import FORMAT
from transgan.sampling import Sampler
from transgan.sampling.pixels import checked
from transgan.sampling.randomness import mix
from transgan.training.finite import SkippedSteps
from transgan.training.microbatches import MicroBatches
from transgan.training.randomness import StepRNG
from transgan.training.reducing import average_gradients, ddp_of

Batch = Tensor | Sequence[Tensor]


class Generative(Loadable):
    """Base of the Lightning modules, which work in any Trainer.

    A batch is (uint8 images (N, C, H, W), labels (N,)); without classes the images alone will do. `images_seen` counts
    real images shown, over all processes and resumes; schedules follow it, and it travels in the checkpoint. A batch
    counts as many as it has, equally many in every process: `images_in_step` of them in the latest one. `log_values`
    holds what the latest step logs; unless a callback `reads_log_values`, it is logged by Lightning too.

    Subclasses implement `sampler_of_images` and `training_step`, and name their `networks`: attributes and arguments,
    the first of which makes images and has an exponential moving average (EMA) in NAME_ema.

    Args:
        batch_size: images per step over all processes. None: as many as the first batch has.
        seed: of everything random in training. num_classes: 0 for unconditional; labels are ignored then.
        mirror: show each real image mirrored half of the time. clip: largest gradient norm of a network, None for any.
        max_nonfinite: a step whose gradient is not finite is skipped and counted; after this many of one network in
            a row training stops with NonFiniteTraining.
        micro_batch: images of a process that go through the networks at once, None for all of a batch. Gradients are
            summed over the parts, then there is one step. Halved where memory is lacking, if each image is by itself.
    """

    networks: tuple[str, ...] = ()
    main_values: tuple[str, ...] = ()  # names of log_values for a progress bar
    objectives: tuple[str, ...] = ()  # attributes: functions that can be compiled
    is_compiled = False  # whether these were
    in_turn = False  # whether each backward pass is about one of several networks alone
    period = 1  # steps after which what does not happen in every one comes again
    fewest = 1  # images of which everything that happens in a step is on at least one

    def __init__(
        self,
        batch_size: int | None = None,
        seed: int = 0,
        num_classes: int = 0,
        mirror: bool = False,
        clip: float | None = None,
        max_nonfinite: int = 10,
        micro_batch: int | None = None,
        **unknown: Any,
    ):
        if unknown:  # to name the class that was called
            name = next(iter(unknown))
            raise TypeError(f"{type(self).__name__}.__init__() got an unexpected keyword argument {name!r}")
        super().__init__()
        self.automatic_optimization = False
        self.batch_size, self.seed, self.num_classes = batch_size, seed, num_classes
        self.mirror, self.clip = mirror, clip
        self.images_seen = 0
        self.images_in_step = batch_size or 0
        self.lacking = 0  # images that the batches so far had fewer than batch_size
        self.skipped = SkippedSteps(self.networks, max_nonfinite)
        self.micro_batch, self.at_once = micro_batch, AtOnce()
        self.parts = MicroBatches(obstacle=lambda: "this algorithm has no parts of a batch")
        self.log_values: dict[str, Tensor | float] = {}
        self.logs_itself = False

    def compile_objectives(self, backend: str | None) -> None:
        """Compiles what is computed in a step, at its first call. None leaves it as it is, and so does "auto": then a
        callback decides (callbacks/compiling.py)."""
        if backend is not None and backend != "auto":
            from transgan.layers.compiling import compiled  # takes a second to import

            for name in self.objectives:
                setattr(self, name, compiled(getattr(self, name), backend))
            self.is_compiled = True

    def take_parts(self) -> None:
        """At the end of a subclass's __init__, if its step goes by `parts`. Raises ValueError where `obstacle` does."""
        self.parts = MicroBatches(self.micro_batch, self.obstacle)

    def obstacle(self) -> str | None:
        """Why a batch cannot be taken apart, in a sentence; None if it can: if each image's loss is its own."""
        norms = (nn.modules.batchnorm._BatchNorm,)
        if any(isinstance(module, norms) and module.training for module in self.modules()):
            return "batch normalisation sees the whole batch"
        return None

    def __init_subclass__(cls, **options: Any) -> None:
        """Lets `inspect.signature` see the arguments that a subclass passes on as **others."""
        super().__init_subclass__(**options)
        own = inspect.signature(cls.__init__).parameters.values()
        passed_on = any(each.kind is each.VAR_KEYWORD for each in own)
        inherited = list(inspect.signature(cls.__mro__[1]).parameters.values()) if passed_on else []
        kept = [each for each in own if each.kind is not each.VAR_KEYWORD][1:]
        names = {each.name for each in kept}
        inherited = [each for each in inherited if each.kind is not each.VAR_KEYWORD and each.name not in names]
        inherited = [each for each in inherited if each.default is not each.empty]  # a subclass has its own for others
        kept += [each.replace(kind=each.KEYWORD_ONLY) for each in inherited]
        cls.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]

    @property
    def nonfinite(self) -> dict[str, int]:
        """Steps of each network skipped since the run began."""
        return self.skipped.counts

    @property
    def nonfinite_in_a_row(self) -> int:
        """Steps of one network skipped since its last good one; of the worse network."""
        return max(self.skipped.in_a_row.values())

    @property
    def ema(self) -> nn.Module:
        """The network that makes images, with the EMA weights."""
        return getattr(self, f"{self.networks[0]}_ema")

    def attach(self, dataset: Any, heldout: Any) -> None:
        """Sees the images to train on, and held-out ones or None. Raises ValueError if they will not do."""
        for images in (dataset, heldout):
            if images is not None:
                checked(images.__getitems__([0])[0])

    @property
    def step(self) -> int:
        """Batches shown so far."""
        return (self.images_seen + self.lacking) // self.batch_size if self.batch_size else 0

    def kind(self, step: int) -> tuple[bool, ...]:
        """Which of what does not happen in every step happens in this one."""
        return ()

    def sampler_of_images(self) -> Sampler:
        """The network with the EMA weights and how it makes images, without what it is trained by."""
        raise NotImplementedError

    def generate(self, seeds: Sequence[int], labels: Tensor | None = None, truncation: float = 1.0) -> Tensor:
        """uint8 images (N, C, H, W) by the EMA weights, image i a function of seeds[i] and labels[i] alone.

        labels: (N,); None: each seed's own class. truncation: below 1, images are more typical and less varied. They
        are made in parts where memory is lacking for all of them at once.
        """
        return self.sampler_of_images().sharing(self.at_once).generate(seeds, labels, truncation)

    def labels_of(self, seeds: list[int]) -> Tensor | None:
        """The class each seed shows unless another is given: a function of the seed, uniform over the classes."""
        return torch.tensor([mix(seed, 1) % self.num_classes for seed in seeds]) if self.num_classes else None

    def on_train_start(self) -> None:
        callbacks = self.trainer.callbacks  # type: ignore[attr-defined]
        self.logs_itself = not any(getattr(callback, "reads_log_values", False) for callback in callbacks)

    def images_and_labels(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """uint8 images (N, C, H, W), and labels (N,) if there are classes. Raises ValueError where they are missing."""
        images, *labels = [batch] if isinstance(batch, Tensor) else batch
        if self.num_classes and not labels:
            raise ValueError(f"batches of images alone have no labels, which num_classes={self.num_classes} needs")
        return images, labels[0] if self.num_classes else None

    def sample_batches(self, count: int) -> Iterator[Tensor]:
        """Images of the first batches that the Trainer would show, at least `count` of them if there are."""
        seen = 0
        for batch in islice(self.trainer.train_dataloader or (), count):
            images, _ = self.images_and_labels(batch)
            yield images
            seen += len(images)
            if seen >= count:
                return

    def begin_step(self, batch: int) -> StepRNG:
        """The random numbers of the step that begins, of `batch` images in each process.

        torch's own generator is seeded too, for layers that use it.
        """
        self.images_in_step = batch * self.trainer.world_size
        if not self.batch_size:
            self.batch_size = self.images_in_step
        torch.manual_seed(mix(self.seed, self.step, self.global_rank))
        return StepRNG(self.seed, self.step, batch, self.global_rank, self.trainer.world_size, self.device)

    def mirrored(self, images: Tensor, rng: StepRNG) -> Tensor:
        return torch.where(rng.uniform(1, 1, 1) < 0.5, images.flip(3), images) if self.mirror else images

    def step_optimizer(
        self,
        name: str,
        optimizer: torch.optim.Optimizer | LightningOptimizer,
        objective: Callable[[slice], Tensor],
        count: int,
        rates: Sequence[float],
        beta2: float | None = None,
        inputs: Sequence[Tensor] | None = None,
        before_again: Callable[[], None] = lambda: None,
        collective: bool = False,
    ) -> bool:
        """One optimizer step for the named network, with a learning rate for each group of parameters.

        `objective` is the mean over some of `count` images, which are consecutive: all, or one micro-batch after the
        other. It may be asked for the same ones again, after `before_again`, in smaller parts, where memory was
        lacking; not with several processes if it is `collective`, for then all of them ask for it equally often. Only
        `inputs` get a gradient, if they are given. False if the step was skipped for not being finite.
        Where the optimizer can skip it on the device (finite.py), that is known at the end of the step, and this is
        True.
        """
        for group, lr in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
            if beta2 is not None:
                group["betas"] = (group["betas"][0], beta2)
        ddp = ddp_of(self.trainer) if self.in_turn or self.parts.divides(count) else None
        with nullcontext() if ddp is None else ddp.no_sync():
            alone = self.trainer.world_size == 1
            self.backward_in_parts(objective, count, inputs, before_again, alone or ddp is not None and not collective)
        parameters = [each for each in getattr(self, name).parameters() if each.grad is not None]
        if ddp is not None:
            average_gradients(parameters)
        norm = nn.utils.get_total_norm([each.grad for each in parameters if each.grad is not None])
        if self.clip:
            nn.utils.clip_grads_with_norm_(parameters, self.clip, norm)
        self.log_values[f"grad_norm_{name[0]}"] = norm
        finite = self.skipped.step(name, optimizer, norm.isfinite(), self.images_seen)
        optimizer.zero_grad()  # after the step: TransGANOfficial leaves a gradient for the next one
        return finite

    def backward_in_parts(
        self,
        objective: Callable[[slice], Tensor],
        count: int,
        inputs: Sequence[Tensor] | None,
        before_again: Callable[[], None],
        may_halve: bool,
    ) -> None:
        """Adds the gradients of the mean of `objective` over all images. may_halve: where memory is lacking."""
        options = {} if inputs is None else {"inputs": list(inputs)}
        left = {each: each.grad.clone() for each in self.parameters() if each.grad is not None}  # of TransGANOfficial

        def passes() -> None:
            for part in self.parts.of(count):
                share = (part.stop - part.start) / count
                value = objective(part)
                if not value.requires_grad or inputs is not None and not inputs:
                    continue  # everything is frozen
                self.manual_backward(value if share == 1 else value * share, **options)

        def again() -> None:
            before_again()
            for parameter in self.parameters():
                parameter.grad = left[parameter].clone() if parameter in left else None

        if may_halve:
            self.parts.fitting(count, passes, again)
        else:
            passes()

    def end_step(self) -> None:
        """Counts the images of this step, and logs."""
        self.skipped.read(self.images_seen)
        self.images_seen += self.images_in_step
        self.lacking += (self.batch_size or 0) - self.images_in_step
        if self.logs_itself:
            values = {name: torch.as_tensor(value).float() for name, value in self.log_values.items()}
            main = {name: values.pop(name) for name in self.main_values if name in values}
            self.log_dict(main, prog_bar=True)
            self.log_dict(values | {"kimg": torch.tensor(self.images_seen / 1000)})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["format"] = FORMAT
        checkpoint["images_seen"] = self.images_seen
        if self.lacking:
            checkpoint["lacking"] = self.lacking
        checkpoint |= self.skipped.state_dict()
        if "config" not in checkpoint:  # of a Trainer that is not transgan's
            checkpoint["batch_size"] = self.batch_size
            checkpoint["algorithm"], checkpoint["undescribed"] = dict(self.description), list(self.undescribed)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.images_seen, self.lacking = checkpoint["images_seen"], checkpoint.get("lacking", 0)
        self.batch_size = self.batch_size or checkpoint.get("batch_size")
        self.skipped.load_state_dict(checkpoint)
