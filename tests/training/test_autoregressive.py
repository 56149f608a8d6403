"""Training by likelihood, in process on a tiny image GPT, and the images that come out."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning import Trainer
from torch import nn

from transgan.models.image_gpt import ImageGPT
from transgan.models.tokens import Patches, Pixels
from transgan.schedules import Linear
from transgan.training.autoregressive import Autoregressive
from transgan.training.finite import NonFiniteTraining

PIXELS, PATCHES = partial(Pixels, levels=17), partial(Patches, patch_size=2, components=3, levels=17)
both = pytest.mark.parametrize("tokens", [PIXELS, PATCHES], ids=["pixels", "patches"])


def gpt(tokens=PIXELS, num_classes=3):
    return ImageGPT(8, 1, num_classes, tokens, dim=16, depth=1, num_heads=2, mlp_ratio=2.0)


def autoregressive(**changes):
    torch.manual_seed(changes.pop("init", 0))
    arguments = dict(
        optimizer=partial(torch.optim.AdamW, betas=(0.9, 0.98), weight_decay=0.1), lr=1e-2, ema_halflife=0.01, clip=1.0,
        max_nonfinite=3, batch_size=4, num_classes=3,
    ) | changes  # fmt: skip
    arguments.setdefault("network", gpt(num_classes=arguments["num_classes"]))
    return Autoregressive(**arguments)


def pictures(count):
    """Slopes, each class in a direction of its own: something to learn."""
    line = torch.arange(8) / 7
    slopes = torch.stack([line.expand(8, 8), line.flip(0).expand(8, 8), line.view(8, 1).expand(8, 8)])
    return ((slopes[torch.arange(count) % 3].unsqueeze(1) * 16).round() * 255 / 16).round().to(torch.uint8)


def batches(steps, size=4):
    return [(pictures(size), torch.arange(size) % 3) for _ in range(steps)]


def train(module, steps=3):
    torch.manual_seed(99 + steps)  # what was drawn before must not matter
    trainer = Trainer(
        accelerator="cpu", devices=1, max_steps=-1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(batches(steps), batch_size=None))
    return module


def weights(module):
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def same(a, b) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def trained():
    """Makes one trained for some steps with tokens of a kind, once."""
    torch.set_num_threads(1)
    known = {}

    def make(tokens, num_classes=3, steps=60):
        if (tokens, num_classes, steps) not in known:
            module = autoregressive(network=gpt(tokens, num_classes), num_classes=num_classes)
            known[tokens, num_classes, steps] = train(module, steps).eval()
        return known[tokens, num_classes, steps]

    return make


def test_it_repeats_and_counts():
    first = train(autoregressive(mirror=True))
    assert same(weights(first), weights(train(autoregressive(mirror=True))))
    assert not same(weights(first), weights(train(autoregressive(mirror=True, seed=1))))
    assert first.images_seen == 12 and first.step == 3 and first.trainer.global_step == 3
    assert first.nonfinite == {"network": 0}
    assert {"bits_per_dim", "grad_norm_n", "lr", "ema_halflife"} == set(first.log_values)


@both
def test_it_learns(trained, tokens):
    module = trained(tokens)
    labels = torch.arange(9) % 3
    known = module.bits_per_dim(pictures(9), labels)
    untrained = autoregressive(network=gpt(tokens)).bits_per_dim(pictures(9), labels)
    assert known.shape == (9,) and (known < 0.5 * untrained).all()
    assert (module.bits_per_dim(pictures(9), (labels + 1) % 3) > known).all()
    network = module.network_ema
    nats = network(pictures(9) / 127.5 - 1, labels)
    torch.testing.assert_close(known, nats / torch.log(torch.tensor(2.0)) / 64)


def test_schedules_and_the_ema():
    module = autoregressive(lr=Linear(0.0, 0.1, 0.012), ema_halflife=0.004)  # 4 images: half of it each step
    start, seen = weights(module), []
    module.on_train_batch_end = lambda *_: seen.append((weights(module), module.log_values["lr"]))
    train(module, 3)
    assert [lr for _, lr in seen] == pytest.approx([0.0, 0.1 / 3, 0.2 / 3])
    assert same({n: v for n, v in start.items() if "ema" not in n}, seen[0][0])  # a rate of 0
    for name, value in module.network_ema.named_parameters():
        one, two, three = (each[0][f"network.{name}"] for each in seen)
        before = start[f"network_ema.{name}"]
        torch.testing.assert_close(value, before / 8 + one / 8 + two / 4 + three / 2)
    assert not module.network_ema.training


def test_only_matrices_decay():
    module = autoregressive(lr=0.1)
    groups = module.configure_optimizers().param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    names = {id(p): name for name, p in module.network.named_parameters()}
    decayed = {names[id(p)] for p in groups[0]["params"]}
    assert decayed == {
        *(f"stages.0.blocks.0.{part}.weight" for part in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")),
        "tokens.head.weight",
    }
    assert sum(len(group["params"]) for group in groups) == len(names)


class Broken(nn.Module):
    """A network whose answer is NaN at some calls."""

    def __init__(self, inner, bad):
        super().__init__()
        self.inner, self.bad, self.calls = inner, bad, 0
        self.bits_per_dim = inner.bits_per_dim

    def forward(self, images, labels):
        self.calls += 1
        return self.inner(images, labels) * (float("nan") if self.calls in self.bad else 1.0)


def test_steps_without_finite_gradient():
    module = autoregressive(network=Broken(gpt(), {2}))
    seen = []
    module.on_train_batch_end = lambda *_: seen.append(weights(module))
    train(module, 3)
    assert module.nonfinite == {"network": 1} and module.nonfinite_in_a_row == 0 and module.images_seen == 12
    assert same(seen[0], seen[1]) and not same(seen[1], seen[2])
    saved = {}
    module.on_save_checkpoint(saved)
    assert (saved["images_seen"], saved["nonfinite"], saved["in_a_row"]) == (12, {"network": 1}, {"network": 0})
    with pytest.raises(NonFiniteTraining, match="3 steps of the network in a row had no finite gradient"):
        train(autoregressive(network=Broken(gpt(), set(range(2, 99)))), 9)


@both
def test_images_are_functions_of_seed_and_label(trained, tokens):
    module = trained(tokens)
    seeds, labels = list(range(24)), torch.arange(24) % 3
    images = module.generate(seeds, labels)
    assert images.dtype == torch.uint8 and images.shape == (24, 1, 8, 8)
    assert torch.equal(images, torch.cat([module.generate([s], labels[s : s + 1]) for s in seeds]))
    order = torch.randperm(24)
    assert torch.equal(images[order], module.generate([seeds[i] for i in order], labels[order]))
    assert torch.equal(
        images, torch.cat([module.generate(seeds[i : i + 7], labels[i : i + 7]) for i in range(0, 24, 7)])
    )
    torch.manual_seed(1)
    assert torch.equal(images, module.generate(seeds, labels))  # torch's own state is not asked
    assert len(images.flatten(1).unique(dim=0)) > 12
    assert not torch.equal(images, module.generate(seeds, (labels + 1) % 3))
    assert torch.equal(module.generate(seeds), module.generate(seeds, module.labels_of(seeds)))
    assert set(images.unique().tolist()) <= {round(255 * i / 16) for i in range(17)}


@both
def test_what_was_learned_is_drawn(trained, tokens):
    """And a lower temperature is more typical."""
    module = trained(tokens, steps=200)
    labels = torch.arange(60) % 3
    off = [
        (module.generate(list(range(60)), labels, psi).float() - pictures(60)).abs().mean().item() for psi in (1.0, 0.3)
    ]  # fmt: skip
    noise = (torch.randint(256, (60, 1, 8, 8)) - pictures(60).float()).abs().mean().item()
    assert off[1] < off[0] < 0.6 * noise


def test_top_k(trained):
    """The likeliest value alone leaves nothing to chance."""
    module = trained(PIXELS)
    labels = torch.arange(9) % 3
    try:
        module.top_k = 1
        assert len(module.generate(list(range(9)), labels).flatten(1).unique(dim=0)) <= 3
    finally:
        module.top_k = None


@both
def test_completion(trained, tokens):
    module = trained(tokens)
    labels, seeds = torch.arange(6) % 3, list(range(6))
    found = module.complete(pictures(6), 4, seeds, labels)
    assert found.dtype == torch.uint8 and torch.equal(found[:, :, :4], pictures(6)[:, :, :4])
    alone = torch.cat([module.complete(pictures(6)[i : i + 1], 4, [i], labels[i : i + 1]) for i in range(6)])
    assert torch.equal(found, alone)


def test_unconditional(trained):
    module = trained(PIXELS, num_classes=0)
    assert module.bits_per_dim(pictures(3), torch.arange(3)).shape == (3,)  # labels are not looked at
    assert module.generate([1, 2]).shape == (2, 1, 8, 8)


def test_broken_weights_are_refused():
    module = autoregressive()
    module.network_ema.start.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="2 of 2 generated images hold NaN"):
        module.generate([0, 1])
    with pytest.raises(ValueError, match="temperature 0: it must be more than 0"):
        module.generate([0, 1], truncation=0)


def test_other_pixel_values_are_refused():
    module = autoregressive()
    images = pictures(8)
    module.attach(SimpleNamespace(in_memory=True, images=images), None)
    images[7, 0, 3, 3] += 1
    for data in (SimpleNamespace(in_memory=True, images=images), Streamed(images)):
        with pytest.raises(ValueError, match="tokens.levels=17: the images have 9 pixel values"):
            module.attach(data, None)


class Streamed:
    in_memory = False

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitems__(self, positions):
        return self.images[positions], None
