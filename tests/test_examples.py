"""The examples run as they are."""

import ast
import json

import nbformat
import pytest
from nbclient import NotebookClient
from test_readme import ROOT

EXAMPLES = ROOT / "examples"


def calls(program):
    """What a program asks of ganvas, as it is written."""
    asked = [node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Call)]
    return [ast.unparse(node) for node in asked if ast.unparse(node.func).startswith("ganvas.")]


def cells():
    notebook = json.loads((EXAMPLES / "quickstart.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.timeout(240)
def test_the_notebook_trains_generates_translates_and_compares(tmp_path):
    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", 4)
    NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = {kind for cell in notebook.cells for out in cell.get("outputs", []) for kind in out.get("data", {})}
    assert "image/png" in shown
    assert (tmp_path / "report/index.html").exists()
    assert not [out for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "error"]


def test_the_notebook_has_ten_cells_and_the_script_asks_the_same():
    assert len(cells()) == 10
    script = (EXAMPLES / "quickstart.py").read_text(encoding="utf-8")
    assert calls(script) == calls("\n".join(cells()))
