"""What several processes send each other in a step; that it is right, test_distributed.py says."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import Trainer
from torch import distributed, nn

from transgan.losses import NonSaturating
from transgan.training import generative, reducing
from transgan.training.transgan_official import TransGANOfficial


@pytest.fixture
def another(monkeypatch):
    """A second process whose gradients are 0. Returns the sizes of what was sent."""
    sent = []

    def all_reduce(flat, async_op):
        sent.append(flat.numel())
        return SimpleNamespace(wait=lambda: None)

    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce", all_reduce)
    return sent


def test_the_mean_takes_the_place_of_every_gradient(another, monkeypatch):
    monkeypatch.setattr(reducing, "BYTES", 4 * 10)
    shapes = [(2, 3), (4,), (3, 4), (1,), ()]
    parameters = [nn.Parameter(torch.randn(shape)) for shape in shapes]
    parameters.append(nn.Parameter(torch.randn(3, dtype=torch.float64)))
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    before = [parameter.grad.clone() for parameter in parameters]
    parameters.append(nn.Parameter(torch.randn(7)))  # without one
    reducing.average_gradients(parameters)
    for parameter, gradient in zip(parameters, before, strict=False):
        assert torch.equal(parameter.grad, gradient / 2)
    assert parameters[-1].grad is None and another == [10, 12, 2, 3]


@pytest.mark.parametrize("kind", ["gan", "leak"])
def test_each_step_sends_the_gradient_of_its_network(adversarial, another, monkeypatch, kind):
    passes = []

    @contextmanager
    def no_sync():
        passes.append("quiet")
        yield

    monkeypatch.setattr(generative, "ddp_of", lambda trainer: SimpleNamespace(no_sync=no_sync))
    module = adversarial(TransGANOfficial, loss=NonSaturating()) if kind == "leak" else adversarial()
    images = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    Trainer(
        accelerator="cpu", devices=1, max_steps=-1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    ).fit(module, torch.utils.data.DataLoader([(images, torch.arange(4) % 3)] * 2, batch_size=None))  # fmt: skip
    networks = (module.discriminator, module.generator)
    sizes = [sum(parameter.numel() for parameter in network.parameters()) for network in networks]
    assert another == (sizes * 2 if kind == "gan" else [])  # what leaks into the other network is averaged by DDP
    assert len(passes) == len(another)
