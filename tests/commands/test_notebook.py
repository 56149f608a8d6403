"""The notebooks are kept with their outputs, and run top to bottom in a folder of their own, shortened."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def execute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transgan_process: Callable[..., object]
) -> Callable[..., int]:
    """Runs a notebook with these variables set: execute(name, **environment) -> its number of images."""
    import nbformat
    from nbclient import NotebookClient

    def run(name: str, **environment: str) -> int:
        for key, value in (transgan_process.environment | environment).items():
            monkeypatch.setenv(key, value)
        notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        where = {"metadata": {"path": str(tmp_path)}}
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        assert not [output for output in outputs if output["output_type"] == "error"]
        return sum("image/png" in output.get("data", {}) for output in outputs)

    return run


@pytest.mark.slow
def test_quickstart(execute: Callable[..., int], tmp_path: Path) -> None:
    assert execute("01_quickstart.ipynb", QUICKSTART_KIMG="0.64") >= 3
    assert (tmp_path / "runs" / "quickstart" / "checkpoints" / "last.ckpt").exists()


@pytest.mark.slow
def test_pretraining_and_comparison(execute: Callable[..., int], tmp_path: Path) -> None:
    short = {"STORY_KIMG": "0.64", "STORY_SEEDS": "[0]", "STORY_SYSTEMS": "[image_gpt,gan_from_gpt]"}
    assert execute("02_pretraining_and_comparison.ipynb", **short) >= 8
    assert "## Claims" in (tmp_path / "comparison" / "comparison.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_outputs_are_kept_in_order_and_without_errors(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert path.stat().st_size < 2_000_000
