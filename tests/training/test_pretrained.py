"""Pretrained weights: still for so many kimg, slower than the others, and which ones, in the training step itself."""

from functools import partial

import pytest
import torch
from pytorch_lightning import Callback, Trainer
from torch import nn

from transgan.training.adversarial import Adversarial
from transgan.training.pretrained import Pretrained
from transgan.training.transgan_official import TransGANOfficial


class Watch(Callback):
    """The weights before training and after each step."""

    def on_train_start(self, trainer, module):
        self.seen = [self.now(module)]

    def on_train_batch_end(self, trainer, module, *arguments):
        self.seen.append(self.now(module))

    def now(self, module):
        return {name: value.detach().clone() for name, value in module.state_dict().items()}

    def moved(self, step):
        """The parameters that step changed, the averaged network's left out."""
        before, after = self.seen[step - 1 : step + 1]
        return {name for name in after if not torch.equal(before[name], after[name]) and "_ema" not in name}


def watched(module, steps):
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (steps, 4, 1, 8, 8), generator=generator, dtype=torch.uint8)
    watch = Watch()
    trainer = Trainer(
        accelerator="cpu", devices=1, max_steps=-1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, callbacks=[watch],
    )  # fmt: skip
    data = [(image, torch.arange(4) % 3) for image in images]
    trainer.fit(module, torch.utils.data.DataLoader(data, batch_size=None))
    return watch


def copied(module, name, start):
    return {f"{name}.{key}" for key in start.copied(getattr(module, name))}


SGD = dict(optimizer=torch.optim.SGD, generator_lr=1.0, discriminator_lr=1.0)
NAMES = ("generator", "discriminator")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, partial(torch.optim.AdamW, betas=(0.0, 0.9), weight_decay=0.1)])
@pytest.mark.parametrize("kind", [Adversarial, TransGANOfficial])
def test_frozen_for_some_images_and_then_not(adversarial, name, optimizer, kind):
    """8 images of 4 a step: the third step is the first to move what was copied. Nor does weight decay move it."""
    start = Pretrained(frozen=0.008)
    module = adversarial(kind, optimizer=optimizer, **{f"{name}_pretrained": start})
    own = copied(module, name, start)
    assert len(own) == 10
    watch = watched(module, 4)
    assert not watch.moved(1) & own and not watch.moved(2) & own
    assert watch.moved(1) and watch.moved(2)
    assert own <= watch.moved(3) | {each for each in own if "qkv.bias" in each} and own & watch.moved(4)
    for key in own:
        if name == "generator":  # nor does the average, not by a bit of rounding
            twin = key.replace("generator.", "generator_ema.")
            assert torch.equal(watch.seen[2][twin], watch.seen[0][twin])


def test_the_first_step_of_others_is_the_same_with_and_without(adversarial):
    """A frozen layer passes on the gradients."""
    plain, still = (
        watched(adversarial(**SGD, generator_pretrained=start), 1) for start in (None, Pretrained(frozen=1))
    )
    own = copied(adversarial(), "generator", Pretrained())
    for key in plain.moved(1) - own:
        torch.testing.assert_close(plain.seen[1][key], still.seen[1][key], rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_learning_rate_factor(adversarial, name):
    """By gradient descent a step is the gradient times the rate: a quarter of it, in what was copied alone."""
    full, part = (
        watched(adversarial(**SGD, **{f"{name}_pretrained": Pretrained(lr_factor=f)}), 1) for f in (1.0, 0.25)
    )
    own = copied(adversarial(), name, Pretrained())
    for key in full.moved(1):
        if key.startswith(NAMES[1 - NAMES.index(name)]) and name == "discriminator":
            continue  # the generator follows another discriminator
        one, other = (watch.seen[1][key] - watch.seen[0][key] for watch in (full, part))
        factor = 0.25 if key in own else 1.0
        torch.testing.assert_close(other, factor * one, rtol=1e-3, atol=2e-7)


def test_the_factor_goes_with_the_schedule(adversarial):
    module = adversarial(
        generator_lr=lambda images: 1e-3 * (1 + images), generator_pretrained=Pretrained(lr_factor=0.5)
    )
    watched(module, 3)
    assert [group["lr"] for group in module.trainer.optimizers[0].param_groups] == pytest.approx([9e-3, 4.5e-3])
    assert [group["lr"] for group in module.trainer.optimizers[1].param_groups] == [1e-3]


def test_frozen_gradients_count_for_no_clipping(adversarial):
    """With clip so small that every step is a clipped one, what is left moves by all of it."""
    clip = 1e-3
    watch = watched(adversarial(**SGD, clip=clip, generator_pretrained=Pretrained(frozen=1)), 1)
    step = [watch.seen[1][key] - watch.seen[0][key] for key in watch.moved(1) if key.startswith("generator.")]
    assert nn.utils.get_total_norm(step) == pytest.approx(clip, rel=1e-2)


def test_all_trainable_is_as_if_nothing_had_been_copied(adversarial):
    plain, start = (watched(adversarial(generator_pretrained=each), 3).seen[-1] for each in (None, Pretrained()))
    for name, value in plain.items():
        assert torch.equal(value, start[name]), name


@pytest.mark.parametrize(
    "options, count",
    [
        ({}, 20), ({"blocks": 1}, 10), ({"layers": "attention"}, 12), ({"layers": "feedforward"}, 8),
        ({"layers": "attention", "blocks": 1}, 6), ({"blocks": 2}, 20),
    ],
)  # fmt: skip
def test_which_layers(generator, options, count):
    network, start = generator(depth=[2]), Pretrained(**options)
    names = start.copied(network)
    assert len(names) == count
    assert all(name.startswith("stages.0.blocks.0.") for name in names) or options.get("blocks") != 1
    fresh, old = start.parameter_groups(network)
    assert {id(p) for p in old["params"]} == {id(p) for p in names.values()}
    assert len(fresh["params"]) + len(old["params"]) == len(list(network.parameters()))


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"layers": "heads"}, "layers=heads: it takes all, attention, feedforward"),
        ({"blocks": 0}, "blocks=0: it takes a whole number, 1 or more"),
        ({"blocks": 1.5}, "blocks=1.5: it takes a whole number, 1 or more"),
        ({"frozen": -1.0}, "frozen=-1 must be at least 0 kimg"),
        ({"lr_factor": 0.0}, "lr_factor=0 more than 0"),
    ],
)
def test_numbers_out_of_range(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Pretrained(**options)


def test_more_blocks_than_there_are(adversarial):
    with pytest.raises(ValueError, match="blocks=3: the stack has 1; give at most that many"):
        adversarial(generator_pretrained=Pretrained(blocks=3))
