"""What a training step computes once, what it leaves out, and how often it waits for the device."""

import math
from functools import partial

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from torch import nn
from torch.overrides import TorchFunctionMode

from transgan.augmentation import DiffAugment
from transgan.losses import NonSaturating
from transgan.penalties import R1R2, Subsampled, input_gradient
from transgan.training.finite import NonFiniteTraining, SkippedSteps
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
        if (keys or {}).get("device") == "cpu":  # a number for a kernel's argument, which no device has to hand over
            return function(*arguments, **keys or {})
        masked = name == "__getitem__" and getattr(arguments[1], "dtype", None) == torch.bool
        if name in self.NAMES or masked:
            self.found.append(name)
        return function(*arguments, **keys or {})


class Reading(Callback):
    """Lightning's log makes tensors of its own."""

    reads_log_values = True


@pytest.mark.parametrize("kind", ["plain", "shared", "part", "reads"])
def test_a_step_waits_for_the_device_once(adversarial, kind):
    module = adversarial(
        share_fakes=kind == "shared", mirror=True, clip=1.0,
        optimizer=partial(FUSED, fused=kind != "reads"), augmentation=AUGMENTATION,
        penalty=Subsampled(R1R2(), 0.5) if kind == "part" else R1R2(),
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
