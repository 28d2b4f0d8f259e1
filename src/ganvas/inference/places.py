"""The output paths of many files, planned before any is written: nothing is replaced unless it is asked for."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from ganvas.errors import DataError, UsageError
from ganvas.imaging.images import EXTENSIONS
from ganvas.imaging.video import ANIMATIONS, VIDEOS, is_video

Format = Literal["keep", "png", "jpg", "webp", "tif", "bmp", "gif"]


def require_free(places: Iterable[Path], *, overwrite: bool) -> None:
    """Raise UsageError where something would be replaced without `overwrite`."""
    if there := next((place for place in places if not overwrite and place.exists()), None):
        raise UsageError(f"{there} is already there; choose another --out, or add `overwrite`")


def plan(paths: Sequence[Path], out: Path, *, format: Format) -> dict[Path, Path]:
    """For each file the path of its result: the same name, in the same sub-folder.

    Raises:
        UsageError: if there is nothing to translate, or two results would have one path, or a result that of an input.
    """
    places: dict[Path, Path] = {}
    for path in paths:
        for file, below in _files(path, leaving=out.resolve()):
            places[file] = _named(out / below, format)
    if not places:
        raise UsageError("no images to translate; name files, or a folder that holds some")
    taken: dict[Path, Path] = {}
    for file, place in places.items():
        if place in taken:
            raise UsageError(
                f"{taken[place]} and {file} would both become {place}; "
                f"{'translate them into folders of their own' if format == 'keep' else 'keep their formats'}"
            )
        taken[place] = file
    originals = {file.resolve() for file in places}
    for place in taken:
        if place.resolve() in originals:
            raise UsageError(f"`out` {out}: {place} is itself to be translated; choose another folder")
    return places


def gives_a_video(places: Mapping[Path, Path]) -> bool:
    """Whether a file has several frames, and a format that keeps more of them than the first."""

    def has_frames(file: Path) -> bool:
        try:
            return is_video(file)
        except DataError:  # reported when the file is translated
            return False

    lasting = VIDEOS | ANIMATIONS
    return any(place.suffix.lower() in lasting and has_frames(file) for file, place in places.items())


def _named(place: Path, format: Format) -> Path:
    """The path with the ending of its format; videos keep theirs."""
    return place if format == "keep" or place.suffix.lower() in VIDEOS else place.with_suffix(f".{format}")


def _files(path: Path, *, leaving: Path) -> Iterator[tuple[Path, Path]]:
    """The files of a path, each with its path below the folder; without earlier results."""
    known = EXTENSIONS | VIDEOS
    if not path.exists():
        raise UsageError(f"{path}: no such image or folder")
    if not path.is_dir():
        if path.suffix.lower() not in known:
            raise UsageError(f"{path}: not an image by its ending; expected {', '.join(sorted(known))}")
        yield path, Path(path.name)
        return
    if path.resolve() == leaving:
        raise UsageError(f"`out` {path}: holds the images to translate; choose another folder")
    for folder, below, names in os.walk(path):
        here = Path(folder)
        below[:] = sorted(n for n in below if not n.startswith(".") and (here / n).resolve() != leaving)
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in known:
                yield here / name, (here / name).relative_to(path)
