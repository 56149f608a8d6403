"""R1 and R2 on critics whose gradient is known, and the gradient of the whole objective by finite differences."""

import pytest
import torch

from transgan.augmentation import DiffAugment, NoAugmentation
from transgan.losses import NonSaturating, Relativistic
from transgan.penalties import NoPenalty, ZeroCentered
from transgan.training.adversarial import discriminator_objective, generator_objective

SHAPE = (2, 3, 3)
PIXELS = 18


def critic_of(function):
    """A critic as Adversarial makes it, from images (N, C, H, W) to logits (N,)."""
    return lambda *batches: function(torch.cat(batches)).chunk(len(batches))


def pairs(n=4):
    return torch.randn(n, *SHAPE), torch.randn(n, *SHAPE)


def test_linear_critic():
    w = torch.randn(PIXELS)
    real, fake = pairs()
    logits_real, logits_fake, found = ZeroCentered()(critic_of(lambda x: x.flatten(1) @ w), real, fake)
    torch.testing.assert_close(logits_real, real.flatten(1) @ w)
    torch.testing.assert_close(logits_fake, fake.flatten(1) @ w)
    for name in ("r1", "r2"):
        torch.testing.assert_close(found[name], w.square().sum().expand(4))


def test_quadratic_critic_per_image():
    a = torch.randn(PIXELS, PIXELS)
    a = a + a.T
    real, fake = pairs()
    _, _, found = ZeroCentered()(critic_of(lambda x: 0.5 * ((x.flatten(1) @ a) * x.flatten(1)).sum(1)), real, fake)
    torch.testing.assert_close(found["r1"], (real.flatten(1) @ a).square().sum(1))
    torch.testing.assert_close(found["r2"], (fake.flatten(1) @ a).square().sum(1))


def test_the_penalty_has_a_gradient_to_the_weights_and_none_to_the_images():
    w = torch.randn(PIXELS, requires_grad=True)
    real, fake = pairs()
    fake.requires_grad_()
    found = ZeroCentered()(critic_of(lambda x: (x.flatten(1) @ w).square() / 2), real, fake)[2]
    found["r1"].sum().backward()            # D = (w x)^2 / 2: |dD/dx|^2 = (w x)^2 |w|^2
    with torch.no_grad():
        along = real.flatten(1) @ w
        expected = (2 * along[:, None] * real.flatten(1) * w.square().sum() + 2 * along[:, None].square() * w).sum(0)
    torch.testing.assert_close(w.grad, expected, rtol=1e-4, atol=1e-3)
    assert fake.grad is None


def test_only_the_asked_for():
    real, fake = pairs()
    linear = critic_of(lambda x: x.sum((1, 2, 3)))
    assert set(ZeroCentered(fake=False)(linear, real, fake)[2]) == {"r1"}
    assert set(ZeroCentered(real=False)(linear, real, fake)[2]) == {"r2"}
    assert NoPenalty()(linear, real, fake)[2] == {}
    torch.testing.assert_close(NoPenalty()(linear, real, fake)[1], fake.sum((1, 2, 3)))
    with pytest.raises(ValueError, match="use penalty=none"):
        ZeroCentered(real=False, fake=False)


@pytest.mark.parametrize("loss", [Relativistic(), NonSaturating()])
def test_gamma_weighs_the_penalties_by_half(loss):
    w = torch.randn(PIXELS)
    real, fake = pairs()
    value, log = discriminator_objective(
        lambda x, labels: x.flatten(1) @ w, loss, ZeroCentered(), NoAugmentation(), real, fake, None,
        torch.empty(8, 0), torch.tensor(1.0), torch.tensor(0.6),
    )  # fmt: skip
    plain = loss.discriminator(real.flatten(1) @ w, fake.flatten(1) @ w).mean()
    torch.testing.assert_close(value, plain + 0.3 * 2 * w.square().sum())
    torch.testing.assert_close(log["loss_d"], plain)
    torch.testing.assert_close(log["r1"], w.square().sum())
    torch.testing.assert_close(log["d_real"], (real.flatten(1) @ w).mean())
    torch.testing.assert_close(log["d_fake"], (fake.flatten(1) @ w).mean())
    assert not any(value.requires_grad for value in log.values())


