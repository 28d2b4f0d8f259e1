"""A folder of images, flat or with one folder per class."""

import hashlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

import torch

from ganvas.data.batch import ImageBatch, Source, Spec
from ganvas.data.decode import How, headers_of, open_rows
from ganvas.errors import DataError
from ganvas.imaging.images import EXTENSIONS, File, Header, read_square

DEFAULT_SIZE = 64  # pixels: what a laptop learns in an hour

_SPLITS = frozenset({"train", "val", "valid", "validation", "test"})


def open_folder(
    path: Path,
    how: How = How(),
    *,
    usual_size: int = DEFAULT_SIZE,
    channels: Callable[[bool], int] = lambda grey: 1 if grey else 3,
) -> Source[ImageBatch]:
    """Open a folder of images: the largest centred square of each, scaled to `how.size`.

    Grey if every file is grey, else colour; `channels` may change either. Without `size`: that of the images, if they
    are all squares of 16, 28, 32 or 64 pixels, else the usual one. Both splits have one shape.

    Raises:
        DataError: if there are no images, fewer than `how.least`, or more than 1 % of them cannot be read.
    """
    files, classes = list_images(path)
    files, headers, left_out = headers_of(files, name=str(path), track=how.track)
    like = how.like
    if like is None:
        like = Spec(how.size or own_size(headers, usual_size), channels(all(header.grey for header in headers)))
    spec = Spec(like.size, like.channels, classes)
    read = ReadImage(spec.size + how.margin(spec.size), spec.channels, classes)
    return open_rows(path, part_of(files, how, name=str(path)), read, how, spec=spec, left_out=left_out)


@dataclass(frozen=True)
class ReadImage:
    """Reads one image, and its class from the name of the folder that it lies in."""

    size: int
    channels: int
    classes: tuple[str, ...] = ()
    batch: type[ImageBatch] = ImageBatch

    def __call__(self, file: File) -> ImageBatch:
        """A batch of one, uint8."""
        labels = (
            torch.tensor([self.classes.index(file.parent.name)]) if isinstance(file, Path) and self.classes else None
        )
        return ImageBatch(read_square(file, size=self.size, channels=self.channels)[None], labels)


def list_images(path: Path) -> tuple[list[Path], tuple[str, ...]]:
    """The image files of a folder in a fixed order, and its classes (none where it is flat).

    Raises:
        DataError: if there are none, or it is not clear which are meant.
    """
    flat = _files(path)
    folders = {folder.name: files for folder in _entries(path) if folder.is_dir() and (files := _files(folder))}
    if folders and folders.keys() <= _SPLITS:
        raise DataError(
            f"{path}: holds the parts {', '.join(folders)}; give one of them, such as {path / next(iter(folders))}"
        )
    if flat and folders:
        raise DataError(f"{path}: holds images and folders of images ({', '.join(folders)}); give one or the other")
    if not flat and not folders:
        raise DataError(f"{path}: no images; expected files ending in {', '.join(sorted(EXTENSIONS))}")
    return flat or [file for files in folders.values() for file in files], tuple(folders)


def held_out(file: PurePath, share: float) -> bool:
    """Whether a file is in the fraction `share` that is held out from training.

    Depends only on the name without its ending, so that adding files moves none, and partners stay together.
    """
    name = unicodedata.normalize("NFC", file.stem)  # the same on every system
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


def part_of(files: list[Path], how: How, *, name: str) -> list[Path]:
    """The files for training (`train`), those held out (`test`), or all where nothing is held out.

    Raises:
        DataError: if the part is empty.
    """
    if not how.holdout:
        return files
    chosen = [file for file in files if held_out(file, how.holdout) == (how.part == "test")]
    if not chosen:
        raise DataError(
            f"{name}: of its {len(files)} images `holdout` {how.holdout} leaves none to {how.part}; change it"
        )
    return chosen


def own_size(headers: list[Header], usual: int) -> int:
    """The size of the images if they are all small squares of one size, else the usual one."""
    sizes = {(header.width, header.height) for header in headers}
    width, height = next(iter(sizes), (0, 0))
    own = len(sizes) == 1 and width == height and width in (16, 28, 32, 64)
    return width if own else usual


def _files(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if entry.suffix.lower() in EXTENSIONS and entry.is_file()]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error
