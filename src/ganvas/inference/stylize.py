"""Stylise files: where results go, what is to be said of them, previews while it works, and the results written."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ganvas.errors import DataError, DivergedError, GanvasError, UsageError
from ganvas.imaging import images, video
from ganvas.imaging.images import DecodedImage
from ganvas.inference.places import Places, plan
from ganvas.inference.translate import lacks_memory
from ganvas.style import Progress, Stylizer

PREVIEW_SECONDS = 5.0  # between two previews; the most that a crash can lose

_LARGEST_SIDE = {"WEBP": 16_383, "JPEG": 65_500, "GIF": 65_535}  # pixels; libjpeg's own limit is below that of JPEG
_TINGE = 2  # of 255 between the channels of a grey image, which JPEG's rounding may leave there

# --- before the first step ------------------------------------------------------------------------------------------


def plan_results(content: Path, styles: Sequence[Path], out: Path) -> Places:
    """For each content the path of its result: `out` itself for an image, and in `out` for a folder of images.

    Raises:
        UsageError: if there is no content, a file is given twice, or the result would replace an input.
    """
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
        return _plan_folder(content, given, out)
    if out.is_dir():
        raise UsageError(f"`out` {out}: a folder; name a file in it, such as {out / content.with_suffix('.png').name}")
    images.format_of(out)
    if out.resolve() in {*given, content.resolve()}:
        raise UsageError(f"`out` {out}: would replace one of its inputs; choose another file")
    return Places({content: out})


def _plan_folder(content: Path, styles: set[Path], out: Path) -> Places:
    """The same for a folder of contents, in which styles may lie."""
    if out.suffix.lower() in images.EXTENSIONS and not out.is_dir():
        raise UsageError(f"`out` {out}: is an image, and {content} is a folder; name a folder for the results")
    places = plan([content], out, format="keep")
    for style in [file for file in places if file.resolve() in styles]:
        del places[style]
    if not places:
        raise UsageError(f"{content}: holds no image but the style; give a folder of contents")
    if place := next((place for place in places.values() if place.resolve() in styles), None):
        raise UsageError(f"`out` {out}: {place} is a style, and would be replaced; choose another folder")
    return places


def require_previews_free(places: Mapping[Path, Path], others: Iterable[Path], *, overwrite: bool) -> None:
    """Raise UsageError if a preview would replace an input, a result, or another existing file."""
    taken = {path.resolve() for path in (*places, *places.values(), *others)}
    for place in places.values():
        preview = preview_of(place)
        if preview.resolve() in taken:
            raise UsageError(
                f"{preview}: the preview of {place} would replace it, and it is an input or a result; "
                "choose another `out`"
            )
        if preview.exists() and not overwrite:
            raise UsageError(f"{preview}: left from a run that was killed or failed; move it away, or add `overwrite`")


def preview_of(place: Path) -> Path:
    """The file that shows a result while it is in the making."""
    return place.with_suffix(".preview.jpg")


def is_grey(image: DecodedImage) -> bool:
    """Whether an image has no colour, also in three channels, as scans often are."""
    return int((image.pixels.amax(0) - image.pixels.amin(0)).max()) <= _TINGE


# --- the steps ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileStylization:
    """One image on its way into a file; `steps` takes it there.

    Attributes:
        stylizer: the styles and settings.
        file: the content.
        place: where its result goes.
        image: the content, decoded.
    """

    stylizer: Stylizer
    file: Path
    place: Path
    image: DecodedImage

    @property
    def notes(self) -> list[str]:
        """What is to be said of the result, in sentences."""
        notes = list[str]()
        (height, width), (rows, columns) = self.image.pixels.shape[-2:], self.stylizer.working_size(self.image)
        if rows < height or columns < width:
            notes.append(
                f"{width}x{height} pixels; stylised at {columns}x{rows} and enlarged again (`size` takes more)"
            )
        alpha = self.image.alpha
        if alpha is not None and not images.keeps_alpha(self.place) and bool((alpha < 255).any()):
            notes.append("JPEG and BMP cannot be transparent; transparent parts are on white now (a .png keeps it)")
        return notes

    def steps(self, *, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Take the steps, and write the result after the last, or after that in which `stop` has become true.

        There is a preview every few seconds; it is removed once the result is written, so it remains after an error or
        a kill.

        Raises:
            DataError: if it takes more memory than there is.
            DivergedError: if a loss is not finite.
            SaveError: if a file cannot be written.
        """
        preview = _Preview(self)
        with preview.named_in_errors():
            made: Tensor | None = None
            for event in self.stylizer(self.image):
                made = event.made
                yield event
                if stop():
                    break
                preview.update(made)
            assert made is not None
            result = self.stylizer.finish(self.image, made)
            images.write(self.place, result.pixels, alpha=result.alpha, dpi=result.dpi)
        preview.remove()


def open_file(stylizer: Stylizer, file: Path, place: Path) -> FileStylization:
    """Read a content whose result fits the format of its output file.

    Raises:
        DataError: if it is not a single image, or too large for that format.
    """
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
    return FileStylization(stylizer, file, place, images.read(file))


@dataclass(frozen=True)
class Done:
    """A file that was worked on.

    Attributes:
        file: the content.
        place: where its result is.
        whole: whether all steps were taken.
        problem: why there is no result; empty if there is one.
    """

    file: Path
    place: Path
    whole: bool = False
    problem: str = ""


def stylize_files(
    stylizer: Stylizer,
    places: Mapping[Path, Path],
    *,
    follow: Callable[[FileStylization, Iterator[Progress]], Iterable[Progress]] = lambda _, steps: steps,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Done]:
    """Stylise each file into its place, and leave out those that cannot be; ends once `stop` has become true.

    `follow` passes the steps of each file through, such as under a progress bar.
    """
    for file, place in places.items():
        try:
            opened = open_file(stylizer, file, place)
            for last in follow(opened, opened.steps(stop=stop)):
                whole = last.step == last.steps
            yield Done(file, place, whole)
        except (DataError, DivergedError) as error:
            yield Done(file, place, problem=str(error) if str(file) in str(error) else f"{file}: {error}")
        if stop():
            return


class _Preview:
    """The image so far, in a file beside the result, at the size at which the steps are taken."""

    def __init__(self, of: FileStylization):
        self._of, self._path = of, preview_of(of.place)
        self._small = of.stylizer.reduced(of.image)
        self._since, self._exists = time.monotonic(), False

    def update(self, made: Tensor) -> None:
        """Write the image of a step, if the last was written some seconds ago."""
        if time.monotonic() - self._since < PREVIEW_SECONDS:
            return
        shown = self._of.stylizer.finish(self._small, made)
        images.write(self._path, shown.pixels, alpha=shown.alpha)
        self._since, self._exists = time.monotonic(), True

    def remove(self) -> None:
        """Remove what this one has written."""
        if self._exists:
            self._path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Within the block errors name the preview, and a lack of memory is one of them."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not lacks_memory(error):
                raise
            size = self._of.stylizer.config.size
            short = f"{self._of.file}: takes more memory than there is at `size` {size}; give fewer pixels"
            raise DataError(short + self._words) from error
        except GanvasError as error:
            if not self._exists:
                raise
            raise type(error)(f"{error}{self._words}") from error

    @property
    def _words(self) -> str:
        return f"; the image so far is in {self._path}" if self._exists else ""
