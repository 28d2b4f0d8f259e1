"""`ganvas translate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ganvas.cli import console
from ganvas.cli.commands._base import Command
from ganvas.cli.flag_types import Count, Device, Flag, Several, Share, Words
from ganvas.errors import GanvasError, Interrupted, UsageError

Format = Literal["keep", "png", "jpg", "webp", "tif", "bmp", "gif"]


def translate(
    model: Path,
    /,
    *images: Path,
    out: Path,
    direction: Literal["ab", "ba"] = "ab",
    style: Several = (),
    strength: float = 1.0,
    keep_colors: Flag = False,
    format: Format = "keep",
    size: Count | None = None,
    tile: Count | None = None,
    smooth: Share = 0.0,
    range: Words = (),
    overwrite: Flag = False,
    device: Device = "auto",
) -> None:
    """Translate images with a trained model: each result has the name and the size of its file.

    Images are rotated as EXIF says, colour profiles become sRGB, and transparency is kept. Animations and videos are
    translated frame by frame. Folders keep their sub-folders. Files that cannot be read are listed at the end.

    Args:
        model: a run folder, or a model file (weights.safetensors of a checkpoint)
        images: image and video files, or folders of them
        out: a folder for the results; for a single file also a file, such as made.png
        direction: ab, or ba back, for a model that learned both ways (cyclegan)
        style: a painting whose style to use, or several for their mean, for a model that takes any (adain)
            [default: the mean of the paintings in training]
        strength: how much of the style: 0 keeps that of the image, 1 takes all (adain)
        keep_colors: change only the lightness, and keep the colours of the image
        format: of images; keep writes each in the format of its file
        size: pixels of the shorter side at which the network works, for larger images; the result is enlarged
            again [default: that of the training if only colour is added, else the image's own]
        tile: pixels a side, at most, of the tiles of an image; smaller ones take less memory
            [default: 768 if an image has more than a million pixels, fewer if memory is short]
        smooth: against flicker in videos: fraction of the previous frame, moved along, in each frame; 0 to below 1
        range: LOW HIGH, the values that are black and white in grey TIFFs of more than 8 bits; auto takes the bits, or
            values, in use [default: all bits; of floats what the values suggest, which is said]
        overwrite: replace existing files
        device: auto takes the best available
    """
    if style and not images:
        raise UsageError("no images to translate; name them before --style, which takes all that follow it")
    with console.loading():
        from ganvas import api, inference

    span = _range(range)
    # before anything is loaded
    for note in api.plan_files(images, out, format=format, smooth=smooth, overwrite=overwrite).notes:
        console.say(note)
    paintings = inference.read_styles(style)
    loaded = api.load(model, device=device)
    events = loaded.translate_files(
        images, out, format=format, smooth=smooth, range=span, overwrite=overwrite, direction=direction,
        style=paintings, strength=strength, keep_colors=keep_colors, size=size, tile=tile,
    )  # fmt: skip
    if "restyles" in loaded.abilities and not style:
        console.say("using the mean style of the paintings in training; --style PAINTING takes another")
    finished, problems, said = 0, list[str](), set[str]()
    try:
        for event in console.track(events, total=len(events), description="translating"):
            finished += not event.problem
            problems += [event.problem] if event.problem else []
            for note in event.notes:
                if note not in said:
                    console.say(f"{event.file.name}: {note}")
                said.add(note)
    except KeyboardInterrupt as error:
        if not overwrite:  # what is written while the interrupt arrives is finished, too
            finished = sum(place.exists() for place in events.places.values())
        raise Interrupted(f"interrupted; {finished:,} of {len(events):,} files are done and kept in {out}") from error
    single = finished == 1 and [*events.places.values()] == [out]
    console.tell(str(out) if single else f"{finished:,} {'file' if finished == 1 else 'files'} in {out}")
    if problems:
        for line in problems:
            console.say(f"left out {line}")
        raise GanvasError(f"{len(problems):,} of {len(events):,} files could not be translated; the others are done")


def _range(words: Sequence[str]) -> Literal["auto"] | tuple[float, float] | None:
    """The values of --range.

    Raises:
        UsageError: if they are neither two numbers nor auto.
    """
    if not words or list(words) == ["auto"]:
        return "auto" if words else None
    try:
        low, high = map(float, words)
    except ValueError as error:
        raise UsageError(f"--range {' '.join(words)}: expected two numbers, black and white, or auto") from error
    return low, high


COMMAND = Command(
    run=translate,
    usage="MODEL FILE_OR_FOLDER ... --out DIR [OPTIONS]",
    examples=(
        "translate runs/colorize photos --out colored",
        "translate runs/monet photo.jpg --direction ba --out back",
    ),
)
