"""What is said where standard output is closed or full, and by a process that has another one's rank left behind."""

import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a full disk stands in as /dev/full")
@pytest.mark.parametrize("words", [["--help"], ["summary", "--cfg"], ["--version"], ["train", "--help"]])
def test_an_output_that_cannot_be_written_is_said(transgan_process, tmp_path, words):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "transgan", *words], stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env=transgan_process.environment,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("transgan: the output cannot be written: No space left on device")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("closed", [">&-", "<&- >&-", "<&- >&- 2>&-"])
@pytest.mark.slow
def test_closed_streams_are_no_matter(transgan_process, tmp_path, closed):
    line = f"'{sys.executable}' -m transgan summary experiment=digits {closed}"
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, env=transgan_process.environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("words, finding", [
    (["sample", "runs/none"], "runs/none"), (["compare", "runs/none"], "runs/none"), (["summary", "runs/none"], "none"),
])  # fmt: skip
def test_a_rank_left_behind_silences_nothing(refused, monkeypatch, words, finding):
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert finding in refused(*words)


@pytest.mark.parametrize("name, word", [("SLURM_NTASKS", "many"), ("SLURM_NTASKS", ""), ("SLURM_NTASKS", "2(x3)")])
def test_a_variable_that_is_no_number_is_named(refused, monkeypatch, name, word):
    monkeypatch.setenv(name, word)
    assert f"{name}={word}" in refused("sample", "runs/none")
