"""The training step, in process on tiny networks, and the images that come out."""

from functools import partial

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn

from transgan.augmentation import DiffAugment
from transgan.consistency import BalancedConsistency
from transgan.losses import NonSaturating, RelativisticAverage
from transgan.penalties import R1R2, WGANGP, Lazy, NoPenalty, R1R2FiniteDifference, Subsampled
from transgan.schedules import Linear
from transgan.training.adversarial import Adversarial
from transgan.training.finite import NonFiniteTraining

SHIFT = DiffAugment(brightness=0.0, saturation=0.0, contrast=0.0, translation=0.125, cutout=0.25)


def batches(steps, size=4):
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (steps, size, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return [(image, torch.arange(size) % 3) for image in images]


def train(module, steps=3, data=None):
    torch.manual_seed(99 + steps)  # what was drawn before must not matter
    data = data or batches(steps)
    trainer = Trainer(
        accelerator="cpu", devices=1, max_steps=-1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=None))
    return module


def weights(module):
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def same(a, b) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_seed_repeats_bit_by_bit_and_another_does_not(adversarial):
    make = partial(adversarial, augmentation=SHIFT, mirror=True)
    first = weights(train(make()))
    assert same(first, weights(train(make())))
    assert not same(first, weights(train(make(seed=1))))
    assert not same(first, weights(make()))


def test_it_counts_images_and_updates(adversarial):
    module = train(adversarial(), 3)
    assert module.images_seen == 12 and module.step == 3
    assert module.trainer.global_step == 3  # generator updates
    assert module.nonfinite == {"discriminator": 0, "generator": 0}
    expected = {"loss_d", "loss_g", "d_real", "d_fake", "r1", "r2", "grad_norm_d", "grad_norm_g", "gamma", "augment"}
    assert expected <= set(module.log_values)


def test_n_critic_counts_discriminator_steps_per_generator_step(adversarial):
    module = adversarial(n_critic=2)
    start = weights(module.generator)
    train(module, 5)
    assert module.trainer.global_step == 2
    assert not same(start, weights(module.generator))
    one = adversarial(n_critic=2)
    start = weights(one)
    end = weights(train(one, 1))
    assert all(torch.equal(start[n], end[n]) for n in start if n.startswith("generator"))
    assert any(not torch.equal(start[n], end[n]) for n in start if n.startswith("discriminator"))
    with pytest.raises(ValueError, match="n_critic must be at least 1, not 0"):
        adversarial(n_critic=0)


def test_schedules_reach_the_optimizers(adversarial):
    line = partial(Linear, kimg=0.016)  # over 16 images
    module = adversarial(
        generator_lr=line(1e-3, 5e-3), discriminator_lr=line(2e-3, 0.0), beta2=line(0.5, 0.9), gamma=line(1.0, 0.0)
    )
    train(module, 3)  # the last step began at 8 images, half way
    ours, theirs = (each.param_groups[0] for each in module.trainer.optimizers)
    assert (ours["lr"], theirs["lr"]) == (pytest.approx(3e-3), pytest.approx(1e-3))
    assert ours["betas"] == theirs["betas"] == (0.0, pytest.approx(0.7))
    assert module.log_values["gamma"] == pytest.approx(0.5)


def test_beta2_of_none_leaves_the_optimizers_own(adversarial):
    module = train(adversarial(beta2=None), 1)
    assert module.trainer.optimizers[0].param_groups[0]["betas"] == (0.0, 0.9)


def test_gamma_and_strength_reach_the_objective(adversarial):
    first = weights(train(adversarial(augmentation=SHIFT), 1))
    assert not same(first, weights(train(adversarial(augmentation=SHIFT, gamma=0.5), 1)))
    assert not same(first, weights(train(adversarial(augmentation=SHIFT, augment=0.0), 1)))


def near(a, b) -> bool:
    """Equal but for rounding: gradients come in another layout."""
    return all(torch.allclose(a[name], b[name], atol=1e-5) for name in a)


class Counted(DiffAugment):
    """Counts its calls."""

    calls = 0

    def __call__(self, images, random, strength):
        Counted.calls += 1
        return super().__call__(images, random, strength)


