"""Memory that is left to a container, a Slurm step or a systemd slice, as control groups of either version tell it."""

import pytest

from transgan.data import control_groups, free_memory
from transgan.runs import machine

GIB = 2**30
NONE = 9223372036854771712  # the first version's


@pytest.fixture
def linux(tmp_path):
    """A function that makes the files of a machine -> its /proc/self. mounts: (kind, root, options) by place."""

    def make(own, mounts, files):
        lines = [
            f"{i} 22 0:{i} {root} {tmp_path / place} rw,nosuid shared:9 - {kind} cgroup {options}"
            for i, (place, (kind, root, options)) in enumerate(mounts.items(), start=30)
        ]
        process = tmp_path / "self"
        process.mkdir()
        (process / "mountinfo").write_text("\n".join(["22 1 8:1 / / rw - ext4 /dev/sda1 rw", *lines]))
        (process / "cgroup").write_text("".join(f"{line}\n" for line in own))
        for place in mounts:
            (tmp_path / place).mkdir(parents=True)
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(f"{text}\n")
        return process

    return make


def second(most, usage=0, stat="anon 0"):
    return {"memory.max": most, "memory.current": usage, "memory.stat": stat}


def first(most, usage=0, stat="cache 0"):
    return {"memory.limit_in_bytes": most, "memory.usage_in_bytes": usage, "memory.stat": stat}


def at(**groups):
    """Files of groups, by the folder of each."""
    return {f"{folder}/{name}": text for folder, files in groups.items() for name, text in files.items()}


V2 = {"fs": ("cgroup2", "/", "rw,nsdelegate")}
V1 = {"fs/memory": ("cgroup", "/", "rw,memory")}
BOTH = {"fs/cpu": ("cgroup", "/", "rw,cpu"), **V1, "fs/unified": ("cgroup2", "/", "rw")}


@pytest.mark.parametrize("own, mounts, groups, limit, free", [
    # a container that sees itself as the root
    (["0::/"], V2, {"fs": second(4 * GIB, GIB)}, 4 * GIB, 3 * GIB),
    # pages of files that it has read, once and more often, go when memory is needed; those of /dev/shm do not
    (["0::/"], V2, {"fs": second(4 * GIB, 4 * GIB, f"file {3 * GIB}\ninactive_file {GIB}\nactive_file {GIB}\nshmem {GIB}")},
     4 * GIB, 2 * GIB),
    # a slice of systemd around a session without a limit
    (["0::/user.slice/a.scope"], V2, {"fs/user.slice": second(8 * GIB, 6 * GIB), "fs/user.slice/a.scope": second("max", GIB)},
     8 * GIB, 2 * GIB),
    # the lowest limit and the fewest bytes left are of two groups
    (["0::/job/step"], V2, {"fs/job": second(8 * GIB, 8 * GIB - 1), "fs/job/step": second(2 * GIB, GIB)}, 2 * GIB, 1),
    (["0::/a"], V2, {"fs/a": second("max")}, None, None),
    # moved out of the part that is seen, or in a group that is not seen
    (["0::/../other"], V2, {"fs": second(4 * GIB), "other": second(GIB)}, 4 * GIB, 4 * GIB),
    (["0::/docker/1234"], V2, {"fs": second(4 * GIB)}, 4 * GIB, 4 * GIB),
    # Slurm's step, of the first version; another controller's path is another one
    (["4:cpu,cpuacct:/elsewhere", "3:memory:/slurm/job_7/step_0", "0::/"], BOTH,
     {"fs/memory": first(NONE), "fs/memory/slurm/job_7": first(16 * GIB, 10 * GIB),
      "fs/memory/slurm/job_7/step_0": first(NONE, GIB)}, 16 * GIB, 6 * GIB),
    (["3:memory:/a"], V1, {"fs/memory/a": first(4 * GIB, 4 * GIB, f"inactive_file 7\ntotal_inactive_file {2 * GIB}")},
     4 * GIB, 2 * GIB),
    # Docker's, whose own group is mounted as the root
    (["3:memory:/docker/1234"], {"fs/memory": ("cgroup", "/docker/1234", "rw,memory")},
     {"fs/memory": first(4 * GIB, 3 * GIB)}, 4 * GIB, GIB),
    (["3:memory:/a"], V1, {"fs/memory": first(NONE), "fs/memory/a": first(NONE, 5)}, None, None),
    # used to the last byte, or beyond
    (["0::/"], V2, {"fs": second(GIB, GIB + 5)}, GIB, 0),
    # what cannot be read
    (["0::/"], V2, {"fs": {"memory.max": GIB}}, GIB, GIB),
    ([], V2, {"fs": second(GIB, 1)}, GIB, GIB - 1),
    (["0::/"], V2, {"fs": {"memory.max": "", "memory.stat": "nothing"}}, None, None),
    (["0::/"], {}, {}, None, None),
])  # fmt: skip
def test_the_group_with_the_fewest_bytes_left_counts(linux, own, mounts, groups, limit, free):
    process = linux(own, mounts, at(**groups))
    assert control_groups.limit(process) == limit or limit is None and control_groups.limit(process) >= NONE
    assert control_groups.free(process) == free or free is None and control_groups.free(process) >= NONE - GIB


def test_where_there_is_no_linux(tmp_path):
    assert control_groups.limit(tmp_path) == control_groups.free(tmp_path) == control_groups.ANY


def test_the_memory_of_a_process_is_that_of_its_groups(linux, monkeypatch):
    process = linux(["0::/"], V2, at(fs=second(3000, 1000)))
    for function in (control_groups.limit, control_groups.free):
        monkeypatch.setattr(function, "__defaults__", (process,))
    assert free_memory.free_memory() == 2000 and machine.memory() == 3000
    assert free_memory.fits(499) and not free_memory.fits(500)
    for name, value in {"RANK": 1, "GROUP_RANK": 0, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2, "WORLD_SIZE": 4}.items():
        monkeypatch.setenv(name, str(value))
    assert free_memory.fits(249) and not free_memory.fits(250), "each of two processes on this machine keeps its own"
