"""The documentation says what the code says: every method has its page, with all its settings."""

import os
from pathlib import Path

import pytest

from ganvas import methods
from ganvas.core import settings
from ganvas.data import tasks

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "methods"
MARK = "<!-- settings -->\n"


def settings_table(name):
    """All settings of a method: flag, default, sentence."""
    config = methods.config(name)
    sentences = settings.help_of(type(config))
    rows = [
        f"| `{settings.flag(field)}` | {shown(getattr(config, field))} | {sentences[field]} |" for field in sentences
    ]
    return "\n".join(["| flag | default | |", "|---|---|---|", *rows]) + "\n"


def shown(value):
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()


@pytest.mark.parametrize("name", methods.names())
def test_a_method_has_a_page_with_its_source_images_and_settings(name):
    """`GANVAS_KEEP_HELP=1 pytest -k page` writes the tables anew."""
    page = PAGES / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    before, mark, _ = text.partition(MARK)
    if os.environ.get("GANVAS_KEEP_HELP"):
        page.write_text(before + mark + "\n" + settings_table(name), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == before + MARK + "\n" + settings_table(name)
    assert f"src/ganvas/methods/{name}.py" in text
    assert "https://arxiv.org/abs/" in text
    for preset in methods.get(name).presets:
        assert f"`{preset}`" in text


@pytest.mark.parametrize("name", tasks.names())
def test_a_task_is_in_the_table_of_tasks(name):
    rows = [line for line in (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    assert [row for row in rows if row.startswith((f"| `{name}`", f"| `{name}:"))]
