"""The notebook runs from a fresh clone, learns, draws its pictures, and is stored without outputs."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "first_steps.ipynb"


@pytest.fixture(scope="module")
def stored() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_outputs_are_not_stored(stored: nbformat.NotebookNode) -> None:
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * len(code)


@pytest.mark.filterwarnings("ignore:.*event loop:DeprecationWarning", "ignore::ResourceWarning")
def test_the_notebook_trains_loads_and_draws(
    stored: nbformat.NotebookNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # a small model: threads that wait for each other take more time
    monkeypatch.setenv("PYTHONWARNINGS", "ignore:IProgress not found")  # bars as widgets need ipywidgets
    done = NotebookClient(stored, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    assert "240 training and 80 test images" in printed
    assert "of the model's stay fresh" in printed
    loss = float(re.search(r"'depth': ([\d.]+)", printed)[1])
    assert loss < 0.95  # maps of zeros, the mean of standardised depth, have 1.1
    assert not [output for output in outputs if output.get("name") == "stderr"]
