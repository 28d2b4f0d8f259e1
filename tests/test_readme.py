"""The commands that the documents print run, word for word but for their length."""

import re
import shlex
from pathlib import Path

import pytest
from conftest import photograph
from test_every_source import data_root  # noqa: F401  # a fixture

from ganvas.cli import main

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHORTER = {"--minutes": "--steps", "--epochs": "--steps"}


def commands(document):
    """The ganvas command lines of a document's `sh` blocks, in order."""
    for block in re.findall(r"```sh\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.partition("#")[0].strip()
            if line.startswith("ganvas "):
                yield line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_commands_of_a_document_run(document, tmp_path, monkeypatch, data_root):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ganvas.cli.DEMO_MINUTES", 0.01)
    monkeypatch.setenv("GANVAS_DATA", str(data_root))
    for i in range(8):
        (tmp_path / f"photos/{'cat' if i % 2 else 'dog'}").mkdir(parents=True, exist_ok=True)
        photograph(seed=i, width=40, height=32).save(tmp_path / f"photos/{'cat' if i % 2 else 'dog'}/{i}.jpg")
    ran = 0
    for line in commands(document):
        words = shlex.split(line)[1:]
        for i, word in enumerate(words):
            if word in SHORTER:
                words[i : i + 2] = [SHORTER[word], "2"]
        if words[0] == "train":
            words = [word for i, word in enumerate(words) if "--batch" not in words[max(0, i - 1) : i + 1]] + ["--batch", "4"]
        assert main(words) == 0, line
        ran += 1
    assert ran or document.name != "README.md"


def test_the_readme_starts_with_the_two_lines_that_do_everything():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install . && ganvas demo\n" in text
    assert "pip install '.[test]' && pytest\n" in text


def test_every_link_to_a_file_leads_somewhere():
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
