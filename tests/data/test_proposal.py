"""Commands on images that are proposed have the keys that they share, and no others."""

import shlex

import pytest

from transgan.data.proposal import TAKEN, proposal

GIVEN = {
    "resolution": 32, "channels": 1, "holdout": 0.1, "data.limit": 500, "data.labels": "none", "data.white": 4095.0,
    "data.on_error": "skip", "data.path": "elsewhere", "kimg": 5,
}  # fmt: skip


@pytest.mark.parametrize("command", TAKEN)
def test_every_key_that_the_command_takes(command):
    words = shlex.split(proposal(command, "my photos", given=GIVEN))
    assert words[: len(command.split()) + 2] == ["transgan", *command.split(), "my photos"]
    given = dict(word.split("=") for word in words[len(command.split()) + 2 :])
    assert set(given) == set(TAKEN[command]) and given["data.white"] == "4095" and given["resolution"] == "32"


def test_what_is_not_given_is_left_out():
    assert proposal("data check", "a", given={"holdout": 0.0, "data.white": None}) == "transgan data check a"


@pytest.mark.parametrize("command", TAKEN)
def test_the_command_takes_it(command, inside, tmp_path):
    (tmp_path / "my photos").mkdir()
    paths = ["my photos", *(["out.zip"] if command == "data prepare" else [])]
    code, out, err = inside(*shlex.split(proposal(command, *paths, given=GIVEN))[1:], "--cfg", "job")
    assert code == 0 and "resolution: 32" in out and "4095" in out, err
