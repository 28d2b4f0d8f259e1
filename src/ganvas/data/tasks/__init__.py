"""The registry of tasks, which make pairs of single images: each file in this folder is one, named after it."""

from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.core.modules import class_in
from ganvas.core.settings import nearest
from ganvas.errors import SettingError

if TYPE_CHECKING:
    from ganvas.data.tasks._base import Task


def names() -> list[str]:
    """The names of all tasks, without amounts; imports none of them."""
    return sorted(path.stem.replace("_", "-") for path in Path(__file__).parent.glob("[!_]*.py"))


def task(name: str) -> "Task":
    """The task that `NAME` or `NAME:AMOUNT` asks for; imports only its file.

    Raises:
        SettingError: for a task that does not exist, or an amount that it cannot have.
    """
    from ganvas.data.tasks._base import Task

    word, colon, text = name.partition(":")
    if word not in names():
        raise SettingError(f"`task` {name}: no task of that name; {nearest(word, names())}")
    kind = class_in(f"{__name__}.{word.replace('-', '_')}", Task)
    if not kind.parameter:
        if colon:
            raise SettingError(f"`task` {name}: {word} takes no parameter; write `task` {word}")
        return kind(word)
    amount = kind.amount_in(text) if colon else kind.default
    if amount is None:
        expected = f"{word}:{kind.parameter}, {kind.meaning}, {kind.amounts()}"
        raise SettingError(f"`task` {name}: expected {expected}, or {word} alone for {kind.default:g}")
    return kind(f"{word}:{amount:g}", amount)
