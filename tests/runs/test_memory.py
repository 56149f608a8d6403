"""Memory that a step frees stays with the process, so that the next step does not wait for pages of zeros."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from transgan.runs.memory import keep_freed_memory

def faults():
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        blocks = [np.ones(2**20), np.ones(2**22)]  # 8 and 32 MiB
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - begun

if sys.argv[1:]:
    resource.setrlimit(resource.RLIMIT_AS, (2**46, 2**46))
    sys.exit(keep_freed_memory())
before = faults()
if not keep_freed_memory():
    sys.exit(3)
faults()
print(before, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only the C library of Linux gives each block back")
def test_freed_blocks_are_used_again_without_page_faults():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    if done.returncode == 3:
        pytest.skip("this C library has no mallopt")
    before, after = map(int, done.stdout.split())
    assert after < before / 20, (before, after)


@pytest.mark.skipif(sys.platform != "linux", reason="only the C library of Linux gives each block back")
def test_freed_blocks_go_back_where_addresses_are_limited():
    """They could not be used for anything else: oneDNN's kernels are mapped, and not allocated."""
    assert subprocess.run([sys.executable, "-c", PROGRAM, "limited"], timeout=120).returncode == 0


LIMITED = """
import resource, sys
import pytorch_lightning, torch, transgan.runs.training
from transgan.cli import main

torch.randn(64, 64) @ torch.randn(64, 64)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a process is read from /proc")
def test_a_batch_that_does_not_fit_goes_on_in_parts(tmp_path):
    words = [
        "train", "resolution=16", "data.limit=512", "batch_size=512", "kimg=1.024", "metrics=none", "logger=none", "threads=1",
        "penalty=r1_r2", "trainer=cpu", "name=tight", "algorithm.share_fakes=true",
    ]  # fmt: skip
    command = [sys.executable, "-c", LIMITED, "1100", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("memory ")][-1:]
    assert "micro_batch=" in line and (tmp_path / "runs/tight/checkpoints/last.ckpt").exists()
