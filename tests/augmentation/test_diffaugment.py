"""Augmentation as a pure function of images and numbers: closed forms against loops."""

import pytest
import torch

from transgan.augmentation import DiffAugment, NoAugmentation

NOTHING = dict(brightness=0.0, saturation=0.0, contrast=0.0, translation=0.0, cutout=0.0)
ALL = DiffAugment(brightness=0.5, saturation=1.0, contrast=0.5, translation=0.125, cutout=0.5)


def random(n, **at):
    """(n, 10) numbers of 0.5, which mean the middle of everything; `at` sets some, as d3=0.9."""
    out = torch.full((n, 10), 0.5)
    for name, value in at.items():
        out[:, int(name[1:])] = value
    return out


@pytest.mark.parametrize("kind", [ALL, NoAugmentation()])
def test_strength_zero_is_the_identity(kind):
    images = torch.rand(6, 3, 8, 8) * 2 - 1
    torch.testing.assert_close(kind(images, torch.rand(6, kind.num_random), 0.0), images, rtol=0, atol=1e-6)


def test_strength_is_the_share_of_images_touched():
    images = torch.rand(2000, 1, 4, 4)
    out = DiffAugment(**NOTHING | dict(cutout=0.5))(images, torch.rand(2000, 10), 0.3)
    assert (out != images).flatten(1).any(1).float().mean().item() == pytest.approx(0.3, abs=0.05)


def test_each_kind_is_switched_by_a_number_of_its_own():
    images = torch.rand(1, 3, 8, 8)
    for kind, number in (("brightness", 7), ("translation", 8), ("cutout", 9)):
        one = DiffAugment(**NOTHING | {kind: 0.5})
        moved = random(1, d0=0.9, d3=0.9)
        assert not torch.equal(one(images, moved, 0.6), images)
        moved[:, number] = 0.7
        assert torch.equal(one(images, moved, 0.6), images)


@pytest.mark.parametrize("rows, columns", [(0, 0), (2, 0), (-1, 2), (-2, -2), (1, -1)])
def test_translation_against_a_loop(rows, columns):
    augment = DiffAugment(**NOTHING | dict(translation=0.25))  # up to 2 of 8 pixels: 5 positions
    images = torch.rand(2, 3, 8, 8)
    out = augment(images, random(2, d3=(rows + 2.5) / 5, d4=(columns + 2.5) / 5), 1.0)
    expected = torch.zeros_like(images)
    for i in range(8):
        for j in range(8):
            if 0 <= i - rows < 8 and 0 <= j - columns < 8:
                expected[:, :, i, j] = images[:, :, i - rows, j - columns]
    assert torch.equal(out, expected)


def test_translation_reaches_both_ends_evenly():
    augment = DiffAugment(**NOTHING | dict(translation=0.25))
    image = torch.zeros(5000, 1, 8, 8)
    image[:, 0, 4, 4] = 1
    out = augment(image, torch.rand(5000, 10), 1.0)
    share = out.mean(0)[0]
    assert set(share.nonzero()[:, 0].tolist()) == {2, 3, 4, 5, 6} == set(share.nonzero()[:, 1].tolist())
    torch.testing.assert_close(share[2:7, 2:7], torch.full((5, 5), 0.04), atol=0.015, rtol=0)


@pytest.mark.parametrize("cutout, size", [(0.5, 4), (0.25, 2), (0.375, 3)])
def test_cutout_is_a_square_of_its_size(cutout, size):
    augment = DiffAugment(**NOTHING | dict(cutout=cutout))
    hole = 1 - augment(torch.ones(1, 3, 8, 8), random(1), 1.0)[0]
    assert torch.equal(hole[0], hole[2]) and hole.unique().tolist() == [0, 1]
    rows, columns = hole[0].any(1).nonzero().flatten(), hole[0].any(0).nonzero().flatten()
    assert len(rows) == len(columns) == size and hole[0].sum() == size * size
    assert rows[-1] - rows[0] == columns[-1] - columns[0] == size - 1
    corner = augment(torch.ones(1, 3, 8, 8), random(1, d5=0.0, d6=0.0), 1.0)
    assert corner[0, 0].sum() > 64 - size * size  # it hangs over the edge


def test_cutout_is_even_about_the_middle():
    augment = DiffAugment(**NOTHING | dict(cutout=0.5))
    out = 1 - augment(torch.ones(20000, 1, 8, 8), torch.rand(20000, 10), 1.0).mean(0)[0]
    torch.testing.assert_close(out, out.flip(0), atol=0.02, rtol=0)
    torch.testing.assert_close(out, out.flip(1), atol=0.02, rtol=0)


def test_colour_closed_form():
    augment = DiffAugment(brightness=0.5, saturation=1.0, contrast=0.5, translation=0.0, cutout=0.0)
    images = torch.rand(2, 3, 4, 4)
    out = augment(images, random(2, d0=0.75, d1=0.1, d2=1.0), 1.0)
    x = images + 0.5 * 0.5
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 - 0.8)
    mean = x.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(out, mean + (x - mean) * 1.5)


def test_is_a_function_of_its_arguments_sample_by_sample():
    images, numbers = torch.rand(6, 3, 8, 8), torch.rand(6, 10)
    whole = ALL(images, numbers, 0.8)
    assert torch.equal(whole, ALL(images, numbers, torch.tensor(0.8)))
    parts = [ALL(images[i : i + 2], numbers[i : i + 2], 0.8) for i in (0, 2, 4)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-6)
    assert not torch.allclose(whole, ALL(images, numbers.flip(0), 0.8))


def test_can_be_differentiated_twice():
    numbers = torch.rand(2, 10)
    images = torch.rand(2, 2, 4, 4, requires_grad=True)
    weight = torch.rand(2, 2, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad((ALL(images, numbers, 1.0).square() * weight).sum(), images, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), weight)
    assert second.isfinite().all() and second.any()
    # linear in the images: the same gradient everywhere, and the one of the linear map by columns
    jacobian = torch.autograd.functional.jacobian(lambda x: ALL(x, numbers, 1.0), images.detach())
    mapped = torch.einsum("abcdefgh,efgh->abcd", jacobian, images.detach())
    constant = ALL(torch.zeros_like(images), numbers, 1.0)
    torch.testing.assert_close(mapped + constant, ALL(images, numbers, 1.0).detach())
