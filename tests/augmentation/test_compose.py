"""Augmentations in order, and the order and the probabilities of TransGAN's released code."""

from functools import cache

import pytest
import torch
from hydra.utils import instantiate

from transgan.augmentation import Compose, Cutout, NoAugmentation
from transgan.config.compose import compose
from transgan.protocols import of_batch
from transgan.supervision import SharedAugmentation

OFFICIAL = ["transgan_official", "transgan_official_stl10", "transgan_official_church", "transgan_official_celebahq"]


class Affine:
    """Times a, plus its only number."""

    num_random = 1

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, images, random, strength):
        return images * self.factor + strength * random[:, :1, None, None]


@cache
def official(name, *words):
    return instantiate(compose("train", [f"augmentation={name}", "channels=3", *words]).augmentation, _convert_="all")


def holes(out):
    """Height and width (N, 2) of what was set to 0 in images of ones."""
    hole = out[:, 0] == 0
    return torch.stack([hole.any(2).sum(1), hole.any(1).sum(1)], 1)


def test_each_step_in_turn_with_numbers_of_its_own():
    steps = Compose({"a": Affine(2.0), "nothing": NoAugmentation(), "b": Affine(3.0)})
    assert steps.num_random == 2
    images = torch.rand(2, 1, 2, 2)
    out = steps(images, torch.tensor([[0.1, 0.2], [0.3, 0.4]]), 0.5)
    torch.testing.assert_close(out[0], 3 * (2 * images[0] + 0.05) + 0.1)
    torch.testing.assert_close(out[1], 3 * (2 * images[1] + 0.15) + 0.2)


def test_a_step_can_be_changed_on_the_command_line():
    assert official("transgan_official", "augmentation.steps.cutout.probability=0.7").steps["cutout"].probability == 0.7


@pytest.mark.parametrize(
    "name, order",
    [(name, "translation cutout colour") for name in OFFICIAL[:3]]
    + [(OFFICIAL[3], "filter translation cutout colour hue")],
)
def test_the_released_order(name, order):
    assert list(official(name).steps) == order.split()


def test_in_the_released_order_colours_reach_the_hole():
    augment = official("transgan_official")
    random = torch.full((1, augment.num_random), 0.5)
    random[:, 7] = 0.0  # the batch has holes
    random[:, 8] = 1.0  # brightness + 0.5
    out = augment(torch.full((1, 3, 8, 8), 0.25), random, 1.0)
    assert sorted(set(out.flatten().tolist())) == pytest.approx([0.5, 0.75])


def test_released_translation_reaches_a_fifth():
    step = official("transgan_official").steps["translation"]
    image = torch.zeros(4000, 1, 32, 32)
    image[:, 0, 16, 16] = 1
    rows, columns = step(image, torch.rand(4000, 3), 1.0)[:, 0].nonzero()[:, 1:].unbind(1)
    assert set(rows.tolist()) == set(columns.tolist()) == set(range(10, 23))  # 6 of 32 pixels, all images moved
    assert len(rows) == 4000


@pytest.mark.parametrize(
    "name, side, smallest, largest",
    [(OFFICIAL[0], 32, 16, 16), (OFFICIAL[1], 48, 20, 44), (OFFICIAL[2], 256, 51, 179), (OFFICIAL[3], 256, 51, 179)],
)
def test_released_sizes_of_holes(name, side, smallest, largest):
    step = official(name, "augmentation.steps.cutout.batch=null").steps["cutout"]
    random = torch.full((3, 5), 0.5)
    random[:, 4] = 0.0
    random[:, 2:4] = torch.tensor([[0.0, 0.0], [0.999999, 0.999999], [0.0, 0.999999]])
    expected = [[smallest, smallest], [largest, largest], [smallest, largest]]
    assert holes(step(torch.ones(3, 1, side, side), random, 1.0)).tolist() == expected


