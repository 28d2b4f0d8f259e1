"""What the name of a source means: a data set, a folder, or shards, as far as is seen without opening anything."""

import os
import re
from pathlib import Path

from ganvas.core.home import expanded
from ganvas.core.names import as_on_disk
from ganvas.core.settings import nearest
from ganvas.errors import DataError

DATA_SETS = ("digits", "mnist", "fashion-mnist", "kmnist", "cifar10")

GLYPHS = "glyphs:"  # and one or several font files, with commas between them
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)  # pipe: and glyphs: among them; C: is a disk


def known_as(name: str) -> str:
    """The name of a data set, however it is spelt (`MNIST`, `fashion_mnist`); any other name as it is."""
    plain = name.lower().replace("_", "-")
    return plain if plain in DATA_SETS and not Path(name).is_dir() else name


def is_far(name: str) -> bool:
    """Whether what the user gives is a URL or a command: it is not, if anything on the disk has that name."""
    return bool(_SCHEME.match(name)) and not os.path.lexists(name)


def folder_of(name: str, field: str = "data") -> Path:
    """The folder of that name.

    Raises:
        DataError: if there is none.
    """
    if (path := as_on_disk(Path(name))).is_dir():
        return path
    if name in DATA_SETS:
        raise DataError(f"`{field}` {name}: is no folder; only folders hold pairs, so leave out `side` and `target`")
    known = f", and no data set; {nearest(name, DATA_SETS)}" if field == "data" else ""
    raise DataError(f"`{field}` {name}: no folder of that name{known}")


def require_there(name: str) -> None:
    """Raise DataError for what can only be the name of a folder, and is none; everything else is seen when opened."""
    if known_as(name) not in DATA_SETS and not is_far(name) and not name.endswith(".tar"):
        folder_of(name)


# --- fonts ----------------------------------------------------------------------------------------------------------


def are_fonts(name: str) -> bool:
    """Whether a name means the characters of fonts."""
    return name.startswith(GLYPHS)


def fonts_of(name: str) -> list[Path]:
    """The files in the name of fonts."""
    return [expanded(file.strip()) for file in name.removeprefix(GLYPHS).split(",") if file.strip()]


def fonts_in_full(name: str) -> str:
    """The name of fonts with the full paths of their files."""
    return GLYPHS + ",".join(str(file.resolve()) for file in fonts_of(name))


def fonts_in_short(name: str) -> str:
    """The name of fonts without the folders of their files."""
    return GLYPHS + ",".join(file.name for file in fonts_of(name))