def test_an_augmentation_of_strength_zero_costs_nothing_and_changes_nothing(adversarial, monkeypatch):
    def trained(**changes):
        Counted.calls = 0
        return weights(train(adversarial(augmentation=Counted(), penalty=R1R2(), **changes), 2)), Counted.calls

    every = trained(augment=1.0)[1]  # calls of two steps
    assert every > 0 and trained(augment=0.0, consistency=BalancedConsistency())[1] > 0
    falling, calls = trained(augment=Linear(0.5, 0.0, kimg=0.004))  # 0 from the second step on
    assert calls == every / 2
    none, calls = trained(augment=0.0)
    assert calls == 0
    monkeypatch.setattr(Adversarial, "augmenting", lambda self, now: self.augmentation)
    plain, calls = trained(augment=0.0)
    assert calls > 0 and near(none, plain)
    plain, calls = trained(augment=Linear(0.5, 0.0, kimg=0.004))
    assert calls == every and near(falling, plain)


def test_a_compiled_step_keeps_its_augmentation(adversarial):
    module = adversarial(augmentation=SHIFT, augment=0.0)
    assert module.augmenting({"augment": 0.0}) is not SHIFT
    module.compile_objectives("eager")
    assert module.augmenting({"augment": 0.0}) is SHIFT


def test_clip_holds(adversarial):
    moved = {}
    for clip in (None, 1e-3):
        module = adversarial(optimizer=torch.optim.SGD, generator_lr=1.0, discriminator_lr=1.0, clip=clip)
        start = weights(module)
        train(module, 1)
        assert module.log_values["grad_norm_d"] > 1e-3  # what is logged is the norm before
        for name in ("generator", "discriminator"):
            parts = [(p - start[f"{name}.{n}"]).norm() for n, p in getattr(module, name).named_parameters()]
            moved[name, clip] = torch.stack(parts).norm().item()
    for name in ("generator", "discriminator"):
        assert moved[name, 1e-3] == pytest.approx(1e-3, rel=0.02) and moved[name, None] > 2e-3


def test_the_ema_follows_by_its_half_life(adversarial):
    module = adversarial(ema_halflife=0.004)  # 4 images, one batch: half way in one step
    start = weights(module.generator)
    assert same(start, weights(module.generator_ema))
    train(module, 1)
    now = weights(module.generator)
    for name, value in module.generator_ema.named_parameters():
        torch.testing.assert_close(value, (start[name] + now[name]) / 2)
        assert not value.requires_grad
    assert not module.generator_ema.training


def test_no_gradient_crosses_from_one_player_to_the_other(adversarial):
    module = adversarial(generator_lr=0.0)
    start = weights(module)
    end = weights(train(module, 2))
    assert all(torch.equal(start[n], end[n]) for n in start if n.startswith("generator"))
    assert any(not torch.equal(start[n], end[n]) for n in start if n.startswith("discriminator"))
    assert all(parameter.requires_grad for parameter in module.discriminator.parameters())


class Broken(nn.Module):
    """A discriminator that answers NaN at some of its calls."""

    def __init__(self, inner, bad):
        super().__init__()
        self.inner, self.bad, self.calls = inner, bad, 0

    def forward(self, images, labels):
        self.calls += 1
        logits = self.inner(images, labels)
        return logits * float("nan") if self.calls in self.bad else logits


# calls of the discriminator in a batch: one on real and fake together with a penalty, then real, then fake
def test_a_discriminator_step_without_finite_gradient_is_skipped(adversarial, discriminator):
    module = adversarial(discriminator=Broken(discriminator(depth=[1]), {4}), generator_lr=0.0)
    seen = []
    module.on_train_batch_end = lambda *_: seen.append((weights(module.discriminator), module.nonfinite_in_a_row))
    train(module, 3)
    assert module.nonfinite == {"discriminator": 1, "generator": 0}
    assert same(seen[0][0], seen[1][0]) and not same(seen[1][0], seen[2][0])
    assert module.images_seen == 12
    assert all(value.isfinite().all() for value in weights(module).values())


