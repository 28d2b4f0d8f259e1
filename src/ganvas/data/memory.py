"""Images that are in memory, or come from a torch `Dataset`: arrays, tensors, PIL images, with labels or partners."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganvas.core.names import nfc
from ganvas.data.batch import MOST_CLASSES, RESIDENT_BYTES, SIZES, Batch, ImageBatch, PairBatch, Source, Spec
from ganvas.data.decode import How, LazyRows
from ganvas.data.folder import DEFAULT_SIZE, held_out
from ganvas.errors import DataError, GanvasError
from ganvas.imaging import images

LOOKED_AT = 64  # items from which the range of values is inferred
SLACK = 0.01  # by which a float may exceed its range, through the rounding of a resize

_NAMES = {"image": ("image", "img", "pixel_values"), "label": ("label", "labels")}  # keys of items that are mappings


def open_memory(
    source: Any, how: How, *, channels: Callable[[bool], int] | None = None, usual_size: int = DEFAULT_SIZE
) -> Source[Any]:
    """Open an indexable set of images: a torch `Dataset`, a list, an array or a tensor.

    An item is an image, or a pair of an image and its label, or of an image and its target; two arrays, of all images
    and of all labels, or of all sources and all targets, are that, too. An image is a PIL image, an array (H, W) or
    (H, W, C), or a tensor (C, H, W) or (H, W); uint8 in 0..255, or float in 0..1, or in -1..1 where some are negative.
    The largest centred square of each is taken. Each item is read once and kept, where all fit into memory.

    Raises:
        DataError: if it holds something else.
    """
    with _explained(source):
        return _opened(source, how, channels=channels, usual_size=usual_size)


@contextlib.contextmanager
def _explained(source: Any) -> Iterator[None]:
    """Turn whatever the user's data set raises within the block into one line."""
    try:
        yield
    except GanvasError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise DataError(f"`data` {_name(source)}: cannot be read ({said})") from error


def identity(source: Any) -> str:
    """What a run calls data in memory: a digest of their number and of the first images, whatever type holds them.

    Empty for data that are random: two readings differ.

    Raises:
        DataError: if they cannot be read.
    """
    with _explained(source):
        return _digest(source)


def _digest(source: Any) -> str:
    items = _items(source)
    digest = hashlib.sha256(str(len(items)).encode())
    for number in range(min(LOOKED_AT, len(items))):
        first = [_bytes_of(value) for value in _item(items, number)]
        if number == 0 and first != [_bytes_of(value) for value in _item(items, number)]:
            return ""
        for content in first:
            digest.update(content)
    return f"memory-{digest.hexdigest()[:12]}"


def _bytes_of(value: Any) -> bytes:
    if isinstance(value, Tensor):
        value = value.detach().float() if value.dtype == torch.bfloat16 else value.detach()
    array = np.ascontiguousarray(np.asarray(value))
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[-1] not in (1, 3):
        array = np.ascontiguousarray(array.transpose(1, 2, 0))  # as (H, W, C)
    return f"{array.dtype.kind}{array.squeeze().shape}".encode() + array.tobytes()


def _opened(source: Any, how: How, *, channels: Callable[[bool], int] | None, usual_size: int) -> Source[Any]:
    items, name = _items(source), identity(source) or _name(source)
    if len(items) < how.least:
        raise DataError(f"`data` {_name(source)}: holds {len(items)} images; expected {how.least} or more")
    first = [_item(items, number) for number in range(min(LOOKED_AT, len(items)))]
    signed = any(_lowest(value) < -SLACK for item in first for value in item if _is_image(value))
    shown = [_pixels(item[0], signed, where=_where(source, number)) for number, item in enumerate(first)]
    paired = len(first[0]) > 1 and _is_image(first[0][1])
    targets = [_target(item, signed, where=_where(source, n)) for n, item in enumerate(first)] if paired else []
    classes = () if paired else _classes(source, items, first)
    spec, grey_alone = how.like, False
    if spec is None:
        grey_alone = _grey(shown) and channels is None
        wanted = channels or (lambda grey: 1 if grey else 3)
        size = how.size or _own_size(shown, usual_size)
        spec = Spec(size, wanted(_grey(shown)), target_channels=(1 if _grey(targets) else 3) if paired else 0)
    spec = Spec(spec.size, spec.channels, classes, spec.outputs if paired else 0)
    numbers = [n for n in range(len(items)) if _taken(n, how)]
    if not numbers:
        raise DataError(
            f"`data` {_name(source)}: of its {len(items)} images `holdout` {how.holdout} leaves none to {how.part}"
        )
    margin = how.margin(spec.size)
    read = ReadItem(items, spec, margin, signed, paired, grey_alone, _name(source))
    rows: Any = LazyRows(numbers, read)
    if spec.bytes * (spec.size + margin) ** 2 // spec.size**2 * len(numbers) <= RESIDENT_BYTES:
        # one by one: a data set may not be safe to read in several threads
        tracked = how.track(numbers, total=len(numbers), description="reading the images")
        rows = read.batch.together([read(number) for number in tracked])
    names = tuple(_called(number) for number in numbers)
    return Source(name, spec, rows, part=how.held_part, margin=margin, names=names)


