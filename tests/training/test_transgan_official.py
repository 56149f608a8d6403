"""The training step of TransGAN's released code: a larger batch of fakes, and a gradient left behind."""

from functools import partial

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn

from transgan.config.compose import compose
from transgan.ema import decay
from transgan.losses import Hinge, RelativisticAverage, Wasserstein
from transgan.matching import EnergyDistance
from transgan.penalties import WGANGP, NoPenalty
from transgan.schedules import Share
from transgan.training.randomness import StepRNG
from transgan.training.transgan_official import RepeatedRNG, TransGANOfficial, WassersteinMeanDrift
from transgan.training.two_networks import frozen


def batch(step):
    generator = torch.Generator().manual_seed(step)
    return torch.randint(0, 256, (4, 1, 8, 8), generator=generator, dtype=torch.uint8), torch.tensor([0, 1, 2, 0])


def train(module, steps):
    data = [batch(step) for step in range(module.step, module.step + steps)]
    trainer = Trainer(
        accelerator="cpu", devices=1, max_steps=-1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=None))
    return module


class Watched:
    """Keeps the gradient by the discriminator's parameters of each objective it computes."""

    def __init__(self, objective, discriminator):
        self.objective, self.parameters, self.found = objective, list(discriminator.parameters()), []

    def __call__(self, *arguments):
        answer = self.objective(*arguments)
        value = answer[0] if isinstance(answer, tuple) else answer
        if any(parameter.requires_grad for parameter in self.parameters):
            self.found.append(torch.autograd.grad(value, self.parameters, retain_graph=True, allow_unused=True))
        return answer


def watched(module):
    for name in ("discriminator_objective", "generator_objective"):
        setattr(module, name, Watched(getattr(module, name), module.discriminator))
    return module.discriminator_objective.found, module.generator_objective.found


@pytest.fixture
def make(adversarial):
    """Two discriminator steps per generator step, by plain gradient descent at a rate of 1."""
    return lambda kind=TransGANOfficial, **changes: adversarial(
        kind, loss=WassersteinMeanDrift(0.001), optimizer=torch.optim.SGD, discriminator_lr=1.0, generator_lr=0.01, n_critic=2,
        **changes,
    )  # fmt: skip


def moves(module, steps):
    """How the discriminator's parameters moved in each step."""
    positions = [[parameter.detach().clone() for parameter in module.discriminator.parameters()]]
    module.on_train_batch_end = lambda *_: positions.append(
        [p.detach().clone() for p in module.discriminator.parameters()]
    )
    train(module, steps)
    return [[b - a for a, b in zip(*ends, strict=True)] for ends in zip(positions, positions[1:], strict=False)]


def test_the_step_after_a_generator_step_follows_both_gradients(make):
    module = make()
    own, leaked = watched(module)
    moved = moves(module, 5)
    assert len(own) == 5 and len(leaked) == 2
    for step in range(5):
        after = leaked[step // 2 - 1] if step in (2, 4) else [None] * len(own[0])
        for move, mine, other in zip(moved[step], own[step], after, strict=True):
            expected = mine if other is None else mine + other
            torch.testing.assert_close(move, -expected, rtol=1e-4, atol=1e-5)
    assert all(any(each.any() for each in gradients) for gradients in leaked)


def test_without_a_leak_every_step_follows_its_own(make):
    module = make(leak=False)
    own, leaked = watched(module)
    for move, mine in zip(moves(module, 5), own, strict=True):
        for a, b in zip(move, mine, strict=True):
            torch.testing.assert_close(a, -b, rtol=1e-4, atol=1e-5)
    assert leaked == []  # the discriminator is frozen there


def test_nothing_is_left_of_a_steps_own_gradient(make):
    for leak in (False, True):
        module = train(make(leak=leak), 4)
        assert all(parameter.grad is None for parameter in module.generator.parameters())
        assert any(parameter.grad is not None for parameter in module.discriminator.parameters()) == leak
        module = train(make(leak=leak), 3)  # the last step was the discriminator's
        assert all(parameter.grad is None for parameter in module.discriminator.parameters())


def test_clip_holds_for_the_sum(make):
    module = make(clip=1e-3)
    for move in moves(module, 4):
        assert nn.utils.get_total_norm(move) <= 1.001e-3


def test_frozen_and_thawed_again_but_for_what_was_frozen_before(discriminator):
    network = discriminator(depth=[1])
    network.stem.requires_grad_(False)
    before = [parameter.requires_grad for parameter in network.parameters()]
    with frozen(network):
        assert not any(parameter.requires_grad for parameter in network.parameters())
    assert [parameter.requires_grad for parameter in network.parameters()] == before
    with pytest.raises(KeyError), frozen(network):
        raise KeyError
    assert [parameter.requires_grad for parameter in network.parameters()] == before


def test_a_leak_goes_on_after_a_resume(make):
    whole = train(make(), 4)
    first = train(make(), 2)
    saved = {}
    first.on_save_checkpoint(saved)
    assert saved["leaked"]
    second = make(init=1)
    second.load_state_dict(first.state_dict())  # SGD has no state of its own
    second.on_load_checkpoint(saved)
    train(second, 2)
    assert not second.leaked
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), second.state_dict().values(), strict=True)
    )
    first = train(make(leak=False), 2)
    first.on_save_checkpoint(saved)
    assert saved["leaked"] == {}
    del saved["leaked"]  # as earlier versions wrote it
    second.on_load_checkpoint(saved)
    assert second.leaked == {}


