"""A run that stops between two grids has one of its last images, unless what stopped it may not wait for it."""

import os
import signal
from types import SimpleNamespace

import pytest
import torch

from transgan.callbacks import Samples, Session
from transgan.callbacks.patience import sentence
from transgan.callbacks.stopping import TIME_IS_UP, Skipped, Stop


def black(seeds, labels):
    return torch.zeros(len(seeds), 1, 8, 8, dtype=torch.uint8)


def ended(folder, reason, took=None, generate=None):
    """The files after a run has stopped for this reason; took: seconds of the grid before."""
    stop, samples, session = Stop(), Samples(4.0, 4), Session(folder, 9.0)
    trainer = SimpleNamespace(is_global_zero=True, loggers=[], callbacks=[session, stop, samples])
    module = SimpleNamespace(images_seen=1500, num_classes=0, generate=generate or black)
    samples.setup(trainer, module, "fit")
    samples.took, stop.reason, stop.training, stop.stop = took, reason, True, stop
    for each in (stop, samples):
        each.on_train_end(trainer, module)
    return sorted(path.name for path in (folder / "samples").glob("*")), stop


@pytest.mark.parametrize("reason", [None, signal.SIGINT])  # patience, and Ctrl-C
@pytest.mark.parametrize("took", [None, 1.0])
def test_a_run_that_stops_has_a_grid_of_that_moment(tmp_path, reason, took):
    assert ended(tmp_path, reason, took)[0] == ["000001_500.png"]


@pytest.mark.parametrize("reason", [signal.SIGTERM, TIME_IS_UP])
def test_what_may_not_wait_has_one_where_it_is_known_to_be_quick(tmp_path, reason):
    assert ended(tmp_path, reason, 100.0)[0] == [] == ended(tmp_path, reason)[0]
    assert ended(tmp_path, reason, 1.0)[0] == ["000001_500.png"]


def test_a_grid_that_is_there_is_not_made_again(tmp_path):
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "000001_500.png").write_bytes(b"there")
    ended(tmp_path, None)
    assert (tmp_path / "samples" / "000001_500.png").read_bytes() == b"there"


def test_a_second_ctrl_c_does_not_wait_for_it(tmp_path):
    made = Stop()

    def generate(seeds, labels):
        raise Skipped  # as the handler does

    assert ended(tmp_path, signal.SIGINT, generate=generate)[0] == []
    made.over = True
    with made.skippable():
        made.note(signal.SIGTERM, None)  # it ends already
        made.note(signal.SIGINT, None)
        pytest.fail("it went on")
    made.note(signal.SIGINT, None)  # nothing is to be left out any more
    assert not made.optional and made.owner == os.getpid()


@pytest.mark.parametrize("count, said", [(1, "in one evaluation"), (2, "in 2 evaluations")])
def test_one_evaluation_is_no_plural(count, said):
    state = {"wait_count": count, "best_score": torch.tensor(2.5), "monitor": "fid"}
    assert sentence(state, count) == f"fid has not become better than 2.5 {said}"


def test_without_memory_there_is_none(tmp_path, caplog):
    def generate(seeds, labels):
        raise MemoryError

    assert ended(tmp_path, None, generate=generate)[0] == [] and "memory is lacking" in caplog.text
