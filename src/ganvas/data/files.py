"""What lies in a folder: a name that is found is only ever that of a regular file or a folder, and nothing else opens.

A name in a folder may be anything: `pipe:sh x.tar`, `[a]*.png`, `~`. So it stays a `Path` and is never a string that
something interprets; only what the user gives may be a URL, a command, or a pattern.
"""

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ganvas.core.names import nfc, shown
from ganvas.errors import DataError
from ganvas.imaging.images import EXTENSIONS

_LEFT_BY_SYSTEMS = frozenset(
    {"@eadir", "@recycle", "#recycle", "@synoresource", "__macosx", "lost+found", "thumbs.db", "desktop.ini"}
    | {"$recycle.bin", "system volume information"}
)
_LONGEST_ENDING = 10  # letters; a longer one is part of a name
_KINDS = 6  # of files that a note counts apart


def is_image(file: Path) -> bool:
    """Whether a file is an image by its ending."""
    return file.suffix.lower() in EXTENSIONS


def is_ignored(name: str) -> bool:
    """Whether a name is hidden, or one that a system leaves in a folder: `.DS_Store`, `@eaDir`, `Thumbs.db`."""
    return name.startswith(".") or name.lower() in _LEFT_BY_SYSTEMS


@dataclass(frozen=True)
class Contents:
    """What a folder holds, in the order of the names; without what is hidden, or left by a system.

    Attributes:
        folders: links to folders among them, but no link to a folder that this one lies in.
        files: regular files, and links to them.
        special: everything else: FIFOs, sockets, devices, and links that lead nowhere or in a circle.
    """

    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    special: tuple[Path, ...]

    @property
    def images(self) -> list[Path]:
        """The files that are images by their endings."""
        return [file for file in self.files if is_image(file)]


def contents(folder: Path) -> Contents:
    """What a folder holds.

    Raises:
        DataError: if it cannot be read.
    """
    found: dict[str, list[Path]] = {"folder": [], "file": [], "special": []}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_ignored(entry.name):
                    found[_kind(entry, folder)].append(folder / entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
    return Contents(*(tuple(sorted(paths, key=lambda path: (nfc(path.name), path.name))) for paths in found.values()))


def _kind(entry: os.DirEntry[str], folder: Path) -> str:
    try:
        if entry.is_dir():
            circle = entry.is_symlink() and real(folder).is_relative_to(real(folder / entry.name))
            return "special" if circle else "folder"
        return "file" if entry.is_file() else "special"
    except OSError:  # such as a link to itself
        return "special"


def real(path: Path) -> Path:
    """The path without links; also of a link to itself, for which `Path.resolve` fails."""
    return Path(os.path.realpath(path))


def open_regular(path: Path) -> BinaryIO:
    """An open regular file; anything else is not opened, as that may wait for ever.

    Raises:
        OSError: if it is none, or cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "no regular file")
    return path.open("rb")


def content_of(path: Path, *, most: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: if it is none, holds more than `most` bytes, or cannot be read.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > most:
            raise OSError(errno.EFBIG, f"more than {most:,} bytes")
        return file.read(most)


# --- what is passed over ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PassedOver:
    """What was found and is not read, and how many files were found in all.

    Attributes:
        others: files of other kinds.
        special: what is no regular file.
        deeper: images in folders that are not searched.
        linked: links to folders, which are not followed.
        total: the number of all of these, and of those that are read.
    """

    others: tuple[Path, ...] = ()
    special: tuple[Path, ...] = ()
    deeper: tuple[Path, ...] = ()
    linked: tuple[Path, ...] = ()
    total: int = 0

    def notes(self, below: Path, *, named: bool = False) -> tuple[str, ...]:
        """One line that counts them by kind, with an example below that folder where the kind needs one; or none.

        `named` puts the name of the folder before it, where there are several.
        """
        kinds = [*_by_ending(self.others)]
        for paths, what in ((self.special, "no regular file"), (self.linked, "linked folder")):
            s = "" if len(paths) == 1 else "s"
            kinds += [f"{len(paths):,} {what}{s} ({shown_below(paths[0], below)})"] if paths else []
        if self.deeper:
            kinds.append(f"{len(self.deeper):,} in folders too deep ({shown_below(self.deeper[0].parent, below)})")
        n = sum(map(len, (self.others, self.special, self.deeper, self.linked)))
        start = f"{below}: " if named else ""
        return (f"{start}{n:,} of {self.total:,} files were passed over: {', '.join(kinds)}",) if n else ()


def _by_ending(files: Iterable[Path]) -> Iterator[str]:
    counts = Counter(_ending(file) for file in files)
    named = sorted(kind for kind, _ in counts.most_common(_KINDS) if kind)
    yield from (f"{counts.pop(kind):,} {kind}" for kind in named if kind.startswith("."))
    if without := counts.pop("without an ending", 0):
        yield f"{without:,} without an ending"
    if counts:
        yield f"{counts.total():,} others"


def _ending(file: Path) -> str:
    ending = shown(file.suffix.lower())
    return "without an ending" if not ending else ending if len(ending) <= _LONGEST_ENDING else "others"


def shown_below(path: Path, folder: Path) -> str:
    """A path below a folder, as a message shows it."""
    return shown(path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name)
