"""A one-step student: its pairs are those of the flow, each as often as asked for, and the same after a resume."""

from functools import partial

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn
from torch.utils.data import DataLoader

from transgan.models.flow_transformer import FlowTransformer, OneStep
from transgan.ode import solve
from transgan.sampling.flow import guided
from transgan.schedules import Cosine
from transgan.training.pretrained import PretrainedNetwork
from transgan.training.student import Student

SHAPE = dict(
    img_size=8, in_chans=1, num_classes=3, patch_size=2, dim=16, depth=2, num_heads=2, mlp_ratio=2.0, style_dim=8
)


def student(**changes):
    torch.manual_seed(changes.pop("init", 0))
    parts = dict(generator=OneStep(**SHAPE), teacher=FlowTransformer(**SHAPE))
    return Student(**parts | dict(batch_size=8, num_classes=3, lr=1e-2, reuse=2, delay=2, teacher_steps=3) | changes)


def trainer():
    return Trainer(
        accelerator="cpu", devices=1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip


def fit(module, steps=6, size=8):
    images = torch.zeros(size, module.teacher.in_chans, module.teacher.img_size, module.teacher.img_size)
    batches = [(images.to(torch.uint8), torch.arange(size) % 3)] * steps
    trainer().fit(module, DataLoader(batches, batch_size=None))
    return module


def pairs_of(module, step, count=8, rank=0, world_size=1):
    return module.pairs.at(step, count, rank, world_size, torch.device("cpu"))


def test_pairs_are_those_of_the_flow():
    module = student()
    latent, images, labels = pairs_of(module, 5)
    assert latent.shape == (8, 64) and images.shape == (8, 1, 8, 8) and labels.shape == (8,)
    field = lambda x, time: module.teacher(x, time, labels)  # noqa: E731
    assert torch.allclose(solve(field, latent.view(8, 1, 8, 8), 0.0, 1.0, 3, "heun"), images, atol=1e-5)
    every = torch.cat([pairs_of(module, step)[2] for step in range(20)])
    assert set(every.tolist()) == {0, 1, 2}


def test_a_flow_that_predicts_images_teaches_these():
    module = student(teacher=FlowTransformer(**SHAPE, prediction="x"))
    module.teacher.predict = lambda x, time, labels=None: torch.full_like(x, 0.3)
    images = pairs_of(module, 5)[1]
    torch.testing.assert_close(images, torch.full_like(images, 0.3))


@pytest.mark.parametrize("guidance", [None, 1.0, 3.0])
def test_pairs_are_those_of_the_guided_flow(guidance):
    module = student(teacher_guidance=guidance)
    latent, images, labels = pairs_of(module, 5)
    field = guided(module.teacher, labels, guidance or 1.0)
    expected = solve(field, latent.view(8, 1, 8, 8), 0.0, 1.0, 3, "heun")
    torch.testing.assert_close(images, expected)
    plain = pairs_of(student(), 5)[1]
    assert torch.equal(images, plain) == (guidance != 3)


@pytest.mark.parametrize("reuse, delay", [(1, 1), (2, 3), (4, 8)])
def test_each_pair_comes_up_as_often_as_asked_for(reuse, delay):
    pairs = student(reuse=reuse, delay=delay).pairs
    positions = torch.arange(6)
    shown = torch.stack([pairs.numbers(step, positions) for step in range(400)])  # (400, 6)
    settled = range(reuse * delay + 1, 400 // reuse - reuse * delay - 1)
    for place in range(6):
        counts = torch.bincount(shown[:, place])
        assert (counts[list(settled)] == reuse).all() and shown[:, place].min() == 0
        first = [(shown[:, place] == number).nonzero()[:, 0] for number in settled]
        gaps = {tuple((each[1:] - each[:-1]).tolist()) for each in first}
        assert gaps == {(reuse * delay + 1,) * (reuse - 1)}
    new = [(shown[step] > shown[:step].max(0).values).sum().item() for step in range(100, 300)]
    assert sum(new) == pytest.approx(200 * 6 / reuse, rel=0.05) and max(new) <= -(-6 // reuse)  # evenly made


def test_pairs_are_made_once():
    made = []
    module = student(reuse=2, delay=3)
    flowed = module.pairs.make
    module.pairs.make = lambda latent, labels: made.append(len(latent)) or flowed(latent, labels)
    for step in range(60):
        pairs_of(module, step)
    assert sum(made) == pytest.approx(60 * 8 / 2, abs=8) and max(made[10:]) <= 4
    assert len(module.pairs.entries) <= 6  # and forgotten when they are not wanted any more


def test_they_are_the_same_whenever_they_are_asked_for():
    module = student(reuse=2, delay=3)
    seen = [pairs_of(module, step) for step in range(12)]
    again = pairs_of(student(reuse=2, delay=3), 11)
    assert torch.equal(again[0], seen[11][0]) and torch.equal(again[2], seen[11][2])
    assert torch.equal(again[1], seen[11][1])  # bit by bit
    assert not torch.equal(seen[10][0], seen[11][0])


def test_two_processes_have_the_pairs_of_one():
    """Each has its own positions in the batch."""
    for step in (0, 3, 17):
        whole = pairs_of(student(), step)
        parts = [pairs_of(student(), step, 4, rank, 2) for rank in (0, 1)]
        for one, both in zip(whole, zip(*parts, strict=True), strict=True):
            assert torch.allclose(torch.cat(both).float(), one.float(), atol=1e-5)


def test_one_that_goes_on_amid_a_block_sees_the_same(tmp_path):
    whole = fit(student(), 6)
    half = fit(student(), 3)
    again = student()
    again.load_state_dict(half.state_dict())
    again.images_seen = half.images_seen
    state = half.optimizers().optimizer.state_dict()
    make = again.configure_optimizers

    def loaded():
        optimizer = make()
        optimizer.load_state_dict(state)
        return optimizer

    again.configure_optimizers = loaded
    fit(again, 3)
    for (name, one), other in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


class Scale(nn.Module):
    """A flow of images of two numbers whose end point is known: x(1) = e^rate z, with a rate for each number."""

    img_size, in_chans, num_values = 1, 2, 2
    rates = torch.tensor([0.5, -1.0]).view(1, 2, 1, 1)

    def forward(self, x, time, labels=None):
        return self.rates * x


class Linear(nn.Module):
    latent_dim = 2

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, latent, labels=None):
        return self.layer(latent).view(-1, 2, 1, 1)


def test_what_is_learned_is_the_end_point():
    adam = partial(torch.optim.AdamW, betas=(0.9, 0.98), weight_decay=0.0)
    torch.manual_seed(0)
    module = Student(
        Linear(), Scale(), optimizer=adam, lr=Cosine(0.05, 0.0, 16), batch_size=64, reuse=1,
        teacher_steps=32, ema_halflife=0.1,
    )  # fmt: skip
    fit(module, 250, 64)
    found = module.generator.layer
    assert torch.allclose(found.weight, torch.tensor([0.5, -1.0]).exp().diag(), atol=0.01)
    assert found.bias.abs().max() < 0.01


def test_the_teacher_stays_as_it_was():
    module = student()
    before = {name: value.clone() for name, value in module.teacher.state_dict().items()}
    fit(module)
    assert all(torch.equal(value, before[name]) for name, value in module.teacher.state_dict().items())
    assert not module.teacher.training and not any(p.requires_grad for p in module.teacher.parameters())


def test_what_was_copied_learns_slower_or_not_at_first():
    torch.manual_seed(0)
    start = PretrainedNetwork(freeze="stack", frozen=0.032, lr_factor=0.5)
    module = student(generator_pretrained=start)
    before = {name: value.clone() for name, value in module.generator.named_parameters()}
    fit(module, 4)  # all 32 images of it
    moved = {name for name, value in module.generator.named_parameters() if not torch.equal(value, before[name])}
    still = set(before) - moved
    assert still == {n for n in before if ".attn." in n or ".mlp." in n} and moved
    assert module.rates(0.1) == [0.1, 0.1, 0.05, 0.05]
    fit(module, 1)
    assert all(not torch.equal(value, before[name]) for name, value in module.generator.named_parameters())


@pytest.mark.parametrize(
    "changes, said",
    [
        (dict(reuse=0), "algorithm.reuse=0: it takes a whole number, 1 or more"),
        (dict(delay=0), "algorithm.delay=0: it takes a whole number, 1 or more"),
        (dict(teacher_steps=0), "steps=0"),
        (dict(teacher_solver="rk45"), "solver=rk45"),
        (dict(generator=Linear()), "takes latents of 2 numbers, and the flow's noise has 64; give generator=from_flow"),
    ],
)
def test_bad_input(changes, said):
    with pytest.raises(ValueError, match=said):
        student(**changes)
