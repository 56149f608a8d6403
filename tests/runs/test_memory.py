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
