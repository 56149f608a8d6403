"""A time and a length in one command."""

import pytest

from transgan.config.compose import compose
from transgan.errors import UserError
from transgan.runs.timed import note, recorded, require_one_length, within


@pytest.fixture
def asks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: (compose("train", ["experiment=digits", *words]), list(words))


@pytest.mark.parametrize("words, sentence", [
    (["minutes=1", "kimg=500"], "minutes=1 and kimg=500: each of them says how long the run is; give one, or minutes=null"),
    (["kimg=0.5", "hours=2"], "hours=2 and kimg=0.5: each of them says how long the run is; give one, or hours=null"),
    (["minutes=1", "hours=2"], "give one of them"),
])  # fmt: skip
def test_a_new_run_has_one_length(asks, words, sentence):
    with pytest.raises(UserError, match=sentence):
        require_one_length(*asks(*words))


@pytest.mark.parametrize(
    "words", [[], ["minutes=1"], ["kimg=5"], ["minutes=1", "kimg=auto"], ["minutes=null", "kimg=5"]]
)
def test_one_length_is_taken(asks, words):
    require_one_length(*asks(*words))
    assert note(*asks(*words)) is None


def test_of_a_run_that_goes_on_it_is_said_which_counts(asks, tmp_path):
    last = tmp_path / "runs" / "digits" / "checkpoints" / "last.ckpt"
    last.parent.mkdir(parents=True)
    last.touch()
    require_one_length(*asks("minutes=1", "kimg=500"))
    assert note(*asks("minutes=1", "kimg=500")) == "the run goes on to kimg=500, whatever minutes=1 says"


def test_a_command_that_is_kept_can_be_given_anew(asks):
    """What was chosen by time stands in it as kimg=, and the time does not."""
    assert recorded(["kimg=2.5", "threads=1", "photos", "minutes=5"]) == ["kimg=2.5", "threads=1", "photos"]
    assert recorded(["photos", "minutes=5"]) == ["photos", "minutes=5"]
    require_one_length(*asks(*recorded(["kimg=2.5", "hours=5"])))


def test_another_time(asks):
    config, words = asks("hours=2", "seed=1")
    assert within(words, 7.5, config) == ["seed=1", "minutes=7.5"]
    assert within(["seed=1"], 7.5, config) == ["seed=1", "hours=null", "minutes=7.5"]  # the hours are an experiment's
