"""Random numbers as a function of (seed, step, sample)."""

import torch

from transgan.sampling.randomness import mix, seeded_normal
from transgan.training.randomness import StepRNG


def test_mix_is_stable():
    """Runs are repeated from these numbers: a change here changes every run."""
    assert mix(0) == 8147104208329303767
    assert mix(1, 2, 3) == 7510213797696614745
    assert mix(7, 1) == 2207009715805324207


def test_mix_is_well_spread():
    values = {mix(seed, step) for seed in range(100) for step in range(100)}
    assert len(values) == 10_000 and all(0 <= value < 2**63 for value in values)
    bits = torch.tensor([[value >> k & 1 for k in range(63)] for value in values]).float().mean(0)
    torch.testing.assert_close(bits, torch.full((63,), 0.5), atol=0.03, rtol=0)  # six standard deviations
    flipped = torch.tensor([bin(mix(seed) ^ mix(seed ^ 1 << k)).count("1") for seed in range(50) for k in range(32)])
    assert abs(flipped.float().mean().item() - 31.5) < 0.6
    assert mix(1, 2) != mix(2, 1) != mix(2) != mix(2, 0)


def numbers(rank, world_size, batch, step=5, seed=3):
    rng = StepRNG(seed, step, batch, rank, world_size, torch.device("cpu"))
    return rng.uniform(2, 3), rng.normal(4), rng.uniform(1)


def test_two_processes_draw_what_one_draws():
    one, two = numbers(0, 1, 8), [numbers(rank, 2, 4) for rank in (0, 1)]
    assert [tuple(each.shape) for each in one] == [(8, 2, 3), (8, 4), (8, 1)]
    for whole, *parts in zip(one, *two, strict=True):
        assert torch.equal(torch.cat(parts), whole)


def test_another_step_or_seed_draws_others():
    first = numbers(0, 1, 4)
    assert torch.equal(first[0], numbers(0, 1, 4)[0])
    assert not torch.equal(first[0], numbers(0, 1, 4, step=6)[0])
    assert not torch.equal(first[0], numbers(0, 1, 4, seed=4)[0])
    assert not torch.equal(first[2], numbers(0, 1, 4)[0][:, 0, :1])  # the numbers go on from call to call


def test_ranges():
    rng = StepRNG(0, 0, 20000, 0, 1, torch.device("cpu"))
    uniform, normal = rng.uniform(1), rng.normal(1)
    assert 0 <= uniform.min() and uniform.max() < 1 and abs(uniform.mean() - 0.5) < 0.02
    assert abs(normal.mean()) < 0.05 and abs(normal.std() - 1) < 0.05


def test_a_seeds_numbers_are_its_own():
    rows = seeded_normal([3, 900, 3], 5)
    assert rows.shape == (3, 5) and torch.equal(rows[0], rows[2]) and not torch.equal(rows[0], rows[1])
    assert torch.equal(seeded_normal([900], 5)[0], rows[1])
    torch.rand(3)
    assert torch.equal(seeded_normal([900], 5)[0], rows[1])  # whatever was drawn before
