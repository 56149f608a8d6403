"""Runs and configurations that earlier versions wrote: they load, go on and give what they gave then.

The files are in tests/old_runs, whose README says how they were made.
"""

import csv
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from transgan import checkpoint, cli, migration, trust

OLD = Path(__file__).parent / "old_runs"
EXPECTED = json.loads((OLD / "expected.json").read_text())
IMAGES = dict(np.load(OLD / "images.npz"))
# Sums are rounded in other orders by other versions of torch and on other processors.
EXACT = torch.__version__ == EXPECTED["torch"] and torch.backends.cpu.get_cpu_capability() == EXPECTED["cpu"]


def require_same(images: np.ndarray, name: str, trained: bool = False) -> None:
    """The images of an old run; where sums are rounded otherwise, all but a few pixels are.

    Training rounds sums otherwise than the version did that wrote the run: a `trained` image may differ by one.
    """
    assert images.shape == IMAGES[name].shape and images.dtype == np.uint8
    if EXACT and trained:
        difference = np.abs(images.astype(int) - IMAGES[name])
        assert difference.max() <= 1 and difference.mean() < 0.02
    elif EXACT:
        np.testing.assert_array_equal(images, IMAGES[name])
    else:
        assert (np.abs(images.astype(int) - IMAGES[name]) <= 1).mean() > 0.9


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> Path:
    """A folder of checkpoints, one of each kind of run."""
    folder = tmp_path_factory.mktemp("others")
    with tarfile.open(OLD / "others.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def continued(tmp_path_factory):
    """The old run in a `runs` folder of its own: sampled and evaluated as it was, and then continued to its end."""
    folder = tmp_path_factory.mktemp("old")
    shutil.copytree(OLD / "gan", folder / "runs" / "gan")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for out, options in (("then", []), ("truncated", ["psi=0.5"])):
            assert cli.main(["sample", "runs/gan", "seeds=0-7", "to=npz", f"out={out}.npz", *options]) == 0
        assert cli.main(["evaluate", "runs/gan", "num_samples=256", "bounds=false", "out=evaluation.json"]) == 0
        assert cli.main(["train", *EXPECTED["gan"]["command"], "evaluate_share=1"]) == 0
        assert cli.main(["sample", "runs/gan", "seeds=0-7", "to=npz", "out=continued.npz", "checkpoint=last"]) == 0
    return folder


@pytest.mark.parametrize("out, name", [("then", "gan"), ("truncated", "gan_truncated"), ("continued", "gan_continued")])
def test_an_old_run_is_sampled_as_then(continued, out, name):
    with np.load(continued / f"{out}.npz") as arrays:
        require_same(arrays["images"], name, trained=out == "continued")


def test_an_old_run_is_evaluated_as_then(continued):
    then, now = EXPECTED["gan"]["evaluation"], json.loads((continued / "evaluation.json").read_text())
    assert now["metrics"] == pytest.approx(then["metrics"], rel=1e-9 if EXACT else 0.05)


def test_an_old_run_is_continued(continued):
    run = continued / "runs" / "gan"
    lines = [json.loads(line)["metrics"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    then = [line["metrics"] for line in EXPECTED["gan"]["metrics"]]
    assert len(lines) == len(then) and lines[0] == then[0]
    lines = [{name: line[name] for name in old} for line, old in zip(lines, then, strict=True)]  # today measures more
    saved = checkpoint.read(run / "checkpoints" / "last.ckpt")
    assert saved["images_seen"] == 2000 and saved["format"] == migration.FORMAT
    if EXACT:
        for now, before in zip(lines, then, strict=True):
            assert now == pytest.approx(before, rel=0.01, abs=0.01)


def test_the_log_of_an_old_run_goes_on(continued):
    """The same values in the same columns; those that clocks and memory decide are others."""
    now = list(csv.DictReader((continued / "runs" / "gan" / "stats.csv").read_text().splitlines()))
    then = list(csv.DictReader(EXPECTED["gan"]["stats"]))
    names = set(then[0]) - {"seconds", "images_per_second", "memory_mib"}
    assert len(now) == len(then) and names <= set(now[0])
    for row, expected in zip(now, then, strict=True):
        tolerance = 0.01 if EXACT else 0.2
        for name in names:
            assert float(row[name]) == pytest.approx(float(expected[name]), rel=tolerance, abs=tolerance), name


@pytest.mark.parametrize("name", EXPECTED["commands"])
def test_every_kind_of_old_run_gives_its_images(others, name):
    module, _ = checkpoint.load(others / f"{name}.ckpt")
    require_same(module.generate(list(range(8))).permute(0, 2, 3, 1).numpy(), name)


def test_old_configurations_name_classes_of_today():
    """Every option of every group, as its file was."""
    options = json.loads((OLD / "options.json").read_text())
    assert len(options) > 100
    trust.require(migration.config(options), "the old options")


def test_an_old_configuration_file_is_read(continued, capsys):
    assert cli.main(["train", f"config={OLD / 'gan' / 'config.yaml'}", "--cfg"]) == 0
    shown = capsys.readouterr().out
    assert "embed_style: true" in shown and "enter:" not in shown


def test_what_is_up_to_date_stays_as_it_is(continued):
    saved = checkpoint.read(continued / "runs" / "gan" / "checkpoints" / "last.ckpt")
    assert migration.checkpoint(saved) is saved
    assert migration.config(saved["config"]) == saved["config"]


def test_no_table_maps_a_name_of_today():
    """Else a file of today would not come back as it is."""
    for table in (migration.TARGETS, migration.KEYS, migration.WEIGHTS):
        assert not set(table) & set(table.values())
    for names in migration.ARGUMENTS.values():
        assert not set(names) & set(names.values())


def test_a_checkpoint_of_a_newer_version(tmp_path):
    path = tmp_path / "newer.ckpt"
    torch.save({"state_dict": {}, "config": {"algorithm": {}}, "images_seen": 0, "format": migration.FORMAT + 1}, path)
    with pytest.raises(checkpoint.CheckpointError, match="newer.ckpt was written by a newer version of transgan"):
        checkpoint.read(path)
