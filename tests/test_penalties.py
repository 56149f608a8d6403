"""Penalties on discriminators whose gradient is known, the gradient of the whole objective by differences, and compiled."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from transgan.augmentation import DiffAugment, NoAugmentation
from transgan.consistency import BalancedConsistency
from transgan.layers.block import Transformer
from transgan.losses import NonSaturating, Relativistic, RelativisticAverage
from transgan.penalties import (
    R1R2,
    R1R2JVP,
    WGANGP,
    AugmentedDiscriminator,
    Lazy,
    NoPenalty,
    R1R2CentralDifference,
    R1R2FiniteDifference,
    Subsampled,
)
from transgan.supervision import FinalImage
from transgan.training.objectives import (
    DiscriminatorInputs,
    GeneratorInputs,
    discriminator_objective,
    generator_objective,
)
from transgan.training.randomness import StepRNG
from transgan.training.transgan_official import WassersteinMeanDrift

SHAPE = (2, 3, 3)
PIXELS = 18
BOTH = dict(real=True, fake=True)
EVERY = {
    "exact": R1R2(**BOTH), "r1": R1R2(True, False), "r2": R1R2(False, True),
    "jvp": R1R2JVP(**BOTH), "fd": R1R2FiniteDifference(0.01, **BOTH), "central": R1R2CentralDifference(0.03, **BOTH),
    "fd_r1": R1R2FiniteDifference(0.01, True, False), "gp": WGANGP(1.0), "none": NoPenalty(),
    "part": Subsampled(R1R2(**BOTH), 0.5), "part_gp": Subsampled(WGANGP(2.0), 0.5),
    "part_fd": Subsampled(R1R2FiniteDifference(0.01, **BOTH), 0.5), "lazy": Lazy(R1R2(**BOTH), 2),
    "lazy_part": Lazy(Subsampled(R1R2JVP(**BOTH), 0.5), 2), "part_lazy": Subsampled(Lazy(WGANGP(1.0), 2), 0.5),
}  # fmt: skip
each_penalty = pytest.mark.parametrize("penalty", EVERY.values(), ids=EVERY)


def wrapped(function, n=4):
    """A discriminator from images (N, C, H, W) to logits (N,)."""
    return AugmentedDiscriminator(
        lambda images, labels: function(images), NoAugmentation(), 1.0, None, torch.empty(2, n, 0)
    )


def pairs(n=4):
    return torch.randn(n, *SHAPE), torch.randn(n, *SHAPE)


def noise_of(penalty, n=4, shape=SHAPE, seed=3):
    return penalty.sample_noise(StepRNG(seed, 0, n, 0, 1, torch.device("cpu")), shape)


def outputs(penalty, function, real, fake):
    """(logits of both, penalties) of one of the steps in which a lazy penalty is due."""
    penalty = penalty.at_step(0)
    return penalty(wrapped(function, len(real)), real, fake, noise_of(penalty, len(real), real.shape[1:]))


def quadratic():
    """x -> x A x / 2 with a symmetric A; its gradient is A x."""
    a = torch.randn(PIXELS, PIXELS)
    a = a + a.T
    return a, lambda x: 0.5 * ((x.flatten(1) @ a) * x.flatten(1)).sum(1)


def test_r1_and_r2_of_a_linear_discriminator():
    w = torch.randn(PIXELS)
    real, fake = pairs()
    logits_real, logits_fake, found = outputs(R1R2(**BOTH), lambda x: x.flatten(1) @ w, real, fake)
    torch.testing.assert_close(logits_real, real.flatten(1) @ w)
    torch.testing.assert_close(logits_fake, fake.flatten(1) @ w)
    for name in ("r1", "r2"):
        torch.testing.assert_close(found[name], w.square().sum().expand(4))


def test_r1_and_r2_of_each_image_for_a_quadratic_discriminator():
    a, function = quadratic()
    real, fake = pairs()
    found = outputs(R1R2(**BOTH), function, real, fake)[2]
    torch.testing.assert_close(found["r1"], (real.flatten(1) @ a).square().sum(1))
    torch.testing.assert_close(found["r2"], (fake.flatten(1) @ a).square().sum(1))


def test_directional_derivatives_of_a_quadratic_discriminator():
    """jvp and central differences are exact, one-sided ones have half the curvature besides."""
    a, function = quadratic()
    real, fake = pairs()
    for penalty, sigma in (
        (R1R2JVP(**BOTH), 0),
        (R1R2FiniteDifference(0.5, **BOTH), 0.5),
        (R1R2CentralDifference(0.5, **BOTH), 0),
    ):
        logits_real, logits_fake, found = outputs(penalty, function, real, fake)
        directions = noise_of(penalty)
        assert directions.shape == (4, 2, *SHAPE)
        for k, (name, images, logits) in enumerate((("r1", real, logits_real), ("r2", fake, logits_fake))):
            x, e = images.flatten(1), directions[:, k].flatten(1)
            along, curvature = ((x @ a) * e).sum(1), ((e @ a) * e).sum(1)
            torch.testing.assert_close(found[name], (along + sigma / 2 * curvature).square(), rtol=1e-3, atol=1e-3)
            mean = 0.25 / 2 * curvature if isinstance(penalty, R1R2CentralDifference) else 0
            torch.testing.assert_close(logits, function(images) + mean, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "penalty, within",
    [(R1R2JVP(**BOTH), 0.06), (R1R2CentralDifference(0.01, **BOTH), 0.06), (R1R2FiniteDifference(0.002, **BOTH), 0.06)],
    ids=["jvp", "central", "one-sided"],
)
def test_directions_give_the_exact_penalty_on_average(discriminator, penalty, within):
    network, n = discriminator(), 4000
    image = torch.rand(1, 1, 8, 8)
    real, fake = image.expand(n, -1, -1, -1), -image.expand(n, -1, -1, -1)
    augmented = AugmentedDiscriminator(
        network, NoAugmentation(), 1.0, torch.ones(n, dtype=torch.long), torch.empty(2, n, 0)
    )
    with torch.no_grad():
        found = penalty(augmented, real, fake, noise_of(penalty, n, (1, 8, 8)))[2]
    exact = R1R2(**BOTH)(augmented.subset(torch.tensor([0])), image, -image, torch.empty(1, 0))[2]
    for name in ("r1", "r2"):  # a standard deviation is sqrt(2 / n) = 2.2 %
        assert found[name].mean().item() == pytest.approx(exact[name].item(), rel=within)
        assert found[name].var().sqrt().item() == pytest.approx(math.sqrt(2) * exact[name].item(), rel=0.2)


def test_the_published_weight_of_differences():
    """lambda E (D(x + sigma e) - D(x))^2 is gamma / 2 times the penalty where gamma = 2 lambda sigma^2 (APT)."""
    _, function = quadratic()
    real, fake = pairs()
    penalty, weight = R1R2FiniteDifference(0.1, True, False), 100.0
    directions = noise_of(penalty)
    found = outputs(penalty, function, real, fake)[2]["r1"]
    published = weight * (function(real + 0.1 * directions[:, 0]) - function(real)).square()
    torch.testing.assert_close(0.5 * (2 * weight * 0.1**2) * found, published, rtol=1e-4, atol=1e-3)


def test_gradient_penalty_of_linear_and_quadratic_discriminators():
    w = torch.randn(PIXELS)
    real, fake = pairs()
    for target in (1.0, 3.0):
        logits_real, logits_fake, found = outputs(WGANGP(target), lambda x: x.flatten(1) @ w, real, fake)
        torch.testing.assert_close(found["gp"], ((w.norm() / target - 1).square()).expand(4))
        torch.testing.assert_close(torch.stack([logits_real, logits_fake]), torch.stack([real, fake]).flatten(2) @ w)
    a, function = quadratic()
    share = noise_of(WGANGP(1.0))
    assert share.shape == (4, 1, 1, 1) and 0 <= share.min() and share.max() < 1
    between = ((1 - share) * real + share * fake).flatten(1)
    found = outputs(WGANGP(1.0), function, real, fake)[2]["gp"]
    torch.testing.assert_close(found, ((between @ a).norm(dim=1) - 1).square())


def test_gradient_penalty_of_a_discriminator_without_gradient():
    """Its own gradient is 0 there, not NaN: networks may start with a head of zeros."""
    w = torch.zeros(PIXELS, requires_grad=True)
    found = outputs(WGANGP(1.0), lambda x: x.flatten(1) @ w, *pairs())[2]["gp"]
    assert found.tolist() == [1, 1, 1, 1]
    found.sum().backward()
    assert not w.grad.any()


def test_the_published_weights_of_gradient_penalties():
    """WGAN-GP's 10 (|g| - 1)^2 and TransGAN's 10 / phi^2 (|g| - phi)^2 are gamma = 20."""
    w = torch.randn(PIXELS)
    real, fake = pairs()
    for phi in (1.0, 2.5):
        value, log = whole(lambda x, labels: x.flatten(1) @ w, NonSaturating(), WGANGP(phi), real, fake, 20.0)
        torch.testing.assert_close(value - log["loss_d"], 10 / phi**2 * (w.norm() - phi).square())


def test_the_penalty_has_a_gradient_to_the_weights_and_none_to_the_images():
    w = torch.randn(PIXELS, requires_grad=True)
    real, fake = pairs()
    fake.requires_grad_()
    found = outputs(R1R2(**BOTH), lambda x: (x.flatten(1) @ w).square() / 2, real, fake)[2]
    found["r1"].sum().backward()  # D = (w x)^2 / 2: |dD/dx|^2 = (w x)^2 |w|^2
    with torch.no_grad():
        along = real.flatten(1) @ w
        expected = (2 * along[:, None] * real.flatten(1) * w.square().sum() + 2 * along[:, None].square() * w).sum(0)
    torch.testing.assert_close(w.grad, expected, rtol=1e-4, atol=1e-3)
    assert fake.grad is None


def test_only_the_sides_asked_for_are_penalised():
    real, fake = pairs()
    seen = []

    def linear(x):
        seen.append(len(x))
        return x.sum((1, 2, 3))

    for kind in (R1R2, R1R2JVP, lambda real, fake: R1R2FiniteDifference(0.1, real, fake)):
        for sides in ((True, True), (True, False), (False, True)):
            seen.clear()
            logits_real, logits_fake, found = outputs(kind(*sides), linear, real, fake)
            assert (
                tuple(found) == kind(*sides).names == tuple(n for n, on in zip(("r1", "r2"), sides, strict=True) if on)
            )
            torch.testing.assert_close(
                torch.stack([logits_real, logits_fake]), torch.stack([real, fake]).sum((2, 3, 4))
            )
            assert max(seen) == 4 * sum(sides)  # no gradient through what is not penalised
        with pytest.raises(ValueError, match="use penalty=none"):
            kind(real=False, fake=False)
    assert outputs(NoPenalty(), linear, real, fake)[2] == {}


def test_settings_out_of_range():
    with pytest.raises(ValueError, match="sigma must be above 0, not 0"):
        R1R2FiniteDifference(0.0, **BOTH)
    with pytest.raises(ValueError, match="sigma must be above 0, not -1"):
        R1R2CentralDifference(-1.0, **BOTH)
    with pytest.raises(ValueError, match="target must be above 0, not 0"):
        WGANGP(0.0)
    with pytest.raises(ValueError, match="every must be at least 1, not 0"):
        Lazy(NoPenalty(), 0)
    for share in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match=f"share must be between 0 and 1, not {share}"):
            Subsampled(NoPenalty(), share)


def test_a_lazy_penalty_is_due_every_few_steps_times_their_number():
    w = torch.randn(PIXELS)
    real, fake = pairs()
    lazy, plain = Lazy(R1R2(**BOTH), 4), R1R2(**BOTH)
    expected = outputs(plain, lambda x: x.flatten(1) @ w, real, fake)
    sums = torch.zeros(())
    for step in range(8):
        penalty = lazy.at_step(step)
        found = penalty(wrapped(lambda x: x.flatten(1) @ w), real, fake, noise_of(penalty))
        torch.testing.assert_close(found[:2], expected[:2])
        assert tuple(found[2]) == ("r1", "r2")
        assert bool(found[2]["r1"].any()) == (step in (0, 4))
        sums = sums + found[2]["r1"].mean()
    torch.testing.assert_close(sums / 8, expected[2]["r1"].mean())  # what the log's mean is


def test_which_pairs_a_subsampled_penalty_takes():
    assert Subsampled(NoPenalty(), 0.25).indices(8) == ([3, 7], [0, 1, 2, 4, 5, 6])
    assert Subsampled(NoPenalty(), 0.3).indices(10)[0] == [3, 6, 9]
    assert len(Subsampled(NoPenalty(), 0.29).indices(100)[0]) == 29
    for n in (4, 16):  # the parts of two processes are those of one
        whole = Subsampled(NoPenalty(), 0.25).indices(2 * n)[0]
        assert whole == [
            *Subsampled(NoPenalty(), 0.25).indices(n)[0],
            *(n + i for i in Subsampled(NoPenalty(), 0.25).indices(n)[0]),
        ]
    assert Subsampled(NoPenalty(), 0.25).check(4, None) is None
    with pytest.raises(
        ValueError, match="penalty.share=0.2 of a batch of 4 images is not one image; make it at least 0.25"
    ):
        Subsampled(NoPenalty(), 0.2).check(4, None)
    with pytest.raises(ValueError, match="make it at least 0.0157"):
        Subsampled(NoPenalty(), 0.0156).check(64, None)
    Subsampled(NoPenalty(), 0.0157).check(64, None)
    with pytest.raises(ValueError, match="share=0.2 of a batch of 4"):
        Lazy(Subsampled(NoPenalty(), 0.2), 3).check(4, None)
    with pytest.raises(ValueError, match="share=0.4 of a batch of 2"):
        Subsampled(Subsampled(NoPenalty(), 0.4), 0.5).check(4, None)


@pytest.mark.parametrize("share, batch_size", [(0.25, 4), (0.3, 4), (0.5, 2), (0.9, 2), (1 / 3, 3), (0.01, 100)])
def test_a_batch_of_one_image_has_a_way_out_that_works(share, batch_size):
    with pytest.raises(ValueError, match=f"not one image; use batch_size={batch_size} or penalty=r1_r2"):
        Subsampled(NoPenalty(), share).check(1, None)
    Subsampled(NoPenalty(), share).check(batch_size, None)
    with pytest.raises(ValueError, match="not one image"):
        Subsampled(NoPenalty(), share).check(batch_size - 1, None)


@pytest.mark.parametrize("n", [2, 5, 100])
def test_a_share_that_is_proposed_is_enough(n):
    with pytest.raises(ValueError, match="make it at least") as refused:
        Subsampled(NoPenalty(), 0.001).check(n, None)
    Subsampled(NoPenalty(), float(str(refused.value).split()[-1])).check(n, None)


@pytest.mark.parametrize("every", [1, 2, 4])
def test_what_a_subsampled_penalty_takes_is_computed_once_around_a_lazy_one(every, monkeypatch):
    asked = []
    argsort = torch.Tensor.argsort
    monkeypatch.setattr(torch.Tensor, "argsort", lambda *given: (asked.append(given), argsort(*given))[1])
    penalty = Subsampled(Lazy(R1R2(**BOTH), every), 0.5)
    real, fake = pairs(8)
    for step in range(8):
        now = penalty.at_step(step)
        for part in (slice(0, 8), slice(0, 5), slice(5, 8)):
            own = now if part == slice(0, 8) else now.of_part(part, 8)
            size = part.stop - part.start
            own(wrapped(lambda x: x.flatten(1).sum(1), size), real[part], fake[part], torch.empty(size, 0))
    assert len(asked) == 3


@pytest.mark.parametrize("name", ["exact", "r1", "jvp", "gp", "fd"])
def test_a_subset_has_the_logits_and_penalties_of_the_complete_batch(discriminator, shift, name):
    """The logits in their order, and the penalties of every second pair, with their own numbers, labels, augmentation."""
    network, n = discriminator(), 6
    real, fake = torch.rand(2, n, 1, 8, 8) * 2 - 1
    augmented = AugmentedDiscriminator(network, shift, 0.5, torch.arange(n) % 3, torch.rand(2, n, shift.num_random))
    mine = noise_of(EVERY[name], n, (1, 8, 8))
    part = Subsampled(EVERY[name], 0.5)(augmented, real, fake, mine)
    every = EVERY[name](augmented, real, fake, mine)
    torch.testing.assert_close(part[:2], every[:2], rtol=1e-4, atol=1e-5)
    for key in every[2]:
        torch.testing.assert_close(part[2][key], every[2][key][1::2], rtol=2e-3, atol=1e-5)
        assert not torch.allclose(part[2][key], every[2][key][0::2], rtol=0.05)


def test_noise_of_two_processes_is_that_of_one():
    for penalty in EVERY.values():
        penalty = penalty.at_step(0)
        one = penalty.sample_noise(StepRNG(1, 5, 8, 0, 1, torch.device("cpu")), SHAPE)
        two = [penalty.sample_noise(StepRNG(1, 5, 4, rank, 2, torch.device("cpu")), SHAPE) for rank in (0, 1)]
        assert len(one) == 8 and torch.equal(torch.cat(two), one)


def inputs_of(penalty, real, fake, gamma, random=None, labels=None, seed=3):
    return DiscriminatorInputs(
        real=real, fake=fake, labels=labels, random=torch.empty(2, len(real), 0) if random is None else random,
        noise=noise_of(penalty, len(real), real.shape[1:], seed), strength=torch.tensor(1.0), gamma=torch.tensor(gamma),
    )  # fmt: skip


def whole(network, loss, penalty, real, fake, gamma, augmentation=None, random=None):
    """discriminator_objective without consistency."""
    inputs = inputs_of(penalty, real, fake, gamma, random)
    return discriminator_objective(network, loss, penalty, None, augmentation or NoAugmentation(), inputs)[:2]


@pytest.mark.parametrize("loss", [Relativistic(), NonSaturating()])
def test_half_of_gamma_weights_the_penalties(loss):
    w = torch.randn(PIXELS)
    real, fake = pairs()
    value, log = whole(lambda x, labels: x.flatten(1) @ w, loss, R1R2(**BOTH), real, fake, 0.6)
    plain = loss.discriminator(real.flatten(1) @ w, fake.flatten(1) @ w).mean()
    torch.testing.assert_close(value, plain + 0.3 * 2 * w.square().sum())
    torch.testing.assert_close(log["loss_d"], plain)
    torch.testing.assert_close(log["r1"], w.square().sum())
    torch.testing.assert_close(log["d_real"], (real.flatten(1) @ w).mean())
    torch.testing.assert_close(log["d_fake"], (fake.flatten(1) @ w).mean())
    assert not any(value.requires_grad for value in log.values())


def test_a_subsampled_penalty_has_the_weight_of_a_complete_one():
    w = torch.randn(PIXELS)
    real, fake = pairs()
    values = [
        whole(lambda x, labels: x.flatten(1) @ w, Relativistic(), penalty, real, fake, 0.6)[0]
        for penalty in (R1R2(**BOTH), Subsampled(R1R2(**BOTH), 0.25))
    ]
    torch.testing.assert_close(*values)


def test_the_penalty_is_of_the_image_before_augmentation():
    """A pixel cut out by the augmentation has no gradient: the penalty counts the pixels that are left."""
    cut = DiffAugment(0.0, 0.0, 0.0, 0.0, cutout=0.5)
    images, noise = torch.ones(2, 1, 8, 8), torch.full((2, 2, 10), 0.5)
    for penalty in (R1R2(**BOTH), WGANGP(1.0)):
        _, log = whole(lambda x, labels: x.sum((1, 2, 3)), Relativistic(), penalty, images, images, 1.0, cut, noise)
        expected = {"r1": 48, "r2": 48} if penalty.names[0] == "r1" else {"gp": (math.sqrt(48) - 1) ** 2}
        for name, value in expected.items():
            assert log[name].item() == pytest.approx(value, rel=1e-6)


def objective(network, augmentation, gamma=1.0, penalty=EVERY["exact"], loss=None, consistency=None):
    """discriminator_objective of a network, as a function without arguments."""
    generator = torch.Generator().manual_seed(1)
    dtype = next(network.parameters()).dtype
    real, fake = torch.rand(2, 4, 1, 8, 8, generator=generator).to(dtype) * 2 - 1
    count = 2 if consistency is None else 2 + consistency.num_augmentations
    random = torch.rand(count, 4, augmentation.num_random, generator=generator)
    penalty = penalty.at_step(0)
    inputs = inputs_of(penalty, real, fake, gamma, random, torch.tensor([0, 1, 2, 1]))
    inputs = replace(inputs, noise=inputs.noise.to(dtype))
    return lambda f=discriminator_objective: f(
        network, loss or Relativistic(), penalty, consistency, augmentation, inputs
    )


def gradients(value, network):
    return torch.autograd.grad(value, list(network.parameters()), allow_unused=True)


WINDOWED = dict(dim=[8, 8], depth=[1, 1], num_heads=[1, 1], window_size=[2, None])


@pytest.mark.parametrize(
    "name, changes",
    [("exact", {}), ("exact", WINDOWED), *((name, {}) for name in EVERY if name not in ("exact", "none"))],
    ids=["exact", "exact-windowed", *(name for name in EVERY if name not in ("exact", "none"))],
)
def test_the_gradient_agrees_with_finite_differences(discriminator, name, changes, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "float", lambda tensor: tensor)  # float32 is too coarse to check against
    network = discriminator(**changes).double()
    value = objective(network, NoAugmentation(), gamma=500.0, penalty=EVERY[name])  # so that the penalty dominates
    found = gradients(value()[0], network)
    assert all(each is not None and each.isfinite().all() for each in found)
    log = value()[1]
    assert 250.0 * sum(log[key] for key in EVERY[name].names) > log["loss_d"]
    start = [parameter.detach().clone() for parameter in network.parameters()]
    step = 1e-6
    for _ in range(3):
        direction = [torch.randn_like(each) for each in start]
        ends = []
        for sign in (1, -1):
            for parameter, origin, along in zip(network.parameters(), start, direction, strict=True):
                parameter.data = origin + sign * step * along
            ends.append(value()[0].item())
        slope = sum((a * b).sum() for a, b in zip(found, direction, strict=True)).item()
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("name", ["exact", "jvp", "gp"])
def test_bf16_autocast_stays_close(discriminator, name):
    network = discriminator()
    value = objective(network, NoAugmentation(), penalty=EVERY[name])
    exact = value()[1]
    with torch.autocast("cpu", torch.bfloat16):
        rough = value()[1]
    for key in EVERY[name].names:
        assert rough[key].dtype == torch.float32
        assert rough[key].item() == pytest.approx(exact[key].item(), rel=0.05)
        assert rough[key] != exact[key]  # it did run in bfloat16


@pytest.mark.parametrize("name", ["fd", "central"])
def test_differences_are_in_float32_under_autocast(discriminator, name):
    """In bfloat16 the rounding of the logits over sigma would be the larger part of them."""
    network = discriminator()
    value = objective(network, NoAugmentation(), penalty=EVERY[name])
    exact = value()[1]
    with torch.autocast("cpu", torch.bfloat16):
        again = value()[1]
    assert again["r1"] == exact["r1"] and again["r2"] == exact["r2"]


def test_differences_need_no_second_derivative(discriminator):
    """They run on attention that has none, and the others bring their own."""
    network = discriminator()
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        for name in EVERY:
            value = objective(network, NoAugmentation(), penalty=EVERY[name])()[0]
            assert all(each.isfinite().all() for each in gradients(value, network) if each is not None)


BACKENDS = ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)]
CASES = [
    *((name, "aot_eager") for name in ("exact", "central", "gp", "lazy_part")),
    pytest.param("exact", "inductor", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("name, backend", CASES)
@pytest.mark.slow
def test_compiled_discriminator_objective_has_the_same_gradient(discriminator, shift, name, backend):
    torch._dynamo.reset()
    network = discriminator(depth=[1])
    loss = Relativistic() if name == "exact" else RelativisticAverage() if name == "gp" else WassersteinMeanDrift(0.1)
    consistency = BalancedConsistency(1.0, 2.0, 0.5) if name == "gp" else None
    value = objective(network, shift, penalty=EVERY[name], loss=loss, consistency=consistency)
    eager, compiled = value(), value(torch.compile(discriminator_objective, backend=backend, fullgraph=True))
    torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-5)
    for a, b in zip(gradients(compiled[0], network), gradients(eager[0], network), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("loss", [Relativistic(), NonSaturating()])
@pytest.mark.slow
def test_compiled_generator_objective_has_the_same_gradient(discriminator, generator, shift, loss, backend):
    torch._dynamo.reset()
    painter, network = generator(), discriminator(depth=[1])
    inputs = GeneratorInputs(
        real=torch.rand(3, 1, 8, 8), latent=torch.randn(3, 6), labels=torch.tensor([0, 1, 2]),
        random=torch.rand(2, 3, shift.num_random), noise=torch.empty(3, 0), strength=torch.tensor(1.0),
    )  # fmt: skip
    arguments = (painter, network, loss, FinalImage(), shift, inputs)
    eager, compiled = generator_objective(*arguments), torch.compile(generator_objective, backend=backend)(*arguments)
    torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-5)
    for a, b in zip(gradients(compiled, painter), gradients(eager, painter), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_a_lazy_penalty_compiles_to_two_graphs(discriminator):
    torch._dynamo.reset()
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph

    lazy, network = Lazy(Subsampled(R1R2FiniteDifference(0.1, **BOTH), 0.5), 3), discriminator(depth=[1])
    compiled = torch.compile(discriminator_objective, backend=backend, fullgraph=True)
    real, fake = torch.rand(2, 4, 1, 8, 8)
    for step in range(7):
        penalty = lazy.at_step(step)
        inputs = inputs_of(penalty, real, fake, step / 7, labels=torch.tensor([0, 1, 2, 1]), seed=step)
        compiled(network, Relativistic(), penalty, None, NoAugmentation(), inputs)
    assert len(graphs) == 2


@pytest.mark.parametrize("changes, said", [(dict(drop_path=0.2), "drop_path"), (dict(), None)])
def test_differences_of_what_drops_its_branches(discriminator, changes, said):
    network = discriminator(transformer=partial(Transformer, **changes))
    if said is None:
        return R1R2FiniteDifference().check(4, network)
    with pytest.raises(ValueError, match=f"the {said} of this discriminator is another in each; use a discriminator"):
        R1R2FiniteDifference().check(4, network)
