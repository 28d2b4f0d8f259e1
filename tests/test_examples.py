"""The examples run as they are."""

import ast
import dataclasses
import json
from typing import get_args

import nbformat
import pytest
from nbclient import NotebookClient
from test_readme import DOCUMENTS, ROOT, programs

import ganvas
from ganvas.training import events

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


WITHIN = {
    "shards.md": "ganvas.data.webdataset.pack"
}  # what a document shows from inside, as no public function does it


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_shows_in_python_is_public(document):
    for node in (node for program in programs(document) for node in ast.walk(ast.parse(program))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("ganvas"):
            assert node.module == WITHIN.get(document.name), ast.unparse(node)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "ganvas":
            assert node.attr in ganvas.__all__, ast.unparse(node)


def test_the_library_page_has_every_event_callback_and_field():
    page = (ROOT / "docs/library.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(" `"): line for line in page.splitlines() if line.startswith("| `")}
    for event, callback in {**dict.fromkeys(get_args(events.Event)), **events.CALLED_FOR}.items():
        row = rows[event.__name__]
        assert f"`{callback or ''}" in row
        for name in {field.name for field in dataclasses.fields(event)} - {"stopping"}:  # which becomes a note
            assert f"`{name}`" in row, name
