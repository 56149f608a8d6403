"""What a training step computes once, what it leaves out, and how often it waits for the device."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from torch import nn
from torch.overrides import TorchFunctionMode

from transgan.augmentation import DiffAugment
from transgan.consistency import BalancedConsistency
from transgan.losses import Hinge, NonSaturating, Relativistic, RelativisticAverage
from transgan.penalties import R1R2, R1R2JVP, WGANGP, Lazy, NoPenalty, R1R2FiniteDifference, Subsampled, input_gradient
from transgan.supervision import NoiseGuidance, ScaleWise
from transgan.training.finite import NonFiniteTraining, SkippedSteps
from transgan.training.objectives import GeneratorInputs, discriminator_objective, outputs_objective
from transgan.training.one_stage import OneStage
from transgan.training.randomness import StepRNG
from transgan.training.transgan_official import TransGANOfficial

AUGMENTATION = DiffAugment()
FUSED = partial(torch.optim.Adam, betas=(0.0, 0.9), fused=True)


def train(module, steps=2, size=4, callbacks=()):
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (steps, size, 1, 8, 8), generator=generator, dtype=torch.uint8)
    Trainer(
        accelerator="cpu", devices=1, max_steps=-1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, callbacks=[*callbacks],
    ).fit(module, torch.utils.data.DataLoader([(each, torch.arange(size) % 3) for each in images], batch_size=None))  # fmt: skip
    return module


def weights(network):
    return [value.detach().clone() for value in network.state_dict().values()]


# Fakes that serve both steps.


def counted(network):
    """How often it was called, with a gradient and without."""
    calls, forward = [], network.forward
    network.forward = lambda *inputs: calls.append(torch.is_grad_enabled()) or forward(*inputs)
    return calls


def test_shared_fakes_are_those_of_the_plain_step_with_the_same_latents(adversarial, monkeypatch):
    """Where all normal numbers are the same in every call, both algorithms are one."""
    made = lambda rng, *shape: torch.randn(4, *shape, generator=torch.Generator().manual_seed(1))  # noqa: E731
    monkeypatch.setattr(StepRNG, "normal", made)
    plain, shared = (train(adversarial(share_fakes=share, augmentation=AUGMENTATION), 3) for share in (None, True))
    for ours, theirs in zip(weights(shared), weights(plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_shared_fakes_are_made_once(adversarial):
    calls = {}
    for share in (None, True):
        module = adversarial(share_fakes=share, n_critic=2)
        calls[share] = counted(module.generator)
        train(module, 4)
    assert calls[None] == [False, False, True] * 2
    assert calls[True] == [False, True] * 2  # the first of two discriminator steps needs no graph


def test_fakes_of_another_number_are_not_shared(adversarial):
    with pytest.raises(ValueError, match="generator_batch_size=8 asks for other fakes than the 4"):
        adversarial(TransGANOfficial, loss=NonSaturating(), generator_batch_size=8, share_fakes=True)


# One stage.

EVERY = {
    "exact": R1R2(), "r1": R1R2(fake=False), "r2": R1R2(real=False), "none": NoPenalty(),
    "part": Subsampled(R1R2(), 0.5), "gp": WGANGP(), "fd": R1R2FiniteDifference(0.1),
    "part_fd": Subsampled(R1R2FiniteDifference(0.1, real=False), 0.5), "lazy": Lazy(Subsampled(R1R2(), 0.25), 2),
}  # fmt: skip


@pytest.mark.parametrize("penalty", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("loss", [Relativistic(), RelativisticAverage()], ids=["pairs", "average"])
@pytest.mark.parametrize("supervision", [None, ScaleWise(2, 0.5), NoiseGuidance(2)], ids=["final", "scales", "noise"])
def test_one_stage_has_both_gradients_of_the_plain_step(
    adversarial, generator, discriminator, penalty, loss, supervision
):
    """Those before the step, of the same augmentation."""
    if supervision is not None and (penalty is not EVERY["part"] or not isinstance(loss, Relativistic)):
        return  # the supervision has nothing to do with the penalty
    channels = 2 if isinstance(supervision, NoiseGuidance) else 1
    heads = {} if supervision is None else dict(dim=[16, 8], depth=[1, 1], num_heads=[2, 2], image_heads=2)
    module = adversarial(
        OneStage, generator=generator(**heads), discriminator=discriminator(in_chans=channels, depth=[1]), loss=loss,
        penalty=penalty, supervision=supervision, augmentation=AUGMENTATION,
        consistency=BalancedConsistency(1.0, 1.0),
    )  # fmt: skip
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    now, labels, real = {"augment": 1.0, "gamma": 0.3}, torch.arange(4) % 3, torch.rand(4, 1, 8, 8) * 2 - 1
    networks = (module.discriminator, module.generator)

    def gradients():
        found = [[each.grad.clone() for each in net.parameters() if each.grad is not None] for net in networks]
        module.zero_grad()
        return found

    def start():
        rng = StepRNG(3, 0, 4, 0, 1, torch.device("cpu"))
        return rng, module.make_outputs(module.generator, module.supervision, rng.normal(module.latent_dim), labels)

    def backward(value, *_):
        value.backward(inputs=[*module.discriminator.parameters(), *(_[1] if len(_) > 1 else ())])

    module.step_discriminator = backward
    rng, outputs = start()
    module.discriminator_step(real, outputs, labels, rng, now)
    ((module.fake * module.gradient).sum() + module.supervision.regulariser(outputs)).backward()
    ours, loss_g = gradients(), module.log_values["loss_g"]

    rng, outputs = start()
    noise = {}
    sample_noise = module.supervision.sample_noise
    module.supervision.sample_noise = lambda *arguments: noise.setdefault(0, sample_noise(*arguments))
    step, inputs = module.discriminator_inputs(real, outputs, labels, rng, now)
    del module.supervision.sample_noise
    parts = (module.discriminator, module.loss)
    value, *_ = discriminator_objective(
        *parts, step, module.consistency, module.augmentation, replace(inputs, fake=inputs.fake.detach())
    )
    value.backward()
    (by_discriminator, _) = gradients()
    random = inputs.random[:2, :: len(outputs) if isinstance(supervision, ScaleWise) else 1]
    value = outputs_objective(
        outputs, *parts, module.supervision, module.augmentation,
        GeneratorInputs(real, None, labels, random=random, noise=noise[0], strength=inputs.strength),
    )  # fmt: skip
    value.backward()
    (_, by_generator) = gradients()
    if supervision is None:
        torch.testing.assert_close(loss_g, value.detach())
    for mine, theirs in zip(ours, (by_discriminator, by_generator), strict=True):
        error = sum((a - b).square().sum() for a, b in zip(mine, theirs, strict=True)).sqrt()
        assert error < 1e-4 * sum(b.square().sum() for b in theirs).sqrt()


def test_one_stage_shows_the_discriminator_every_image_once(adversarial):
    module = adversarial(OneStage, penalty=Subsampled(R1R2(), 0.5))
    seen, forward = [], module.discriminator.forward
    module.discriminator.forward = lambda images, labels: seen.append(len(images)) or forward(images, labels)
    calls = counted(module.generator)
    train(module, 2)
    assert seen == [4, 4] * 2 and calls == [True, True]
    assert module.trainer.global_step == 2


def test_one_stage_moves_both_networks_and_resumes(adversarial):
    make = partial(adversarial, OneStage, n_critic=2)
    module = make()
    before = weights(module.discriminator), weights(module.generator), weights(module.generator_ema)
    train(module, 2)
    after = weights(module.discriminator), weights(module.generator), weights(module.generator_ema)
    for a, b in zip(before, after, strict=True):
        assert any(not torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(weights(train(make(), 2)), weights(module), strict=True))


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"loss": Hinge()}, "a loss with a slope at every fake, and Hinge has none"),
        ({"penalty": Lazy(R1R2JVP(), 2)}, "penalty=jvp leaves no gradient of the fakes"),
        ({"compile": "inductor"}, "is not compiled: leave compile at null"),
    ],
)
def test_what_one_stage_cannot_do(adversarial, changes, says):
    with pytest.raises(ValueError, match=says):
        adversarial(OneStage, **changes)


# What is left out.


def test_the_input_gradient_is_that_of_functorch(discriminator):
    network = discriminator()
    images, labels = torch.randn(3, 1, 8, 8), torch.arange(3)
    gradient, logits = input_gradient(lambda images: network(images, labels), images)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        total = lambda images: (network(images, labels).sum(), network(images, labels))  # noqa: E731
        expected, same = torch.func.grad(total, has_aux=True)(images)
    assert torch.equal(gradient, expected) and torch.equal(logits, same)
    assert gradient.requires_grad and not images.requires_grad
    with torch.no_grad():
        assert input_gradient(lambda images: network(images, labels), images)[0].requires_grad


def test_a_norm_that_is_not_clipped_changes_no_gradient(adversarial, monkeypatch):
    monkeypatch.setattr(nn.utils, "clip_grads_with_norm_", None)
    module = train(adversarial(), 1)
    assert module.log_values["grad_norm_d"] > 0


# Steps that are skipped on the device.


def test_a_fused_optimizer_skips_by_itself_and_the_answer_comes_later():
    parameter = nn.Parameter(torch.ones(2))
    optimizer, steps = FUSED([parameter], lr=0.1), SkippedSteps(["d"], limit=2)
    values = []
    for gradient in (1.0, float("nan"), 1.0):
        parameter.grad = torch.full((2,), gradient)
        assert steps.step("d", optimizer, parameter.grad.isfinite().all(), 0)
        values.append(parameter.detach().clone())
    assert steps.counts == {"d": 0} and len(steps.unread) == 3
    assert steps.read(0) and steps.counts == {"d": 1} and steps.in_a_row == {"d": 0} and not steps.unread
    assert torch.equal(values[0], values[1]) and not torch.equal(values[1], values[2])
    assert optimizer.state[parameter]["step"] == 2 and optimizer.state[parameter]["exp_avg_sq"].isfinite().all()
    assert not hasattr(optimizer, "found_inf")
    parameter.grad = torch.full((2,), float("inf"))
    for _ in range(2):
        steps.step("d", optimizer, torch.tensor(False), 2000)
    with pytest.raises(NonFiniteTraining, match="2 steps of the d in a row had no finite gradient, at 2 kimg"):
        steps.read(2000)


def test_a_fused_run_skips_what_any_run_skips(adversarial, monkeypatch):
    """The second discriminator step has no finite gradient."""
    for optimizer in (FUSED, partial(torch.optim.Adam, betas=(0.0, 0.9))):
        module = adversarial(optimizer=optimizer, generator_lr=0.0)
        seen, norms = [], iter([1.0, 1.0, math.nan, 1.0, 1.0, 1.0])
        module.on_train_batch_end = lambda *_, module=module, seen=seen: seen.append(weights(module.discriminator))
        with monkeypatch.context() as patch:
            patch.setattr(nn.utils, "get_total_norm", lambda gradients, norms=norms: torch.tensor(next(norms)))
            train(module, 3)
        assert module.nonfinite == {"discriminator": 1, "generator": 0} and module.nonfinite_in_a_row == 0
        assert all(torch.equal(a, b) for a, b in zip(seen[0], seen[1], strict=True))
        assert not all(torch.equal(a, b) for a, b in zip(seen[1], seen[2], strict=True))


class Waits(TorchFunctionMode):
    """Counts what waits for a GPU: numbers read from tensors, tensors made of Python's numbers, shapes that depend on
    values."""

    NAMES = frozenset(
        "item tolist __bool__ __float__ __int__ __index__ numpy cpu nonzero masked_select unique equal allclose tensor "
        "as_tensor argwhere bincount".split()
    )

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, function, types, arguments=(), keys=None):
        name = getattr(function, "__name__", "")
        masked = name == "__getitem__" and getattr(arguments[1], "dtype", None) == torch.bool
        if name in self.NAMES or masked:
            self.found.append(name)
        return function(*arguments, **keys or {})


class Reading(Callback):
    """Lightning's log makes tensors of its own."""

    reads_log_values = True


@pytest.mark.parametrize("kind", ["plain", "shared", "one_stage", "part", "reads"])
def test_a_step_waits_for_the_device_once(adversarial, kind):
    module = adversarial(
        *([OneStage] if kind == "one_stage" else []), share_fakes=kind == "shared", mirror=True, clip=1.0,
        optimizer=partial(FUSED, fused=kind != "reads"), augmentation=AUGMENTATION,
        penalty=Subsampled(R1R2(), 0.5) if kind in ("part", "one_stage") else R1R2(),
    )  # fmt: skip
    step, found = module.training_step, []

    def watched(batch, batch_idx):
        with Waits() as waits:
            step(batch, batch_idx)
        found.append(waits.found)

    module.training_step = watched
    train(module, 3, callbacks=[Reading()])
    # Adam that is not fused reads its step counts, which are on the CPU
    assert [[name for name in names if name != "item"] for names in found[1:]] == [
        ["tolist"] * (1 + (kind == "reads"))
    ] * 2
    assert kind == "reads" or "item" not in found[1]
