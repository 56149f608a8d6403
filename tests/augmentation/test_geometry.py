"""ADA's geometry against torch's own flips and turns, mirrored shifts, and the paper's matrices."""

import math

import pytest
import torch
from scipy.stats import norm
from torch.nn import functional

from transgan.augmentation import Geometry
from transgan.augmentation.geometry import sample
from transgan.augmentation.resampling import mirrored

KINDS = ["xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac"]
RANGES = dict(xint_max=0.125, scale_std=0.2, rotate_max=1.0, aniso_std=0.2, xfrac_std=0.125)
SWITCHES = dict(xflip=10, rotate90=11, xint=12, scale=13, before=14, aniso=15, after=16, xfrac=17)


def geometry(**probabilities):
    return Geometry(**dict.fromkeys(KINDS, 1.0) | probabilities, **RANGES)


def random(n=1, on=(), values=(), dtype=torch.float32):
    """Numbers of 0.5, which mean no change but for flips; `on` are switched on, others off at a strength of 0.5."""
    out = torch.full((n, 18), 0.5, dtype=dtype)
    out[:, 10:] = 0.9
    for kind in on:
        out[:, SWITCHES[kind]] = 0.0
    for place, value in dict(values).items():
        out[:, place] = value
    return out


def test_flip():
    images = torch.rand(2, 3, 8, 8)
    numbers = random(2, ["xflip"])
    numbers[0, 0], numbers[1, 0] = 0.4, 0.6
    out = geometry()(images, numbers, 0.5)
    assert torch.equal(out[0], images[0].flip(2)) and torch.equal(out[1], images[1])


@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize("quarters", range(4))
def test_quarter_turns_are_exact(quarters, side):
    images = torch.rand(2, 3, side, side)
    out = geometry()(images, random(2, ["rotate90"], {1: (quarters + 0.5) / 4}), 0.5)
    assert torch.equal(out, torch.rot90(images, quarters, [2, 3]))


@pytest.mark.parametrize("right, down", [(0, 0), (3, 0), (0, -4), (-2, 4), (4, 4)])
def test_shifts_by_whole_pixels_are_exact_and_mirrored(right, down):
    images = torch.rand(2, 3, 32, 32)
    numbers = random(2, ["xint"], {2: (right / 4 + 1) / 2, 3: (down / 4 + 1) / 2})
    padded = functional.pad(images, (4, 4, 4, 4), mode="reflect")
    expected = padded[:, :, 4 - down : 36 - down, 4 - right : 36 - right]
    rolled = images.roll((down, right), (2, 3))  # the same where nothing comes in
    assert torch.equal(expected[:, :, 4:-4, 4:-4], rolled[:, :, 4:-4, 4:-4])
    assert torch.equal(geometry()(images, numbers, 0.5), expected)


def test_fractional_shift_by_whole_pixels_is_the_same_shift():
    images = torch.rand(1, 1, 16, 16)
    u = norm.cdf(3 / 2)  # 3 pixels of 16 at a std of 2
    out = geometry()(images, random(1, ["xfrac"], {8: u}), 0.5)
    expected = functional.pad(images, (3, 0, 0, 0), mode="reflect")[..., :16]
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("which, number", [("before", 5), ("after", 7)])
@pytest.mark.parametrize("quarters", [-2, -1, 1, 2])
def test_a_turn_by_a_right_angle_is_a_quarter_turn(which, number, quarters):
    images = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    out = geometry()(images, random(1, [which], {number: (quarters / 2 + 1) / 2}, torch.float64), 0.5)
    torch.testing.assert_close(out, torch.rot90(images, quarters, [2, 3]))


def matrices(u, side):
    """The paper's matrices, in its order, of one image's numbers, all operations on; x to the right, y down."""

    def turn(angle):
        # the numbers' turn and torch.rot90 go against the clock, where y points down
        return torch.tensor([[math.cos(angle), math.sin(angle), 0], [-math.sin(angle), math.cos(angle), 0], [0, 0, 1]])

    def scale(x, y):
        return torch.diag(torch.tensor([x, y, 1.0]))

    def shift(x, y):
        return torch.tensor([[1.0, 0, x], [0, 1.0, y], [0, 0, 1.0]])

    n = [norm.ppf(value) for value in u]
    return [
        scale(-1.0 if u[0] < 0.5 else 1.0, 1.0),
        turn(math.pi / 2 * math.floor(4 * u[1])),
        shift(*(round((2 * value - 1) * 0.125 * side) for value in u[2:4])),
        scale(2 ** (0.2 * n[4]), 2 ** (0.2 * n[4])),
        turn(math.pi * (2 * u[5] - 1)),
        scale(2 ** (0.2 * n[6]), 2 ** (-0.2 * n[6])),
        turn(math.pi * (2 * u[7] - 1)),
        shift(0.125 * n[8] * side, 0.125 * n[9] * side),
    ]


