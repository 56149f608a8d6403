"""Closed forms: where a field is known, so are where it leads, how fast a solver's error falls, and every density."""

import math

import pytest
import torch

from transgan.ode import divergence, log_density, paced, runge_kutta, solve

MEAN, STD = 0.4, 0.3  # of Gaussian data


def velocity(x, time):
    """E[data - noise | x_t = x] for Gaussian data, the field that a flow learns: by linear regression."""
    t = time.view(-1, *[1] * (x.dim() - 1))
    slope = (t * STD**2 - (1 - t)) / (t**2 * STD**2 + (1 - t) ** 2)
    return MEAN + slope * (x - t * MEAN)


def double(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_noise_is_carried_to_the_data():
    z = double(50, 3)
    assert torch.allclose(solve(velocity, z, 0.0, 1.0, 400, "heun"), MEAN + STD * z, atol=1e-4)
    assert torch.allclose(solve(velocity, MEAN + STD * z, 1.0, 0.0, 400, "heun"), z, atol=1e-4)


@pytest.mark.parametrize("solver, order", [("euler", 1), ("heun", 2)])
def test_orders_of_convergence(solver, order):
    z = double(200, 2)
    errors = [(solve(velocity, z, 0.0, 1.0, n, solver) - (MEAN + STD * z)).abs().mean() for n in (32, 64, 128)]
    ratios = [a / b for a, b in zip(errors[:-1], errors[1:], strict=True)]
    assert all(abs(math.log2(ratio) - order) < 0.25 for ratio in ratios), ratios


def test_the_order_of_runge_and_kutta():
    z = double(200, 2)
    errors = [(solve(velocity, z, 0.0, 1.0, n, runge_kutta) - (MEAN + STD * z)).abs().mean() for n in (32, 64)]
    assert abs(math.log2(errors[0] / errors[1]) - 4) < 0.4


def test_another_time_leads_to_the_same_place():
    """Of a field that is stiff near the end: in few steps where they are finer there."""
    stiff = lambda x, t: (MEAN - x) / (1 - t).clamp(min=1e-3).view(-1, 1)  # noqa: E731
    turn, z = -math.log(1e-3), double(50, 3)
    even = paced(stiff, lambda s: (1 - (-turn * s).exp(), turn * (-turn * s).exp()))
    right = MEAN + 1e-3 * (z - MEAN)
    found = solve(even, z, 0.0, 1.0, 32, runge_kutta)
    assert torch.allclose(found, right, atol=1e-5)
    likely = gaussian(solve(even, found, 1.0, 0.0, 32, runge_kutta)) + 3 * turn
    assert torch.allclose(log_density(even, found, 32, runge_kutta), likely, atol=1e-2)
    assert (log_density(stiff, found, 32, runge_kutta) - likely).abs().min() > 0.1


def gaussian(z):
    return torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)


def test_one_euler_step_of_the_right_field_is_the_mean():
    """At time 0 nothing is known of the image, so that it is why one step of a flow blurs."""
    assert torch.allclose(solve(velocity, double(20, 2), 0.0, 1.0, 1), torch.full((20, 2), MEAN).double())


def test_the_divergence_is_the_trace():
    a = double(5, 5, seed=1)
    x = double(7, 5)
    slope, exact = divergence(lambda x, t: x @ a.T, x, torch.zeros(7))
    assert torch.allclose(slope, x @ a.T) and torch.allclose(exact, a.trace().expand(7))
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 5)  # every one there is
    _, mean = divergence(lambda x, t: x @ a.T, x, torch.zeros(7), signs.unsqueeze(1).expand(-1, 7, -1))
    assert torch.allclose(mean, exact)
    _, one = divergence(lambda x, t: x @ a.T, x, torch.zeros(7), signs[:1].unsqueeze(1).expand(-1, 7, -1))
    assert not torch.allclose(one, exact)


def test_of_a_field_that_is_not_linear():
    x = double(6, 2, 3)
    _, found = divergence(lambda x, t: x**3 + x.roll(1, -1) ** 2, x, torch.zeros(6))
    assert torch.allclose(found, (3 * x**2).flatten(1).sum(1))


def test_a_constant_field_has_none():
    for probes in (None, torch.ones(1, 4, 3)):
        slope, found = divergence(lambda x, t: torch.ones_like(x), torch.randn(4, 3), torch.zeros(4), probes)
        assert (slope == 1).all() and (found == 0).all()


@pytest.mark.parametrize("probes", [None, torch.ones(1, 40, 2, dtype=torch.float64)], ids=["exact", "hutchinson"])
def test_density_of_gaussian_data(probes):
    """Its field is a multiple of x in each number, so that one probe is exact, too."""
    x = MEAN + STD * double(40, 2, seed=3)
    found = log_density(velocity, x, 400, "heun", probes)
    assert torch.allclose(found, torch.distributions.Normal(MEAN, STD).log_prob(x).sum(1), atol=1e-3)


def test_density_of_an_affine_flow():
    """dx/dt = A x + b: x(1) = e^A z + (e^A - 1) A^-1 b, so that by the change of variables
    log p(x) = log N(z) - trace A."""
    a, b = 0.5 * double(3, 3, seed=4), double(3, seed=5)
    whole, z = torch.matrix_exp(a), double(30, 3)
    x = z @ whole.T + torch.linalg.solve(a, (whole - torch.eye(3)) @ b)
    field = lambda x, t: x @ a.T + b  # noqa: E731
    assert torch.allclose(solve(field, z, 0.0, 1.0, 200, "heun"), x, atol=1e-4)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1) - a.trace()
    assert torch.allclose(log_density(field, x, 200), expected, atol=1e-3)


CENTRES = torch.tensor([[-1.0, 0.0], [1.0, 0.5], [0.0, -1.0]], dtype=torch.float64)


def mixture(x, time):
    """The field for an equal mixture of Gaussians of standard deviation STD: each one's, weighed by its likelihood."""
    t = time.view(-1, 1)
    spread = t**2 * STD**2 + (1 - t) ** 2  # (N, 1), the variance of each at t
    away = x.unsqueeze(1) - t.unsqueeze(2) * CENTRES  # (N, 3, 2)
    weights = (-0.5 * away.square().sum(2) / spread).softmax(1)
    slope = (t * STD**2 - (1 - t)) / spread
    return (weights.unsqueeze(2) * (CENTRES + slope.unsqueeze(2) * away)).sum(1)


def test_density_of_a_mixture_in_two_dimensions():
    """Against the mixture itself, and as a density: its integral over the plane is 1."""
    line = torch.linspace(-3, 3, 41, dtype=torch.float64)
    x = torch.cartesian_prod(line, line)
    found = log_density(mixture, x, 100)
    parts = torch.distributions.Normal(CENTRES, STD).log_prob(x.unsqueeze(1)).sum(2)
    likely = parts.logsumexp(1) - math.log(3) > -12
    assert torch.allclose(found[likely], (parts.logsumexp(1) - math.log(3))[likely], atol=0.02)
    assert found.exp().sum() * (line[1] - line[0]) ** 2 == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    "steps, solver, said",
    [(0, "euler", "steps=0: it takes a whole number, 1 or more"), (4, "rk45", "solver=rk45: it takes euler or heun")],
)
def test_bad_input(steps, solver, said):
    with pytest.raises(ValueError, match=said):
        solve(velocity, torch.zeros(1, 2), 0.0, 1.0, steps, solver)
