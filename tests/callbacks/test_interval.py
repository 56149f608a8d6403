"""When something is due, for batches that divide the interval and for those that do not."""

import pytest

from transgan.callbacks.interval import Interval, moment


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


def test_what_is_compared_from_moment_to_moment_is_not_due_just_before_the_end():
    """Eight intervals of 9.72 kimg end 24 images before 77.8 kimg do: the end alone is due."""
    assert due(Interval(9.72, 77.784, spaced=True), 8)[-2:] == [68_040, 77_784]
    assert due(Interval(9.72, 77.784), 8)[-3:] == [68_040, 77_760, 77_784]
    assert due(Interval(0.1, 0.5, spaced=True), 64) == [128, 256, 320, 448, 512]  # nothing is near here
    assert due(Interval(0.2, 0.5, spaced=True), 100) == [200, 400, 500]  # half an interval is far enough
    assert due(Interval(0.2, 0.49, spaced=True), 10) == [200, 490]
    assert due(Interval(9.0, 0.2, spaced=True), 64) == [256]
    longer = Interval(0.2, 0.9, spaced=True)  # the same run, when it goes on from its end
    assert due(longer, 10, start=490) == [600, 800, 900]


@pytest.mark.parametrize("kimg", [0, -1.0])
def test_nothing_is_no_interval(kimg):
    with pytest.raises(ValueError, match="must be more than 0 kimg"):
        Interval(kimg, 1.0)


@pytest.mark.parametrize("kimg, batch", [(0.5, 64), (0.001, 1), (1.5, 100), (50, 512), (0.3, 7)])
@pytest.mark.parametrize("ending", ["", ".png", "-last-0a1b2c3d-seed0.json"])
def test_no_two_moments_have_one_name(kimg, batch, ending):
    moments = [0, *due(Interval(kimg, total=12 * kimg), batch)]
    names = [moment(images) + ending for images in moments]
    assert len(set(names)) == len(names) > 10 and sorted(names) == names


def test_whole_thousands_are_named_as_ever():
    assert [moment(images) for images in (0, 50_000, 1_500, 500, 999_999_999, 1_000_000_000)] == [
        "000000", "000050", "000001_500", "000000_500", "999999_999", "1000000",
    ]  # fmt: skip
    naive = [f"{round(kimg):06d}" for kimg in (0, 0.5, 1.5, 2.0, 2.5)]
    assert naive == ["000000", "000000", "000002", "000002", "000002"]


def test_the_batch_itself_says_how_many_it_had():
    class Module:
        images_seen, images_in_step = 210, 100

    assert Interval(0.1, 9.0).due_after(Module)  # 110 before: 200 is crossed
    Module.images_in_step = 5
    assert not Interval(0.1, 9.0).due_after(Module)  # 205 before