def test_all_operations_are_the_papers_product():
    """A plane's values are exact under any affine map, wherever the edge plays no part."""
    torch.set_default_dtype(torch.float64)
    try:
        side, count = 65, 0
        place = torch.arange(side) - side // 2
        y, x = torch.meshgrid(place, place, indexing="ij")
        images = (0.3 * x + 0.7 * y + 2).expand(8, 1, side, side).double()
        numbers = torch.rand(8, 18)
        numbers[:, 10:] = 0.0
        out = geometry()(images, numbers, 1.0)
        for i in range(8):
            product = torch.eye(3)
            for matrix in matrices(numbers[i, :10].tolist(), side):
                product = matrix @ product
            source = torch.einsum("ij,jhw->ihw", product.inverse(), torch.stack([x, y, torch.ones_like(x)]).double())
            inside = (source[:2].abs() < side // 2 - 7).all(0)
            expected = 0.3 * source[0] + 0.7 * source[1] + 2
            torch.testing.assert_close(out[i, 0][inside], expected[inside])
            count += inside.sum()
        assert count > 4000
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_mirror_repeats():
    signal = torch.arange(5)
    far = torch.arange(-20, 25)
    expected = [abs((int(i) + 4) % 8 - 4) for i in far]
    assert signal[mirrored(far, 5)].tolist() == expected
    assert mirrored(torch.tensor([-3, 0, 7]), 1).tolist() == [0, 0, 0]


def test_between_pixels_it_is_sharper_than_bilinear():
    place = torch.arange(64, dtype=torch.float32)
    wave = torch.cos(math.pi / 2 * place).expand(1, 1, 64, 64)  # half of the highest frequency
    for offset, kept, bilinear in ((0.25, 0.9, 0.79), (0.5, 0.99, 0.71)):
        shifted = torch.stack(torch.meshgrid(place + offset, place, indexing="xy")).unsqueeze(0)
        out, exact = sample(wave, shifted)[0, 0, 0, 8:-8], torch.cos(math.pi / 2 * (place + offset))[8:-8]
        assert (out @ exact) / (exact @ exact) > kept > bilinear + 0.1


@pytest.mark.parametrize("strength, probability", [(0.3, 1.0), (0.6, 0.5)])
@pytest.mark.parametrize("kind, changed", list(zip(KINDS, [0.5, 0.75, 0.75, 1, 1, 1, 1], strict=True)))
def test_the_share_of_images_touched(kind, changed, strength, probability):
    """Turns count once though there are two; a flip, a quarter turn and a shift of 0 pixels change nothing."""
    n, step = 4000, geometry(**dict.fromkeys(KINDS, 0.0) | {kind: probability})
    images, numbers = torch.rand(n, 1, 8, 8), torch.rand(n, 18)
    assert step.axes(numbers, strength, 8, 8)[3].float().mean().item() == pytest.approx(0.3, abs=0.03)
    share = (step(images, numbers, strength) != images).flatten(1).any(1).float().mean().item()
    assert share == pytest.approx(0.3 * changed, abs=0.03)  # xint: 0 pixels half of the time, twice


@pytest.mark.parametrize("height, width", [(6, 10), (10, 6)])
def test_images_that_are_not_square(height, width):
    images = torch.rand(4, 3, height, width)
    out = geometry()(images, random(4, ["xflip"], {0: 0.4}), 0.5)
    assert torch.equal(out, images.flip(3))
    assert geometry()(images, torch.rand(4, 18), 1.0).isfinite().all()


def test_an_image_far_away_is_still_an_image():
    images = torch.rand(1, 1, 8, 8)
    far = random(1, ["xfrac", "scale"], {8: 1 - 2**-24, 4: 2**-20})
    out = geometry()(images, far, 0.5)
    assert out.isfinite().all() and out.min() > -0.5 and out.max() < 1.5
