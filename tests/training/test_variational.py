"""Training by the evidence bound: what is lowered, how beta and free bits act, and the images that come out."""

import math
from functools import partial

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn

from transgan.layers.block import Transformer
from transgan.models.observation import Logistics
from transgan.models.vae import VAE, ConvDecoder, ConvEncoder
from transgan.models.vit_vae import ViTDecoder, ViTEncoder
from transgan.sampling.pixels import to_float
from transgan.schedules import Linear
from transgan.training.variational import Variational, objective

VIT = dict(patch_size=2, dim=16, depth=1, num_heads=2, mlp_ratio=2.0, transformer=Transformer)
CONV = partial(ConvEncoder, dim=[8, 16]), partial(ConvDecoder, dim=[16, 16])
PARTS = {"convolutional": CONV, "vit": (partial(ViTEncoder, **VIT), partial(ViTDecoder, **VIT))}
each = pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)


def variational(parts=CONV, init=0, **changes):
    torch.manual_seed(init)
    arguments = dict(
        optimizer=partial(torch.optim.AdamW, betas=(0.9, 0.98), weight_decay=0.0), lr=1e-2, beta=1.0, free_bits=0.0,
        ema_halflife=0.01, max_nonfinite=3, batch_size=4, num_classes=3,
    ) | changes  # fmt: skip
    observation = partial(Logistics, components=1, levels=17)
    arguments.setdefault("network", VAE(8, 1, arguments["num_classes"], 4, *parts, observation))
    return Variational(**arguments)


