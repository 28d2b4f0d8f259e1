"""A folder of images, flat or with one folder per class."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple

import torch

from ganvas.core.names import nfc
from ganvas.data.batch import ImageBatch, Source, Spec
from ganvas.data.decode import How, headers_of, open_rows
from ganvas.data.files import Contents, PassedOver, contents, shown_below
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
        DataError: if there are no images, fewer than `how.least`, or more than a tenth of them cannot be read.
    """
    listed = list_images(path)
    files, headers, left_out = headers_of(listed.files, name=str(path), track=how.track)
    like = how.like
    if like is None:
        like = Spec(how.size or own_size(headers, usual_size), channels(all(header.grey for header in headers)))
    spec = Spec(like.size, like.channels, listed.classes)
    read = ReadImage(spec.size + how.margin(spec.size), spec.channels, spec.classes)
    chosen = part_of(files, how, name=str(path))
    return open_rows(path, chosen, read, how, spec=spec, left_out=left_out, notes=listed.passed_over.notes(path))


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
            torch.tensor([self.classes.index(nfc(file.parent.name))])
            if isinstance(file, Path) and self.classes
            else None
        )
        return ImageBatch(read_square(file, size=self.size, channels=self.channels)[None], labels)


class Listed(NamedTuple):
    """The images of a folder.

    Attributes:
        files: in a fixed order, the same on every system.
        classes: the names of the classes; empty where there are none.
        passed_over: what else the folder holds.
    """

    files: list[Path]
    classes: tuple[str, ...]
    passed_over: PassedOver


def list_images(path: Path) -> Listed:
    """The images of a folder: of itself, or of its folders, of which each is a class.

    Raises:
        DataError: if there are none, or it is not clear which are meant.
    """
    here = contents(path)
    inside = [contents(folder) for folder in here.folders]
    flat, classes = here.images, _classes(here, inside)
    files = flat or [file for images in classes.values() for file in images]
    passed = _passed_over([here, *inside], files)
    if classes and classes.keys() <= _SPLITS:
        raise DataError(
            f"{path}: holds the parts {', '.join(classes)}; give one of them, such as {path / next(iter(classes))}"
        )
    if flat and classes:
        names = ", ".join([*classes][:5]) + (", ..." if len(classes) > 5 else "")
        raise DataError(f"{path}: holds images and folders of images ({names}); give one or the other")
    if not files:
        deeper = f"; some lie too deep, in {shown_below(passed.deeper[0].parent, path)}" if passed.deeper else ""
        raise DataError(f"{path}: no images{deeper}; expected files ending in {', '.join(sorted(EXTENSIONS))}")
    return Listed(files, tuple(classes), passed)


def _classes(here: Contents, inside: list[Contents]) -> dict[str, list[Path]]:
    """The images of each folder that holds some; two folders of one name, written by two systems, are one class."""
    classes: dict[str, list[Path]] = {}
    for folder, found in zip(here.folders, inside, strict=True):
        if images := found.images:
            classes.setdefault(nfc(folder.name), []).extend(images)
    return classes


def _passed_over(searched: list[Contents], taken: list[Path]) -> PassedOver:
    """What the folders hold beside the images that are taken, with the images one folder deeper."""
    files = [file for found in searched for file in found.files]
    special = tuple(path for found in searched for path in found.special)
    deeper = tuple(file for found in searched[1:] for below in found.folders for file in _images_in(below))
    others = tuple(set(files) - set(taken))
    return PassedOver(others, special, deeper, total=len(files) + len(special) + len(deeper))


def _images_in(folder: Path) -> list[Path]:
    try:
        return contents(folder).images
    except DataError:  # nothing in it is read, so it may be closed
        return []


def held_out(file: PurePath, share: float) -> bool:
    """Whether a file is in the fraction `share` that is held out from training.

    Depends only on the name without its ending, so that adding files moves none, and partners stay together.
    """
    digest = hashlib.sha256(nfc(file.stem).encode("utf-8", "surrogateescape")).digest()
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
