"""The notebooks run top to bottom, in a folder of their own."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def execute(tmp_path, monkeypatch, transgan_process):
    """Runs a notebook with these variables set: execute(name, **environment) -> its number of pictures."""
    import nbformat
    from nbclient import NotebookClient

    def run(name: str, **environment: str) -> int:
        for key, value in (transgan_process.environment | environment).items():
            monkeypatch.setenv(key, value)
        notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        assert not any(cell.get("outputs") for cell in notebook.cells)  # it is kept without them
        where = {"metadata": {"path": str(tmp_path)}}
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        assert not [output for output in outputs if output["output_type"] == "error"]
        return sum("image/png" in output.get("data", {}) for output in outputs)

    return run


def test_quickstart(execute, tmp_path):
    assert execute("01_quickstart.ipynb", QUICKSTART_KIMG="2") >= 3
    assert (tmp_path / "runs" / "quickstart" / "checkpoints" / "last.ckpt").exists()


def test_pretraining_and_comparison(execute, tmp_path):
    short = {"STORY_KIMG": "1", "STORY_SEEDS": "[0,1]", "STORY_SYSTEMS": "[image_gpt,pixel_rnn,gan_from_gpt]"}
    assert execute("02_pretraining_and_comparison.ipynb", **short) >= 8
    assert "## Claims" in (tmp_path / "comparison" / "comparison.md").read_text()