def test_a_generator_step_without_finite_gradient_is_skipped(adversarial, discriminator):
    module = adversarial(discriminator=Broken(discriminator(depth=[1]), {6}))
    seen = []
    module.on_train_batch_end = lambda *_: seen.append((weights(module.generator), weights(module.generator_ema)))
    train(module, 3)
    assert module.nonfinite == {"discriminator": 0, "generator": 1}
    assert same(seen[0][0], seen[1][0]) and same(seen[0][1], seen[1][1]) and not same(seen[1][0], seen[2][0])
    assert module.nonfinite_in_a_row == 0
    saved = {}
    module.on_save_checkpoint(saved)
    assert saved["nonfinite"] == {"discriminator": 0, "generator": 1}
    assert saved["nonfinite"] is not module.nonfinite


def test_too_many_in_a_row_stop_the_training(adversarial, discriminator):
    module = adversarial(discriminator=Broken(discriminator(depth=[1]), set(range(2, 99))), max_nonfinite=3)
    start = weights(module)
    with pytest.raises(NonFiniteTraining, match=r"3 steps of the (dis|gen)\w+ in a row .* kimg"):
        train(module, 9)
    assert max(module.nonfinite.values()) == 3 and sum(module.nonfinite.values()) >= 5
    assert all(value.isfinite().all() for value in weights(module).values())
    assert not same(start, weights(module))  # the discriminator's first step was good


def test_scattered_ones_do_not_stop_it(adversarial, discriminator):
    module = adversarial(discriminator=Broken(discriminator(depth=[1]), {1, 7, 13, 19}), max_nonfinite=2)
    train(module, 7)
    assert module.nonfinite == {"discriminator": 4, "generator": 0}


def test_mirror_shows_each_image_or_its_mirror(adversarial):
    class Watching(NoPenalty):
        def __call__(self, discriminator, real, fake, noise):
            seen.append(real)
            return super().__call__(discriminator, real, fake, noise)

    images = torch.zeros(64, 1, 8, 8, dtype=torch.uint8)
    images[..., 0] = 255
    data = [(images, torch.zeros(64, dtype=torch.long))]
    for mirror in (False, True):
        seen = []
        train(adversarial(mirror=mirror, batch_size=64, penalty=Watching()), data=data)
        left, right = (seen[0][:, 0, 0, column] for column in (0, -1))
        assert torch.equal(left, -right)  # whole, or its mirror
        assert (right == 1).sum() == 0 if not mirror else 16 < (right == 1).sum() < 48


def test_a_lazy_penalty_follows_the_steps_of_the_run(adversarial):
    module = adversarial(penalty=Lazy(R1R2(real=True, fake=False), 3))
    logged = []
    module.on_train_batch_end = lambda *_: logged.append(module.log_values["r1"].item())
    train(module, 7)
    assert [value > 0 for value in logged] == [True, False, False, True, False, False, True]
    module = adversarial(penalty=Lazy(R1R2(real=True, fake=False), 3))
    module.images_seen = 2 * 4  # as after a resume
    logged.clear()
    module.on_train_batch_end = lambda *_: logged.append(module.log_values["r1"].item())
    train(module, 2)
    assert [value > 0 for value in logged] == [False, True]


@pytest.mark.parametrize("penalty", [WGANGP(1.0), R1R2FiniteDifference(0.1, True, True)])
def test_the_noise_of_a_penalty_is_the_steps_own(adversarial, penalty, monkeypatch):
    first = weights(train(adversarial(penalty=penalty)))
    assert same(first, weights(train(adversarial(penalty=penalty))))
    assert not same(first, weights(train(adversarial(penalty=penalty, seed=1))))
    seen, sample_noise = [], penalty.sample_noise
    monkeypatch.setattr(penalty, "sample_noise", lambda *a: seen.append(sample_noise(*a)) or seen[-1])
    train(adversarial(penalty=penalty), 2)
    assert len(seen) == 2 and len(seen[0]) == 4 and not torch.equal(seen[0], seen[1])


def test_consistency_is_logged_and_changes_the_discriminator(adversarial):
    make = partial(adversarial, augmentation=SHIFT)
    module = train(make(consistency=BalancedConsistency(10.0, 5.0, 1.0)), 2)
    assert module.log_values["cr_real"] > 0 and module.log_values["cr_fake"] > 0
    plain = train(make(), 2)
    assert "cr_real" not in plain.log_values
    assert not same(weights(module), weights(plain))


