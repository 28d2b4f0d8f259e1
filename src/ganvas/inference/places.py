"""The output paths of many files, planned before any is written: nothing is replaced unless it is asked for."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from ganvas.core.names import as_on_disk
from ganvas.data.files import Contents, PassedOver, contents, is_image, real
from ganvas.errors import DataError, UsageError
from ganvas.imaging.images import EXTENSIONS
from ganvas.imaging.video import ANIMATIONS, VIDEOS, is_video

Format = Literal["keep", "png", "jpg", "webp", "tif", "bmp", "gif"]


def require_free(places: Iterable[Path], *, overwrite: bool) -> None:
    """Raise UsageError where something would be replaced without `overwrite`."""
    if there := next((place for place in places if not overwrite and place.exists()), None):
        raise UsageError(f"{there} is already there; choose another place, or add `overwrite`")


class Places(dict[Path, Path]):
    """For each file the path of its result.

    Attributes:
        notes: one line for each folder that holds files which are passed over.
    """

    notes: tuple[str, ...] = ()


def plan(paths: Sequence[Path], out: Path, *, format: Format) -> Places:
    """For each file the path of its result: the same name, in the same sub-folder; for a single file `out` may be that.

    Raises:
        UsageError: if there is nothing to translate, or two results would have one path, or a result that of an input.
    """
    places, passed = Places(), dict[Path, PassedOver]()
    for path in map(as_on_disk, paths):
        if path.is_dir():
            searched = _search(path, leaving=real(out))
            passed[path] = _passed_over(searched)
            files = [(file, file.relative_to(path)) for found in searched for file in found.files if _is_read(file)]
        else:
            files = [(_given(path), Path(path.name))]
        if len(paths) == 1 and not path.is_dir() and _is_read(out) and not out.is_dir():
            places[path] = _as_named(out, path, format)
        else:
            places.update({file: _named(out / below, format) for file, below in files})
    places.notes = tuple(note for path, found in passed.items() for note in found.notes(path, named=len(passed) > 1))
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


def _passed_over(searched: Sequence[Contents]) -> PassedOver:
    files = [file for found in searched for file in found.files]
    special = tuple(path for found in searched for path in found.special)
    linked = tuple(folder for found in searched for folder in found.folders if folder.is_symlink())
    others = tuple(file for file in files if not _is_read(file))
    return PassedOver(others, special, linked=linked, total=len(files) + len(special) + len(linked))


def _is_read(file: Path) -> bool:
    return is_image(file) or file.suffix.lower() in VIDEOS


def _named(place: Path, format: Format) -> Path:
    """The path with the ending of its format; videos keep theirs."""
    return place if format == "keep" or place.suffix.lower() in VIDEOS else place.with_suffix(f".{format}")


def _as_named(out: Path, file: Path, format: Format) -> Path:
    """`out`, the path of a single result.

    Raises:
        UsageError: if its ending is not that of the format, or stands for a video and the file does not.
    """
    if _named(out, format).suffix.lower() != out.suffix.lower():
        raise UsageError(f"`format` {format}: `out` {out} has another ending; leave one of the two out")
    if (out.suffix.lower() in VIDEOS) != (file.suffix.lower() in VIDEOS):
        raise UsageError(f"`out` {out}: images become images, and videos videos; give it the ending of {file.name}")
    return out


def _given(path: Path) -> Path:
    """The path of a file that was named.

    Raises:
        UsageError: if there is none, or it is no image by its ending.
    """
    if not path.exists():
        raise UsageError(f"{path}: no such image or folder")
    if not _is_read(path):
        known = ", ".join(sorted(EXTENSIONS | VIDEOS))
        raise UsageError(f"{path}: not an image by its ending; expected {known}")
    if not path.is_file():
        raise UsageError(f"{path}: no regular file; give an image, or a folder of images")
    return path


def _search(folder: Path, *, leaving: Path) -> list[Contents]:
    """The contents of a folder and of those below it, without earlier results; links to folders are not followed."""
    if real(folder) == leaving:
        raise UsageError(f"`out` {folder}: holds the images to translate; choose another folder")
    waiting, searched = [folder], list[Contents]()
    while waiting:
        searched.append(contents(waiting.pop()))
        below = [each for each in searched[-1].folders if not each.is_symlink() and real(each) != leaving]
        waiting += reversed(below)
    return searched