def test_the_average_of_the_released_code():
    """0.5^(64 / min(500k, images / 10)) after each generator step, one in 256 images, as measured on TransGAN's code."""
    halflife = compose("train", ["algorithm=transgan_official"]).algorithm.ema_halflife
    share = Share(halflife.share, halflife.limit)
    for step, keep in ((4, 0.1768), (400, 0.9828), (40_000, 0.99983), (400_000, 0.999911)):
        assert decay(4 * 64, 1000 * share(64 * step)) == pytest.approx(keep, abs=5e-5 if step < 1000 else 5e-6)


def test_the_released_training_step_runs(adversarial):
    module = adversarial(
        TransGANOfficial, loss=WassersteinMeanDrift(0.001), penalty=WGANGP(1.0), gamma=20.0, n_critic=4,
        clip=5.0, generator_batch_size=8,
    )  # fmt: skip
    train(module, 9)
    assert module.nonfinite == {"discriminator": 0, "generator": 0} and module.trainer.global_step == 2
    assert all(value.isfinite().all() for value in module.state_dict().values())


class Counting(nn.Module):
    """A discriminator that notes the images of each of its calls, and a generator that notes its labels."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.calls = inner, []
        self.latent_dim = getattr(inner, "latent_dim", None)

    def forward(self, images, labels):
        self.calls.append((images.detach().clone(), labels))
        return self.inner(images, labels)


def test_a_generator_step_of_another_size(adversarial, discriminator, generator, shift):
    network, painter = Counting(discriminator(depth=[1])), Counting(generator())
    module = adversarial(
        TransGANOfficial, leak=False, discriminator=network, generator=painter, loss=Hinge(), penalty=NoPenalty(), generator_batch_size=12, n_critic=2,
        augmentation=shift,
    )  # fmt: skip
    train(module, 2)
    # twice 4 real and 4 fake together, then 12 fakes and no real one
    assert [len(images) for images, _ in network.calls] == [8, 8, 12]
    assert [len(latent) for latent, _ in painter.calls] == [4, 4, 12]
    latent, labels = painter.calls[-1]
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0] and len(latent.unique(dim=0)) == 12
    assert module.images_seen == 8 and module.trainer.global_step == 1


def test_repeated_random_numbers_of_two_processes_are_those_of_one():
    def latents(rank, world_size, batch):
        return RepeatedRNG(StepRNG(0, 1, batch, rank, world_size, torch.device("cpu")), 3).normal(6)

    assert torch.equal(torch.cat([latents(0, 2, 4), latents(1, 2, 4)]), latents(0, 1, 8))


def test_a_generator_batch_must_be_a_multiple_and_its_loss_not_relativistic(adversarial):
    make = partial(adversarial, TransGANOfficial)
    for loss in (RelativisticAverage(), adversarial().loss):
        with pytest.raises(ValueError, match="a relativistic loss pairs every fake .*=8 and batch_size=4"):
            make(loss=loss, generator_batch_size=8)
        make(loss=loss, generator_batch_size=4)
    for size in (6, 2, 0, -4, "many", 4.0):
        with pytest.raises(ValueError, match=f"generator_batch_size={size} must be a multiple of batch_size=4"):
            make(loss=Wasserstein(0.0), generator_batch_size=size)


def test_more_fakes_than_real_images_are_matched_with_those(adversarial):
    module = adversarial(
        TransGANOfficial, loss=Wasserstein(0.0), generator_batch_size=8, n_critic=1, matching=EnergyDistance()
    )
    images = torch.randint(0, 256, (1, 4, 1, 8, 8), dtype=torch.uint8)
    Trainer(
        accelerator="cpu", devices=1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    ).fit(module, torch.utils.data.DataLoader([(images[0], torch.arange(4) % 3)], batch_size=None))  # fmt: skip
    assert module.images_seen == 4 and module.nonfinite == {"generator": 0, "discriminator": 0}
