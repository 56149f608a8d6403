"""A one-step student: its pairs are those of the flow, each as often as asked for, and the same after a resume."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn
from torch.utils.data import DataLoader

from transgan.models.flow_transformer import FlowTransformer, OneStep
from transgan.ode import solve
from transgan.schedules import Cosine
from transgan.training.pretrained import PretrainedNetwork
from transgan.training.student import Student

SHAPE = dict(
    img_size=8, in_chans=1, num_classes=3, patch_size=2, dim=16, depth=2, num_heads=2, mlp_ratio=2.0, style_dim=8
)


def student(**changes):
    torch.manual_seed(changes.pop("init", 0))
    parts = dict(generator=OneStep(**SHAPE), teacher=FlowTransformer(**SHAPE))
    return Student(**parts | dict(batch_size=8, num_classes=3, lr=1e-2, block=4, reuse=2, teacher_steps=3) | changes)


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


def ready(module):
    module._trainer = trainer()  # for world_size
    return module


def test_pairs_are_those_of_the_flow():
    module = ready(student())
    pairs = module.made(0, 8)
    assert pairs.latent.shape == (8, 2, 64) and pairs.images.shape == (8, 2, 1, 8, 8)  # 4 steps, each pair twice
    for i in (0, 1):
        latent, images, labels = pairs.latent[:, i], pairs.images[:, i], pairs.labels[:, i]
        field = lambda x, time: module.teacher(x, time, labels)  # noqa: B023, E731
        assert torch.allclose(solve(field, latent.view(8, 1, 8, 8), 0.0, 1.0, 3, "heun"), images, atol=1e-5)
    assert set(pairs.labels.flatten().tolist()) == {0, 1, 2}
    again = module.made(0, 8)
    assert all(torch.equal(getattr(pairs, key), getattr(again, key)) for key in ("latent", "images", "labels", "order"))
    assert not torch.equal(module.made(1, 8).latent, pairs.latent)


def test_each_pair_comes_up_as_often_as_asked_for():
    order = ready(student(block=12, reuse=3)).made(0, 8).order
    assert order.shape == (8, 12)
    for row in order:
        assert all(sorted(row[i : i + 4].tolist()) == [0, 1, 2, 3] for i in (0, 4, 8))
    assert len({tuple(row.tolist()) for row in order}) > 1


def test_a_step_uses_its_own_part_of_the_block():
    seen = []
    module = student()
    whole = module.objective
    module.objective = lambda generator, latent, images, labels: (
        seen.append(latent.clone()) or whole(generator, latent, images, labels)
    )
    fit(module, steps=6)
    for step, latent in enumerate(seen):
        assert torch.equal(latent, module.made(step // 4, 8).at(step % 4)[0])
    pairs = module.made(0, 8)
    assert torch.equal(seen[1][3], pairs.latent[3, pairs.order[3, 1]])


def test_two_processes_have_the_pairs_of_one():
    """Each has its own places in the batch."""
    module = ready(student())
    whole = module.made(1, 8)
    for rank in (0, 1):
        module._trainer = SimpleNamespace(world_size=2, global_rank=rank)
        part, own = module.made(1, 4), slice(4 * rank, 4 * rank + 4)
        for key in ("latent", "labels", "order"):
            assert torch.equal(getattr(part, key), getattr(whole, key)[own])
        assert torch.allclose(part.images, whole.images[own], atol=1e-5)


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
        Linear(), Scale(), optimizer=adam, lr=Cosine(0.05, 0.0, 16), batch_size=64, block=8, reuse=1,
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
        (dict(reuse=3), "algorithm.reuse=3 and algorithm.block=4: give whole numbers, the second a multiple"),
        (dict(reuse=0), "algorithm.reuse=0"),
        (dict(teacher_steps=0), "steps=0"),
        (dict(teacher_solver="rk45"), "solver=rk45"),
        (dict(generator=Linear()), "takes latents of 2 numbers, and the flow's noise has 64; give generator=from_flow"),
    ],
)
def test_bad_input(changes, said):
    with pytest.raises(ValueError, match=said):
        student(**changes)
