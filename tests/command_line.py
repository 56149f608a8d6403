"""The command line as people use it: in processes of its own, or inside this one where that shows the same."""

import csv
import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import transgan
from transgan.cli import main
from warm_process import WarmProcess

# One thread each: more of them wait for each other where other tests run. A GPU would round differently.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "80"}
TINY = [
    "trainer=cpu", "logger=none", "metrics=none", "batch_size=32", "kimg=0.64", "grid=4",
    "generator.dim=[16]", "generator.depth=[1]", "generator.num_heads=[2]", "generator.style_dim=16",
    "discriminator.dim=[16]", "discriminator.depth=[1]", "discriminator.num_heads=[2]",
]  # fmt: skip
FOLDER = [
    "auto=[]", "name=folder", "data.on_error=raise", "generator=style_transformer", "discriminator=vit", "resolution=8",
    *TINY,
]  # fmt: skip


class CommandLine:
    """Runs `python -m transgan` in a folder, with none of the user's own settings."""

    def __init__(self, cache: Path) -> None:
        checkout = str(Path(transgan.__file__).parents[1])
        self.environment = os.environ | ENVIRONMENT | {"TRANSGAN_CACHE": str(cache), "PYTHONPATH": checkout}
        self.environment.pop("TRANSGAN_INCEPTION", None)

    def __call__(
        self, *words: object, cwd: Path, timeout: float = 300, new: bool = False, **environment: str
    ) -> subprocess.CompletedProcess:
        """Waits for its end. `new` starts an interpreter in place of forking one that has imported everything."""
        environment = self.environment | environment
        if new:
            return subprocess.run(
                [sys.executable, "-m", "transgan", *map(str, words)], cwd=cwd, capture_output=True, text=True,
                env=environment, timeout=timeout, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        process = WarmProcess(words, cwd, environment)
        out, err = process.communicate(timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, *words: object, cwd: Path, errors: int = subprocess.STDOUT) -> WarmProcess:
        """Leads a process group, as what a terminal starts does."""
        return WarmProcess(words, cwd, self.environment, merged=errors == subprocess.STDOUT)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the package remembers of data and features, for all commands of a session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def transgan_process(cache: Path) -> CommandLine:
    return CommandLine(cache)


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Options of a run of seconds."""
    return list(TINY)


@pytest.fixture(scope="session")
def tiny_folder() -> list[str]:
    """The same for a folder of images."""
    return list(FOLDER)


@pytest.fixture
def inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cache: Path
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Runs a command in this process, in tmp_path: inside(*words) -> (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRANSGAN_CACHE", str(cache))
    monkeypatch.delenv("TRANSGAN_INCEPTION", raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    with warnings.catch_warnings():
        yield run
    logging.captureWarnings(False)
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers, root.level = handlers, level


@pytest.fixture
def refused(inside: Callable[..., tuple[int, str, str]], tmp_path: Path) -> Callable[..., str]:
    """Runs a command that must end in sentences: refused(*words) -> stderr."""

    def run(*words: object) -> str:
        before = halves(tmp_path)
        code, out, err = inside(*words)
        assert code == 2, out + err
        assert "Traceback" not in err and "Error executing" not in err
        assert err.startswith("transgan: ")
        assert halves(tmp_path) == before
        return err

    return run


def halves(folder: Path) -> set[Path]:
    """What a command that did nothing must not leave."""
    return {path for pattern in ("*.ckpt", "*.tmp", "*.part") for path in folder.rglob(pattern)}


def draw_pictures(folder: Path, classes: Sequence[str] = ("a", "b"), count: int = 8, suffix: str = "png") -> Path:
    """Noise of 8x8 pixels in a folder per class."""
    random = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / name / f"{i}.{suffix}")
    return folder


@pytest.fixture(scope="session")
def pictures() -> Callable[..., Path]:
    """Fills a folder with small images: pictures(folder, classes, count, suffix) -> folder."""
    return draw_pictures


@pytest.fixture(scope="session")
def digits_run(
    transgan_process: CommandLine, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess]:
    """A digits run with evaluations, made by a process: (folder, what the process answered)."""
    cwd = tmp_path_factory.mktemp("digits_run")
    done = transgan_process(
        "train", *TINY, "metrics=fast", "evaluate_share=1", "extractor.steps=50", "metrics.num_samples=128",
        "kimg=1.28", "sample_every=0.64", "evaluate_every=0.64", "checkpoint_every=0.64", "log_every=0.32", cwd=cwd,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return cwd / "runs" / "digits", done


UNREPEATABLE = {"seconds", "images_per_second", "images_per_cpu_second", "memory_mib"}


def measured(run: Path) -> list[dict]:
    """The lines of metrics.jsonl, but for the time they took."""
    path = run / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [{key: value for key, value in line.items() if key not in UNREPEATABLE} for line in lines]


def repeatable_stats(run: Path) -> list[dict[str, str]]:
    with open(run / "stats.csv") as file:
        rows = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if name not in UNREPEATABLE} for row in rows]


def assert_equal(a: object, b: object, place: str = "") -> None:
    """Nested containers of tensors, bit for bit."""
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype and torch.equal(a, b), place
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), place
        for key in a:
            assert_equal(a[key], b[key], f"{place}.{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), place
        for i, each in enumerate(zip(a, b, strict=True)):
            assert_equal(*each, f"{place}.{i}")
    else:
        assert a == b, place


def assert_same_image(path: Path, other: Path) -> None:
    """The same pixels, and the same said of them but for the name of the run."""
    said = []
    for each in (path, other):
        with Image.open(each) as image:
            facts = json.loads(image.text.get("transgan", "{}"))
            said.append((facts | {"run": ""}, image.text["Software"], image.mode, image.size, image.tobytes()))
    assert said[0] == said[1]


def assert_repeated(run: Path, other: Path) -> None:
    """All that a run leaves, but for the time it took; and a grid of the moment where it was stopped, which `other` was
    not."""
    assert measured(run) == measured(other) and repeatable_stats(run) == repeatable_stats(other)
    a, b = (torch.load(each / "checkpoints" / "last.ckpt", weights_only=True) for each in (run, other))
    assert any(name.startswith("generator_ema.") for name in a["state_dict"]) and len(a["optimizer_states"]) == 2
    for part in ("state_dict", "optimizer_states", "images_seen", "global_step", "nonfinite"):
        assert_equal(a[part], b[part], part)
    for grid in sorted((other / "samples").iterdir()):
        assert_same_image(run / "samples" / grid.name, grid)
    assert not list(run.rglob("*.tmp"))


@pytest.fixture(scope="session")
def assert_same_run() -> Callable[[Path, Path], None]:
    """Compares two run folders bit for bit."""
    return assert_repeated


@pytest.fixture(scope="session")
def stats_of() -> Callable[[Path], list[dict[str, str]]]:
    """Reads stats.csv, but for what another time would be another number: stats_of(run) -> rows."""
    return repeatable_stats
