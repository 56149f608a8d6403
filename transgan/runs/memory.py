"""What the allocator of the C library does with memory that a training step has freed."""

import ctypes
import sys

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3  # mallopt(3)
LARGEST = 2**30  # bytes


def keep_freed_memory() -> bool:
    """Lets this process keep blocks up to 1 GiB that it frees, as torch does on GPUs. False where that is not possible.

    The C library of Linux maps large blocks from the system one at a time and returns them when they are freed; every
    training step on a CPU then waits for pages of zeros, a tenth to a fifth of its time.
    """
    if not sys.platform.startswith("linux") or limited():
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    settings = {MMAP_THRESHOLD: LARGEST, TRIM_THRESHOLD: LARGEST, TOP_PAD: 2**26}
    return all([mallopt(name, value) == 1 for name, value in settings.items()])


def limited() -> bool:
    """Whether the addresses of this process are limited (`ulimit -v`): what it keeps cannot serve another purpose then,
    and libraries that are refused a few pages have no way out."""
    import resource  # not on Windows

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
