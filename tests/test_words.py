"""The field's words in code, help and documents: the private vocabulary of the first version does not come back."""

import ast
import re

import pytest
from test_readme import ROOT

NOT_BUT = {  # what may not be said, and what is said instead
    r"pictures?": "image",
    r"chance|by lot": "random",
    r"processors?": "CPU",
    r"(?:a|the|each|every|last|newest|best|whole|older|of|two|these|all) saves?": "checkpoint",
    r"sheets?": "grid",
    r"films?": "video",
    r"step sizes?": "learning rate",
    r"memory of the (?:squared )?gradient": "decay rate of a moment",
    r"halvings?|doublings?": "downsampling, upsampling",
    r"number formats?": "dtype, precision",
    r"leaky units": "negative slope",
    r"no number": "NaN",
}
FILES = [
    *(path for path in (ROOT / "src").rglob("*") if path.suffix in (".py", ".j2")),
    *(ROOT / "tests/help").glob("*.txt"),
    *(path for path in (ROOT / "docs").rglob("*.md")),
    *ROOT.glob("*.md"),
]
OF_BEFORE = re.compile(r'"--pictures-only": |"pictures": "images"')  # what files and flags of before are called


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_says_it_in_the_fields_words(path):
    text = re.sub(r"https?://\S+", "", path.read_text(encoding="utf-8"))
    for number, line in enumerate(text.splitlines(), 1):
        if OF_BEFORE.search(line):
            continue
        for word, better in NOT_BUT.items():
            found = re.search(rf"(?<![\w-])(?:{word})(?![\w-])", line, re.IGNORECASE)
            assert not found, f"{path.name}:{number}: {found[0]!r}; say {better}: {line.strip()}"


def parameters(function):
    """The names of what a function takes."""
    given = function.args
    return [arg.arg for arg in given.posonlyargs + given.args + given.kwonlyargs if arg.arg not in ("self", "cls")]


@pytest.mark.parametrize("path", sorted((ROOT / "src/ganvas").rglob("*.py")), ids=lambda path: path.name)
def test_below_the_api_what_travels_together_is_a_value(path):
    if {"api", "cli"} & set(path.relative_to(ROOT / "src/ganvas").parts):
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert len(parameters(node)) <= 8, f"{path.name}: {node.name} takes {parameters(node)}"


def test_the_scan_sees_what_it_is_to_see(tmp_path):
    file = tmp_path / "text.md"
    file.write_text("A picture of the processor, saved by chance.")
    with pytest.raises(AssertionError, match="picture"):
        test_a_file_says_it_in_the_fields_words(file)