@dataclass(frozen=True)
class ReadItem:
    """Reads an item by its number.

    Attributes:
        items: the indexable set.
        spec: the shape of a row.
        margin: pixels a side by which it is kept larger.
        signed: whether floats are in -1..1, else in 0..1.
        paired: whether an item is a source and its target.
        grey_alone: whether all images must be grey, as the first are.
        name: of the set, for messages.
    """

    items: Sequence[Any]
    spec: Spec
    margin: int
    signed: bool
    paired: bool
    grey_alone: bool
    name: str

    @property
    def batch(self) -> type[Batch]:
        """The type of its rows."""
        return PairBatch if self.paired else ImageBatch

    def __call__(self, number: int) -> Any:
        """A batch of one, uint8."""
        item, where = _item(self.items, number), f"`data` {self.name}[{number}]"
        size = self.spec.size + self.margin

        def row(value: Any) -> Tensor:
            pixels = _pixels(value, self.signed, where=where)
            if self.grey_alone and pixels.shape[0] == 3:
                raise DataError(f"{where}: is in colour, and the first images are grey; give all in one of both")
            return images.square(pixels, size=size, channels=self.spec.channels)[None]

        if self.paired:
            target = images.square(_target(item, self.signed, where=where), size=size, channels=self.spec.outputs)[None]
            return PairBatch(row(item[0]), target)
        label = None
        if self.spec.classes:
            label = torch.tensor([_label(item, where=where)])
            if not 0 <= int(label) < len(self.spec.classes):
                raise DataError(f"{where}: has the label {int(label)}, and there are {len(self.spec.classes)} classes")
        return ImageBatch(row(item[0]), label)


def _items(source: Any) -> Sequence[Any]:
    if isinstance(source, np.ndarray | Tensor) and source.ndim not in (3, 4):
        raise DataError(
            f"`data`: an array of shape {tuple(source.shape)}; expected (N, C, H, W), (N, H, W, C) or (N, H, W)"
        )
    if not hasattr(source, "__len__") or not hasattr(source, "__getitem__") or isinstance(source, Mapping):
        raise DataError(
            f"`data`: {type(source).__name__} is no data; expected a name, a folder, or an indexable set of "
            "images: a torch Dataset, a list, an array or a tensor"
        )
    if _are_columns(source):
        source = Columns(*source)
    items: Sequence[Any] = source
    return items


@dataclass(frozen=True)
class Columns:
    """Images, and beside them their labels or targets, as a set of items."""

    images: Any
    others: Any

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[Any, Any]:
        return self.images[number], self.others[number]


def _are_columns(source: Any) -> bool:
    """Whether it is a tuple of all images (N, ...) and all labels (N,), or of all sources and all targets (N, ...)."""
    if not isinstance(source, tuple) or len(source) != 2 or not isinstance(source[0], np.ndarray | Tensor):
        return False
    images, others = source
    if images.ndim not in (3, 4) or not hasattr(others, "__len__") or len(images) != len(others):
        return False
    return (not _is_image(others) and not _is_image(others[0])) or (images.ndim == 4 and np.ndim(others) == 4)


def _item(items: Sequence[Any], number: int) -> tuple[Any, ...]:
    """An item as a tuple whose first is the image."""
    item = items[number]
    if isinstance(item, Mapping):
        found = [next((item[name] for name in names if name in item), None) for names in _NAMES.values()]
        return tuple(value for value in found if value is not None)
    values = tuple(item) if isinstance(item, tuple | list) else (item,)
    return tuple(value.detach() if isinstance(value, Tensor) else value for value in values)


def _is_image(value: Any) -> bool:
    return isinstance(value, Image.Image) or (isinstance(value, np.ndarray | Tensor) and value.ndim >= 2)


