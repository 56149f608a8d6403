"""The energy distance between real and generated images: by hand, its minimum, and what it says of variety."""

import pytest
import torch

from transgan.matching import EnergyDistance, averaged


def images(n, seed, spread=0.3, side=8):
    return spread * torch.randn(n, 1, side, side, generator=torch.Generator().manual_seed(seed))


def by_hand(real, fake, labels, size, apart):
    x, y = averaged(real, size), averaged(fake, size)
    n = len(x)

    def distance(a, b, i, j):
        return float(((a[i] - b[j]).square().sum() + (labels[i] != labels[j]) * apart**2 + 1e-6).sqrt())

    between = sum(distance(x, y, i, j) for i in range(n) for j in range(n)) / n**2
    within = [sum(distance(a, a, i, j) for i in range(n) for j in range(n) if i != j) / (n * (n - 1)) for a in (x, y)]
    return 2 * between - sum(within)


@pytest.mark.parametrize("size", [4, 8])
def test_value_of_four_images(size):
    real, fake, labels = images(4, 0), images(4, 1), torch.tensor([0, 1, 1, 2])
    found = EnergyDistance(sizes=[size], class_distance=0.7)(real, fake, labels, labels)
    assert float(found) == pytest.approx(by_hand(real, fake, labels, size, 0.7), rel=1e-4)


def test_zero_on_average_for_the_same_distribution_and_positive_for_others():
    distance = EnergyDistance(sizes=[8])
    same = torch.stack([distance(images(16, 2 * i), images(16, 2 * i + 1), None, None) for i in range(200)])
    assert abs(same.mean()) < 4 * same.std() / 200**0.5
    moved = torch.stack([distance(images(16, 2 * i), images(16, 2 * i + 1) + 0.3, None, None) for i in range(50)])
    assert moved.mean() > 10 * same.mean().abs()


def test_repeating_one_image_is_worse_than_varying():
    real, one, many = images(16, 0), images(1, 1).expand(16, -1, -1, -1), images(16, 2)
    assert EnergyDistance()(real, one, None, None) > EnergyDistance()(real, many, None, None)


def test_exchanged_classes_have_a_distance():
    labels = torch.arange(16) % 2
    real = images(16, 0, 0.05) + (2.0 * labels - 1)[:, None, None, None]
    right = images(16, 1, 0.05) + (2.0 * labels - 1)[:, None, None, None]
    wrong = right[torch.arange(16) ^ 1]  # the same images, each with the other class
    assert EnergyDistance(class_distance=0.0)(real, wrong, labels, labels) < 0.1
    assert EnergyDistance()(real, wrong, labels, labels) > 0.2


def test_gradient_step_draws_generated_images_nearer():
    real, fake = images(32, 0) + 0.5, images(32, 1).requires_grad_()
    distance = EnergyDistance()
    before = distance(real, fake, None, None)
    (gradient,) = torch.autograd.grad(before, fake)
    assert gradient.isfinite().all()
    assert distance(real, fake - 5 * gradient, None, None) < before


def test_equal_images_have_a_finite_gradient():
    fake = torch.zeros(4, 1, 8, 8, requires_grad=True)
    EnergyDistance()(torch.zeros(4, 1, 8, 8), fake, None, None).backward()
    assert fake.grad.isfinite().all()


@pytest.mark.parametrize("apart", [0.0003, 0.01, 0.3])
@pytest.mark.parametrize("sizes", [[4], [8], [4, 8]])
@pytest.mark.parametrize("labelled", [False, True])
def test_autocast_and_half_precision_lose_nothing_of_the_gradient(apart, sizes, labelled):
    """Close images whose pixels are large: the squares of their norms would cancel, by more than float32 rounds them."""
    real, fake = (0.7 + images(4, seed, apart) for seed in (0, 1))
    labels = torch.tensor([0, 1, 1, 2]) if labelled else None
    distance = EnergyDistance(sizes=sizes, class_distance=apart)

    def slope(real, fake):
        fake = fake.detach().requires_grad_()
        value = distance(real, fake, labels, labels)
        return value.detach(), torch.autograd.grad(value, fake)[0].float()

    half = fake.bfloat16()
    exact = slope(real.double(), fake.double()), slope(real.double(), half.double())
    with torch.autocast("cpu", torch.bfloat16):
        inside = slope(real, fake), slope(real, half)
    assert inside[0][0].dtype == inside[1][0].dtype == torch.float32
    for (value, gradient), (expected, expected_gradient), rounding in zip(
        inside, exact, (1e-6 / apart, 2**-7), strict=True
    ):
        assert float(value) == pytest.approx(float(expected), rel=1e-5, abs=1e-7)
        assert (gradient - expected_gradient).norm() <= rounding * expected_gradient.norm()


def test_more_real_images_make_a_less_noisy_gradient_of_the_same_mean():
    fake = images(8, 0).requires_grad_()

    def gradients(count):
        each = [EnergyDistance(sizes=[8])(images(count, 10 + i), fake, None, None) for i in range(100)]
        return torch.stack([torch.autograd.grad(value, fake)[0] for value in each])

    few, many = gradients(8), gradients(64)
    assert many.var(0).mean() < few.var(0).mean() / 4
    assert (many.mean(0) - few.mean(0)).norm() < 0.3 * many.mean(0).norm()


def test_one_image_has_no_distance():
    assert EnergyDistance()(images(1, 0), images(1, 1), None, None) == 0


@pytest.mark.parametrize(
    ("arguments", "said"), [({"sizes": []}, "at least one"), ({"class_distance": -1.0}, "negative")]
)
def test_impossible_arguments(arguments, said):
    with pytest.raises(ValueError, match=said):
        EnergyDistance(**arguments)
