"""A flow on data whose answers are known, what its options do to a step and to sampling, and bad input."""

import math
from functools import partial

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn
from torch.utils.data import DataLoader

from transgan.models.flow_transformer import FlowTransformer, OneStep
from transgan.ode import solve
from transgan.sampling.flow import carried, guided
from transgan.sampling.pixels import to_float, to_uint8
from transgan.schedules import Cosine
from transgan.training.flow import Flow, objective
from transgan.training.randomness import StepRNG

SHAPE = dict(
    img_size=8, in_chans=1, num_classes=3, patch_size=2, dim=16, depth=2, num_heads=2, mlp_ratio=2.0, style_dim=8
)
MEAN, STD = 0.2, 0.25


def network(init=0, **changes):
    torch.manual_seed(init)
    return FlowTransformer(**SHAPE | changes)


def flow(net=None, **changes):
    return Flow(net or network(), **dict(lr=1e-2, ema_halflife=0.01, batch_size=8, num_classes=3) | changes)


def velocity(x, t):
    """Of Gaussian data, as in tests/test_ode.py."""
    return MEAN + (t * STD**2 - (1 - t)) / (t**2 * STD**2 + (1 - t) ** 2) * (x - t * MEAN)


class Pixel(nn.Module):
    """A flow of images of one pixel, a line in x at each time, with all that training.flow asks of a network."""

    img_size, in_chans, num_values = 1, 1, 1

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))

    def prepare(self, images):
        pass

    def forward(self, x, time, labels=None):
        waves = (time.to(x).view(-1, 1) * math.pi * torch.arange(8)).cos()
        slope, shift = self.layers(waves).view(-1, 2, 1, 1, 1).unbind(1)
        return slope * x + shift

    def dequantised(self, images, uniform):
        return images + (uniform - 0.5) * 2 / 255

    def quantised(self, images):
        return images

    def bits_per_dim(self, log_density):
        return -(log_density + math.log(2 / 255)) / math.log(2)


@pytest.fixture(scope="module")
def learned():
    """Trained on pixels of a normal distribution."""
    torch.manual_seed(0)
    batches = [to_uint8(MEAN + STD * torch.randn(1000, 1, 1, 1)) for _ in range(600)]
    adam = partial(torch.optim.AdamW, betas=(0.9, 0.98), weight_decay=0.0)
    module = Flow(Pixel(), optimizer=adam, lr=Cosine(1e-2, 1e-4, 600), ema_halflife=20.0, batch_size=1000)
    trainer = Trainer(
        accelerator="cpu", devices=1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, DataLoader(batches, batch_size=None))
    return module


def test_the_target_is_the_analytic_field():
    """At each time the objective has its least value at the field of Gaussian data: no other line through x_t does."""
    torch.manual_seed(0)
    images, noise = MEAN + STD * torch.randn(400_000, 1, 1, 1), torch.randn(400_000, 1, 1, 1)
    for t in (0.1, 0.5, 0.9):
        factor, shift = torch.ones((), requires_grad=True), torch.zeros((), requires_grad=True)
        field = lambda x, time, labels: factor * velocity(x, t) + shift  # noqa: B023, E731
        objective(field, images, noise, torch.full((400_000,), t), None).backward()
        assert abs(factor.grad) < 0.01 and abs(shift.grad) < 0.01


def test_what_is_learned_is_the_analytic_field(learned):
    x = torch.linspace(-1, 1, 9).view(-1, 1, 1, 1)
    for t in (0.3, 0.6, 0.9):
        near = x * (t**2 * STD**2 + (1 - t) ** 2) ** 0.5 * 1.5 + t * MEAN  # where x_t is likely
        found = learned.network_ema(near, torch.full((9,), t)).detach()
        assert (found - velocity(near, t)).abs().mean() < 0.1 * velocity(near, t).abs().mean()


def test_what_is_sampled_is_the_data(learned):
    learned.sampling(steps=64, solver="heun")
    found = to_float(learned.generate(list(range(4000))))
    assert found.mean() == pytest.approx(MEAN, abs=0.02) and found.std() == pytest.approx(STD, rel=0.06)


