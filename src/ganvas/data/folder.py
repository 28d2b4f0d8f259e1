"""A folder of pictures, flat or with one folder per class."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from ganvas.data.batch import RESIDENT_BYTES, Images, Source, Spec
from ganvas.data.progress import Track, silently
from ganvas.data.stream import refuse_if_many
from ganvas.errors import DataError
from ganvas.images import EXTENSIONS, Header, read_header, read_square
from ganvas.runtime import cores

T = TypeVar("T")

DEFAULT_SIZE = 64  # pixels: what a laptop learns in an hour

_SPLITS = frozenset({"train", "val", "valid", "validation", "test"})


def open_folder(path: Path, *, size: int | None = None, track: Track = silently) -> Source:
    """Open a folder of pictures: the largest centred square of each, scaled to `size`.

    Grey if every file is grey, else colour. Without `size`: that of the pictures, if they are all squares of
    16, 28, 32 or 64 pixels, else 64.

    Raises:
        DataError: if there are no pictures, fewer than two, or more than 1 % of them cannot be read.
    """
    files, classes = _list(path)
    headers, left_out = _readable(files, read_header, track, "looking at the files")
    refuse_if_many(len(left_out), len(files), name=str(path), example=left_out[0] if left_out else "")
    files = [file for file, header in zip(files, headers, strict=True) if header]
    known = [header for header in headers if header]
    spec = Spec(size or _own_size(known), 1 if all(header.grey for header in known) else 3, classes)
    lazily = LazyPictures(tuple(files), spec)
    if spec.bytes * len(files) > RESIDENT_BYTES:
        return Source(str(path.resolve()), spec, lazily, tuple(left_out))

    pictures, broken = _readable(files, lazily.decode, track, "reading the pictures")
    left_out += broken
    refuse_if_many(len(left_out), len(headers), name=str(path), example=left_out[0] if left_out else "")
    whole = [i for i, picture in enumerate(pictures) if picture is not None]
    if len(whole) < 2:
        raise DataError(f"{path}: holds {len(whole)} picture; learning takes many, so give a folder with more")
    pixels = torch.stack([picture for picture in pictures if picture is not None])
    labels = torch.tensor([lazily.label(i) for i in whole]) if classes else None
    return Source(str(path.resolve()), spec, Images(pixels, labels), tuple(left_out))


@dataclass(frozen=True)
class LazyPictures:
    """The files of a set too large for the memory, decoded when asked for.

    Attributes:
        files: in the order of the rows; in a folder of classes, the parent's name is the class.
        spec: the shape they are brought to.
    """

    files: tuple[Path, ...]
    spec: Spec

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Images, str | None]:
        """Row `index`; a file that turns out broken is replaced by the next whole one, and named."""
        complaint = None
        for row in [*range(index, len(self)), *range(index)]:
            try:
                labels = torch.tensor([self.label(row)]) if self.spec.classes else None
                return Images(self.decode(self.files[row])[None], labels), complaint
            except DataError as error:
                complaint = complaint or str(error)
        raise DataError(f"none of the {len(self)} pictures can be read; the first: {complaint}")

    def decode(self, file: Path) -> Tensor:
        """One picture, uint8 (C, size, size)."""
        return read_square(file, size=self.spec.size, channels=self.spec.channels)

    def label(self, row: int) -> int:
        """The class of a row, an index into `spec.classes`."""
        return self.spec.classes.index(self.files[row].parent.name)


def _list(path: Path) -> tuple[list[Path], tuple[str, ...]]:
    """The picture files of a folder in a fixed order, and its classes (none where it is flat)."""
    flat = _files(path)
    folders = {folder.name: files for folder in _entries(path) if folder.is_dir() and (files := _files(folder))}
    if folders and folders.keys() <= _SPLITS:
        raise DataError(
            f"{path}: holds the parts {', '.join(folders)}; give one of them, such as {path / next(iter(folders))}"
        )
    if flat and folders:
        raise DataError(f"{path}: holds pictures and folders of pictures ({', '.join(folders)}); give one or the other")
    if not flat and not folders:
        raise DataError(f"{path}: no pictures; expected files ending in {', '.join(sorted(EXTENSIONS))}")
    return flat or [file for files in folders.values() for file in files], tuple(folders)


def _files(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if entry.suffix.lower() in EXTENSIONS and entry.is_file()]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error


def _own_size(headers: list[Header]) -> int:
    sizes = {(header.width, header.height) for header in headers}
    width, height = next(iter(sizes), (0, 0))
    own = len(sizes) == 1 and width == height and width in (16, 28, 32, 64)
    return width if own else DEFAULT_SIZE


def _readable(
    files: list[Path], read: Callable[[Path], T], track: Track, description: str
) -> tuple[list[T | None], list[str]]:
    """What `read` makes of each file (None where it cannot), and a line for each that is broken.

    In threads: Pillow decodes and scales outside the interpreter's lock.
    """

    def attempt(file: Path) -> T | DataError:
        try:
            return read(file)
        except DataError as error:
            return error

    with ThreadPoolExecutor(cores()) as pool:
        results = list(track(pool.map(attempt, files), total=len(files), description=description))
    complaints = [str(result) for result in results if isinstance(result, DataError)]
    return [None if isinstance(result, DataError) else result for result in results], complaints