def pictures(count):
    """Slopes between two of four brightnesses, downwards, or to the right in every third: sixteen of them."""
    i = torch.arange(count)
    top, bottom, line = (i % 4 / 3).view(-1, 1, 1), (i // 4 % 4 / 3).view(-1, 1, 1), torch.arange(8) / 7
    images = (top + (bottom - top) * line.view(8, 1)).expand(-1, 8, 8)
    images = torch.where((i % 3 == 0).view(-1, 1, 1), images.mT, images).unsqueeze(1)
    return ((images * 16).round() * 255 / 16).round().to(torch.uint8)


def train(module, steps=3, size=4):
    """Each batch the next pictures of sixteen."""
    torch.manual_seed(99 + steps)  # what was drawn before must not matter
    every = pictures(16)
    batches = [
        (every[positions], positions % 3)
        for positions in (torch.arange(i * size, (i + 1) * size) % 16 for i in range(steps))
    ]
    trainer = Trainer(
        accelerator="cpu", devices=1, max_steps=-1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(batches, batch_size=None))
    return module


def weights(module):
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def same(a, b) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def trained():
    """Makes one trained for some steps, once per kind."""
    torch.set_num_threads(1)
    known = {}

    def make(parts, steps=200, **changes):
        key = (parts, steps, str(changes))
        if key not in known:
            known[key] = train(variational(parts, batch_size=16, **changes), steps, 16).eval()
        return known[key]

    return make


def test_it_repeats_and_counts():
    first = train(variational(mirror=True))
    assert same(weights(first), weights(train(variational(mirror=True))))
    assert not same(weights(first), weights(train(variational(mirror=True, seed=1))))
    assert first.images_seen == 12 and first.trainer.global_step == 3 and first.nonfinite == {"network": 0}
    assert set(first.log_values) == {
        "bits_per_dim", "reconstruction", "divergence", "latents_used", "grad_norm_n", "lr", "beta", "ema_halflife"
    }  # fmt: skip


class Fixed(nn.Module):
    """A network whose answer is known."""

    def __init__(self, nats, divergence):
        super().__init__()
        self.answer = torch.tensor(nats), torch.tensor(divergence)

    def forward(self, images, labels, noise):
        return self.answer

    def bits_per_dim(self, nats):
        return nats / (math.log(2) * 10)


@pytest.mark.parametrize(
    "beta, free_bits, paid",
    [
        (1.0, 0.0, 0.5 + 3.0 + 0.1),
        (1.0, 1.0, math.log(2) + 3.0 + math.log(2)),  # the mean over the batch counts, not each image's
        (1.0, 6.0, 3 * 6.0 * math.log(2)),
        (0.25, 1.0, 0.25 * (2 * math.log(2) + 3.0)),
        (0.0, 1.0, 0.0),
    ],
)
def test_free_bits_and_beta_in_closed_form(beta, free_bits, paid):
    network = Fixed([20.0, 30.0], [[1.0, 4.0, 0.2], [0.0, 2.0, 0.0]])
    value, log = objective(network, None, None, None, torch.tensor(beta), free_bits)
    assert value.item() == pytest.approx((25.0 + paid) / (10 * math.log(2)))
    assert log["bits_per_dim"].item() == pytest.approx((25.0 + 3.6) / (10 * math.log(2)))  # the bound, whatever is paid
    assert log["reconstruction"].item() == pytest.approx(25.0 / (10 * math.log(2)))
    assert log["divergence"].item() == pytest.approx(3.6 / (10 * math.log(2)))
    assert log["latents_used"] == 3


def test_free_latents_are_not_pushed():
    network = variational().network.double()
    images, labels = to_float(pictures(4)).double(), torch.arange(4) % 3
    noise = torch.zeros(4, 4).double()
    value, log = objective(network, images, labels, noise, torch.tensor(1.0), 100.0)
    free = torch.autograd.grad(value, network.encoder.head.weight)[0]
    none = torch.autograd.grad(
        objective(network, images, labels, noise, torch.tensor(0.0), 0.0)[0], network.encoder.head.weight
    )[0]
    torch.testing.assert_close(free, none)


def test_beta_follows_the_images_shown():
    module, seen = variational(beta=Linear(0.0, 1.0, 0.008)), []
    module.on_train_batch_end = lambda *_: seen.append(module.log_values["beta"])
    train(module, 4)
    assert seen == pytest.approx([0.0, 0.5, 1.0, 1.0])


@each
def test_it_learns(trained, parts):
    module, fresh = trained(parts), variational(parts)
    labels = torch.arange(16) % 3
    known = module.bits_per_dim(pictures(16), labels)
    assert known.shape == (16,) and known.mean() < 0.6 * fresh.bits_per_dim(pictures(16), labels).mean()
    parted = torch.cat([module.bits_per_dim(pictures(16)[i : i + 5], labels[i : i + 5]) for i in range(0, 16, 5)])
    torch.testing.assert_close(known, parted, rtol=0, atol=1e-4)
    module.bound_samples = 64
    try:
        assert module.bits_per_dim(pictures(16), labels).mean() < known.mean()
    finally:
        module.bound_samples = 1


@each
@pytest.mark.slow
def test_without_divergence_it_reconstructs(trained, parts):
    module = trained(parts, 600, beta=0.0, lr=Linear(1e-2, 0.0, 9.6))
    off = (module.reconstruct(pictures(16), torch.arange(16) % 3).float() - pictures(16).float()).abs()
    assert off.mean() < 8  # of 255
    mean = pictures(16).float().mean(0)
    assert off.mean() < 0.1 * (pictures(16).float() - mean).abs().mean()


def test_a_heavy_divergence_leaves_nothing_in_the_latents(trained):
    module = trained(CONV, beta=100.0)
    assert module.log_values["latents_used"] == 0
    assert module.log_values["divergence"] < 1e-3


@each
@pytest.mark.parametrize("sample_pixels", [True, False])
def test_images_are_functions_of_seed_and_label(trained, parts, sample_pixels):
    module = trained(parts)
    module.sample_pixels = sample_pixels
    seeds, labels = list(range(24)), torch.arange(24) % 3
    images = module.generate(seeds, labels)
    assert images.dtype == torch.uint8 and images.shape == (24, 1, 8, 8)
    assert torch.equal(images, torch.cat([module.generate([s], labels[s : s + 1]) for s in seeds]))
    order = torch.randperm(24)
    assert torch.equal(images[order], module.generate([seeds[i] for i in order], labels[order]))
    torch.manual_seed(1)
    assert torch.equal(images, module.generate(seeds, labels))
    assert len(images.flatten(1).unique(dim=0)) > 12
    assert torch.equal(module.generate(seeds), module.generate(seeds, module.labels_of(seeds)))
    assert set(images.unique().tolist()) <= {round(255 * i / 16) for i in range(17)}
    if not sample_pixels:
        assert len(module.generate(seeds[:6], torch.zeros(6).long(), truncation=0.0).flatten(1).unique(dim=0)) == 1


def test_unconditional():
    module = train(variational(num_classes=0))
    assert module.bits_per_dim(pictures(3), torch.arange(3)).shape == (3,)  # labels are not looked at
    assert module.generate([1, 2]).shape == module.reconstruct(pictures(2)).shape == (2, 1, 8, 8)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="algorithm.free_bits=-1: it takes 0 or more"):
        variational(free_bits=-1.0)
    with pytest.raises(ValueError, match="algorithm.bound_samples=0: it takes a whole number, 1 or more"):
        variational(bound_samples=0)
    module = variational()
    module.network_ema.decoder.head.bias.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="2 of 2 generated images hold NaN"):
        module.generate([0, 1])


def test_images_are_those_of_their_latents():
    """`generate` is `images_of` the latents of its seeds, and another latent is another image."""
    module = variational()
    labels = torch.tensor([0, 1, 2])
    latent = module.latents_of([5, 6, 7])
    assert latent.shape == (3, 4)
    assert torch.equal(module.images_of(latent, labels), module.generate([5, 6, 7], labels))
    assert not torch.equal(module.images_of(latent + 3, labels), module.images_of(latent, labels))
