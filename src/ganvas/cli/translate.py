"""`ganvas translate`."""

from pathlib import Path
from typing import Literal

from ganvas.cli import console
from ganvas.cli.flags import Count, Device, Flag, Several, Share
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
    overwrite: Flag = False,
    device: Device = "auto",
) -> None:
    """Turn images into others with a trained model: each file gives one of the same name and the same size.

    Images are turned as EXIF says, colour profiles become sRGB, and transparency is kept. Animations and videos go
    through frame by frame. Folders keep their sub-folders. What cannot be read is listed at the end; the rest is done.

    Args:
        model: a run folder, or a model file (weights.safetensors of a save)
        images: image and video files, or folders of them
        out: a folder for the results
        direction: ab, or ba back, for a model that learned both ways (cyclegan)
        style: a painting in whose style to paint, or several for the mean of theirs, for a model that takes any
            (adain) [default: the mean of those that it learned from]
        strength: how much of the style, from 0, that of the image itself, to 1 (adain)
        keep_colors: only the lightness changes, and the image keeps its colours
        format: of images; keep writes each as it came
        size: pixels of the shorter side at which the network works, for images that are larger; the result is
            enlarged again [default: that of the training where only colour is added, else the image's own]
        tile: pixels a side, at most, of the tiles that an image goes through in; smaller ones take less memory
            [default: 768 where an image has more than a million pixels, fewer where memory is short]
        smooth: against flicker in videos: how much of each frame is that before it, moved along; 0 to below 1
        overwrite: replace what is there
        device: auto takes the best there is
    """
    from ganvas import api, inference

    if style and not images:
        raise UsageError("no images to translate; name them before --style, which takes all that follow it")
    api.plan_files(images, out, format=format, smooth=smooth, overwrite=overwrite)  # before anything is loaded
    paintings = inference.read_styles(style)
    loaded = api.load(model, device=device)
    events = loaded.translate_files(
        images, out, format=format, smooth=smooth, overwrite=overwrite, direction=direction,
        style=paintings, strength=strength, keep_colors=keep_colors, size=size, tile=tile,
    )  # fmt: skip
    if "restyles" in loaded.abilities and not style:
        console.say("painting in the mean style of the paintings that it learned from; --style PAINTING takes another")
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
        raise Interrupted(f"interrupted; {finished:,} of {len(events):,} files are done and kept in {out}") from error
    console.tell(f"{finished:,} {'file' if finished == 1 else 'files'} in {out}")
    if problems:
        for line in problems:
            console.say(f"left out {line}")
        raise GanvasError(f"{len(problems):,} of {len(events):,} files could not be translated; the others are done")
