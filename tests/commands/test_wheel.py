"""The wheel alone is enough: it holds the configuration, and trains away from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).parents[2]


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
    assert not any(name.split("/")[0] in ("tests", "conf", "runs", "notebooks") for name in names)


def test_trains_away_from_the_checkout(wheel, tiny, transgan_process, tmp_path):
    target = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", target, wheel]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cwd = tmp_path / "elsewhere"
    cwd.mkdir()
    # PYTHONPATH comes before what an editable install adds; -P keeps the current folder out
    environment = transgan_process.environment | {"PYTHONPATH": str(target), "PYTHONDONTWRITEBYTECODE": "1"}

    def python(*words):
        done = subprocess.run([sys.executable, "-P", *words], cwd=cwd, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = "import transgan, transgan.extensions as o; print(transgan.__file__); print(o.CONF)"
    for path in python("-c", where).split():
        assert os.path.commonpath([path, target]) == str(target)
    out = python("-m", "transgan", "train", *tiny, "kimg=0.3")
    assert "done    0.32 kimg" in out or "done    0.3" in out
    assert (cwd / "runs/digits/checkpoints/last.ckpt").exists()
    python("-m", "transgan", "sample", "runs/digits", "to=grid", "seeds=0-3")
    assert (cwd / "runs/digits/generated.png").exists()
