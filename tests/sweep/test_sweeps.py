"""`transgan train -m` from the arguments to the table, with runs of a second."""

import csv
import importlib.util
import json
import shutil
import signal
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import transgan
from transgan.cli import main
from transgan.commands import train
from transgan.sweep.folder import runs_in

MEASURED = ["metrics=fast", "extractor.steps=5", "metrics.num_samples=64", "kimg=0.064"]
SEARCH = ["hydra/sweeper=optuna", "algorithm.generator_lr.start=interval(1e-4,1e-2)", "loss=hinge,relativistic"]


@pytest.fixture(scope="module")
def tiny(tiny):
    """Two steps instead of twenty."""
    return [*tiny, "kimg=0.064"]


def needs(extra: str, package: str):
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f'needs `pip install "transgan[{extra}]"`')


def table(sweep) -> list[dict]:
    with open(sweep / "sweep.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def six(tmp_path_factory, cache, tiny):
    """The folder in which a sweep of three seeds and two losses was trained, and its arguments."""
    cwd = tmp_path_factory.mktemp("six")
    words = ["train", "-m", "seed=0,1,2", "loss=relativistic,hinge", *tiny, *MEASURED]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.setenv("TRANSGAN_CACHE", str(cache))
        assert main(words) == 0
    return cwd, words


@pytest.mark.parametrize("words, jobs", [
    (["seed=0,1"], 2), (["seed=0", "loss=hinge,relativistic"], 2), (["hydra/sweeper=optuna", "loss=hinge"], 1),
])  # fmt: skip
def test_a_dry_sweep_says_what_each_job_would_cost_and_leaves_nothing(inside, tiny, tmp_path, words, jobs):
    if "optuna" in words[0] and importlib.util.find_spec("optuna") is None:
        pytest.skip('needs `pip install "transgan[optuna]"`')
    code, out, err = inside("train", "-m", *words, *tiny, *MEASURED, "dry_run=true")
    assert code == 0 and not err, err
    assert out.count("\ncost    ") == jobs and f"job     {jobs}/{jobs}: " in out
    assert "done    dry_run=true: nothing was trained or written" in out and not (tmp_path / "runs").exists()


@pytest.fixture
def stopped_at(monkeypatch):
    """Makes the n-th training end as by Ctrl-C: stopped_at(n) -> list of the names of the runs that were begun."""

    def patch(number: int, code: int = 128 + signal.SIGINT) -> list[str]:
        begun, real = [], train.main

        def stop(config, words):
            begun.append(config.name)
            return code if len(begun) == number else real(config, words)

        monkeypatch.setattr(train, "main", stop)
        return begun

    yield patch


def test_a_sweep_leaves_ordinary_runs_and_a_table(six):
    cwd, _ = six
    sweep = cwd / "runs" / "digits-sweep"
    names = [f"loss-{loss}_seed-{seed}" for loss in ("hinge", "relativistic") for seed in range(3)]
    assert [run.name for run in runs_in(sweep)] == names
    for run in runs_in(sweep):
        assert {path.name for path in run.iterdir()} == {
            "checkpoints", "samples", "config.yaml", "env.json", "log.txt", "metrics.jsonl", "stats.csv",
        }  # fmt: skip
        assert OmegaConf.load(run / "config.yaml").name == run.name
    rows = table(sweep)
    assert {row["status"] for row in rows} == {"done"} and {row["metric"] for row in rows} == {"fd_classifier"}
    values = [float(row["value"]) for row in rows]
    assert len(values) == 6 and values == sorted(values)
    text = (sweep / "sweep.md").read_text()
    assert "6 of 6 jobs are done" in text and "mean ± std" in text and "transgan compare" in text
    assert not list(cwd.rglob(".hydra")) and not list(cwd.rglob("*.log"))


def test_the_value_of_a_job_is_the_best_measured_again(six):
    sweep = six[0] / "runs" / "digits-sweep"
    for row in table(sweep):
        lines = [json.loads(line) for line in (sweep / row["run"] / "metrics.jsonl").read_text().splitlines()]
        again = [line["metrics"]["fd_classifier"] for line in lines if "selection" in line["protocol"]]
        during = [line["metrics"]["fd_classifier"] for line in lines if "checkpoint" not in line["protocol"]]
        assert float(row["value"]) == (again or during)[-1] and float(row["last"]) == during[-1]


def test_a_job_is_trained_as_a_run_alone_is(six, inside, tiny, assert_same_run, tmp_path):
    code, out, err = inside("train", "name=alone", "seed=2", "loss=hinge", *tiny, *MEASURED)
    assert code == 0, out + err
    assert_same_run(six[0] / "runs" / "digits-sweep" / "loss-hinge_seed-2", tmp_path / "runs" / "alone")


def test_the_same_command_again_trains_nothing(six, inside, monkeypatch):
    cwd, words = six
    monkeypatch.chdir(cwd)
    monkeypatch.setattr(train, "main", lambda *_: pytest.fail("a job that is done was trained"))
    code, out, err = inside(*words)
    assert code == 0 and out.count("done already, fd_classifier") == 6


def test_compare_reads_a_sweep(six, inside, tmp_path):
    shutil.copytree(six[0] / "runs", tmp_path / "runs")
    code, out, err = inside(
        "compare", "runs/digits-sweep", "device=cpu", "num_samples=32", "speed_images=4", "threads=1"
    )
    assert code == 0, out + err
    assert "6 of 2 systems" in out


def test_mistakes_in_any_job_are_found_before_the_first(refused, tiny, tmp_path):
    err = refused("train", "-m", "seed=0,-1,x", "loss=relativistic,hing", *tiny)
    assert "seed=-1: it takes a whole number" in err and "seed=x: it takes" in err
    assert "did you mean hinge?" in err and "(in 3 of 6 jobs, such as seed=0 loss=hing)" in err
    assert not (tmp_path / "runs").exists()


def test_a_job_that_fails_does_not_stop_the_others(inside, tiny, tmp_path):
    assert inside("train", "runs=runs/x", "name=seed-0", "seed=0", "batch_size=16", *tiny[:3], *tiny[4:])[0] == 0
    words = ["train", "-m", "name=x", "seed=0,1", *tiny]
    code, out, err = inside(*words)
    assert code == 2 and "failed: seed=0: runs/x/seed-0 holds a run with other settings" in err
    assert "1 of 2 jobs failed; the same command tries them again" in err and "Traceback" not in err
    assert {row["run"]: row["status"] for row in table(tmp_path / "runs" / "x")} == {
        "seed-0": "failed",
        "seed-1": "done",
    }


def test_a_fault_in_one_job_is_reported_and_the_others_go_on(inside, tiny, tmp_path, monkeypatch):
    real = train.main

    def faulty(config, words):
        if config.seed == 0:
            raise RuntimeError("broken inside")
        return real(config, words)

    monkeypatch.setattr(train, "main", faulty)
    code, out, err = inside("train", "-m", "name=x", "seed=0,1", *tiny)
    assert code == 1 and "Traceback" in err and "failed: seed=0: RuntimeError: broken inside" in err
    assert [row["status"] for row in table(tmp_path / "runs" / "x")] == ["done", "failed"]


@pytest.mark.slow
def test_a_sweep_that_was_stopped_goes_on(inside, tiny, tmp_path, stopped_at, monkeypatch):
    words = ["train", "-m", "name=x", "seed=0,1,2", *tiny]
    with monkeypatch.context():
        begun = stopped_at(2)
        code, out, err = inside(*words)
    assert code == 130 and begun == ["seed-0", "seed-1"]
    assert "the sweep was stopped by Ctrl-C: 1 of 3 jobs are done; the same command continues" in err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    code, out, err = inside(*words)
    assert code == 0 and out.count("done already") == 1 and "3 of 3 jobs are done" in out


def test_hydra_names_the_folders_of_a_sweep(inside, tiny, tmp_path):
    code, out, err = inside(
        "train", "-m", "seed=0,1", "hydra.sweep.dir=here/${resolution}", "hydra.sweep.subdir=job${hydra.job.num}", *tiny
    )
    assert code == 0, out + err
    assert [run.name for run in runs_in(tmp_path / "here" / "8")] == ["job0", "job1"]


def test_a_sweep_is_kept_out_of_the_folder_of_a_run(inside, refused, tiny):
    assert inside("train", "name=x", *tiny)[0] == 0
    assert "runs/x is a run and no sweep; give the sweep another name=" in refused(
        "train", "-m", "name=x", "seed=0,1", *tiny
    )


@pytest.mark.parametrize("words, said", [
    (["evaluate", "-m", "runs/a", "seed=0,1"], "-m is for `transgan train`"),
    (["train", "-m", "hydra/launcher=jobli", "seed=0,1"], "there is no such hydra/launcher; "),
    (["train", "-m", "hydra.sweeper.max_batch=3", "seed=0,1"], "did you mean hydra.sweeper.max_batch_size?"),
])  # fmt: skip
def test_what_a_sweep_cannot_do_is_said(refused, words, said):
    assert said in refused(*words)


def test_torchrun_starts_no_sweep(refused, monkeypatch):
    for name, value in {"RANK": 0, "GROUP_RANK": 0, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 2, "WORLD_SIZE": 2}.items():
        monkeypatch.setenv(name, str(value))
    assert "-m starts its jobs by itself" in refused("train", "-m", "seed=0,1")


def test_a_sweep_shows_its_configuration_and_trains_nothing(inside, tmp_path):
    code, out, err = inside("train", "-m", "--cfg", "hydra", "seed=0,1", "hydra.sweep.dir=elsewhere")
    assert code == 0 and OmegaConf.create(out).hydra.sweep.dir == "elsewhere"
    assert not list(tmp_path.iterdir())


@needs("optuna", "hydra_plugins.hydra_optuna_sweeper")
def test_a_search_needs_a_number(refused, tiny):
    assert "a search needs a number to make lower" in refused("train", "-m", *SEARCH, *tiny)


@pytest.mark.slow
@needs("optuna", "hydra_plugins.hydra_optuna_sweeper")
def test_a_search_that_was_stopped_goes_on(inside, tiny, tmp_path, stopped_at, monkeypatch, cache):
    import optuna

    words = [
        "train",
        "-m",
        "name=x",
        *SEARCH,
        "hydra.sweeper.n_trials=8",
        "hydra.sweeper.sampler.seed=1",
        *tiny,
        *MEASURED,
    ]
    sweep = tmp_path / "runs" / "x"
    begun = stopped_at(4)
    assert inside(*words)[0] == 130 and len(begun) == 4
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRANSGAN_CACHE", str(cache))
    again = stopped_at(100)
    code, out, err = inside(*words)
    assert code == 0, out + err
    assert "5 trials over algorithm.generator_lr.start, loss, after 3 that are done" in out
    assert len(again) == 5 and again[0] == begun[-1] and not set(again) & set(begun[:-1])
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{sweep}/optuna.db")
    done = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    rows = table(sweep)
    assert len(done) == len(rows) == 8
    assert sorted(trial.value for trial in done) == pytest.approx(sorted(float(row["value"]) for row in rows))
    best = OmegaConf.load(sweep / "optimization_results.yaml")
    assert best.best_value == pytest.approx(float(rows[0]["value"]))
    assert inside(*words)[0] == 0 and len(again) == 5  # nothing is left to do


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [
    pytest.param("joblib", marks=needs("joblib", "hydra_plugins.hydra_joblib_launcher")),
    pytest.param("submitit_local", marks=needs("submitit", "hydra_plugins.hydra_submitit_launcher")),
])  # fmt: skip
def test_jobs_in_processes_of_their_own(launcher, six, inside, tiny, tmp_path, assert_same_run, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(transgan.__file__).parents[1]))
    words = ["train", "-m", "name=x", "seed=0,1", "loss=hinge", f"hydra/launcher={launcher}", *tiny, *MEASURED]
    code, out, err = inside(*words, "threads=1")
    assert code == 0, out + err
    for seed in range(2):
        assert_same_run(
            tmp_path / "runs" / "x" / f"seed-{seed}", six[0] / "runs" / "digits-sweep" / f"loss-hinge_seed-{seed}"
        )
    assert "2 of 2 jobs are done" in out