class Counting(nn.Module):
    """A discriminator that notes the images of each of its calls, and a generator that notes its labels."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.calls = inner, []
        self.latent_dim = getattr(inner, "latent_dim", None)

    def forward(self, images, labels):
        self.calls.append((images.detach().clone(), labels))
        return self.inner(images, labels)


def test_a_loss_of_fakes_alone_sees_no_reals_in_the_generators_step(adversarial, discriminator):
    for loss, expected in ((NonSaturating(), [8, 4]), (RelativisticAverage(), [8, 4, 4])):
        counting = Counting(discriminator(depth=[1]))
        train(adversarial(discriminator=counting, loss=loss, penalty=NoPenalty()), 1)
        assert [len(images) for images, _ in counting.calls] == expected


def test_what_does_not_go_together(adversarial):
    with pytest.raises(ValueError, match="Linear has no latent_dim"):
        adversarial(generator=nn.Linear(1, 1))
    with pytest.raises(ValueError, match="penalty.share=0.1 of a batch of 4 images is not one image"):
        adversarial(penalty=Subsampled(NoPenalty(), 0.1))
    with pytest.raises(ValueError, match="augmentation=none makes none"):
        adversarial(consistency=BalancedConsistency(10.0, 10.0, 1.0))


@pytest.fixture
def trained(adversarial):
    """Weights away from their start, so that images differ."""
    module = adversarial()
    with torch.no_grad():
        for parameter in module.generator_ema.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module.eval()


def test_an_image_is_a_function_of_its_seed_and_label_alone(trained):
    images = trained.generate(list(range(9)))
    assert images.shape == (9, 1, 8, 8) and images.dtype == torch.uint8
    torch.manual_seed(12345)
    for seed in (0, 4, 8):
        alone = trained.generate([seed])[0].int()
        assert (alone - images[seed].int()).abs().max() <= 1
        assert (trained.generate([100, seed, 200])[1].int() - alone).abs().max() <= 1
    labels = trained.labels_of(list(range(9)))
    assert torch.equal(trained.generate(list(range(9)), labels), images)
    assert not torch.equal(trained.generate(list(range(9)), (labels + 1) % 3), images)
    assert not torch.equal(images[0], images[1])


def test_images_come_from_the_ema_weights(trained):
    before = trained.generate([0, 1])
    nn.init.zeros_(trained.generator.head.weight)
    assert torch.equal(trained.generate([0, 1]), before)
    nn.init.zeros_(trained.generator_ema.head.weight)
    assert not torch.equal(trained.generate([0, 1]), before)


def test_truncation(trained):
    seeds, labels = list(range(8)), torch.tensor([0, 1] * 4)
    free = trained.generate(seeds, labels)
    assert torch.equal(trained.generate(seeds, labels, truncation=1.0), free)
    close = trained.generate(seeds, labels, truncation=0.9999).int()
    assert (close - free.int()).abs().max() <= 1
    typical = trained.generate(seeds, labels, truncation=0.0)
    for k in (0, 1):
        assert (typical[k::2].int() - typical[k].int()).abs().max() <= 1
        assert not torch.equal(free[k::2], free[k].expand(4, 1, 8, 8))
    assert not torch.equal(typical[0], typical[1])  # a class has a mean of its own
    spread = [trained.generate(seeds, labels, psi)[::2].float().std(0).mean() for psi in (0.0, 0.5, 1.0)]
    assert spread[0] < spread[1] < spread[2]


def test_truncation_without_classes_and_without_a_style(adversarial, generator):
    module = adversarial(generator=generator(num_classes=0), num_classes=0)
    typical = module.generate([0, 1, 2], truncation=0.0).int()
    assert (typical - typical[0]).abs().max() <= 1

    class Plain(nn.Module):
        latent_dim = 6

    module.generator_ema = Plain()
    with pytest.raises(ValueError, match="no style to truncate; leave psi at 1"):
        module.generate([0], truncation=0.5)


def test_images_are_those_of_their_latents(adversarial):
    """`generate` is `images_of` the latents of its seeds, truncated or not, and another latent is another image."""
    module = adversarial()
    labels = torch.tensor([0, 1, 2])
    latent = module.latents_of([5, 6, 7])
    assert latent.shape == (3, 6)
    for psi in (1.0, 0.5):
        assert torch.equal(module.images_of(latent, labels, psi), module.generate([5, 6, 7], labels, psi))
    assert not torch.equal(module.images_of(-latent, labels), module.images_of(latent, labels))
