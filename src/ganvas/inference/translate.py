"""Translate images with a trained model: any size, any channels, and the same size again."""

import contextlib
import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ganvas.checkpoint import Model
from ganvas.core.device import cores
from ganvas.core.optim import evaluating
from ganvas.core.threads import done_behind, made_ahead
from ganvas.data import tasks
from ganvas.data.tasks._base import Task
from ganvas.data.tasks.superres import Superres
from ganvas.errors import DataError, GanvasError, ModelError, SettingError, UsageError
from ganvas.imaging import images, lab, tiling, video
from ganvas.imaging.deep import Range, require_range
from ganvas.imaging.images import MAX_PIXELS, DecodedImage, in_channels, on_white, scaled, to_bytes, to_signed
from ganvas.imaging.strips import Strip, enlarged, joined, reduced, scaled_one_way
from ganvas.methods._base import Restyles, Translates
from ganvas.nets.vgg import SMALLEST_STYLE, require_style

SMALLEST_TILE = 256  # pixels a side, when memory is short
LARGEST_STYLE = 512  # pixels of the longer side at which a painting is used
AHEAD = 2  # images, or groups of small ones, that are read, and written, during computation

_AT_ONCE = 2**18  # pixels of small images in one batch of the network: 16 of 128, or 4 of 256 a side
_ALONE = 2**25  # pixels, from which an image is not read during the computation of the one before it