def test_its_likelihood_is_that_of_the_data(learned):
    """Bits per dimension of a normal distribution's pixels: their entropy."""
    torch.manual_seed(5)
    images = to_uint8(MEAN + STD * torch.randn(2000, 1, 1, 1))
    entropy = (0.5 * math.log(2 * math.pi * math.e * STD**2) - math.log(2 / 255)) / math.log(2)
    assert learned.exact
    assert learned.bits_per_dim(images).mean() == pytest.approx(entropy, abs=0.06)


@pytest.mark.parametrize("prediction", ["v", "x"])
def test_a_likelihood_does_not_depend_on_the_number_of_steps(prediction):
    """Whatever the network predicts, it is that of the data: images of two by two pixels of a normal distribution."""
    net = network(**dict(img_size=2, patch_size=1, num_classes=0, dim=16, depth=1), prediction=prediction)
    module, adam = flow(net, num_classes=0, divergence="exact"), torch.optim.Adam(net.parameters())
    for step in range(200):
        adam.param_groups[0]["lr"] = 1e-2 * math.cos(step / 200 * math.pi / 2)
        images, noise = MEAN + STD * torch.randn(64, 1, 2, 2), torch.randn(64, 1, 2, 2)
        value = objective(net, images, noise, torch.randn(64).sigmoid(), None)
        adam.zero_grad()
        value.backward()
        adam.step()
    module.network_ema.load_state_dict(net.state_dict())
    images, found = to_uint8(MEAN + STD * torch.randn(32, 1, 2, 2)), []
    for steps in (16, 64):
        module.likelihood_steps = steps
        found.append(module.bits_per_dim(images).mean().item())
    entropy = (0.5 * math.log(2 * math.pi * math.e * STD**2) - math.log(2 / 255)) / math.log(2)
    assert found[0] == pytest.approx(found[1], abs=0.02)
    assert found[1] == pytest.approx(entropy, abs=0.35)


def test_where_images_are_predicted_both_sides_are_held_near_the_end():
    """Else the best prediction would not be the image (Li and He, 2025)."""
    net, noise = network(prediction="x"), torch.randn(4, 1, 8, 8)
    images, time = torch.randn(4, 1, 8, 8), torch.tensor([0.2, 0.94, 0.97, 1.0])
    x_t, left = torch.lerp(noise, images, time.view(-1, 1, 1, 1)), (1 - time).clamp(min=0.05).view(-1, 1, 1, 1)
    assert torch.allclose(net.target(images, noise, time), (images - x_t) / left, atol=1e-4)
    assert torch.equal(network().target(images, noise, time), images - noise)
    net.predict = lambda x, time, labels: images  # an oracle
    assert objective(net, images, noise, time, None) < 1e-9


def test_the_pace_of_a_flow_of_images():
    """From 0 to 1, so that what is left of an image is pulled at an even rate."""
    pace = network(prediction="x").pace
    s = torch.linspace(0, 1, 101, dtype=torch.float64)
    time, rate = pace(s)
    assert time[0] == 0 and time[-1] == pytest.approx(1) and (time.diff() > 0).all()
    torch.testing.assert_close(torch.gradient(time, spacing=(s,))[0][1:-1], rate[1:-1], rtol=0.01, atol=0)
    pull = rate / (1 - time).clamp(min=0.05)
    torch.testing.assert_close(pull, pull[:1].expand(101))
    assert network().pace is None


def test_predictions_of_images_and_of_velocities_are_one_field():
    """x - x_t = (1 - t) v, and both ways of saying it give the same image."""
    x, time = torch.randn(4, 1, 8, 8), torch.tensor([0.0, 0.3, 0.6, 0.9])
    labels = torch.tensor([0, 1, 2, 3])
    for prediction in ("v", "x"):
        net = network(prediction=prediction)
        data, v = net.data(x, time, labels), net(x, time, labels)
        assert torch.allclose(data, x + (1 - time).view(-1, 1, 1, 1) * v, atol=1e-5)
    net = network(prediction="x")
    late = net(x, torch.full((4,), 0.999), labels)  # bounded where 1 - t vanishes
    assert torch.allclose(late, (net.predict(x, torch.full((4,), 0.999), labels) - x) / 0.05, atol=1e-4)


