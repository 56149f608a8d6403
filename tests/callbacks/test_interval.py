"""When something is due, for batches that divide the interval and for those that do not."""

import pytest

from transgan.callbacks.interval import Interval


def due(interval, batch, start=0):
    counts = range(start + batch, int(1000 * interval.total) + batch, batch)
    return [images for images in counts if interval.due(images, batch)]


def test_batches_that_divide_it():
    assert due(Interval(kimg=0.2, total=1.0), 100) == [200, 400, 600, 800, 1000]


def test_batches_that_do_not():
    """The first batch at or beyond each multiple, and the end."""
    assert due(Interval(kimg=0.1, total=0.5), 64) == [128, 256, 320, 448, 512]
    assert due(Interval(kimg=0.3, total=0.5), 64) == [320, 512]


def test_a_batch_larger_than_the_interval_is_due_once():
    assert due(Interval(kimg=0.01, total=0.2), 64) == [64, 128, 192, 256]


def test_longer_than_the_run_is_due_at_the_end_alone():
    assert due(Interval(kimg=99.0, total=0.2), 64) == [256]


@pytest.mark.parametrize("cut", [64, 128, 320, 448])
def test_a_resumed_run_does_what_it_would_have_done(cut):
    interval = Interval(kimg=0.1, total=0.7)
    assert [images for images in due(interval, 64) if images > cut] == due(interval, 64, start=cut)


def test_finished():
    interval = Interval(kimg=0.1, total=0.5)
    assert not interval.finished(499) and interval.finished(500) and interval.finished(512)


@pytest.mark.parametrize("kimg", [0, -1.0])
def test_nothing_is_no_interval(kimg):
    with pytest.raises(ValueError, match="must be more than 0 kimg"):
        Interval(kimg, 1.0)