# --- one image ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Translator:
    """A model prepared to translate images; call it with one.

    Attributes:
        model: of a method that translates.
        direction: `ab`, or `ba` back.
        tile: pixels a side, at most, of the tiles of an image; 0 uses tiles if it is large.
        size: pixels of the shorter side at which the network works, for larger images; 0 for the image's own,
            or the model's if only colour is made, whose sharpness is hardly visible.
        styles: paintings, for a model that takes any style: the mean of theirs; none for that of the training.
        strength: how much of the style, 0 to 1.
        keep_colors: take only the lightness from the output, and the colours from the image.

    Raises:
        DataError: for a painting that is too small.
        ModelError: for a model that does not translate.
        SettingError: for a direction that the model does not support; for tiles or a size if it has a fixed size; for
            styles if it has its own; for colours if it makes none, or only colours.
    """

    model: Model
    direction: str = "ab"
    tile: int = 0
    size: int = 0
    styles: Sequence[DecodedImage] = ()
    strength: float = 1.0
    keep_colors: bool = False

    def __post_init__(self) -> None:
        name, method = self.model.manifest.method, self.model.method
        if not isinstance(method, Translates):
            raise ModelError(
                f"a {name} model generates from noise alone; use it with `ganvas generate`, "
                "or give a model of a method that translates"
            )
        if self.direction not in method.directions:
            raise SettingError(
                f"`direction` {self.direction}: a {name} model goes {' and '.join(method.directions)} only"
            )
        if self.direction == "ba" and self.model.manifest.spec.colors_alone:
            raise SettingError("`direction` ba: this model makes colours from lightness, and nothing from colours")
        if not method.any_size and (self.tile or self.size):
            raise SettingError(
                f"`{'tile' if self.tile else 'size'}`: this {name} model makes {self.model.manifest.spec.size} pixels, "
                "and no other size; leave it out"
            )
        for field in ("tile", "size"):
            if not isinstance(getattr(self, field), int) or getattr(self, field) < 0:
                raise SettingError(f"`{field}` {getattr(self, field)}: expected a number of pixels")
        if not isinstance(self.strength, int | float) or not 0 <= self.strength <= 1:
            raise SettingError(f"`strength` {self.strength}: expected 0 (the image's own style) to 1 (all of it)")
        if not isinstance(method, Restyles) and (self.styles or self.strength != 1):
            raise SettingError(
                f"`{'style' if self.styles else 'strength'}`: a {name} model paints in the one style that it learned; "
                "leave it out, or take an adain model"
            )
        if self.keep_colors and self.outputs != 3:
            makes = "colours alone" if self.model.manifest.spec.colors_alone else "grey images"
            raise SettingError(f"`keep_colors`: this model makes {makes}; leave it out")
        for number, painting in enumerate(self.styles, 1):
            require_style(painting, name=f"style {number}")

    @property
    def method(self) -> Translates:
        """The trained method."""
        return cast(Translates, self.model.method)

    @property
    def task(self) -> Task | None:
        """The task that made its pairs; None for pairs of images, and for the way back."""
        name = self.model.manifest.task
        return tasks.task(name) if name and self.direction == "ab" else None

    @property
    def channels(self) -> int:
        """Channels of the input."""
        spec = self.model.manifest.spec
        return spec.channels if self.direction == "ab" else spec.outputs

    @property
    def outputs(self) -> int:
        """Channels of the output."""
        spec = self.model.manifest.spec
        return spec.outputs if self.direction == "ab" else spec.channels

    @functools.cached_property
    def style(self) -> Tensor | None:
        """The mean of the styles, as given to the model; None if it has only its own."""
        method = self.model.method
        if not isinstance(method, Restyles):
            return None
        if not self.styles:
            return method.usual_style
        device, told = next(method.parameters()).device, []
        for painting in self.styles:
            pixels = in_channels(on_white(painting), self.channels)
            share = min(1.0, LARGEST_STYLE / max(pixels.shape[-2:]))
            sides = (max(SMALLEST_STYLE, round(side * share)) for side in pixels.shape[-2:])
            with evaluating(method):
                told.append(method.style_of(scaled(to_signed(pixels)[None], *sides).clamp_(-1, 1).to(device))[0])
        return torch.stack(told).mean(0)

    def coarse(self, image: DecodedImage) -> bool:
        """Whether the model makes images of one size only, and this one is larger."""
        return not self.method.any_size and max(image.pixels.shape[-2:]) > self.model.manifest.spec.size

    def __call__(self, image: DecodedImage) -> DecodedImage:
        """The image translated: of the same height and width, unless the task enlarges it.

        If memory runs out, it is tried once more in the smallest tiles.

        Raises:
            DataError: for an image that lacks what the task needs, or takes too much memory.
        """
        try:
            return self._translated([image])[0]
        except (RuntimeError, MemoryError) as error:
            if not lacks_memory(error):
                raise
            if not self.method.any_size or 0 < self.tile <= SMALLEST_TILE:
                height, width = image.pixels.shape[-2:]
                raise DataError(
                    f"{width}x{height} pixels take more memory than there is; make it smaller first"
                ) from error
        # after the block, because within it the error keeps all that was computed
        return replace(self, tile=SMALLEST_TILE)(image)

    def each(self, images: Sequence[DecodedImage]) -> list[DecodedImage | DataError]:
        """Images of one size, each as if alone, or the error of one that cannot be translated.

        Small ones share a batch: the same up to a step of 255, since sums may be added in another order.
        """
        if len(images) > 1:
            try:
                return [*self._translated(images)]
            except DataError:
                pass  # of one of them, and the others go on
            except (RuntimeError, MemoryError) as error:
                if not lacks_memory(error):
                    raise
        return [self._tried(image) for image in images]

    def _tried(self, image: DecodedImage) -> DecodedImage | DataError:
        try:
            return self(image)
        except DataError as error:
            return error

    def together(self, one: DecodedImage, other: DecodedImage) -> int:
        """How many such images are to be given to `each` at a time; 1 for two that cannot share a batch."""
        if self.tile or one.pixels.shape != other.pixels.shape:
            return 1
        return _together(*one.pixels.shape[-2:])

    def _translated(self, images: Sequence[DecodedImage]) -> list[DecodedImage]:
        """Images of one size, strip by strip: what is computed in float is never the whole of a large image."""
        taken = [self._taken(image) for image in images]
        entered = [self._entered(image, pixels) for image, pixels in zip(images, taken, strict=True)]
        stacked = torch.stack(entered) if len(entered) > 1 else entered[0][None]
        del entered
        results = [_Result() for _ in images]
        with evaluating(self.model.method), contextlib.closing(self._output(stacked)) as strips:
            for strip in strips:
                for image, pixels, output, result in zip(images, taken, strip.pixels, results, strict=True):
                    part = Strip(strip.axis, strip.start, output)
                    result.add(part, *self._left(image, pixels, part), stacked.shape[-2:])
        pairs = zip(images, results, strict=True)
        return [replace(image, pixels=made.pixels, alpha=made.alpha) for image, made in pairs]

    def _taken(self, image: DecodedImage) -> Tensor:
        """The pixels in the channels that the task, or the network, takes."""
        task = self.task
        if task is not None and task.channels == 1:  # it takes the grey, or the lightness, itself
            return image.pixels
        return in_channels(image.pixels, (task.channels if task else 0) or self.channels)

    def _entered(self, image: DecodedImage, pixels: Tensor) -> Tensor:
        """The input of the network, uint8 (C, H, W)."""
        height, width = (side * self._enlarges for side in pixels.shape[-2:])
        if self._enlarges > 1 and height * width > MAX_PIXELS // 2:
            most = MAX_PIXELS // 2 // 10**6
            raise DataError(f"would become {width}x{height}, more than {most} million pixels; make it smaller first")
        return in_channels(self.task.enter(pixels, image.alpha), self.channels) if self.task else pixels

    @property
    def _enlarges(self) -> int:
        """How many times as large the result is."""
        return int(self.task.amount) if isinstance(self.task, Superres) else 1

    def _left(self, image: DecodedImage, pixels: Tensor, output: Strip) -> tuple[Tensor, Tensor | None]:
        """The result for a strip of the output, and its alpha; an image that the task enlarges has its alpha whole."""
        alpha, enlarges = image.alpha, self._enlarges > 1
        here = None if alpha is None or (enlarges and output.start) else alpha if enlarges else output.of(alpha)
        if self.task:
            made, here = self.task.leave(pixels if enlarges else output.of(pixels), here, output.pixels)
        else:
            made = to_bytes(output.pixels)
        if self.keep_colors:
            whole = image.pixels
            if enlarges:
                height, width = (side * self._enlarges for side in whole.shape[-2:])
                whole = scaled(whole[None], height, width)[0]
            made = lab.with_colours_of(made, output.of(whole))
        return made, here

    def _output(self, entered: Tensor) -> Generator[Strip, None, None]:
        """The output of the network for uint8 (N, C, H, W): float (N, C', H', W') in -1..1, on the CPU."""
        height, width = entered.shape[-2:]
        if not self.method.any_size:
            yield from self._of_one_size(entered)
            return
        size = self.size or self._usual_size
        if not size or size >= min(height, width):
            yield from self._of_any_size(entered)
            return
        share = size / min(height, width)
        shape = round(height * share), round(width * share)
        small = joined(self._of_any_size(reduced(entered, *shape)), *shape)
        for strip in enlarged(small, height, width):
            yield replace(strip, pixels=strip.pixels.clamp_(-1, 1))

    @property
    def _usual_size(self) -> int:
        """The visible loss of sharpness in colours is small, and they are best at the size of the training."""
        spec = self.model.manifest.spec
        return spec.size if self.task and spec.colors_alone else 0

    def _of_any_size(self, images: Tensor) -> Iterator[Strip]:
        height, width = images.shape[-2:]
        usual = tiling.LARGE_TILE if height * width > tiling.LARGE else tiling.TILE
        tile = self.tile or (usual if height * width > tiling.WHOLE else 0)
        if not tile:
            made = [self._part(some).float().cpu() for some in torch.split(images, _together(height, width))]
            yield Strip(-1, 0, torch.cat(made) if len(made) > 1 else made[0])
            return
        assert len(images) == 1
        strips = tiling.translate_in_tiles(
            self._part, images[0], network=self.model.method, tile=tile, multiple=self.method.multiple
        )
        with contextlib.closing(strips):
            yield from (replace(strip, pixels=strip.pixels[None]) for strip in strips)

    def _of_one_size(self, images: Tensor) -> Iterator[Strip]:
        """The image padded to a square by reflection, scaled to the model's size and back.

        It is scaled along its longer side before the padding, and after it is cut off again, to bound memory.
        """
        (height, width), size = images.shape[-2:], self.model.manifest.spec.size
        side, wide = max(height, width), width >= height
        short = min(height, width)
        before, axis = (side - short) // 2, -2 if wide else -1
        narrow = scaled_one_way(images, axis=-3 - axis, length=size)
        square = narrow.index_select(axis, _reflection(short, before, side))
        made = self._part(scaled(square, size, size).clamp(-1, 1)).float().cpu()
        back = scaled(made, *((side, size) if wide else (size, side))).narrow(axis, before, short)
        for strip in enlarged(back, height, width):
            yield replace(strip, pixels=strip.pixels.clamp(-1, 1))

    def _part(self, images: Tensor) -> Tensor:
        """Through the network: (N, C, H, W), uint8 or float in -1..1, to float in -1..1."""
        signed = to_signed(images) if images.dtype == torch.uint8 else images
        device, method = next(self.model.method.parameters()).device, self.model.method
        if isinstance(method, Restyles):
            assert self.style is not None
            return method.restyle(signed.to(device), self.style, strength=self.strength)
        return self.method.translate(signed.to(device), self.direction)


