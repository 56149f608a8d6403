"""How much memory there is to take: of the machine, of its control groups, and of what this process is allowed."""

import os
from pathlib import Path

from transgan.data import control_groups
from transgan.launched import launched


def free_memory(processes: int = 1) -> int:
    """Bytes that this process may still take, of so many that share the machine and do the same."""
    return max(0, min(min(of_machine(), control_groups.free()) // processes, of_limit()))


def fits(size: int) -> bool:
    """Whether `size` bytes are less than a quarter of the free memory, for each of the processes on this machine."""
    return size < free_memory(launched().local_world_size) / 4


def of_machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return 4 * 2**30


def of_limit() -> int:
    """Of `ulimit -v`, which counts addresses, used or not."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return 2**63
        return limit - int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError):  # Windows has no resource, macOS no /proc
        return 2**63
