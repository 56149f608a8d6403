"""The endless sampler is a pure function of (seed, position)."""

from itertools import islice

import pytest

from transgan.data import EndlessSampler


def stream(count, **options):
    """The first `count` batches, joined."""
    sampler = EndlessSampler(**{"length": 10, "batch_size": 4, "seed": 0, **options})
    return [index for batch in islice(sampler, count) for index in batch]


def test_batches_are_lists_of_the_right_size_and_have_no_end():
    batches = list(islice(EndlessSampler(10, 4, 0), 100))
    assert all(isinstance(batch, list) and len(batch) == 4 for batch in batches)
    assert all(type(i) is int and 0 <= i < 10 for batch in batches for i in batch)
    assert not hasattr(EndlessSampler(10, 4, 0), "__len__")


def test_every_epoch_is_another_permutation():
    shown = stream(25)
    epochs = [shown[i : i + 10] for i in range(0, 100, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 10


def test_known_values():
    """A run of another day or machine must go on in the same order."""
    assert EndlessSampler(10, 2, seed=0).indices(0, 12) == [4, 9, 0, 3, 2, 6, 5, 7, 8, 1, 4, 3]


def test_seeds_differ():
    assert stream(5, seed=0) == stream(5, seed=0)
    assert stream(5, seed=0) != stream(5, seed=1)
    assert stream(5, seed=1)[:10] != stream(5, seed=0)[10:20]  # not one stream shifted by an epoch


@pytest.mark.parametrize("start", [4, 8, 12, 40, 44])
def test_continued_equals_uninterrupted(start):
    assert stream(20, start=start) == stream(20 + start // 4)[start:]


@pytest.mark.parametrize("batch_size", [1, 3, 10, 37])
def test_the_batch_size_does_not_change_the_order(batch_size):
    count = 120 // batch_size
    assert stream(count, batch_size=batch_size) == stream(30)[: count * batch_size]


@pytest.mark.parametrize("start", [0, 12])
def test_ranks_together_equal_one_process(start):
    one = list(islice(EndlessSampler(10, 12, 3, start), 9))
    ranks = [list(islice(EndlessSampler(10, 12, 3, start, rank, 3), 9)) for rank in range(3)]
    assert [a + b + c for a, b, c in zip(*ranks, strict=True)] == one
    assert all(len(batch) == 4 for batches in ranks for batch in batches)


def test_indices_needs_no_iteration():
    sampler = EndlessSampler(10, 4, 0)
    shown = stream(30)
    assert sampler.indices(57, 31) == shown[57:88]
    assert sampler.indices(5, 0) == []
    assert sampler.indices(10**12, 3) == EndlessSampler(10, 4, 0, start=10**12).indices(10**12, 3)


def test_one_image():
    assert stream(3, length=1) == [0] * 12


@pytest.mark.parametrize(
    "options, says",
    [
        ({"length": 0}, "empty"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 6, "world_size": 4}, "shared equally by 4"),
        ({"rank": 2, "world_size": 2}, "rank=2"),
        ({"start": -1}, "-1"),
    ],
)
def test_impossible_arguments(options, says):
    with pytest.raises(ValueError, match=says):
        EndlessSampler(**{"length": 10, "batch_size": 4, "seed": 0, **options})
