"""What identifies a set of files wherever it lies: their names and sizes, without reading any."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ganvas.core.names import nfc


def of_parts(parts: Iterable[bytes]) -> str:
    """The digest of parts in their order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:32]


def of_files(folder: Path, items: Sequence[Any]) -> str:
    """The digest of the names below the folder, and the sizes, of the files that rows are read from.

    An item is a file, or a pair of files whose first lies in the folder.
    """
    pairs = (item if isinstance(item, tuple) else (item,) for item in items)
    return of_parts(_said(file, folder) for pair in pairs for file in pair)


def _said(file: Path, folder: Path) -> bytes:
    name = file.relative_to(folder).as_posix() if file.is_relative_to(folder) else file.name
    try:
        size = file.stat().st_size
    except OSError:  # it has gone since it was listed
        size = -1
    return f"{nfc(name)}\0{size}".encode("utf-8", "surrogateescape")