def lacks_memory(error: Exception) -> bool:
    """Whether memory ran out; on the CPU, and on Apple's chips, torch says so only in the message."""
    words = ("DefaultCPUAllocator", "out of memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(each in str(error) for each in words)


def _together(height: int, width: int) -> int:
    """How many images of that size share a batch: large ones go alone, since they keep the network busy."""
    return max(1, min(16, _AT_ONCE // (height * width)))


def _reflection(n: int, before: int, side: int) -> Tensor:
    """For each of `side` positions the index of its pixel of `n`, the first at `before`, reflected at the ends."""
    way = torch.arange(-before, side - before) % max(1, 2 * n - 2)
    return torch.where(way < n, way, 2 * n - 2 - way)


class _Result:
    """The result for an image, in bytes, as its strips come."""

    pixels: Tensor
    alpha: Tensor | None = None

    def add(self, strip: Strip, pixels: Tensor, alpha: Tensor | None, shape: Sequence[int]) -> None:
        """Add the result of a strip of an image of that height and width, and its alpha."""
        if pixels.shape[-2:] == tuple(shape):
            self.pixels, self.alpha = pixels, alpha
            return
        if strip.start == 0:
            self.pixels = pixels.new_empty((len(pixels), *shape))
            if alpha is not None:
                self.alpha = alpha if alpha.shape == tuple(shape) else alpha.new_empty(tuple(shape))
        strip.of(self.pixels).copy_(pixels)
        if alpha is not None and self.alpha is not None and alpha.shape != self.alpha.shape:
            strip.of(self.alpha).copy_(alpha)


def read_styles(files: Sequence[Path]) -> list[DecodedImage]:
    """The paintings that `style` names.

    Raises:
        UsageError: for what is not a file.
        DataError: for what is not an image.
    """
    for file in files:
        if not file.is_file():
            what = "is a folder; name the images themselves" if file.is_dir() else "no such image"
            raise UsageError(f"`style` {file}: {what}")
    return [images.read(file) for file in files]


# --- many files -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """The outcome for a file.

    Attributes:
        file: the input.
        place: the path of the result; None if there is none.
        problem: why there is none, in one line.
        notes: remarks about the result, in sentences that are the same for every file.
    """

    file: Path
    place: Path | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileTranslation:
    """Files to translate; iterate over it to translate them one by one.

    Attributes:
        translator: what to do to each image.
        places: for each file the path of the result.
        smooth: how much of the previous frame goes into each frame of a video, 0 to 1.
        range: of grey images of more than 8 bits the values that are black and white, or `auto` for those in use;
            None for what their format says.

    Raises:
        SettingError: for what is no range.
    """

    translator: Translator
    places: Mapping[Path, Path]
    smooth: float = 0.0
    range: Range = None

    def __post_init__(self) -> None:
        require_range(self.range)

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Done]:
        return translate_files(self.translator, self.places, smooth=self.smooth, span=self.range)


def translate_files(
    translator: Translator, places: Mapping[Path, Path], *, smooth: float = 0.0, span: Range = None
) -> Iterator[Done]:
    """Translate each file, image, animation or video, and write the result, whole or not at all.

    While one image is computed the next are read and the last are written, in bounded memory. When interrupted, it
    finishes and reports what is being written before it stops.

    Args:
        translator: what to do to each image.
        places: for each file the path of the result; the ending gives the format. Folders exist already.
        smooth: how much of the previous frame goes into each frame of a video, 0 to 1.
        span: the `range` of `FileTranslation`.

    Raises:
        SaveError: if nothing more can be written.
    """
    made = _made(translator, places, smooth=smooth, span=span)
    for group in done_behind(_write_each, made, most=AHEAD, threads=cores()):
        yield from group


def _made(
    translator: Translator, places: Mapping[Path, Path], *, smooth: float, span: Range
) -> Iterator[list[tuple[Done, DecodedImage | None]]]:
    """The outcome for each file, and the image to write; small images of one size form a group."""
    read = functools.partial(_read, span=span)
    for group in made_ahead(_groups(translator, places, read), most=AHEAD - 1):  # one more shows where a group ends
        images = [found for _, found in group if isinstance(found, DecodedImage)]
        results = iter(translator.each(images))
        made: list[tuple[Done, DecodedImage | None]] = []
        for file, found in group:
            result = next(results) if isinstance(found, DecodedImage) else found
            done = Done(file, places[file])
            if isinstance(result, DataError):
                made.append((_failed(done, result), None))
            elif isinstance(found, DecodedImage):
                made.append((replace(done, notes=_notes(translator, found, places[file])), result))
            else:
                made.append((_alone(translator, done, places[file], smooth=smooth, span=span), None))
        yield made


def _failed(done: Done, error: GanvasError) -> Done:
    problem = str(error) if str(done.file) in str(error) else f"{done.file}: {error}"
    return replace(done, place=None, problem=problem)


def _alone(translator: Translator, done: Done, place: Path, *, smooth: float, span: Range) -> Done:
    """Translate and write a file that would take too much memory beside others: a large image, or a video."""
    try:
        if video.is_video(done.file):
            return replace(done, notes=_translate_video(translator, done.file, place, smooth=smooth))
        image = images.read(done.file, span=span)
        notes, image = _notes(translator, image, place), translator(image)
        images.write(place, image.pixels, alpha=image.alpha, dpi=image.dpi)
        return replace(done, notes=notes)
    except (DataError, UsageError) as error:
        return _failed(done, error)


def _groups(
    translator: Translator, files: Iterable[Path], read: Callable[[Path], DecodedImage | DataError | None]
) -> Iterator[list[tuple[Path, DecodedImage | DataError | None]]]:
    """The content of the files, in order: images that are translated together form a group, all others alone."""
    group: list[tuple[Path, DecodedImage | DataError | None]] = []
    for file in files:
        found, last = read(file), group[-1][1] if group else None
        fits = (
            isinstance(last, DecodedImage)
            and isinstance(found, DecodedImage)
            and len(group) < translator.together(last, found)
        )
        if group and not fits:
            yield group
            group = []
        group.append((file, found))
    if group:
        yield group


def _read(file: Path, *, span: Range) -> DecodedImage | DataError | None:
    """The image; None for a video or a large image, read when its turn comes; the error for anything else."""
    try:
        if video.is_video(file):
            return None
        header = images.read_header(file)
        return None if header.width * header.height > _ALONE else images.read(file, span=span)
    except DataError as error:
        return error


def _write_each(made: Iterable[tuple[Done, DecodedImage | None]]) -> list[Done]:
    """Write images to their places; with a problem if a format cannot hold one, or its name is too long."""
    written = []
    for done, image in made:
        try:
            if image is not None and done.place is not None:
                images.write(done.place, image.pixels, alpha=image.alpha, dpi=image.dpi)
            written.append(done)
        except (DataError, UsageError) as error:
            written.append(_failed(done, error))
    return written


def _notes(translator: Translator, image: DecodedImage, place: Path) -> tuple[str, ...]:
    notes = [*image.notes]
    if translator.coarse(image):
        size = translator.model.manifest.spec.size
        notes.append(f"the model makes {size}x{size} pixels; larger images were reduced to this, and enlarged again")
    if image.alpha is not None and not images.keeps_alpha(place) and bool((image.alpha < 255).any()):
        notes.append("JPEG and BMP cannot be transparent; transparent parts are on white now (`format` png keeps it)")
    return tuple(notes)


def _translate_video(translator: Translator, file: Path, place: Path, *, smooth: float) -> tuple[str, ...]:
    """Write the video translated frame by frame; returns remarks about it."""
    notes: set[str] = set()

    def change(frame: DecodedImage) -> DecodedImage:
        notes.update(_notes(translator, frame, place))
        return translator(frame)

    notes.update(video.change_video(file, place, change, smooth=smooth))
    return tuple(sorted(notes))
