"""Reads every file once, by several processes, and keeps little more than a kilobyte of each."""

import multiprocessing
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from transgan.cores import cores

Result = TypeVar("Result")
CHUNK = 64  # files that a process takes at a time
FEW = 200  # files for which no process is started
work: Callable[[Any], Any] | None = None  # of a worker process


def begin(function: Callable[[Any], Any]) -> None:
    """Makes `function` what a worker process computes."""
    global work
    work = function
    import torch

    from transgan.data.datamodule import undisturbed

    undisturbed(0)
    torch.set_num_threads(1)
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()


def end_with(parent: int) -> None:
    """Ends this process when its parent has ended, even if that was killed."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def chunk(items: Sequence[Any]) -> list[Any]:
    assert work is not None, "the process has begun"
    return [work(item) for item in items]


def in_processes(
    function: Callable[[Any], Result], items: Sequence[Any], workers: int | None = None, size: int = CHUNK
) -> Iterator[Result]:
    """Yields function(item) for each of N items in their order, computed by `workers` processes (None: one a core).

    function must be picklable, and is sent once. At most a few chunks of `size` results wait at a time, whatever N is.
    Raises MemoryError where a process was killed, as by a system that is out of memory.
    """
    workers = cores() if workers is None else workers
    if workers < 2 or len(items) < FEW:
        yield from map(function, items)
        return
    size = max(1, min(size, -(-len(items) // (4 * workers))))
    chunks = iter([items[i : i + size] for i in range(0, len(items), size)])
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    waiting: deque[Future[list[Result]]] = deque()
    pool = ProcessPoolExecutor(workers, context, initializer=begin, initargs=(function,))
    try:
        for each in chunks:
            waiting.append(pool.submit(chunk, each))
            if len(waiting) > 4 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        raise MemoryError(
            f"a process that reads images was killed, as happens when memory is short; workers={max(1, workers // 2)} "
            "needs less"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
