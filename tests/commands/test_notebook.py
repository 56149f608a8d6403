"""The notebook runs top to bottom, in a folder of its own."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_quickstart.ipynb"


def test_quickstart(tmp_path, monkeypatch, transgan_process):
    import nbformat
    from nbclient import NotebookClient

    assert NOTEBOOK.exists()
    for name, value in transgan_process.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("QUICKSTART_KIMG", "2")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)      # it is kept without them
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output["output_type"] != "error", output
    assert (tmp_path / "runs" / "quickstart" / "checkpoints" / "last.ckpt").exists()
    assert sum("image/png" in o.get("data", {}) for cell in notebook.cells for o in cell.get("outputs", [])) >= 3
