"""A process that ends with the one that has started it, as after kill -9 of that one."""

import os
import signal
import threading
import time

ENDS_WITH = "TRANSGAN_ENDS_WITH"  # in the environment: the number of the process that has started this one
LOOK = 1.0  # seconds between looks


def end_with_parent() -> None:
    """Where the environment says so, asks this process to save and end once its parent is gone. Not on Windows, where a
    process does not learn of that."""
    parent = os.environ.pop(ENDS_WITH, "")  # not for processes of this one
    if os.name == "posix" and parent.isdigit():
        threading.Thread(target=watch, args=(int(parent),), daemon=True).start()


def watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    os.kill(os.getpid(), signal.SIGTERM)
