"""Ordinary differential equations dx/dt = field(x, t) in a given number of steps, and log densities along them.

N samples of any shape.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Field = Callable[[Tensor, Tensor], Tensor]  # (N, ...), times (N,) -> (N, ...)
Step = Callable[[Field, Tensor, Tensor, Tensor, float], Tensor]  # slopes' field, x, its slope, time, size -> next x
Pace = Callable[[Tensor], tuple[Tensor, Tensor]]  # s (N,) in [0, 1] -> times (N,) and dt/ds (N,)


def euler(field: Field, x: Tensor, slope: Tensor, time: Tensor, size: float) -> Tensor:
    """x + h f(x, t): an error of first order in the size h of a step, one evaluation each."""
    return x + size * slope


def heun(field: Field, x: Tensor, slope: Tensor, time: Tensor, size: float) -> Tensor:
    """x + h / 2 (f(x, t) + f(x + h f(x, t), t + h)): of second order, two evaluations a step (Heun, 1900)."""
    return x + 0.5 * size * (slope + field(x + size * slope, time + size))


def runge_kutta(field: Field, x: Tensor, slope: Tensor, time: Tensor, size: float) -> Tensor:
    """The method of fourth order, four evaluations a step (Kutta, 1901)."""
    second = field(x + 0.5 * size * slope, time + 0.5 * size)
    third = field(x + 0.5 * size * second, time + 0.5 * size)
    return x + size / 6 * (slope + 2 * (second + third) + field(x + size * third, time + size))


SOLVERS: dict[str, Step] = {"euler": euler, "heun": heun}


def solve(
    field: Field,
    x: Tensor,
    start: float,
    end: float,
    steps: int,
    solver: str | Step = "euler",
    ending: Field | None = None,
) -> Tensor:
    """x(end) of dx/dt = field(x, t) with x(start) = x, in `steps` equal steps. end may be less than start.

    solver: one of SOLVERS by its name, or another. ending: (x, t) -> x(end) in the place of the last step, for a field
    that is not to be relied on at the end. Raises ValueError for a name that does not exist or fewer than one step.
    """
    check(steps, solver)
    size, step = (end - start) / steps, SOLVERS[solver] if isinstance(solver, str) else solver
    for i in range(steps):
        time = x.new_full((len(x),), start + i * size)
        if ending is not None and i == steps - 1:
            return ending(x, time)
        x = step(field, x, field(x, time), time, size)
    return x


def paced(field: Field, pace: Pace) -> Field:
    """The same field by another time: dx/ds = dt/ds field(x, t(s)), which equal steps of s follow where it is stiff."""

    def slope(x: Tensor, s: Tensor) -> Tensor:
        time, rate = pace(s)
        return rate.view(-1, *[1] * (x.dim() - 1)) * field(x, time)

    return slope


def check(steps: int, solver: str | Step) -> None:
    """Raises ValueError for a solver that does not exist or fewer than one step."""
    if isinstance(solver, str) and solver not in SOLVERS:
        raise ValueError(f"solver={solver}: it takes {' or '.join(SOLVERS)}")
    if steps < 1:
        raise ValueError(f"steps={steps}: it takes a whole number, 1 or more")


def divergence(field: Field, x: Tensor, time: Tensor, probes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """field(x, t) (N, ...) and its divergence by x (N,).

    Exact, by a backward pass for each of a sample's numbers, if `probes` is None. Otherwise the mean of e^T (df/dx) e
    over the probes e, (P, N, ...): without bias if these are random signs (Hutchinson, 1990). A sample's slope must
    depend on that sample alone.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        slope = field(x, time)
        flat = slope.flatten(1)
        if probes is None:
            rows = range(flat.shape[1])
            found = [gradient(flat[:, i].sum(), x, i + 1 < len(rows)).flatten(1)[:, i] for i in rows]
            return slope.detach(), torch.stack(found).sum(0)
        found = [
            (gradient((slope * probe).sum(), x, i + 1 < len(probes)) * probe).flatten(1).sum(1)
            for i, probe in enumerate(probes)
        ]
        return slope.detach(), torch.stack(found).mean(0)


def gradient(value: Tensor, x: Tensor, again: bool) -> Tensor:
    if not value.requires_grad:  # of a field that is constant
        return torch.zeros_like(x)
    found = torch.autograd.grad(value, x, retain_graph=again, allow_unused=True)[0]
    return torch.zeros_like(x) if found is None else found


def log_density(
    field: Field, x: Tensor, steps: int, solver: str | Step = "heun", probes: Tensor | None = None
) -> Tensor:
    """log p(x) (N,) in nats, where dx/dt = field(x, t) carries a standard normal distribution at time 0 to p at 1.

    By the instantaneous change of variables, d log p / dt = -div field (Chen et al., 2018, theorem 1): x is carried
    back to time 0, and the divergence is integrated along the way by the same steps. probes: as in `divergence`.
    Raises ValueError as `solve` does.
    """

    def both(state: Tensor, time: Tensor) -> Tensor:
        slope, change = divergence(field, state[:, :-1].reshape(x.shape), time, probes)
        return torch.cat([slope.flatten(1), change.unsqueeze(1)], 1)

    state = torch.cat([x.flatten(1), x.new_zeros(len(x), 1)], 1)  # the last number is the integral so far
    state = solve(both, state, 1.0, 0.0, steps, solver)
    z, integral = state[:, :-1], state[:, -1]  # of the divergence from 1 to 0
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1) + integral
