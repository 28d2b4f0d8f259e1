"""Style transfer from the command line: files, messages and previews."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ganvas import progress
from ganvas.cli import console
from ganvas.cli.flags import Device, FeatureFile, Flag, Prepared, Seed
from ganvas.errors import DataError, DivergedError, GanvasError, Interrupted, UsageError

if TYPE_CHECKING:  # these load torch
    from ganvas.imaging.images import DecodedImage
    from ganvas.progress import Stop
    from ganvas.style import Progress, StylizeConfig, Stylizer

PREVIEW_SECONDS = 5.0  # between two previews; the most that a crash can lose

_LARGEST_SIDE = {"WEBP": 16_383, "JPEG": 65_500, "GIF": 65_535}  # pixels; libjpeg's own limit is below that of JPEG
_TINGE = 2  # of 255 between the channels of a grey image, which JPEG's rounding may leave there


def stylize(
    content: Path,
    /,
    *styles: Path,
    out: Path,
    preset: str | None = None,
    mask: Path | None = None,
    init_from: Path | None = None,
    vgg_weights: FeatureFile = None,
    seed: Seed = 0,
    overwrite: Flag = False,
    device: Device = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    config: Prepared = None,
) -> None:
    """Paint an image in the style of others: change it until its VGG-19 features match its content and their style.

    The result has the size, the transparency and the resolution of the image. A preview beside it, FILE.preview.jpg,
    is updated every few seconds while it works. Ctrl-C keeps the image so far.

    Args:
        content: the image, or a folder of images
        styles: one image or several, such as paintings
        out: an image file for the result; for a folder of images a folder, where results keep their names
        preset: paper (Gatys, Ecker and Bethge 2016); single settings override it
        mask: an image, white where to stylise, black where the content stays unchanged
        init_from: an image to start from, such as an earlier result
        vgg_weights: VGG-19's weights, .safetensors or .pth with torchvision's names [default: torchvision's,
            downloaded once]
        seed: of the noise that --init noise starts from
        overwrite: replace existing files
        device: auto takes the best available
        precision: of the network; auto takes bf16 if it is faster, and fp32 for the last steps
    """
    from ganvas import api
    from ganvas.core.atomic_io import make_folder
    from ganvas.imaging import images
    from ganvas.inference.places import require_free

    beside = {"--mask": mask, "--init-from": init_from}
    for flag, path in beside.items():
        if path is not None and not path.is_file():
            raise UsageError(f"{flag} {path}: no such image")
    places = _plan(content, styles, out)
    require_free(places.values(), overwrite=overwrite or not out.exists())
    given = [*places, *styles, *(path for path in beside.values() if path is not None)]
    _require_previews_free(places.values(), given, overwrite=overwrite)
    shown = [images.read(path) for path in styles]
    if config.keep_colors == "none":
        _say_what_is_grey(styles, shown)
    stylizer = api.make_stylizer(
        config, shown, mask=mask, init_from=init_from, vgg_weights=vgg_weights, seed=seed, device=device,
        precision=precision,
    )  # fmt: skip
    for folder in sorted({place.parent for place in places.values()}):
        make_folder(folder)
    if content.is_dir():
        _stylize_folder(stylizer, places, out)
        return
    console.say(f"preview: {_preview(out)}")
    with console.stopping_gently() as stop:
        last = _stylized(stylizer, content, out, stop=stop, title="")
    if stop and last.step < last.steps:
        raise Interrupted(f"interrupted at step {last.step:,} of {last.steps:,}; the image so far is in {out}")
    console.tell(str(out))


def _stylize_folder(stylizer: "Stylizer", places: Mapping[Path, Path], out: Path) -> None:
    """Stylise each file, and report at the end what was left out.

    Raises:
        Interrupted: after Ctrl-C, once the image so far is written.
        GanvasError: if some could not be done.
    """
    problems, finished, unfinished = list[str](), 0, ""
    with console.stopping_gently() as stop:
        for number, (file, place) in enumerate(places.items(), 1):
            try:
                last = _stylized(stylizer, file, place, stop=stop, title=f"{number:,}/{len(places):,} {file.name}  ")
                if last.step == last.steps:
                    finished += 1
                else:
                    unfinished = f", and {place} as far as it came"
            except (DataError, DivergedError) as error:
                problems.append(str(error) if str(file) in str(error) else f"{file}: {error}")
            if stop:
                break
    for line in problems:
        console.say(f"left out {line}")
    if unfinished or finished + len(problems) < len(places):
        raise Interrupted(f"interrupted; {finished:,} of {len(places):,} files are done and kept in {out}{unfinished}")
    console.tell(f"{finished:,} {'file' if finished == 1 else 'files'} in {out}")
    if problems:
        raise GanvasError(f"{len(problems):,} of {len(places):,} files could not be stylised; the others are done")


def settings_of_stylize(preset: str | None) -> "StylizeConfig":
    """The settings of a preset; the defaults without one.

    Raises:
        SettingError: if there is no preset of that name.
    """
    from ganvas.style import recipe_named

    return recipe_named(preset)


def _plan(content: Path, styles: Sequence[Path], out: Path) -> dict[Path, Path]:
    """For each content the path of its result.

    Raises:
        UsageError: if there is no content, a file is given twice, or the result would replace an input.
    """
    from ganvas.imaging import images
    from ganvas.inference.places import plan

    if not styles:
        raise UsageError(
            f"{content}: there is no style; give an image after it: ganvas stylize CONTENT STYLE --out FILE"
        )
    for path in (content, *styles):
        if not path.exists():
            raise UsageError(f"{path}: no such image{' or folder' if path == content else ''}")
    for style in styles:
        if style.is_dir():
            raise UsageError(f"{style}: a folder; name the images whose style to take")
        if style.resolve() == content.resolve():
            raise UsageError(f"{style}: content and style are one file; give another image as the style")
    given = {path.resolve() for path in styles}
    if content.is_dir():
        if out.suffix.lower() in images.EXTENSIONS and not out.is_dir():
            raise UsageError(f"--out {out}: is an image, and {content} is a folder; name a folder for the results")
        places = plan([content], out, format="keep")
        places = {file: place for file, place in places.items() if file.resolve() not in given}
        if not places:
            raise UsageError(f"{content}: holds no image but the style; give a folder of contents")
        if place := next((place for place in places.values() if place.resolve() in given), None):
            raise UsageError(f"--out {out}: {place} is a style, and would be replaced; choose another folder")
        return places
    if out.is_dir():
        raise UsageError(f"--out {out}: a folder; name a file in it, such as {out / content.with_suffix('.png').name}")
    images.format_of(out)
    if out.resolve() in {*given, content.resolve()}:
        raise UsageError(f"--out {out}: would replace one of its inputs; choose another file")
    return {content: out}


def _require_previews_free(places: Collection[Path], given: Iterable[Path], *, overwrite: bool) -> None:
    """Raise UsageError if a preview would replace an input, a result, or another existing file."""
    taken = {path.resolve() for path in (*given, *places)}
    for place in places:
        preview = _preview(place)
        if preview.resolve() in taken:
            raise UsageError(
                f"{preview}: the preview of {place} would replace it, and it is an input or a result; "
                "choose another --out"
            )
        if preview.exists() and not overwrite:
            raise UsageError(f"{preview}: left from a run that was killed or failed; move it away, or add --overwrite")


def _say_what_is_grey(paths: Sequence[Path], images: "Sequence[DecodedImage]") -> None:
    """A line for each style without colour, also in three channels, as scans often are."""
    for path, image in zip(paths, images, strict=True):
        if int((image.pixels.amax(0) - image.pixels.amin(0)).max()) <= _TINGE:
            console.say(f"{path}: a grey image, whose style is grey too; --keep-colors keeps the content's colours")


def _read(file: Path, *, place: Path) -> "DecodedImage":
    """Read a content whose result fits the format of its output file.

    Raises:
        DataError: if it is not a single image, or too large for that format.
    """
    from ganvas.imaging import images, video

    if video.is_video(file):
        raise DataError(
            f"{file}: is a video, and only single images are stylised; `ganvas train fast_style` is for videos"
        )
    header, format = images.read_header(file), images.format_of(place)
    if max(header.width, header.height) > (largest := _LARGEST_SIDE.get(format, images.MAX_PIXELS)):
        raise DataError(
            f"{file}: {header.width}x{header.height} pixels, and {format} holds at most {largest:,} a side; "
            f"give {place} another ending, such as .png"
        )
    return images.read(file)


def _notes(stylizer: "Stylizer", image: "DecodedImage", place: Path) -> Iterator[str]:
    """Remarks about a result, in sentences."""
    from ganvas.imaging import images

    (height, width), (rows, columns) = image.pixels.shape[-2:], stylizer.working_size(image)
    if rows < height or columns < width:
        yield f"{width}x{height} pixels; stylised at {columns}x{rows} and enlarged again (--size takes more)"
    if image.alpha is not None and not images.keeps_alpha(place) and bool((image.alpha < 255).any()):
        yield "JPEG and BMP cannot be transparent; transparent parts are on white now (a .png keeps it)"


def _stylized(stylizer: "Stylizer", file: Path, place: Path, *, stop: "Stop", title: str) -> "Progress":
    """Take the steps, with a bar and a preview, and write the result; returns the last progress.

    The preview is removed once the result is written, so it remains after an error or a kill.
    """
    from ganvas.imaging import images
    from ganvas.inference.translate import lacks_memory

    image = _read(file, place=place)
    for note in _notes(stylizer, image, place):
        console.say(f"{file.name}: {note}")
    preview, previewed, small = _preview(place), False, stylizer.reduced(image)
    written = time.monotonic()
    try:
        for event in progress.follow_style(stylizer(image), title=title):
            if stop:
                break
            if time.monotonic() - written >= PREVIEW_SECONDS:
                made = stylizer.finish(small, event.made)
                images.write(preview, made.pixels, alpha=made.alpha)
                previewed, written = True, time.monotonic()
        made = stylizer.finish(image, event.made)
        images.write(place, made.pixels, alpha=made.alpha, dpi=made.dpi)
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        size = stylizer.config.size
        kept = f"; the image so far is in {preview}" if previewed else ""
        raise DataError(f"{file}: takes more memory than there is at --size {size}; give fewer pixels{kept}") from error
    except GanvasError as error:
        if not previewed:
            raise
        raise type(error)(f"{error}; the image so far is in {preview}") from error
    if previewed:
        preview.unlink(missing_ok=True)
    return event


def _preview(place: Path) -> Path:
    return place.with_suffix(".preview.jpg")