def test_one_step_is_one_step_of_the_flow():
    """The generator is the flow's own network: an Euler step from noise to the image."""
    net, one = network(), OneStep(**SHAPE)
    one.load_state_dict(net.state_dict())
    z, labels = torch.randn(5, one.latent_dim), torch.tensor([0, 1, 2, 0, 1])
    field = lambda x, time: net(x, time, labels)  # noqa: E731
    assert one.latent_dim == 64
    assert torch.allclose(one(z, labels), solve(field, z.view(5, 1, 8, 8), 0.0, 1.0, 1), atol=1e-6)


def test_levels_are_dequantised_and_found_again():
    net = network(levels=17)
    images = to_float((torch.arange(64) % 17 * 255 / 16).round().to(torch.uint8).view(1, 1, 8, 8))
    for u in (0.001, 0.4, 0.999):
        spread = net.dequantised(images, torch.full_like(images, u))
        assert torch.equal(net.quantised(spread), images)
    assert (net.dequantised(images, torch.full_like(images, 0.999)) - images).abs().max() < 1 / 16 + 0.01
    # a density that is even over [-1, 1] and a level beyond gives each of 17 levels a probability of 1 / 17
    even = torch.full((1,), -64 * math.log(2 * 17 / 16))
    assert net.bits_per_dim(even).item() == pytest.approx(math.log2(17))


def test_images_with_other_levels_are_refused():
    with pytest.raises(ValueError, match="algorithm.network.levels=17: the images have 256 pixel values"):
        flow(network(levels=17)).prepare(torch.arange(256).to(torch.uint8).view(4, 1, 8, 8))


def test_an_image_depends_on_its_seed_alone():
    module = flow()
    labels = torch.tensor([0, 1, 2, 0])
    whole = module.generate([3, 5, 7, 9], labels)
    parts = torch.cat([module.generate([3], labels[:1]), module.generate([5, 7, 9], labels[1:])])
    assert (whole.int() - parts.int()).abs().max() <= 1 and whole.dtype == torch.uint8
    assert not torch.equal(whole[0], whole[3])
    assert torch.equal(module.generate([3, 5]), module.generate([3, 5], module.labels_of([3, 5])))


def test_steps_solver_and_guidance():
    module = flow(label_dropout=0.5)
    labels, seeds = torch.tensor([0, 1]), [1, 2]
    before = module.generate(seeds, labels)
    module.sampling(steps=2)
    assert not torch.equal(module.generate(seeds, labels), before) and module.solver == "euler"
    module.sampling(steps=2, solver="heun")
    heun = module.generate(seeds, labels)
    module.sampling(guidance=3.0)
    assert not torch.equal(module.generate(seeds, labels), heun)
    net = module.network_ema
    x, time = torch.randn(2, 1, 8, 8), torch.tensor([0.2, 0.7])
    own, none = net(x, time, labels), net(x, time, None)
    assert torch.allclose(guided(net, labels, 3.0)(x, time), none + 3 * (own - none), atol=1e-5)


def test_no_class_is_a_class_of_its_own():
    net, x, time = network(), torch.randn(2, 1, 8, 8), torch.rand(2)
    assert torch.equal(net(x, time), net(x, time, torch.tensor([3, 3])))
    assert not torch.allclose(net(x, time), net(x, time, torch.tensor([0, 0])))


def rng(batch, step=7, rank=0, world_size=1):
    return StepRNG(3, step, batch, rank, world_size, torch.device("cpu"))


def test_times_are_logit_normal():
    times = flow(time_mean=-0.8, time_std=0.5).times(rng(100_000))
    assert times.logit().mean() == pytest.approx(-0.8, abs=0.01) and times.logit().std() == pytest.approx(0.5, abs=0.01)


def test_classes_are_hidden_as_often_as_asked_for():
    labels = flow(label_dropout=0.25).with_dropout(torch.zeros(10_000, dtype=torch.long), rng(10_000))
    assert set(labels.unique().tolist()) == {0, 3}
    assert (labels == 3).float().mean() == pytest.approx(0.25, abs=0.02)
    assert (flow().with_dropout(torch.zeros(9, dtype=torch.long), rng(9)) == 0).all()


