"""Ctrl-C is answered at once where its end may take longer than a moment."""

import signal
import time

import pytest

from transgan.callbacks.stopping import AFTER, STEP, Stop


@pytest.fixture
def stop():
    made = Stop()
    made.training = True
    return made


def pressed(stop, capfd, doing, took, ago):
    stop.doing, stop.took, stop.since = doing, took, time.monotonic() - ago
    stop.note(signal.SIGINT, None)
    return capfd.readouterr().err


def test_in_a_long_step_it_says_how_long(stop, capfd):
    said = pressed(stop, capfd, STEP, 30.0, 10.0)
    assert said == "\nstopping: finishing this step, about 20 s; Ctrl-C again to stop now\n"
    with pytest.raises(KeyboardInterrupt):
        stop.note(signal.SIGINT, None)


def test_in_the_first_step_nobody_knows_how_long(stop, capfd):
    assert pressed(stop, capfd, STEP, 0.0, 0.0) == "\nstopping: finishing this step; Ctrl-C again to stop now\n"


def test_in_an_evaluation_it_says_so(stop, capfd):
    assert "finishing what follows a step, such as an evaluation; Ctrl-C again" in pressed(stop, capfd, AFTER, 0.1, 5.0)


def test_in_a_short_step_nothing_is_said(stop, capfd):
    assert pressed(stop, capfd, STEP, 0.2, 0.1) == "" and stop.asked == signal.SIGINT
