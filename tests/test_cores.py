"""How many cores a command takes for its own, and how many threads torch gets of them."""

import os

import pytest
import torch

from transgan.cores import cores, keep_to_cores
from transgan.planning.look import facts_of


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_fewest_count(monkeypatch):
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(12)), raising=False)
    assert cores() <= 12
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "3")
    assert 1 <= cores() <= 3


@pytest.mark.parametrize("quota, count", [("250000 100000", 3), ("100000 100000", 1), ("max 100000", 16)])
def test_the_quota_of_a_container(quota, count, monkeypatch, tmp_path):
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    (tmp_path / "cpu.max").write_text(quota + "\n")
    real, exists = open, os.path.exists

    def moved(path, *arguments, **named):
        return real(tmp_path / "cpu.max" if path == "/sys/fs/cgroup/cpu.max" else path, *arguments, **named)

    monkeypatch.setattr("builtins.open", moved)
    monkeypatch.setattr(os.path, "exists", lambda path: path == "/sys/fs/cgroup/cpu.max" or exists(path))
    assert cores() == count


def test_torch_takes_no_more_threads_than_there_are_cores(monkeypatch, threads):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    torch.set_num_threads(3)
    keep_to_cores()
    assert torch.get_num_threads() == 1


def test_a_plan_counts_them(monkeypatch, tmp_path):
    from PIL import Image

    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert facts_of(tmp_path, None, None, 0.0, "cpu", None).cores == 1
