"""The output paths of many files, planned before any is written: nothing is replaced unless it is asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from ganvas.core.names import as_on_disk
from ganvas.data.files import Contents, PassedOver, contents, endings, is_image, real
from ganvas.errors import DataError, UsageError
from ganvas.imaging.images import EXTENSIONS
from ganvas.imaging.video import ANIMATIONS, VIDEOS, is_video

_JPEG = (".jfif", ".jpe")

Format = Literal["keep", "png", "jpg", "webp", "tif", "bmp", "gif"]


def require_free(places: Iterable[Path], *, overwrite: bool) -> None:
    """Raise UsageError where something would be replaced without `overwrite`."""
    if there := next((place for place in places if not overwrite and place.exists()), None):
        raise UsageError(f"{there} is already there; choose another place, or add `overwrite`")


def plan(paths: Sequence[Path], out: Path, *, format: Format) -> dict[Path, Path]:
    """For each file the path of its result: the same name, in the same sub-folder.

    Raises:
        UsageError: if there is nothing to translate, or two results would have one path, or a result that of an input.
    """
    places: dict[Path, Path] = {}
    for path in paths:
        for file, below in _files(as_on_disk(path), leaving=real(out)):
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
    originals = {real(file) for file in places}
    for place in taken:
        if real(place) in originals:
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


def passed_over(paths: Sequence[Path], out: Path) -> tuple[str, ...]:
    """One line for each folder among the paths that holds files which are not translated."""
    folders = [folder for path in paths if (folder := as_on_disk(path)).is_dir()]
    counted = [(folder, _passed_over(list(_walk(folder, leaving=real(out))))) for folder in folders]
    return tuple(note for folder, found in counted for note in found.notes(folder, named=len(folders) > 1))


def _passed_over(searched: Sequence[Contents]) -> PassedOver:
    files = [file for found in searched for file in found.files]
    special = tuple(path for found in searched for path in found.special)
    linked = tuple(folder for found in searched for folder in found.folders if folder.is_symlink())
    others = tuple(file for file in files if not _is_read(file))
    return PassedOver(others, special, linked=linked, total=len(files) + len(special) + len(linked))


def _is_read(file: Path) -> bool:
    return is_image(file) or file.suffix.lower() in VIDEOS


def _named(place: Path, format: Format) -> Path:
    """The path with the ending of its format; videos keep theirs, and formats that are only read become another."""
    ending = place.suffix.lower()
    if ending in VIDEOS or (format == "keep" and ending in EXTENSIONS):
        return place
    if format == "keep":
        return place.with_suffix(".jpg" if ending in _JPEG else ".png")
    return place.with_suffix(f".{format}")


def _files(path: Path, *, leaving: Path) -> Iterator[tuple[Path, Path]]:
    """The files of a path, each with its path below the folder; without earlier results."""
    if not path.exists():
        raise UsageError(f"{path}: no such image or folder")
    if not path.is_dir():
        if not _is_read(path):
            known = ", ".join(sorted(endings() | VIDEOS))
            raise UsageError(f"{path}: not an image by its ending; expected {known}")
        if not path.is_file():
            raise UsageError(f"{path}: no regular file; give an image, or a folder of images")
        yield path, Path(path.name)
        return
    if real(path) == leaving:
        raise UsageError(f"`out` {path}: holds the images to translate; choose another folder")
    for found in _walk(path, leaving=leaving):
        yield from ((file, file.relative_to(path)) for file in found.files if _is_read(file))


def _walk(folder: Path, *, leaving: Path) -> Iterator[Contents]:
    """The contents of a folder and of those below it, without earlier results; links to folders are not followed."""
    waiting = [folder]
    while waiting:
        found = contents(waiting.pop())
        yield found
        below = [each for each in found.folders if not each.is_symlink() and real(each) != leaving]
        waiting += reversed(below)
