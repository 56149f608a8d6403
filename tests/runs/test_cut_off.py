"""The same command goes on, bit for bit, wherever a run was cut off: by kill -9, by a signal, amid a checkpoint."""

import os
import random
import signal
import threading
import time

import pytest
import torch

pytestmark = pytest.mark.slow
LENGTH = ["kimg=3.84", "batch_size=64", "checkpoint_every=0.128", "log_every=0.192", "sample_every=1.28"]


@pytest.fixture(scope="module")
def words(tiny):
    return ["train", *tiny, *LENGTH]


@pytest.fixture(scope="module")
def whole(transgan_process, words, tmp_path_factory):
    """The run nobody disturbed."""
    cwd = tmp_path_factory.mktemp("whole")
    done = transgan_process(*words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd / "runs" / "digits"


def saved(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def until_progress(process) -> None:
    """Waits for the first line about steps of this process."""
    for line in process.stdout:
        if line.startswith("kimg"):
            return
    pytest.fail(f"it ended before: exit code {process.wait()}")


def drained(process) -> str:
    killer = threading.Timer(120, process.kill)
    killer.start()
    out, _ = process.communicate()
    killer.cancel()
    return out


@pytest.fixture(scope="module")
def killed(transgan_process, words, tmp_path_factory):
    """The same, killed six times: (run, how many of the kills came amid a checkpoint)."""
    cwd = tmp_path_factory.mktemp("killed")
    run, moments, amid = cwd / "runs" / "digits", random.Random(0), 0

    def beside() -> list:
        return list((run / "checkpoints").glob("last.ckpt.*.tmp"))

    for kill in range(6):
        process = transgan_process.start(*words, cwd=cwd)
        until_progress(process)
        if kill % 2:
            end = time.monotonic() + 20
            known = beside()
            while beside() == known and time.monotonic() < end and process.poll() is None:
                pass
        else:
            time.sleep(moments.uniform(0, 0.4))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, f"kill {kill} came too late: make the run longer"
        amid += len(beside()) > 0
        if (run / "checkpoints" / "last.ckpt").exists():
            saved(run)
    done = transgan_process(*words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert ", from " in done.stdout
    return run, amid


def test_killed_six_times(killed, whole, assert_same_run):
    run, amid = killed
    assert amid >= 1
    assert_same_run(run, whole)


def test_signals_and_workers(transgan_process, words, whole, assert_same_run, tmp_path):
    """Ctrl-C and SIGTERM save; going on with another number of processes that read changes nothing."""
    run = tmp_path / "runs" / "digits"
    rare = [word for word in words if not word.startswith("checkpoint_every")]  # only the signal makes it save
    for number, workers in ((signal.SIGTERM, 2), (signal.SIGINT, 0)):
        process = transgan_process.start(*rare, f"num_workers={workers}", cwd=tmp_path)
        until_progress(process)
        process.send_signal(number)
        out = drained(process)
        assert process.returncode == 128 + number, out
        assert "and saved; the same command continues" in out and "Traceback" not in out
        assert 0 < saved(run)["images_seen"] < 3840
    done = transgan_process(*words, "num_workers=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert ", from " in done.stdout
    assert_same_run(run, whole)


def test_ctrl_c_in_a_terminal(transgan_process, words, tmp_path):
    """A terminal interrupts the whole process group, also the processes that read images."""
    process = transgan_process.start(*words, "kimg=1000", "checkpoint_every=1000", "num_workers=2", cwd=tmp_path)
    until_progress(process)
    os.killpg(process.pid, signal.SIGINT)
    out = drained(process)
    assert process.returncode == 130, out
    assert "and saved; the same command continues" in out and "Traceback" not in out
    assert saved(tmp_path / "runs" / "digits")["images_seen"] > 0


def test_second_ctrl_c_does_not_wait(transgan_process, words, tmp_path):
    process = transgan_process.start(*words, "kimg=1000", "batch_size=2048", cwd=tmp_path)
    while not (tmp_path / "runs/digits/samples/000000.png").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    out = drained(process)
    assert process.returncode == 130, out
    assert "Traceback" not in out


def test_ctrl_c_again_and_again_while_it_ends(transgan_process, words, tmp_path):
    process = transgan_process.start(*words, "kimg=1000", "checkpoint_every=1000", cwd=tmp_path)
    until_progress(process)
    process.send_signal(signal.SIGINT)
    while not (tmp_path / "runs/digits/checkpoints/last.ckpt").exists():
        time.sleep(0.001)
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.002)
    out = drained(process)
    assert process.returncode == 130, out
    assert "Traceback" not in out
    assert saved(tmp_path / "runs" / "digits")["images_seen"] > 0


def test_goes_on_to_a_whole_number_of_kimg(inside, tiny, tmp_path):
    """A number without a point, as people write it, for a key that takes any number."""
    for kimg in (1, 2):
        code, out, err = inside("train", *tiny, f"kimg={kimg}", "log_every=1", "sample_every=1", "checkpoint_every=1")
        assert code == 0, err
    assert "to 2 kimg, from 1.02" in out and saved(tmp_path / "runs" / "digits")["images_seen"] == 2016


def test_repeated_from_its_configuration(inside, whole, assert_same_run, tmp_path):
    code, out, err = inside("train", f"config={whole}/config.yaml", "name=again")
    assert code == 0, err
    assert_same_run(tmp_path / "runs" / "again", whole)


def test_finished_run_says_so_and_can_be_extended(inside, words, stats_of, tmp_path):
    words = [*words, "kimg=0.64", "checkpoint_every=0.64"]
    assert inside(*words)[0] == 0
    run = tmp_path / "runs" / "digits"
    before = (run / "checkpoints" / "last.ckpt").read_bytes()
    code, out, err = inside(*words)
    assert code == 0 and "is finished: 0.64 of 0.64 kimg. To extend it, the same command with kimg=1.28" in out
    assert (run / "checkpoints" / "last.ckpt").read_bytes() == before
    code, out, err = inside(*words, "kimg=1.28")
    assert code == 0 and "plan    to 1.28 kimg, from 0.64" in out, err
    assert saved(run)["images_seen"] == 1280
    rows = [float(row["kimg"]) for row in stats_of(run)]
    assert rows == sorted(set(rows)) and rows[-1] == 1.28


def test_init_from_starts_afresh_with_other_weights(inside, words, whole, tmp_path):
    still = ["algorithm.generator_lr.start=0.0", "algorithm.generator_lr.end=0.0"]
    code, out, err = inside(*words, "kimg=0.064", "name=other", f"init_from={whole}", *still)
    assert code == 0, err
    assert "start   from the weights of" in out and ", from " not in out
    new, old = saved(tmp_path / "runs" / "other"), saved(whole)
    assert new["images_seen"] == 64 and new["global_step"] == 1
    # a learning rate of 0: the generator is as it was
    for name, value in old["state_dict"].items():
        if name.startswith("generator."):
            assert torch.equal(new["state_dict"][name], value)
