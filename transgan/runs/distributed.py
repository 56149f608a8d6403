"""The processes of one command: who they are, where each computes, and how an error of one becomes known to all.

A Trainer decides rank and device; nothing is prepared on a device before it exists. Processes that torchrun or srun has
started are taken as they are; otherwise this command starts the others, by calling itself.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from pytorch_lightning import Trainer
from torch import Tensor

from transgan.errors import UserError, describe
from transgan.runs.output import complain

MEETING = timedelta(minutes=5)  # for all processes to come
WAITING = timedelta(hours=12)  # for one that measures, or reads images; of dead ones the watch knows sooner
BEAT = 2.0  # seconds between looks at the others
SILENCE = 120.0  # seconds without a sign of life, after which a process counts as lost
GRACE = 10.0  # seconds to end by oneself once another process has failed


class DistributedContext:
    """The processes of a command, as a context: connected inside of it, and gone after it, whatever happens.

    Args:
        trainer: whose strategy knows rank and device. arguments: this command's, for the processes that it starts.
        hint: what to add to the sentence about a process that was lost.
    """

    def __init__(self, trainer: Trainer, arguments: list[str], hint: Callable[[], str] = lambda: "") -> None:
        self.strategy: Any = trainer.strategy  # one for several processes knows its environment
        self.arguments, self.hint = arguments, hint
        self.rank, self.world_size = trainer.global_rank, trainer.world_size
        self.device = trainer.strategy.root_device
        self.here = int(getattr(trainer.strategy, "num_processes", 1))  # on this machine
        self.children: list[subprocess.Popen] = []
        self.store: Any = None  # once the processes have met
        self.rounds = 0
        self.closing = threading.Event()

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def __enter__(self) -> "DistributedContext":
        if self.world_size > 1:
            try:
                self.meet()
            except BaseException:
                self.end_children(0)
                raise
        return self

    def meet(self) -> None:
        environment = self.strategy.cluster_environment
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = environment.main_address, str(environment.main_port)
        if not environment.creates_processes_externally:
            self.start_children()
            threading.Thread(target=self.watch_children, daemon=True).start()
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        try:
            store, rank, world_size = next(dist.rendezvous("env://", self.rank, self.world_size, timeout=MEETING))
        except dist.DistNetworkError as error:
            if "in use" in str(error) or "EADDRINUSE" in str(error):
                raise UserError(
                    f"MASTER_PORT={os.environ['MASTER_PORT']} is taken by another program on {socket.gethostname()}; "
                    "give a free one, or leave MASTER_PORT unset"
                ) from error
            raise UserError(self.nobody(place)) from error
        except dist.DistStoreError as error:
            raise UserError(self.nobody(place)) from error
        store.set_timeout(WAITING)
        self.store = dist.PrefixStore("transgan", store)
        kind = self.device.type
        device: dict[str, Any] = {"device_id": self.device} if kind == "cuda" else {}
        if kind == "cuda":
            torch.cuda.set_device(self.device)
        dist.init_process_group(
            "nccl" if kind == "cuda" else "gloo", store=dist.PrefixStore("group", store), rank=rank,
            world_size=world_size, timeout=WAITING, **device,
        )  # fmt: skip
        threading.Thread(target=self.watch, args=(store.clone(),), daemon=True).start()

    def nobody(self, place: str) -> str:
        return (
            f"process {self.rank} of {self.world_size} waited {MEETING.seconds // 60} minutes at {place}, and not all "
            "of the others came; start them all, under Slurm by `srun transgan ...`"
        )

    def start_children(self) -> None:
        """The other processes of this machine: this command again, with a rank of its own."""
        count = self.strategy.num_processes
        os.environ |= {
            "LOCAL_RANK": "0", "NODE_RANK": str(self.strategy.node_rank), "WORLD_SIZE": str(self.world_size),
        }  # fmt: skip
        for local_rank in range(1, count):
            environment = os.environ | {"LOCAL_RANK": str(local_rank), "RANK": str(self.rank + local_rank)}
            self.children.append(subprocess.Popen([sys.executable, "-m", "transgan", *self.arguments], env=environment))

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self.world_size == 1:
            return
        failed = error is not None and not getattr(error, "everywhere", False)
        if error is not None and failed and self.store is not None:
            other = self.heard(GRACE) or self.silent() if is_of_the_line(error) else self.heard(0)
            if other is None:
                with suppress(Exception):
                    self.store.set(
                        "failed",
                        json.dumps({"rank": self.rank, "says": said(error), "user": isinstance(error, UserError)}),
                    )
                    if self.rank and isinstance(error, UserError):
                        error.said = True
                    self.linger()
            elif other["rank"] != self.rank:  # this one only noticed that the other was gone
                self.tell(other)
                self.closing.set()
                self.end_children(0)
                raise SystemExit(1) from error
        self.closing.set()
        if error is None and dist.is_initialized():
            with suppress(RuntimeError):  # one that was done is gone
                dist.barrier()
            dist.destroy_process_group()
        self.end_children(GRACE if error is None or not failed else 0)

    def end_children(self, seconds: float) -> None:
        """Waits so long for the processes this one has started, then ends them."""
        until = time.monotonic() + seconds
        for child in self.children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(max(until - time.monotonic(), 0.0))
            child.kill()
            child.wait()
        for name in ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if self.children else ():
            os.environ.pop(name, None)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What fails inside on one process fails on all of them, and is said once.

        No process may wait for another one inside, unless by another `together`.
        """
        error = None
        try:
            yield
        except Exception as caught:
            if getattr(caught, "everywhere", False):  # all of them have it from one inside
                raise
            error = caught
        if self.world_size > 1:
            self.rounds += 1
            own = None if error is None else {"rank": self.rank, "says": said(error), "user": is_users(error)}
            self.store.set(f"round {self.rounds} of {self.rank}", json.dumps(own))
            theirs = [json.loads(self.store.get(f"round {self.rounds} of {rank}")) for rank in range(self.world_size)]
            first = next((each for each in theirs if each is not None), None)
            if first is not None and (first["user"] or first["rank"] != self.rank):
                where = f"process {first['rank']} of {self.world_size}: " if first["rank"] else ""
                shared = UserError(*(where + each for each in first["says"]))
                # rank 0 speaks; of a fault of ours, its own process says all
                shared.said = self.rank != 0 or not first["user"]
                shared.everywhere = True
                raise shared from error
            if error is not None:  # a fault of ours on this process, which the others have as a UserError
                cast(Any, error).everywhere = True
        if error is not None:
            raise error

    def gather(self, rows: Tensor) -> list[Tensor]:
        """The tensors of all processes, of the same shape everywhere and on this process's device."""
        parts = [torch.empty_like(rows) for _ in range(self.world_size)]
        dist.all_gather(parts, rows.contiguous())
        return parts

    # the watch: two threads that end a process which would wait for ever

    def watch(self, store: Any) -> None:
        """Gives a sign of life, and looks for those of the others and for a failure."""
        store = dist.PrefixStore("transgan", store)
        seen = {rank: (b"", time.monotonic()) for rank in range(self.world_size)}
        beats = 0
        while not self.closing.wait(BEAT):
            beats += 1
            try:
                store.set(f"beat {self.rank}", str(beats))
                if store.check(["failed"]):
                    lost = json.loads(store.get("failed"))
                    store.set(f"heard {self.rank}", "")
                    break
                lost = None
                for rank, (last, since) in seen.items():
                    beat = store.get(f"beat {rank}") if store.check([f"beat {rank}"]) else b""
                    seen[rank] = (last, since) if beat == last else (beat, time.monotonic())
                    if time.monotonic() - seen[rank][1] > SILENCE:
                        lost = {"rank": rank, "says": [f"it has given no sign of life for {SILENCE:g} seconds"]}
            except (RuntimeError, ValueError):  # the store lived in a process that is gone
                lost = {"rank": 0, "says": ["it is gone"], "gone": True}
            if lost is not None:
                break
        else:
            return
        if not self.closing.wait(GRACE) and lost["rank"] != self.rank:
            self.leave(lost)

    def watch_children(self) -> None:
        """Looks for processes of this machine that have ended with an error."""
        while not self.closing.wait(BEAT / 4):
            for rank, child in enumerate(self.children, start=self.rank + 1):
                if child.poll():
                    code = child.returncode
                    how = f"it was ended by signal {-code}" if code < 0 else f"it ended with exit code {code}"
                    lost = self.heard(0) or {"rank": rank, "says": [how]}
                    if not self.closing.wait(GRACE):
                        self.leave(lost)
                    return

    def heard(self, seconds: float) -> dict | None:
        """The failure that a process has reported, within so many seconds; or that of a child that has ended."""
        until = time.monotonic() + seconds
        while True:
            with suppress(Exception):
                if self.store is not None and self.store.check(["failed"]):
                    failure: dict[str, Any] = json.loads(self.store.get("failed"))
                    self.store.set(f"heard {self.rank}", "")
                    return failure
            for rank, child in enumerate(self.children, start=self.rank + 1):
                if child.poll() is not None and child.returncode < 0:
                    return {"rank": rank, "says": [f"it was ended by signal {-child.returncode}"]}
            if time.monotonic() >= until:
                return None
            time.sleep(BEAT / 10)

    def linger(self) -> None:
        """Until the others have heard of this failure: the store may be gone with this process."""
        until = time.monotonic() + GRACE
        others = [f"heard {rank}" for rank in range(self.world_size) if rank != self.rank]
        while not self.store.check(others) and time.monotonic() < until:
            time.sleep(BEAT / 10)

    def silent(self) -> dict | None:
        """A process that gives no signs of life."""
        with suppress(Exception):
            before = [self.beat(rank) for rank in range(self.world_size)]
            time.sleep(3 * BEAT)
            for rank in range(self.world_size):
                if self.beat(rank) == before[rank]:
                    return {"rank": rank, "says": ["it is gone"]}
            return None
        return {"rank": 0, "says": ["it is gone"], "gone": True}

    def beat(self, rank: int) -> bytes:
        return self.store.get(f"beat {rank}") if self.store.check([f"beat {rank}"]) else b""

    def tell(self, lost: dict) -> None:
        """Process 0 speaks; of its own failure it has spoken itself, unless it is gone."""
        if self.rank == 0 or lost.get("gone"):
            for each in lost["says"]:
                hint = "" if lost.get("user") else self.hint()
                complain(f"process {lost['rank']} of {self.world_size} failed: {each}{hint}")

    def leave(self, lost: dict) -> None:
        """Ends this process, which waits for one that will not answer."""
        self.tell(lost)
        for child in self.children:
            child.kill()
        with suppress(Exception):
            sys.stdout.flush()
        os._exit(1)


def said(error: BaseException) -> list[str]:
    if isinstance(error, UserError):
        return list(error.findings)
    if isinstance(error, (ValueError, OSError)):
        return [describe(error)]
    return [f"{type(error).__name__}: {error}" if isinstance(error, Exception) else str(error)]


def is_users(error: Exception) -> bool:
    """Whether the user can mend it, as in `errors.setting_up`."""
    return isinstance(error, (UserError, ValueError, OSError))


def is_of_the_line(error: BaseException) -> bool:
    """Whether an error says no more than that another process did not answer."""
    signs = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe", "Socket", "store")
    found = isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)
    return found or isinstance(error, dist.DistError)
