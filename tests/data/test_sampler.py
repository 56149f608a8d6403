"""The endless sampler is a pure function of (seed, position)."""

from itertools import islice

import pytest
import torch

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


LABELS = torch.tensor([0] * 50 + [1] * 30 + [2] * 19 + [3])[
    torch.randperm(100, generator=torch.Generator().manual_seed(5))
]


def by_class(**options):
    return EndlessSampler(
        **{"length": 100, "batch_size": 8, "seed": 0, "images_per_class": 4, "labels": LABELS, **options}
    )


def test_images_of_a_class_stand_beside_each_other():
    """Every epoch has each image once, in blocks of one class: as many as go, and what is left of each."""
    for epoch in range(3):
        order = by_class().indices(100 * epoch, 100)
        assert sorted(order) == list(range(100))
        found, sizes = LABELS[order].tolist(), {0: [], 1: [], 2: [], 3: []}
        begin = 0
        while begin < 100:
            left = found[begin:].count(found[begin])  # of this class, in this epoch
            size = min(4, left)
            assert len(set(found[begin : begin + size])) == 1
            sizes[found[begin]].append(size)
            begin += size
        assert sizes == {0: [4] * 12 + [2], 1: [4] * 7 + [2], 2: [4] * 4 + [3], 3: [1]}


def test_classes_are_spread_over_an_epoch():
    """No class is shown in one piece: half of an epoch has about half of each."""
    first = torch.stack([LABELS[by_class(seed=seed).indices(0, 48)].bincount(minlength=4) for seed in range(20)])
    shares = first.float().mean(0) / LABELS.bincount()
    assert ((shares > 0.3) & (shares < 0.75)).all()


def test_blocks_neither_depend_on_ranks_nor_on_where_a_run_goes_on():
    whole = list(islice(by_class(), 60))  # almost five epochs
    for rank in (0, 1):
        halves = list(islice(by_class(rank=rank, world_size=2), 60))
        assert halves == [batch[4 * rank : 4 * rank + 4] for batch in whole]
    assert list(islice(by_class(start=16 * 8), 44)) == whole[16:]
    assert by_class(seed=1).indices(0, 50) != by_class().indices(0, 50)


def test_without_labels_or_a_number_the_order_is_the_usual_one():
    usual = EndlessSampler(100, 8, 0).indices(0, 250)
    assert by_class(images_per_class=None).indices(0, 250) == usual == by_class(labels=None).indices(0, 250)
    assert by_class(images_per_class=100).order(0).tolist() != usual[:100]
