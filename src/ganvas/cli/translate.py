"""Translating from the command line: which files, where to, and what is said about it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ganvas.cli import console
from ganvas.cli.flags import Count, Device, Flag, Several, Share
from ganvas.cli.generate import require_free
from ganvas.errors import DataError, GanvasError, Interrupted, UsageError

if TYPE_CHECKING:
    from ganvas.imaging.images import Picture

Format = Literal["keep", "png", "jpg", "webp", "tif", "bmp", "gif"]


def translate(
    model: Path,
    /,
    *pictures: Path,
    out: Path,
    direction: Literal["ab", "ba"] = "ab",
    style: Several = (),
    strength: float = 1.0,
    keep_colors: Flag = False,
    format: Format = "keep",
    size: Count | None = None,
    tile: Count | None = None,
    smooth: Share = 0.0,
    overwrite: Flag = False,
    device: Device = "auto",
) -> None:
    """Turn pictures into others with a trained model: each file gives one of the same name and the same size.

    Pictures are turned as EXIF says, colour profiles become sRGB, and transparency is kept. Animations and videos go
    through frame by frame. Folders keep their sub-folders. What cannot be read is listed at the end; the rest is done.

    Args:
        model: a run folder, or a model file (weights.safetensors of a save)
        pictures: picture and video files, or folders of them
        out: a folder for the results
        direction: ab, or ba back, for a model that learned both ways (cyclegan)
        style: a painting in whose style to paint, or several for the mean of theirs, for a model that takes any
            (adain) [default: the mean of those that it learned from]
        strength: how much of the style, from 0, that of the picture itself, to 1 (adain)
        keep_colors: only the lightness changes, and the picture keeps its colours
        format: of pictures; keep writes each as it came
        size: pixels of the shorter side at which the network works, for pictures that are larger; the result is
            enlarged again [default: that of the training where only colour is added, else the picture's own]
        tile: pixels a side, at most, of the tiles that a picture goes through in; smaller ones take less memory
            [default: 768 where a picture has more than a million pixels, fewer where memory is short]
        smooth: against flicker in films: how much of each frame is that before it, moved along; 0 to below 1
        overwrite: replace what is there
        device: auto takes the best there is
    """
    from ganvas.checkpoint import load
    from ganvas.core.atomic_io import make_folder
    from ganvas.core.device import find_device
    from ganvas.inference.translate import Translator, translate_files
    from ganvas.methods._base import Restyles

    if style and not pictures:
        raise UsageError("no pictures to translate; name them before --style, which takes all that follow it")
    places = plan(pictures, out, format=format)
    if smooth and not _gives_a_film(places):
        raise UsageError(f"--smooth {smooth:g}: is against flicker in films, and no result would be one; leave it out")
    require_free(places.values(), overwrite=overwrite or not out.exists())
    translator = Translator(
        load(model, find_device(device)), direction, tile=tile or 0, size=size or 0,
        styles=read_styles(style), strength=strength, keep_colors=keep_colors,
    )  # fmt: skip
    if isinstance(translator.method, Restyles) and not style:
        console.say("painting in the mean style of the paintings that it learned from; --style PAINTING takes another")
    for folder in sorted({place.parent for place in places.values()}):
        make_folder(folder)

    finished, problems, said = 0, list[str](), set[str]()
    events = translate_files(translator, places, smooth=smooth)
    try:
        for event in console.track(events, total=len(places), description="translating"):
            finished += not event.problem
            problems += [event.problem] if event.problem else []
            for note in event.notes:
                if note not in said:
                    console.say(f"{event.file.name}: {note}")
                said.add(note)
    except KeyboardInterrupt as error:
        raise Interrupted(f"interrupted; {finished:,} of {len(places):,} files are done and kept in {out}") from error
    console.tell(f"{finished:,} {'file' if finished == 1 else 'files'} in {out}")
    if problems:
        for line in problems:
            console.say(f"left out {line}")
        raise GanvasError(f"{len(problems):,} of {len(places):,} files could not be translated; the others are done")


def read_styles(files: Sequence[Path]) -> "list[Picture]":
    """The paintings that --style names.

    Raises:
        UsageError: for what is no file.
        DataError: for what is no picture.
    """
    from ganvas.imaging import images

    for file in files:
        if not file.is_file():
            what = "is a folder; name the pictures themselves" if file.is_dir() else "no such picture"
            raise UsageError(f"--style {file}: {what}")
    return [images.read(file) for file in files]


def plan(paths: Sequence[Path], out: Path, *, format: Format) -> dict[Path, Path]:
    """For each file where its result goes: of the same name, in the same sub-folder.

    Raises:
        UsageError: if there is nothing to translate, or two results would have one place, or one that of a picture.
    """
    places: dict[Path, Path] = {}
    for path in paths:
        for file, below in _files(path, leaving=out.resolve()):
            places[file] = _named(out / below, format)
    if not places:
        raise UsageError("no pictures to translate; name files, or a folder that holds some")
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
            raise UsageError(f"--out {out}: {place} is itself to be translated; choose another folder")
    return places


def _gives_a_film(places: Mapping[Path, Path]) -> bool:
    """Whether a file has several frames, and a place that keeps more of them than the first."""
    from ganvas.imaging import video

    def has_frames(file: Path) -> bool:
        try:
            return video.is_film(file)
        except DataError:  # which is told when its turn comes
            return False

    lasting = video.VIDEOS | video.ANIMATIONS
    return any(place.suffix.lower() in lasting and has_frames(file) for file, place in places.items())


def _named(place: Path, format: Format) -> Path:
    """The place with the ending of its format; videos keep theirs."""
    from ganvas.imaging.video import VIDEOS

    return place if format == "keep" or place.suffix.lower() in VIDEOS else place.with_suffix(f".{format}")


def _files(path: Path, *, leaving: Path) -> Iterator[tuple[Path, Path]]:
    """The files that a path stands for, each with its place below the folder; without the results of before."""
    from ganvas.imaging.images import EXTENSIONS
    from ganvas.imaging.video import VIDEOS

    known = EXTENSIONS | VIDEOS
    if not path.exists():
        raise UsageError(f"{path}: no such picture or folder")
    if not path.is_dir():
        if path.suffix.lower() not in known:
            raise UsageError(f"{path}: not a picture by its ending; expected {', '.join(sorted(known))}")
        yield path, Path(path.name)
        return
    if path.resolve() == leaving:
        raise UsageError(f"--out {path}: holds what is to be translated; choose another folder")
    for folder, below, names in os.walk(path):
        here = Path(folder)
        below[:] = sorted(n for n in below if not n.startswith(".") and (here / n).resolve() != leaving)
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in known:
                yield here / name, (here / name).relative_to(path)
