"""Numbers and grids arrive in every tracker, a continued run continues the tracker's, and a tracker ends no training.

Trackers that are not installed are skipped, and what is ours of them is tested with stand-ins.
"""

import csv
import importlib.util
import json
import os
import sqlite3
import sys
import tomllib
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, WandbLogger

from transgan.callbacks.trackers import CSV, MLflow, Trackio, Wandb
from transgan.callbacks.trackers.identity import known, own
from transgan.callbacks.trackers.wandb import logged_in
from transgan.callbacks.tracking import Failures, log_grid, log_numbers
from transgan.config.compose import compose
from transgan.instantiation import container
from transgan.runs import loggers
from transgan.runs.loggers import hyperparameters

SHORT = ["kimg=0.064", "log_every=0.032", "sample_every=0.032", "data.limit=100"]
VARIABLES = ("WANDB_MODE", "WANDB_PROJECT", "WANDB_API_KEY", "WANDB_BASE_URL", "NETRC", "MLFLOW_TRACKING_URI",
             "WANDB_IDENTITY_TOKEN_FILE", "TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")  # fmt: skip


def needs(package):
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"the package {package} is not installed (transgan[{package}])")


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """Nobody is logged in anywhere."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture
def train(inside, tiny, tmp_path):
    """Trains a tiny run: train(*overrides) -> (its folder, stdout, stderr)."""

    def run(*overrides, code=0):
        found, out, err = inside("train", *tiny, *SHORT, *overrides)
        assert found == code, out + err
        return tmp_path / "runs" / "digits", out, err

    return run


@pytest.fixture
def stand_in(monkeypatch):
    """Puts a module of this name where it can be imported: stand_in("wandb", init=...)."""

    def put(name, **content):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return put


CHECKOUT = str(Path(__file__).parents[2])


@pytest.fixture
def commands(transgan_process, tiny, tmp_path):
    """Trains, and continues, a tiny run in processes of their own: commands(*overrides) -> stdout of both."""

    def run(*overrides):
        path = os.pathsep.join([CHECKOUT, os.environ.get("PYTHONPATH", "")])
        said = []
        for kimg in (0.064, 0.096):
            words = ["train", *tiny, *SHORT, f"kimg={kimg}", *overrides]
            done = transgan_process(
                *words, cwd=tmp_path, new=True, PYTHONPATH=path, TRACKIO_DIR=str(tmp_path / "trackio")
            )
            assert done.returncode == 0, done.stderr
            said.append(done.stdout)
        return said

    return run


GRID = torch.arange(3 * 4 * 5, dtype=torch.uint8).reshape(3, 4, 5)


def trainer(*loggers):
    return SimpleNamespace(loggers=list(loggers), is_global_zero=True)


def feed(logger, step):
    """What a run gives a logger."""
    failures = Failures()
    log_numbers(trainer(logger), "train", {"loss_d": 0.5}, step)
    log_numbers(trainer(logger), "eval", {"fid": 2.0}, step)
    log_grid(trainer(logger), "generated", GRID, step, failures)
    assert not failures.failed


def test_a_missing_package_is_a_sentence_before_anything_is_prepared(refused, monkeypatch, tmp_path):
    monkeypatch.setattr(loggers.importlib.util, "find_spec", lambda name: None)
    for name in ("wandb", "mlflow", "trackio"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        err = refused("train", f"logger={name}", "data=folder", "data.path=missing")
        assert err == (
            f"transgan: logger={name}: the package {name} is not installed; pip install 'transgan[{name}]'\n"
        )
    assert not (tmp_path / "runs").exists()


def test_every_extra_that_a_sentence_names_is_there():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert set(loggers.PACKAGES.values()) <= set(extras)
    assert extras["trackers"] == ["transgan[wandb,mlflow,trackio]"]


def test_a_csv_of_everything_that_a_continued_run_continues(train):
    def rows(run):
        with open(run / "csv" / "metrics.csv", newline="") as file:
            return list(csv.DictReader(file))

    run, _, _ = train("logger=csv")
    assert [row["step"] for row in rows(run) if row["train/loss_d"]] == ["32", "64"]
    train("logger=csv", "kimg=0.128")
    assert [row["step"] for row in rows(run) if row["train/loss_d"]] == ["32", "64", "96", "128"]
    assert {name.partition("/")[0] for name in rows(run)[0]} == {"train", "step"}
    with open(run / "stats.csv") as file:  # its columns have no groups
        assert "loss_d" in next(csv.reader(file))


def test_a_csv_repeats_no_row(tmp_path):
    for steps in ([10, 20, 30], [20, 30]):  # the second time from a checkpoint at 10
        logger = CSV(str(tmp_path))
        for step in steps:
            log_numbers(trainer(logger), "train", {"a": step / 10}, step)
    with open(tmp_path / "csv" / "metrics.csv") as file:
        assert [(row["step"], row["train/a"]) for row in csv.DictReader(file)] == [
            ("10", "1.0"), ("20", "2.0"), ("30", "3.0")
        ]  # fmt: skip


def test_an_id_is_kept_in_the_run_folder(tmp_path):
    first = own(tmp_path / "run", "wandb")
    assert own(tmp_path / "run", "wandb") == first == known(tmp_path / "run", "wandb")
    assert own(tmp_path / "run", "trackio", "cats-").startswith("cats-") and own(tmp_path / "other", "wandb") != first
    assert json.loads((tmp_path / "run" / "trackers.json").read_text()).keys() == {"wandb", "trackio"}


def test_the_configuration_is_flat_and_holds_each_key_once():
    found = hyperparameters(container(compose("train", ["logger=csv"])))
    assert found["loss._target_"] == "transgan.losses.Relativistic" and found["kimg"] and found["generator.dim"]
    assert "algorithm.loss._target_" not in found and "algorithm.generator.dim" not in found
    assert not [key for key in found if key.startswith(("callbacks.", "logger."))]
    assert not [key for key, value in found.items() if isinstance(value, dict) and value]


BROKEN = """
from pytorch_lightning.loggers.logger import Logger