def _lowest(value: Any) -> float:
    return 0.0 if isinstance(value, Image.Image) or not np.prod(value.shape) else float(value.min())


def _pixels(value: Any, signed: bool, *, where: str) -> Tensor:
    """An image of any of these kinds as uint8 (1 or 3, H, W)."""
    if isinstance(value, Image.Image):
        return images.on_white(images.image_of(value))
    if not _is_image(value):
        raise DataError(
            f"{where}: {type(value).__name__} is no image; expected a PIL image, an array (H, W, C) or a tensor "
            "(C, H, W), alone or with its label"
        )
    if isinstance(value, np.ndarray):  # a copy, for the user's may be read-only; in the byte order of this machine
        pixels = torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))
    else:
        pixels = value.detach()
        pixels = pixels.float() if pixels.dtype == torch.bfloat16 else pixels
    if pixels.ndim == 2:
        pixels = pixels[None]
    elif pixels.ndim == 3 and (isinstance(value, np.ndarray) or pixels.shape[0] not in (1, 3)):
        last_first = pixels.permute(2, 0, 1)  # (H, W, C), as arrays are
        pixels = last_first if last_first.shape[0] in (1, 3) else pixels
    if 0 in pixels.shape:
        raise DataError(f"{where}: of shape {tuple(value.shape)}, which is empty")
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3):
        raise DataError(f"{where}: of shape {tuple(value.shape)}; expected 1 (grey) or 3 (colour) channels")
    if pixels.dtype == torch.uint8:
        return pixels.contiguous()
    if not pixels.dtype.is_floating_point:
        raise DataError(f"{where}: of {str(pixels.dtype).removeprefix('torch.')}; expected uint8, or float in 0..1")
    low, high = float(pixels.min()), float(pixels.max())  # NaN is in no range
    if not (-SLACK if not signed else -1 - SLACK) <= low <= high <= 1 + SLACK:
        raise DataError(f"{where}: floats from {low:.3g} to {high:.3g}; expected 0..1, -1..1, or uint8 in 0..255")
    return images.to_bytes(pixels if signed else pixels * 2 - 1).contiguous()


def _target(item: tuple[Any, ...], signed: bool, *, where: str) -> Tensor:
    if len(item) < 2 or not _is_image(item[1]):
        raise DataError(f"{where}: has no target image, and others have")
    return _pixels(item[1], signed, where=where)


def _label(item: tuple[Any, ...], *, where: str) -> int:
    if len(item) < 2:
        raise DataError(f"{where}: has no label, and others have")
    value = item[1]
    try:
        if int(value) == value:
            return int(value)
        raise ValueError(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: the label {value!r} is no whole number") from error


def _classes(source: Any, items: Sequence[Any], first: Sequence[tuple[Any, ...]]) -> tuple[str, ...]:
    """The names of the classes: as the data set says, or the numbers of its labels; empty where there are none."""
    if len(first[0]) < 2:
        return ()
    if named := getattr(source, "classes", None):
        return tuple(nfc(str(name)) for name in named)
    targets = getattr(source, "targets", None)  # as torchvision's data sets have them: no image needs to be decoded
    if targets is None:
        targets = [_label(_item(items, n), where=_where(source, n)) for n in range(len(items))]
    if (largest := max(map(int, targets))) >= MOST_CLASSES:
        raise DataError(f"`data` {_name(source)}: has the label {largest:,}; expected {MOST_CLASSES:,} classes at most")
    return tuple(str(number) for number in range(largest + 1))


def _own_size(shown: Sequence[Tensor], usual: int) -> int:
    """The size of images that are all squares of one size, or if they are small the next larger; else the usual one."""
    sizes = {tuple(pixels.shape[-2:]) for pixels in shown}
    height, width = next(iter(sizes))
    if len(sizes) > 1 or height != width or (width > DEFAULT_SIZE and width not in SIZES):
        return usual
    return next(size for size in SIZES if size >= width)


def _grey(shown: Sequence[Tensor]) -> bool:
    return all(pixels.shape[0] == 1 for pixels in shown)


def _taken(number: int, how: How) -> bool:
    return not how.holdout or held_out(PurePath(_called(number)), how.holdout) == (how.part == "test")


def _called(number: int) -> str:
    return f"{number:06d}"


def _name(source: Any) -> str:
    return type(source).__name__


def _where(source: Any, number: int) -> str:
    return f"`data` {_name(source)}[{number}]"
