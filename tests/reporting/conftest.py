"""Runs to report on: the digits run of the session, and small ones that need no training."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from transgan.reporting.material import Material

PROTOCOL = {"extractor": "pixels", "id": "aaaaaaaa", "seed": 0, "num_generated": 5000, "num_real": 5000}


@pytest.fixture
def digits(digits_run: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the digits run at runs/digits of the current folder, which a test may spoil."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(digits_run[0], tmp_path / "runs" / "digits")
    return Path("runs/digits")


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Material]:
    """Makes a run folder without a checkpoint: folder(lines of metrics.jsonl, rows of stats.csv, kimg) -> Material."""

    def make(lines: list[dict] = (), rows: list[str] = (), kimg: float = 10.0, name: str = "run") -> Material:
        path = tmp_path / name
        path.mkdir(exist_ok=True)
        (path / "config.yaml").write_text(
            f"name: {name}\nkimg: {kimg}\nresolution: 8\nchannels: 1\ndata: {{_target_: transgan.data.Digits}}\n"
            "algorithm: {_target_: transgan.training.adversarial.Adversarial,\n"
            "  generator: {_target_: transgan.models.style_transformer.StyleTransformer},\n"
            "  discriminator: {_target_: transgan.models.vit_discriminator.ViTDiscriminator}}\ntrainer: {}\n"
        )
        (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (path / "stats.csv").write_text("".join(f"{row}\n" for row in rows))
        return Material(str(path))

    return make


@pytest.fixture
def line() -> Callable[..., dict]:
    """A line of metrics.jsonl: line(kimg, value, **of the protocol)."""

    def make(kimg: float, value: float | None, **protocol: Any) -> dict:
        return {"kimg": kimg, "seconds": 1.0, "metrics": {"fd_pixels": value}, "protocol": PROTOCOL | protocol}

    return make