@needs("submitit", "hydra_plugins.hydra_submitit_launcher")
def test_slurm_is_asked_for_what_the_keys_say(inside, tiny, tmp_path, monkeypatch):
    """A stand-in for sbatch; whether a cluster takes it is not tested here."""
    from hydra.core.utils import JobReturn, JobStatus
    from submitit.slurm.slurm import SlurmJob

    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sbatch", "srun", "scancel", "sacct"):
        (programs / name).write_text("#!/bin/sh\necho Submitted batch job 12\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr(SlurmJob, "results", lambda job: [JobReturn(status=JobStatus.COMPLETED)])
    code, out, err = inside(
        "train", "-m", "name=x", "seed=0,1,2", "hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu",
        "hydra.launcher.gpus_per_node=2", "hydra.launcher.timeout_min=90", *tiny,
    )  # fmt: skip
    assert code == 0, out + err
    script, *_ = (tmp_path / "runs" / "x" / ".submitit").rglob("*.sh")
    lines = script.read_text().splitlines()
    for line in ("--partition=gpu", "--gpus-per-node=2", "--time=90", "--array=0-2%3"):
        assert f"#SBATCH {line}" in lines, lines
    assert len(list((tmp_path / "runs" / "x" / ".submitit").rglob("*submitted.pkl"))) == 3
