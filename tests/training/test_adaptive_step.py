"""The adaptive strength inside the training step: who is asked, what it moves, and that a resume changes nothing."""

import pytest
import torch
from pytorch_lightning import Trainer

from transgan.augmentation import AdaptiveStrength, DiffAugment, HeldOutGap, PairSigns, RealSigns
from transgan.losses import Hinge
from transgan.supervision import ScaleWise

SHIFT = DiffAugment(brightness=0.0, saturation=0.0, contrast=0.0, translation=0.125, cutout=0.25)


class HeldOut:
    """Ten images that training never shows: all of one grey, so that the discriminator can be asked for them."""

    def __len__(self):
        return 10

    def __getitems__(self, positions):
        self.asked = positions
        return torch.full((len(positions), 1, 8, 8), 77, dtype=torch.uint8), torch.tensor(
            [position % 3 for position in positions]
        )


def strength(measure, **changes):
    return AdaptiveStrength(measure, **dict(target=-9.0, kimg=0.1, every=1, start=0.0) | changes)


def train(module, steps, start=0):
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (start + steps, 4, 1, 8, 8), generator=generator, dtype=torch.uint8)[start:]
    logged = []
    module.on_train_batch_end = lambda *_: logged.append(dict(module.log_values))
    Trainer(
        accelerator="cpu", devices=1, max_steps=-1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    ).fit(module, torch.utils.data.DataLoader([(each, torch.arange(4) % 3) for each in images], batch_size=None))  # fmt: skip
    return logged


def test_the_strength_of_a_step_is_what_the_steps_before_led_to(adversarial):
    """Above its target in every step it goes up by 4 of 100 images, and stops at algorithm.augment."""
    module = adversarial(augmentation=SHIFT, adaptive=strength(PairSigns()), augment=0.09)
    logged = train(module, 4)
    assert [values["augment"] for values in logged] == pytest.approx([0.0, 0.04, 0.08, 0.09])
    assert all(-1 <= values["overfitting"] <= 1 for values in logged)


@pytest.mark.parametrize("measure", [PairSigns, HeldOutGap])
def test_time_is_counted_in_images_with_intermediate_outputs_too(adversarial, generator, measure):
    network = generator(dim=[16, 8], depth=[1, 1], num_heads=[2, 2], image_heads=2)
    module = adversarial(
        generator=network, supervision=ScaleWise(2, 1.0), augmentation=SHIFT, adaptive=strength(measure())
    )  # fmt: skip
    module.heldout = HeldOut()
    logged = train(module, 3)
    assert [values["augment"] for values in logged] == pytest.approx([0.0, 0.04, 0.08])


def test_it_reads_the_logits_of_the_step(adversarial, monkeypatch):
    seen = []
    module = adversarial(augmentation=SHIFT, adaptive=strength(RealSigns()), loss=Hinge())
    update = module.adaptive.update
    monkeypatch.setattr(module.adaptive, "update", lambda *a: seen.append(a) or update(*a))
    (values,) = train(module, 1)
    real, fake, heldout, largest, _ = seen[0]
    assert heldout is None and largest == 1.0
    assert (real.mean(), fake.mean()) == (values["d_real"], values["d_fake"])


def test_held_out_images_are_augmented_as_training_images_are_and_change_nothing(adversarial):
    make = lambda: adversarial(augmentation=SHIFT, augment=0.7, adaptive=strength(HeldOutGap(), target=9.0, start=0.7))  # noqa: E731
    module, seen = make(), []
    module.heldout = HeldOut()
    discriminator = module.discriminator.forward
    module.discriminator.forward = lambda images, labels: seen.append(images) or discriminator(images, labels)
    logged = train(module, 3)
    grey = 77 / 127.5 - 1
    first = seen[0]  # the held-out images come first, shifted and cut like all others
    hole, left = first.abs() < 1e-6, (first - grey).abs() < 1e-6
    assert len(first) == 4 and (hole | left).all() and hole.any() and left.any()
    assert not seen[0].requires_grad
    assert all(0 <= position < 10 for position in module.heldout.asked) and "overfitting" in logged[-1]

    unasked = adversarial(augmentation=SHIFT, augment=0.7)
    train(unasked, 1)
    again = make()
    again.heldout = HeldOut()
    train(again, 1)
    ours, theirs = again.state_dict(), unasked.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("measure", [PairSigns, HeldOutGap])
def test_a_checkpoint_carries_it(adversarial, measure):
    def make():
        module = adversarial(augmentation=SHIFT, adaptive=strength(measure(), every=2, target=0.3))
        module.heldout = HeldOut()
        return module

    whole = make()
    expected = train(whole, 5)
    first, saved = make(), {}
    logged = train(first, 3)
    first.on_save_checkpoint(saved)
    second = make()
    second.load_state_dict(first.state_dict())
    second.on_load_checkpoint(saved)
    assert second.adaptive.state_dict() == first.adaptive.state_dict()
    assert second.adaptive.steps == 1  # amid two moves
    assert [values["augment"] for values in logged] == [values["augment"] for values in expected[:3]]
