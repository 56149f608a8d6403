"""The time that is left, as the progress line says it."""

import re
from types import SimpleNamespace

import pytest

from transgan.callbacks import ProgressLine
from transgan.callbacks.interval import Interval


def line(kimg, every, spent=0.0, took=0.0):
    """A progress line amid a run, and its module, on a clock that is moved by hand."""
    made = ProgressLine()
    clock = SimpleNamespace(seconds=0.0, before=0.0, training=0.0)
    made.session = SimpleNamespace(clock=clock, console=None)
    made.total = kimg
    made.evaluation = SimpleNamespace(took=took, spent=spent, interval=Interval(every, kimg, spaced=True))
    module = SimpleNamespace(images_seen=0, device=None)
    return made, module, clock


def eta(made, module):
    minutes, seconds = re.search(r"eta (\d+)m(\d+)s", made.speed(module, {"images_per_second": 100.0})).groups()
    return 60 * int(minutes) + int(seconds)


@pytest.mark.parametrize("before", [0.0, 1000.0])
def test_the_time_left_has_what_all_callbacks_take(before):
    """Half of a run at 100 images/s, with 2 s of grids and health for each second of training, and evaluations of 5 s."""
    made, module, clock = line(kimg=4.0, every=1.0)
    clock.before = clock.seconds = before  # an earlier session
    clock.seconds += 30.0  # the first grid
    made.on_train_start(SimpleNamespace(is_global_zero=False), module)
    module.images_seen, clock.training = 2000, 20.0
    made.evaluation.took, made.evaluation.spent = 5.0, 10.0
    clock.seconds += 20.0 + 40.0 + 10.0
    assert eta(made, module) == 20 + 40 + (2 + 1) * 5


def test_of_training_alone_it_is_its_speed():
    made, module, clock = line(kimg=4.0, every=1.0)
    made.on_train_start(SimpleNamespace(is_global_zero=False), module)
    module.images_seen, clock.training, clock.seconds = 1000, 10.0, 10.0
    assert eta(made, module) == 30


@pytest.mark.parametrize("kimg, every", [(4.0, 1.0), (0.5, 0.2), (0.49, 0.2), (77.8, 9.72), (0.2, 9.0), (1.0, 0.3)])
@pytest.mark.parametrize("spaced", [True, False])
def test_evaluations_that_are_left_are_counted(kimg, every, spaced):
    interval, batch = Interval(every, kimg, spaced), 10
    due = [images for images in range(batch, int(1000 * kimg) + 1, batch) if interval.due(images, batch)]
    for images in range(0, int(1000 * kimg), 170):
        left = sum(each > images for each in due)
        assert interval.left(images) == left, images