def test_sizes_are_even_over_all_whole_numbers():
    random = torch.rand(6000, 5)
    random[:, :2], random[:, 4] = 0.5, 0.0  # in the middle, so that none hangs over
    sizes = holes(Cutout(0.25, 0.5, 1.0, None)(torch.ones(6000, 1, 16, 16), random, 1.0))
    for axis in (0, 1):
        assert sizes[:, axis].unique().tolist() == [4, 5, 6, 7, 8]
        assert (sizes[:, axis].bincount()[4:] / 6000 - 0.2).abs().max() < 0.025
    assert torch.corrcoef(sizes.T.float())[0, 1].abs() < 0.05


@pytest.mark.parametrize("strength, expected", [(1.0, 0.3), (0.5, 0.15)])
def test_a_batch_has_holes_or_none(strength, expected):
    augment = official("transgan_official", "batch_size=8").steps["cutout"]
    out = augment(torch.ones(2000 * 8, 1, 8, 8), augment.of_batch(torch.rand(2000 * 8, 5)), strength)
    holed = (out == 0).flatten(1).any(1).view(2000, 8)
    assert (holed.all(1) | ~holed.any(1)).all()
    assert holed[:, 0].float().mean().item() == pytest.approx(expected, abs=4 * (expected / 2000) ** 0.5)


def test_a_batch_shares_sizes_and_not_places():
    random = torch.rand(64, 5)
    random[:, :2] = 0.35 + 0.3 * random[:, :2]  # not over the edge
    random[:, 4] = 0.0
    step = Cutout(0.1, 0.4, 1.0, 16)
    out = step(torch.ones(64, 1, 32, 32), step.of_batch(random), 1.0)
    sizes = holes(out).view(4, 16, 2)
    assert (sizes == sizes[:, :1]).all() and len(sizes[:, 0].unique(dim=0)) == 4
    assert len(out[:16].unique(dim=0)) > 8


def test_the_first_image_of_a_batch_decides():
    """Two processes with half of a batch each have two first images, and decide each by its own."""
    step, images, random = Cutout(0.5, 0.5, 0.3, 8), torch.ones(8, 1, 8, 8), torch.full((8, 5), 0.9)
    random[0, 4] = 0.1
    assert (step(images, step.of_batch(random), 1.0) == 0).flatten(1).any(1).all()
    halves = torch.cat(
        [step(*half, 1.0) for half in zip(images.chunk(2), map(step.of_batch, random.chunk(2)), strict=True)]
    )
    assert (halves == 0).flatten(1).any(1).tolist() == [True] * 4 + [False] * 4


@pytest.mark.parametrize("batch, first", [(4, [0, 0, 0, 0, 4, 4]), (8, [0] * 6), (1, [0, 1, 2, 3, 4, 5])])
def test_what_a_batch_shares_is_in_its_numbers(batch, first):
    """Size and presence of the first image; all else, and other steps, as drawn. Through every wrapper."""
    steps = {"a": Affine(2.0), "cutout": Cutout(0.1, 0.4, 1.0, batch), "nothing": NoAugmentation(), "b": Affine(3.0)}
    random = torch.rand(6, 7)
    expected = random.clone()
    expected[:, 3:6] = random[first, 3:6]
    assert torch.equal(of_batch(Compose(steps), random), expected)
    assert torch.equal(of_batch(SharedAugmentation(Compose({"all": Compose(steps)}), 2), random), expected)


@pytest.mark.parametrize("augmentation", [Affine(2.0), Cutout(batch=None), Compose({}), NoAugmentation()])
def test_numbers_of_which_none_are_shared_stay_as_they_were_drawn(augmentation):
    random = torch.rand(6, augmentation.num_random)
    assert torch.equal(of_batch(augmentation, random), random)


@pytest.mark.parametrize(
    "arguments, said",
    [
        ((0.6, 0.5, 1.0, None), "smallest <= largest"),
        ((0.1, 1.5, 1.0, None), "largest <= 1"),
        ((0.1, 0.5, 1.0, 0), "null"),
    ],
)
def test_sizes_and_batches_that_make_no_sense(arguments, said):
    with pytest.raises(ValueError, match=said):
        Cutout(*arguments)