@pytest.mark.parametrize("divergence, exact", [("exact", True), ("hutchinson", False), ("auto", False)])
def test_likelihoods_of_a_network(divergence, exact):
    """The estimate is a function of the image, and over many images about the exact one."""
    torch.manual_seed(0)
    net = network(**dict(img_size=2, patch_size=1, num_classes=0, dim=8, num_heads=1), levels=5)
    module = Flow(net, divergence=divergence, likelihood_steps=8, batch_size=8)
    if divergence != "auto":
        assert module.exact is exact and module.likelihood.startswith("uniform dequantisation, ")
    images = (torch.randint(5, (64, 1, 2, 2)) * 63.75).round().to(torch.uint8)
    module.prepare(images)
    found = module.bits_per_dim(images)
    assert torch.allclose(module.bits_per_dim(images[3:5]), found[3:5], atol=1e-4)
    one = Flow(net, divergence="exact", likelihood_steps=8, batch_size=8)
    assert found.mean() == pytest.approx(one.bits_per_dim(images).mean().item(), abs=0.15)


def test_large_images_are_estimated():
    assert not flow().exact and "Hutchinson" in flow().likelihood


@pytest.mark.parametrize(
    "changes, said",
    [
        (dict(time_std=0.0), "algorithm.time_std=0: it must be more than 0"),
        (dict(label_dropout=1.0), "algorithm.label_dropout=1: it takes a share"),
        (dict(steps=0), "steps=0: it takes a whole number"),
        (dict(solver="rk45"), "solver=rk45: it takes euler or heun"),
        (dict(divergence="none"), "algorithm.divergence=none: it takes auto, exact or hutchinson"),
        (dict(guidance=2.0), "guidance=2 needs a flow that knows images without a class"),
        (dict(guidance=2.0, num_classes=0, label_dropout=0.1), "guidance=2 needs a flow"),
    ],
)
def test_bad_input(changes, said):
    with pytest.raises(ValueError, match=said):
        flow(**changes)


def test_a_prediction_that_does_not_exist():
    with pytest.raises(ValueError, match="prediction=eps: it takes v or x"):
        network(prediction="eps")


def test_the_stack_is_the_generators(generator):
    """The same names and shapes of attention and feed-forward layers, norms included."""
    ours = generator(dim=[16], depth=[2], num_heads=[2], mlp_ratio=2.0, style_dim=8)
    assert {n: p.shape for n, p in ours.stages.named_parameters()} == {
        n: p.shape for n, p in network().stages.named_parameters()
    }


@pytest.mark.parametrize("solver", ["euler", "heun"])
@pytest.mark.parametrize("steps", [1, 4, 16, 64])
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_predicted_images_are_arrived_at(solver, steps, guidance):
    """Whatever the steps, none of the noise is left beside the image that the network predicts."""
    net = network(prediction="x")
    net.predict = lambda x, time, labels=None: torch.full_like(x, 0.1 if labels is None else 0.2)
    found = carried(net, torch.randn(50, 1, 8, 8), torch.zeros(50).long(), steps, solver, guidance)
    torch.testing.assert_close(found, torch.full_like(found, 0.1 + 0.1 * guidance))


@pytest.mark.parametrize("solver", ["euler", "heun"])
@pytest.mark.parametrize("steps", [2, 16, 40])
@pytest.mark.parametrize("prediction", ["v", "x"])
def test_what_is_solved_as_before(solver, steps, prediction):
    """Velocities bit for bit, and Euler's predicted images while no step is shorter than the velocity is held back."""
    net, noise, labels = network(prediction=prediction), torch.randn(5, 1, 8, 8), torch.tensor([0, 1, 2, 3, 0])
    with torch.no_grad():
        found = carried(net, noise, labels, steps, solver)
        before = solve(lambda x, time: net(x, time, labels), noise, 0.0, 1.0, steps, solver)
    if prediction == "v":
        assert torch.equal(found, before)
    elif solver == "euler" and steps <= 20:
        torch.testing.assert_close(found, before)
    else:
        assert not torch.allclose(found, before, atol=1e-3)
