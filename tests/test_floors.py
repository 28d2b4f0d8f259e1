"""Imports go down: a module knows only its own floor and those below."""

import ast
from pathlib import Path

import pytest

import ganvas

ROOT = Path(ganvas.__file__).parent
FLOORS = [
    {"", "errors"},
    {"core"},
    {"imaging"},
    {"data"},
    {"nets", "losses", "augment", "metrics"},
    {"methods", "style"},
    {"checkpoint"},
    {"training"},
    {"describe", "doctor", "inference"},
    {"evaluation"},
    {"report", "studies"},
    {"progress"},
    {"api"},
    {"cli", "studio", "__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def imported(path):
    """The rooms of ganvas that a file imports when it runs (not those for type checking alone)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "ganvas":
            yield from (f"ganvas.{a.name}" if a.name in FLOOR else "ganvas" for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by the full name"
            yield node.module


def own(path):
    return [name.removeprefix("ganvas").lstrip(".") for name in imported(path) if name.split(".")[0] == "ganvas"]


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    room = path.relative_to(ROOT).with_suffix("").parts[0].replace("__init__", "")
    assert room in FLOOR, f"{room} has no floor yet: add it to FLOORS"
    for name in own(path):
        other = name.split(".")[0]
        assert FLOOR[other] <= FLOOR[room], f"{path.name} (floor {FLOOR[room]}) imports {name} (floor {FLOOR[other]})"


@pytest.mark.parametrize("path", sorted((ROOT / "methods").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_no_method_imports_another(path):
    assert not [name for name in own(path) if name.startswith("methods.") and name != "methods._base"]