class Broken(Logger):
    name = version = "broken"
    calls = []
    def log_metrics(self, metrics, step=None): self.fail("log_metrics")
    def log_hyperparams(self, params, *more): self.fail("log_hyperparams")
    def log_image(self, key, images, step): self.fail("log_image")
    def save(self): self.fail("save")
    def finalize(self, status): self.fail("finalize")
    def fail(self, name):
        self.calls.append(name)
        raise ConnectionError("the network is gone")
"""


def test_a_tracker_that_fails_ends_no_training(train, tmp_path, monkeypatch):
    """Lightning's own calls and those of its callbacks, too."""
    (tmp_path / "broken_tracker.py").write_text(BROKEN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "broken_tracker", raising=False)
    monkeypatch.setattr("transgan.callbacks.tracking.WAIT", 0)
    rates = "+callbacks.rates={_target_: pytorch_lightning.callbacks.LearningRateMonitor, logging_interval: step}"
    (tmp_path / "conf" / "logger").mkdir(parents=True)
    (tmp_path / "conf" / "logger" / "broken.yaml").write_text("_target_: broken_tracker.Broken\n")
    run, out, err = train("logger=broken", rates)
    assert err.count("the network is gone") == 1
    assert "Broken failed: the network is gone; training goes on, and everything is in stats.csv" in err
    assert "done    0.064 kimg" in out and (run / "stats.csv").read_text().count("\n") == 3
    called = sys.modules.pop("broken_tracker").Broken.calls
    assert {"log_metrics", "log_hyperparams", "log_image", "finalize"} <= set(called)


