"""One owner of a run folder at a time."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

import transgan.runs.lock as module
from transgan.errors import UserError
from transgan.runs.lock import Lock

HOLD = "import sys, time; from transgan.runs.lock import Lock; Lock(sys.argv[1]).acquire(); print('held', flush=True); "


@pytest.fixture
def holder(transgan_process):
    """Starts a process that holds the lock of a folder, and does more then: holder(folder, program) -> Popen."""
    started = []

    def start(folder, program="time.sleep(60)"):
        process = subprocess.Popen(
            [sys.executable, "-c", "keep = None; " + HOLD.replace("Lock(sys.argv[1])", "keep = Lock(sys.argv[1]); keep") + program,
             str(folder)],
            env=transgan_process.environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_the_second_is_shown_who_the_first_is(holder, tmp_path):
    process = holder(tmp_path / "run")
    with pytest.raises(UserError) as caught:
        Lock(tmp_path / "run").acquire()
    sentence = str(caught.value)
    assert f"process {process.pid} on {socket.gethostname()}" in sentence and "name=NAME" in sentence
    Lock(tmp_path / "other").acquire()  # another run is nobody's business


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None], ids=["killed", "terminated", "by itself"])
def test_however_the_first_ends_the_next_may_go_on(end, holder, tmp_path):
    process = holder(tmp_path, "sys.stdin.close()" if end is None else "time.sleep(60)")
    if end is not None:
        process.send_signal(end)
    process.wait()
    Lock(tmp_path).acquire()


def test_child_processes_do_not_keep_it(holder, tmp_path):
    """Those that read images live some seconds longer than a process that was killed."""
    process = holder(
        tmp_path, "import os; pid = os.fork(); print(pid or '', flush=True) if pid else None; time.sleep(30)"
    )
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    try:
        Lock(tmp_path).acquire()
    finally:
        os.kill(child, signal.SIGKILL)


def test_closing_it_lets_others_in(holder, tmp_path):
    lock = Lock(tmp_path)
    lock.acquire()
    lock.acquire()  # once more changes nothing
    lock.close()
    lock.close()
    holder(tmp_path)


def test_a_file_that_was_taken_away_meanwhile_is_no_lock(tmp_path, monkeypatch):
    """One process ends and takes its file away, between the moments in which another opens it and locks it."""
    real, calls = module.take, []

    def slow(file):
        calls.append(file)
        if len(calls) == 1:
            os.unlink(tmp_path / ".lock")
        real(file)

    monkeypatch.setattr(module, "take", slow)
    lock = Lock(tmp_path)
    lock.acquire()
    assert len(calls) == 2 and os.path.samestat(os.fstat(lock.file.fileno()), os.stat(tmp_path / ".lock"))


def test_what_was_not_there_before_and_stayed_empty_is_gone_again(tmp_path):
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path / "runs" / "a", tmp_path / "mine"):
        lock = Lock(folder)
        lock.acquire()
        lock.close()
    assert os.listdir(tmp_path) == ["mine"] and os.listdir(tmp_path / "mine") == []
    lock = Lock(tmp_path / "runs" / "b")
    lock.acquire()
    (tmp_path / "runs" / "b" / "stats.csv").write_text("")
    lock.close()
    assert sorted(os.listdir(tmp_path / "runs" / "b")) == ["stats.csv"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_that_cannot_lock_is_named(number, monkeypatch, inside, tiny, tmp_path):
    def unable(file):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, "take", unable)
    code, out, err = inside("train", *tiny, "kimg=0.032")
    assert code == 0 and f"this disk cannot lock files ({os.strerror(number)})" in out, err


@pytest.mark.parametrize("content", [b"", b"{", b"\0\0\0", b"[1]"])
def test_whatever_is_in_the_file(content, tmp_path, monkeypatch):
    (tmp_path / ".lock").write_bytes(content)
    lock = Lock(tmp_path)
    lock.acquire()
    lock.close()
    monkeypatch.setattr(module, "take", lambda file: (_ for _ in ()).throw(BlockingIOError(errno.EAGAIN, "busy")))
    (tmp_path / ".lock").write_bytes(content)
    with pytest.raises(UserError, match="by another process"):
        Lock(tmp_path).acquire()


def test_what_a_killed_run_was_writing_is_taken_away(tmp_path):
    for name in ("stats.csv.1a2b3c4d.tmp", "checkpoints/last.ckpt.1a2b3c4d.tmp", "samples/000001.png.1a2b3c4d.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "evaluations").mkdir()
    others = [
        tmp_path / "evaluations" / "x.json.1a2b3c4d.tmp",
        tmp_path / "generated.png.1a2b3c4d.tmp",
        tmp_path / "mine.txt",
    ]
    for other in others:
        other.write_bytes(b"")
    Lock(tmp_path).acquire()
    assert all(other.exists() for other in others) and not list(tmp_path.glob("checkpoints/*"))
    assert not list(tmp_path.glob("stats*")) and not list(tmp_path.glob("samples/*"))


@pytest.mark.slow
def test_two_terminals(transgan_process, inside, tiny, tmp_path):
    """The same command twice at the same time: the second is refused at once, and the first is not disturbed."""
    words = ["train", *tiny, "kimg=100", "checkpoint_every=100"]
    first = transgan_process.start(*words, cwd=tmp_path)
    for line in first.stdout:
        if line.startswith("kimg"):
            break
    begin = time.monotonic()
    code, out, err = inside(*words)
    assert code == 2 and f"by process {first.pid} on" in err and "plan" not in out
    assert time.monotonic() - begin < 10
    first.send_signal(signal.SIGTERM)
    out, _ = first.communicate(timeout=60)
    assert first.returncode == 143 and "and saved" in out
    code, out, err = inside(*words, "trainer.max_time=00:00:00:00")
    assert code == 0 and ", from " in out, err
