"""What the allocator of the C library does with memory that a training step has freed."""

import ctypes
import sys

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD, ARENA_MAX = -1, -2, -3, -8  # mallopt(3)
LARGEST = 2**30  # bytes
USUAL = 2**17  # bytes from which a block is mapped by itself, until the C library raises that


def keep_freed_memory() -> bool:
    """Lets this process keep blocks up to 1 GiB that it frees, as torch does on GPUs. False where that is not possible.

    The C library of Linux maps large blocks from the system one at a time and returns them when they are freed; every
    training step on a CPU then waits for pages of zeros, a tenth to a fifth of its time.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    if limited():  # every large block goes back at once, and threads share what is left
        mallopt(MMAP_THRESHOLD, USUAL)
        mallopt(ARENA_MAX, 1)
        return False
    settings = {MMAP_THRESHOLD: LARGEST, TRIM_THRESHOLD: LARGEST, TOP_PAD: 2**26}
    return all([mallopt(name, value) == 1 for name, value in settings.items()])


def limited() -> bool:
    """Whether the addresses of this process are limited (`ulimit -v`): what it keeps cannot serve another purpose then,
    and libraries that are refused a few pages have no way out."""
    import resource  # not on Windows

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