def test_the_penalty_is_of_the_image_before_augmentation():
    """A pixel cut out by the augmentation has no gradient: the penalty counts the pixels that are left."""
    cut = DiffAugment(0.0, 0.0, 0.0, 0.0, cutout=0.5)
    images, draws = torch.ones(2, 1, 8, 8), torch.full((4, 10), 0.5)
    _, log = discriminator_objective(
        lambda x, labels: x.sum((1, 2, 3)), Relativistic(), ZeroCentered(), cut, images, images, None,
        draws, torch.tensor(1.0), torch.tensor(1.0),
    )  # fmt: skip
    assert log["r1"] == log["r2"] == 64 - 16


def objective(network, augment, gamma=1.0, images=None):
    """discriminator_objective of a network, as a function without arguments."""
    generator = torch.Generator().manual_seed(1)
    dtype = next(network.parameters()).dtype
    real, fake = torch.rand(2, 3, 1, 8, 8, generator=generator).to(dtype) * 2 - 1
    draws = torch.rand(6, augment.num_draws, generator=generator)
    labels = torch.tensor([0, 1, 2])
    return lambda f=discriminator_objective: f(
        network, Relativistic(), ZeroCentered(), augment, real, fake, labels, draws,
        torch.tensor(1.0), torch.tensor(gamma),
    )  # fmt: skip


def gradients(value, network):
    return torch.autograd.grad(value, list(network.parameters()), allow_unused=True)


@pytest.mark.parametrize(
    "changes", [{}, dict(dim=[8, 8], depth=[1, 1], num_heads=[1, 1], window_size=[2, None])], ids=["full", "windowed"]
)
def test_the_gradient_agrees_with_finite_differences(discriminator, changes, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "float", lambda tensor: tensor)       # float32 is too coarse to check against
    network = discriminator(**changes).double()
    value = objective(network, NoAugmentation(), gamma=500.0)      # so that the penalty dominates
    found = gradients(value()[0], network)
    assert all(each is not None and each.isfinite().all() for each in found)
    _, log = value()
    assert 250.0 * (log["r1"] + log["r2"]) > log["loss_d"]
    start = [parameter.detach().clone() for parameter in network.parameters()]
    step = 1e-6
    for _ in range(5):
        direction = [torch.randn_like(each) for each in start]
        ends = []
        for sign in (1, -1):
            for parameter, origin, along in zip(network.parameters(), start, direction, strict=True):
                parameter.data = origin + sign * step * along
            ends.append(value()[0].item())
        slope = sum((a * b).sum() for a, b in zip(found, direction, strict=True)).item()
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(slope, rel=1e-5)


def test_bf16_autocast_stays_close(discriminator):
    network = discriminator()
    value = objective(network, NoAugmentation())
    exact = value()[1]
    with torch.autocast("cpu", torch.bfloat16):
        rough = value()[1]
    for name in ("r1", "r2"):
        assert rough[name].dtype == torch.float32
        assert rough[name].item() == pytest.approx(exact[name].item(), rel=0.05)
        assert rough[name] != exact[name]           # it did run in bfloat16


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiled_objectives_have_the_same_gradients(discriminator, generator, shift, backend):
    torch._dynamo.reset()
    judge, painter = discriminator(depth=[1]), generator()
    value = objective(judge, shift)
    eager, compiled = value(), value(torch.compile(discriminator_objective, backend=backend, fullgraph=True))
    torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-5)
    for a, b in zip(gradients(compiled[0], judge), gradients(eager[0], judge), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)

    real, latent, draws = torch.rand(3, 1, 8, 8), torch.randn(3, 6), torch.rand(6, shift.num_draws)
    arguments = (painter, judge, Relativistic(), shift, real, latent, torch.tensor([0, 1, 2]), draws, torch.tensor(1.0))
    eager, compiled = generator_objective(*arguments), torch.compile(generator_objective, backend=backend)(*arguments)
    torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-5)
    for a, b in zip(gradients(compiled, painter), gradients(eager, painter), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
