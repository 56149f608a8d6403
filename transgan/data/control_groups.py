"""How much memory the control groups of Linux let a process take: of a container, a step of Slurm, a systemd slice.

A process is in a group of a hierarchy, and each group around it limits it, too. There are two versions: in the second
one hierarchy is about everything, in the first that of the `memory` controller counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROCESS = Path("/proc/self")
ANY = 2**63  # where there is no limit; the first version has a number that is nearly as large for that


@dataclass(frozen=True)
class Names:
    """The files of a group, and in its `memory.stat` what it holds of files: pages that go when memory is needed."""

    limit: str
    usage: str
    files: frozenset[str]


SECOND = Names("memory.max", "memory.current", frozenset({"inactive_file", "active_file"}))
FIRST = Names("memory.limit_in_bytes", "memory.usage_in_bytes", frozenset({"total_inactive_file", "total_active_file"}))


def limit(process: Path = PROCESS) -> int:
    """Bytes that the group with the lowest limit may have; ANY without one."""
    return min((limit_of(folder, names) for folder, names in groups(process)), default=ANY)


def free(process: Path = PROCESS) -> int:
    """Bytes that may still be taken, of the group that has the fewest left; ANY without a limit."""
    return min((free_in(folder, names) for folder, names in groups(process)), default=ANY)


def limit_of(folder: Path, names: Names) -> int:
    try:
        return int((folder / names.limit).read_text())
    except (OSError, ValueError):  # of the root there are no files; or "max"
        return ANY


def free_in(folder: Path, names: Names) -> int:
    if (most := limit_of(folder, names)) == ANY:
        return ANY
    try:
        usage = int((folder / names.usage).read_text())
    except (OSError, ValueError):
        return most
    return max(0, most - max(0, usage - file_pages(folder, names)))


def file_pages(folder: Path, names: Names) -> int:
    """Bytes of files that the system keeps in memory on a group's account, and counts as its usage."""
    try:
        lines = [line.split() for line in (folder / "memory.stat").read_text().splitlines()]
        return sum(int(line[1]) for line in lines if line[0] in names.files)
    except (OSError, ValueError, IndexError):
        return 0


def groups(process: Path) -> Iterator[tuple[Path, Names]]:
    """The folder of each group that a process is in, from the innermost one to the outermost one that can be seen."""
    for names, root, top in mounts(process):
        own = own_group(process, names)
        below = Path(own).relative_to(root) if own is not None and Path(own).is_relative_to(root) else Path()
        folder = top / below
        if ".." in below.parts or not folder.is_dir():  # a container sees its own groups alone, by other names
            folder = top
        yield folder, names
        while folder != top:
            folder = folder.parent
            yield folder, names


def mounts(process: Path) -> Iterator[tuple[Names, str, Path]]:
    """Hierarchies about memory: the version, the group that is seen as its root, and the folder where it is seen."""
    for line in lines_of(process / "mountinfo"):
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), (*after.split(), "", "", "")[:3]
        if kind == "cgroup2":
            yield SECOND, fields[3], Path(fields[4])
        elif kind == "cgroup" and "memory" in options.split(","):
            yield FIRST, fields[3], Path(fields[4])


def own_group(process: Path, names: Names) -> str | None:
    """The path of a process's group within its hierarchy."""
    for line in lines_of(process / "cgroup"):
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number == "0" and not controllers if names is SECOND else "memory" in controllers.split(","):
            return path
    return None


def lines_of(path: Path) -> list[str]:
    try:
        return path.read_text(errors="surrogateescape").splitlines()
    except OSError:  # not Linux
        return []
