"""Names of files, classes and labels, as they are compared and shown."""

import os
import unicodedata
from pathlib import Path

from ganvas.errors import UsageError, readable

SHOWN = 80  # letters of a name in a message


def nfc(name: str) -> str:
    """The form in which two names are compared: macOS writes `é` as two letters, others as one."""
    return unicodedata.normalize("NFC", name)


def shown(name: str, *, most: int = SHOWN) -> str:
    """A name from a file as a message shows it: printable, and shortened where it is endless."""
    return readable(name if len(name) <= most else f"{name[: most // 2]}...{name[-most // 2 :]}")


def as_on_disk(path: Path) -> Path:
    """The path as the disk spells it, where only its Unicode form differs from the one that was typed."""
    if path == path.parent or os.path.lexists(path):
        return path
    parent = as_on_disk(path.parent)
    try:
        return next((parent / name for name in os.listdir(parent) if nfc(name) == nfc(path.name)), path)
    except OSError:
        return path


def require_name(path: object, field: str) -> None:
    """Raise UsageError for a path that no system can hold, or whose name is no text."""
    text = str(path)
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise UsageError(f"`{field}`: a path with a character that is no text; give another name")
    if any(len(part.encode()) > 255 for part in text.split("/")) or len(text.encode()) > 4000:
        raise UsageError(f"`{field}` {text[:40]}...: a path that is too long; give a shorter name")
