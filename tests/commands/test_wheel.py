"""The wheel alone is enough: it holds the configuration, and trains away from the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).parents[2]
PROJECT = CHECKOUT / "tests" / "own_project"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "-w", folder]
    command = [sys.executable, "-m", "pip", "wheel", *options, CHECKOUT]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = folder.iterdir()
    return path


def test_contents(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for path in (CHECKOUT / "conf").rglob("*.yaml"):
        assert f"transgan/conf/{path.relative_to(CHECKOUT / 'conf').as_posix()}" in names
    assert "transgan/__main__.py" in names
    assert {f"transgan/exporting/web/{name}" for name in ("page.html", "page.css", "page.js", "engine.js")} <= set(
        names
    )
    assert "transgan/exporting/templates/card.md.j2" in names
    assert {f"transgan/reporting/templates/report.{suffix}" for suffix in ("html", "css")} <= set(names)
    assert not any(name.split("/")[0] in ("tests", "conf", "runs", "notebooks") for name in names)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of the installed wheel."""
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", target, wheel]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def python(installed, transgan_process, tmp_path):
    """Runs Python in tmp_path, where transgan is what is installed, and returns what it prints."""
    # PYTHONPATH comes before what an editable install adds; -P keeps the current folder out, as `transgan` does
    environment = transgan_process.environment | {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(*words):
        command = [sys.executable, "-P", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_trains_away_from_the_checkout(installed, python, tiny, tmp_path):
    where = "import transgan, transgan.extensions as o; print(transgan.__file__); print(o.CONF)"
    for path in python("-c", where).split():
        assert os.path.commonpath([path, installed]) == str(installed)
    assert "done    0.3" in python("-m", "transgan", "train", *tiny, "kimg=0.3")
    assert (tmp_path / "runs/digits/checkpoints/last.ckpt").exists()
    python("-m", "transgan", "sample", "runs/digits", "to=grid", "seeds=0-3")
    assert len(list((tmp_path / "runs/digits").glob("generated-0.3*kimg-seeds0-3.png"))) == 1


def test_an_export_is_read_by_the_wheel_alone(python, tiny, tmp_path):
    """Without Hydra, Lightning and matplotlib, and in less than 2 s after torch; here, where others work too, in 10."""
    python("-m", "transgan", "train", *tiny, "kimg=0.032")
    python("-m", "transgan", "export", "runs/digits", "to=safetensors", "out=a.safetensors")
    code = (
        "import sys, time, torch; start = time.monotonic();"
        "sys.modules.update(dict.fromkeys(('hydra', 'omegaconf', 'pytorch_lightning', 'matplotlib')));"
        "import transgan; print(tuple(transgan.load('a.safetensors').generate(range(64)).shape), time.monotonic() - start)"
    )
    shape, _, seconds = python("-c", code).rpartition(" ")
    assert shape == "(64, 1, 8, 8)" and float(seconds) < 10


def test_ones_own_parts_need_no_change_of_the_package(installed, python, tmp_path):
    """A generator, a loss, a metric, a callback and a data source, each one file and one YAML in the current folder."""
    shutil.copytree(PROJECT, tmp_path, dirs_exist_ok=True)
    before = {path: path.read_bytes() for path in installed.rglob("*") if path.is_file()}
    tiny = ["trainer=cpu", "logger=none", "grid=4", "discriminator.dim=[16]", "discriminator.depth=[1]",
            "discriminator.num_heads=[2]", "metrics.num_samples=64"]  # fmt: skip
    out = python("-m", "transgan", "train", "experiment=mine", *tiny, "kimg=0.64")
    assert "data    discs: 256 images, 2 classes" in out and "good    fd_pixels" in out
    assert (tmp_path / "runs/mine/steps.txt").read_text() == "20\n"
    assert "from 0.64" in python("-m", "transgan", "train", "experiment=mine", *tiny, "kimg=0.96")
    assert "mean_distance_pixels" in python("-m", "transgan", "evaluate", "runs/mine", "bounds=false")
    python("-m", "transgan", "sample", "runs/mine", "class=large", "seeds=0-3")
    assert len(list((tmp_path / "runs/mine/generated").glob("*.png"))) == 4
    assert {path: path.read_bytes() for path in installed.rglob("*") if path.is_file()} == before
