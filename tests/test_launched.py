"""What the environment says of processes that something outside has started."""

import pytest

from transgan.launched import Launched, alone, launched, left_alone

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "GROUP_RANK": "1"}
SRUN = {"SLURM_JOB_ID": "5", "SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}
BATCH = {**SRUN, "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}


@pytest.mark.parametrize("environment, found", [
    ({}, Launched()),
    ({"LOCAL_RANK": "0"}, Launched()),                                              # left behind by something
    (TORCHRUN, Launched("torchrun", 5, 8, 1, 4)),
    ({**SRUN, **TORCHRUN}, Launched("torchrun", 5, 8, 1, 4)),                       # torchrun by srun
    ({**SRUN, "SLURM_STEP_ID": "0"}, Launched("srun", 3, 4, 1, 2)),
    (SRUN, Launched("srun", 3, 4, 1, 2)),                                           # no first task
    ({**BATCH, "SLURM_STEPID": "12"}, Launched("srun", 0, 4, 0, 2)),
    ({**BATCH, "SLURM_NTASKS_PER_NODE": "2"}, Launched("srun", 0, 4, 0, 2)),
    (BATCH, Launched()),                                                            # the script of a job
    ({**BATCH, "SLURM_STEP_ID": "4294967294"}, Launched()),                         # as some clusters number it
    ({**BATCH, "SLURM_STEP_ID": "4294967290"}, Launched()),                         # salloc's shell
    ({**SRUN, "SLURM_STEP_ID": "0", "SLURM_JOB_NAME": "interactive"}, Launched()),
    ({**SRUN, "SLURM_NTASKS": "1", "SLURM_STEP_ID": "0"}, Launched()),
    ({"LOCAL_RANK": "1", "RANK": "1", "WORLD_SIZE": "2"}, Launched("transgan", 1, 2, 1, 2)),
])  # fmt: skip
def test_environments(environment, found):
    assert launched(environment) == found
    assert launched(environment).outside == (found.by in ("torchrun", "srun"))


def test_number_of_machines():
    assert launched(TORCHRUN).num_nodes == launched({**SRUN, "SLURM_STEP_ID": "0"}).num_nodes == 2


def test_unequal_machines_are_refused():
    with pytest.raises(ValueError, match="--ntasks-per-node"):
        launched({**SRUN, "SLURM_NTASKS": "3", "SLURM_STEP_ID": "0"})


@pytest.mark.parametrize("environment, said", [({}, False), (BATCH, True), (TORCHRUN, False), (SRUN, False)])
def test_a_job_whose_tasks_are_not_used(environment, said):
    assert bool(left_alone(environment)) == said


@pytest.mark.parametrize(
    "environment", [TORCHRUN, SRUN, {**BATCH, "SLURM_STEP_ID": "3"}, {"LOCAL_RANK": "1", "WORLD_SIZE": "2"}]
)
def test_what_one_of_several_starts_is_one_alone(environment):
    assert launched(environment).world_size > 1
    assert launched(alone(environment)) == Launched() and left_alone(alone(environment)) is None
    assert alone({"HOME": "/x", **environment})["HOME"] == "/x"


@pytest.mark.parametrize("name, word, rest", [
    ("SLURM_NTASKS", "abc", {}), ("SLURM_PROCID", "x", {**SRUN, "SLURM_STEP_ID": "0"}), ("SLURM_PROCID", "-1", BATCH),
    ("SLURM_NNODES", "1.5", {**SRUN, "SLURM_STEP_ID": "0"}), ("RANK", "", TORCHRUN), ("LOCAL_WORLD_SIZE", "²", TORCHRUN),
    ("WORLD_SIZE", "", {"LOCAL_RANK": "1"}), ("RANK", "first", {"LOCAL_RANK": "1", "WORLD_SIZE": "2"}),
])  # fmt: skip
def test_what_is_no_number_of_processes_is_named(name, word, rest):
    with pytest.raises(ValueError, match=f"has {name}={word}, which is not a number.*unset {name}"):
        launched({**rest, name: word})