def test_a_tracker_that_failed_is_left_alone_for_a_while(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("transgan.callbacks.tracking.time.monotonic", lambda: now[0])
    failures, called = Failures(), []

    def slow():
        called.append(now[0])
        now[0] += 60  # a server that does not answer
        raise TimeoutError

    for _ in range(3):
        failures.call("logger", slow)
    assert called == [100.0]
    now[0] += 601
    failures.call("logger", slow)
    assert len(called) == 2


def test_what_cannot_be_opened_is_refused_before_the_first_step(train, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    _, out, err = train("logger=csv", "logger.save_dir=file/x", code=2)
    assert err.startswith("transgan: ") and "Traceback" not in err and "plan    to" not in out

    def unreachable(self, *arguments, **named):
        raise ConnectionError("no route\nto the server")

    monkeypatch.setattr("transgan.callbacks.trackers.csv.CSVLogger.__init__", unreachable)
    _, out, err = train("logger=csv", code=2)
    reason = "ConnectionError: no route to the server"
    assert err == f"transgan: logger: it cannot be opened ({reason}); mend that, or give logger=none\n"


class FakeRun:
    """A run of Weights & Biases or Trackio."""

    def __init__(self, **init):
        self.init, self.logged, self.config, self.ended = init, [], {"_Username": None}, None
        self.id, self.offline, self.url = init.get("id"), init.get("mode") == "offline", "https://wandb.example/run"
        self.name, self._attach_id = init.get("name"), None

    def log(self, content, step=None):
        self.logged.append((content, step))

    def finish(self, exit_code=None):
        self.ended = exit_code


@pytest.fixture
def fake_wandb(stand_in, monkeypatch):
    made = []

    def init(**arguments):
        made.append(FakeRun(**arguments))
        return made[-1]

    monkeypatch.setattr("pytorch_lightning.loggers.wandb._WANDB_AVAILABLE", True)
    for name in ("wandb.sdk", "wandb.sdk.lib", "wandb.wandb_run"):
        stand_in(name, RunDisabled=FakeRun, Run=type("Run", (), {}))
    stand_in("wandb", init=init, run=None, Image=lambda image: image)
    return made


def test_wandb_has_one_offline_run_for_a_folder(fake_wandb, tmp_path):
    for step in (64, 128):
        logger = Wandb(str(tmp_path), name="cats", group="animals")
        assert logger.where == (
            f"Weights & Biases, offline, in {tmp_path}/wandb; `wandb sync {tmp_path}/wandb/offline-run-*` uploads it"
        )
        feed(logger, step)
        logger.finalize("success")
    first, second = fake_wandb
    assert first.init["id"] == second.init["id"] == known(tmp_path, "wandb") and first.init["resume"] == "allow"
    assert first.init["mode"] == "offline" and first.init["group"] == "animals" and first.init["project"] == "transgan"
    assert "WANDB_MODE" not in os.environ and first.ended == 0
    (train, _), (evaluation, _), (grid, _) = first.logged
    assert train == {"train/loss_d": 0.5, "trainer/global_step": 64} and evaluation["eval/fid"] == 2.0
    assert grid["trainer/global_step"] == 64 and isinstance(grid["samples/generated"][0], Image.Image)
    assert grid["samples/generated"][0].size == (5, 4)


def test_wandb_goes_where_the_user_is_logged_in(fake_wandb, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_API_KEY", "key")
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    logger = Wandb(str(tmp_path))
    assert logger.where == "Weights & Biases at https://wandb.example/run"
    assert "mode" not in fake_wandb[0].init and fake_wandb[0].init["project"] == "mine"
    assert Wandb(str(tmp_path), offline=True)._wandb_init["mode"] == "offline"
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert "mode" not in Wandb(str(tmp_path))._wandb_init


def test_a_login_is_a_key_for_the_host(monkeypatch, tmp_path):
    assert not logged_in()
    path = tmp_path / "netrc"
    path.write_text("machine api.wandb.ai\n  login user\n  password secret\n")
    monkeypatch.setenv("NETRC", str(path))
    assert logged_in()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example")
    assert not logged_in()
    path.write_text("no netrc at all")
    assert not logged_in()


def test_trackio_has_one_run_for_a_folder(stand_in, tmp_path):
    made = []

    def init(project, name, **more):
        print("* Trackio project initialized")
        made.append(FakeRun(project=project, name=name, **more))
        return made[-1]

    stand_in("trackio.utils", TRACKIO_DIR=tmp_path / "trackio")
    stand_in("trackio", init=init, Image=lambda image: image, finish=lambda: made[-1].finish(0))
    for step in (64, 128):
        logger = Trackio(str(tmp_path / "run"), "cats", space_id=None)
        assert logger.where == f"Trackio in {tmp_path / 'trackio'}; `trackio show --project transgan` shows it"
        logger.log_hyperparams({"loss._target_": "x", "_hidden": 1})
        feed(logger, step)
        logger.finalize("success")
    first, second = made
    assert first.init["name"] == second.init["name"] == known(tmp_path / "run", "trackio") == second.name
    assert first.init["name"].startswith("cats-") and first.init["resume"] == "allow" and first.ended == 0
    assert first.config["loss._target_"] == "x" and "_hidden" not in first.config
    assert first.logged[0] == ({"train/loss_d": 0.5}, 64) and first.logged[2][0]["samples/generated"].size == (5, 4)


@pytest.fixture
def fake_mlflow(stand_in):
    """One server, whatever its address: its runs by id."""
    runs = {}

    class Missing(Exception):
        error_code = "RESOURCE_DOES_NOT_EXIST"

    class Client:
        def __init__(self, uri):
            self.uri = uri

        def get_experiment_by_name(self, name):
            return SimpleNamespace(experiment_id="1", lifecycle_stage="active")

        def create_run(self, experiment_id, tags):
            data, info = SimpleNamespace(params={}), SimpleNamespace(run_id=f"run{len(runs)}", experiment_id="1")
            runs[info.run_id] = SimpleNamespace(
                data=data, info=info, tags=tags, metrics=[], images=[], status="RUNNING"
            )
            return runs[info.run_id]

        def get_run(self, identity):
            if identity not in runs:
                raise Missing(identity)
            return runs[identity]

        def update_run(self, identity, status):
            runs[identity].status = status

        set_terminated = update_run

        def log_batch(self, run_id, metrics=(), params=()):
            runs[run_id].metrics += [(each.key, each.value, each.step) for each in metrics]
            runs[run_id].data.params |= {each.key: each.value for each in params}

        def log_image(self, run_id, image, key, step):
            runs[run_id].images.append((key, image.size, step))

    def entity(**content):
        return SimpleNamespace(**content)

    stand_in("mlflow", set_tracking_uri=lambda uri: os.environ.update(MLFLOW_TRACKING_URI=uri))
    context = stand_in("mlflow.tracking.context", resolve_tags=lambda tags: tags)
    stand_in("mlflow.tracking", MlflowClient=Client, context=context)
    stand_in("mlflow.entities", Metric=entity, Param=entity)
    stand_in("mlflow.utils.mlflow_tags", MLFLOW_RUN_NAME="mlflow.runName")
    stand_in("mlflow.utils")
    return runs


def test_mlflow_has_one_run_for_a_folder(fake_mlflow, tmp_path, monkeypatch):
    monkeypatch.setattr("pytorch_lightning.loggers.mlflow._MLFLOW_AVAILABLE", True)
    for step, kimg in ((64, 1), (128, 2)):
        logger = MLflow(str(tmp_path / "run"), str(tmp_path / "mlflow"), run_name="cats")
        assert logger.where.startswith(f"MLflow in {tmp_path / 'mlflow' / 'mlflow.db'}; `mlflow ui --backend-store-uri")
        logger.log_hyperparams({"kimg": kimg})
        assert fake_mlflow["run0"].status == "RUNNING"
        feed(logger, step)
        logger.finalize("success")
    (run,) = fake_mlflow.values()
    assert known(tmp_path / "run", "mlflow") == "run0" and run.status == "FINISHED"
    assert run.metrics[::2] == [("train/loss_d", 0.5, 64), ("train/loss_d", 0.5, 128)]
    assert run.images == [("samples/generated", (5, 4), 64), ("samples/generated", (5, 4), 128)]
    assert run.data.params == {"kimg": "1"}  # MLflow lets none change
    fake_mlflow.clear()  # another store: it has a new run there
    MLflow(str(tmp_path / "run"), str(tmp_path / "mlflow")).log_hyperparams({})
    assert list(fake_mlflow) == ["run0"]


def test_mlflow_on_a_server(fake_mlflow, tmp_path, monkeypatch):
    monkeypatch.setattr("pytorch_lightning.loggers.mlflow._MLFLOW_AVAILABLE", True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    logger = MLflow(str(tmp_path / "run"), str(tmp_path / "mlflow"))
    assert (
        logger.where == "MLflow at https://mlflow.example, experiment transgan" and not (tmp_path / "mlflow").exists()
    )


@needs("wandb")
@pytest.mark.slow
def test_a_run_in_wandb(commands, tmp_path):
    for out in commands("logger=wandb"):
        assert "logger  Weights & Biases, offline, in runs/digits/wandb" in out
    identity = known(tmp_path / "runs/digits", "wandb")
    folders = sorted((tmp_path / "runs/digits/wandb").glob("offline-run-*"))
    for folder, grids in zip(folders, (3, 1), strict=True):
        assert folder.name.endswith(identity)
        assert len(list(folder.rglob("generated_*.png"))) == grids
        (stored,) = folder.glob("*.wandb")
        content = stored.read_bytes()
        assert b"train/loss_d" in content and b"trainer/global_step" in content and b"loss._target_" in content


@needs("mlflow")
@pytest.mark.slow
def test_a_run_in_mlflow(commands, tmp_path):
    for out in commands("logger=mlflow"):
        assert "logger  MLflow in " in out
    base = sqlite3.connect(tmp_path / "runs" / "mlflow" / "mlflow.db")
    assert base.execute("select name, status from runs").fetchall() == [("digits", "FINISHED")]
    assert base.execute("select step from metrics where key = 'train/loss_d' order by step").fetchall() == [
        (32,), (64,), (96,)
    ]  # fmt: skip
    assert base.execute("select value from params where key = 'kimg'").fetchone() == ("0.064",)
    assert len(list((tmp_path / "runs" / "mlflow").rglob("samples*generated*.png"))) == 4


@needs("trackio")
@pytest.mark.slow
def test_a_run_in_trackio(commands, tmp_path):
    for out in commands("logger=trackio"):
        assert "logger  Trackio in " in out and "* " not in out
    base = sqlite3.connect(tmp_path / "trackio" / "transgan.db")
    rows = base.execute("select run_name, step, metrics from metrics").fetchall()
    assert {name for name, _, _ in rows} == {known(tmp_path / "runs/digits", "trackio")}
    assert sorted(step for _, step, content in rows if b"train/loss_d" in content) == [32, 64, 96]
    assert sorted(step for _, step, content in rows if b"samples/generated" in content) == [0, 32, 64, 96]


def test_lightnings_own_loggers_may_be_named_by_a_configuration():
    from transgan import trust

    for kind in (CSVLogger, WandbLogger, CSV, Wandb, MLflow, Trackio):
        home = "pytorch_lightning.loggers" if kind.__module__.startswith("pytorch") else "transgan.callbacks.trackers"
        trust.require({"logger": {"_target_": f"{home}.{kind.__name__}"}}, "x.ckpt: the checkpoint")
