"""The types between the data and the methods: the shape of the data, sources, and batches."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor

from ganvas.core.device import cores
from ganvas.core.sources import are_fonts, fonts_in_short
from ganvas.data.webdataset.shard_order import Shards
from ganvas.errors import SettingError, readable
from ganvas.imaging.images import to_signed

MOST_CLASSES = 2**16  # labels above this are mistakes, such as the numbers of files
RESIDENT_BYTES = 2**30  # sets that decode to less are decoded once and kept; larger ones stream through workers
SIZES = (16, 28, 32, 64, 128, 256, 512, 1024)


def check_size(size: int) -> None:
    """Raise SettingError for a size that is not one of `SIZES`."""
    if size not in SIZES:
        raise SettingError(f"`size` {size}: images are squares of {', '.join(map(str, SIZES))} pixels")


@dataclass(frozen=True)
class Spec:
    """The shape of the data, by which networks are built.

    Attributes:
        size: height and width in pixels.
        channels: 1 for grey, 3 for colour; of pairs, those of the source.
        classes: the names of the classes, in the order of the labels; empty where there are none.
        target_channels: of pairs, those of the target: 1, 2 (the a and b of Lab) or 3; 0 without pairs.
    """

    size: int
    channels: int
    classes: tuple[str, ...] = ()
    target_channels: int = 0

    def __post_init__(self) -> None:
        check_size(self.size)
        if self.channels not in (1, 3):
            raise SettingError(f"`channels` {self.channels}: images have 1 (grey) or 3 (colour)")
        if self.target_channels not in (0, 1, 2, 3):
            raise SettingError(f"{self.target_channels} channels of targets; images have 1 (grey) or 3 (colour)")

    @property
    def outputs(self) -> int:
        """Output channels of a network: those of the target, or of the images where there are no pairs."""
        return self.target_channels or self.channels

    @property
    def colors_alone(self) -> bool:
        """Whether a network makes the a and b of Lab: colours without lightness, which are no image yet."""
        return self.outputs == 2

    @property
    def bytes(self) -> int:
        """Bytes of one row, as uint8."""
        return (self.channels + self.target_channels) * self.size**2


@dataclass(frozen=True)
class Batch:
    """Tensors that belong together, row by row."""

    if TYPE_CHECKING:

        @property
        def images(self) -> Tensor:
            """The images that a method learns to make: the images, or the targets of pairs; (N, C, H, W)."""
            ...

    def over(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The batch with every tensor in it changed in the same way."""
        return replace(self, **{name: change(value) for name, value in self._tensors().items()})

    def over_images(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The batch with every tensor of images (N, C, H, W) in it changed in the same way."""
        return replace(self, **{name: change(value) for name, value in self._tensors().items() if value.dim() == 4})

    def fill(self, other: Self) -> None:
        """Copy the rows of another batch of the same shapes into this one."""
        for name, tensor in self._tensors().items():
            tensor.copy_(getattr(other, name))

    def _tensors(self) -> dict[str, Tensor]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def pin_memory(self) -> Self:
        """The batch in pinned memory; the DataLoader calls this."""
        return self.over(Tensor.pin_memory)

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def signed(self) -> Self:
        """The batch as networks take it: float in -1..1."""
        return self.over_images(to_signed)

    def mirrored(self, which: Tensor) -> Self:
        """The batch with the rows of `which` (N,) bool flipped left to right, both sides of a pair alike."""
        return self.over_images(lambda t: t.where(~which[:, None, None, None], t.flip(-1)))

    def windows(self, top: Tensor, left: Tensor, size: int) -> Self:
        """Crops of `size` pixels, upper left corners at (N,) `top` and `left`, the same for both sides of a pair."""
        return self.over_images(lambda t: _windows(t, top, left, size))

    @classmethod
    def together(cls, rows: "Sequence[Self]") -> Self:
        """Concatenate several batches."""
        names = [field.name for field in fields(cls)]
        columns = {name: [value for row in rows if (value := getattr(row, name)) is not None] for name in names}
        return cls(**{name: torch.cat(column) if column else None for name, column in columns.items()})


def _windows(images: Tensor, top: Tensor, left: Tensor, size: int) -> Tensor:
    n = len(images)
    rows = (top[:, None] + torch.arange(size, device=top.device)).to(images.device)  # (N, size)
    columns = (left[:, None] + torch.arange(size, device=left.device)).to(images.device)
    which = torch.arange(n, device=images.device)[:, None, None]
    picked = images.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]]  # (N, size, size, C)
    return picked.permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True)
class ImageBatch(Batch):
    """Single images.

    Attributes:
        images: (N, C, H, W); uint8 in 0..255 in storage, float in -1..1 after `signed`.
        labels: (N,) int64, indices into `Spec.classes`; None where there are none.
    """

    images: Tensor
    labels: Tensor | None = None


@dataclass(frozen=True)
class PairBatch(Batch):
    """Source images and their targets: row i of the target belongs to row i of the source.

    Attributes:
        source: (N, C, H, W); uint8 in 0..255 in storage, float in -1..1 after `signed`.
        target: (N, C', H, W), the same.
    """

    source: Tensor
    target: Tensor

    @property
    def images(self) -> Tensor:
        """The targets."""
        return self.target


@dataclass(frozen=True)
class UnpairedBatch(PairBatch):
    """Images of two domains, as many of each, that are not paired."""


Kind = TypeVar("Kind", bound=Batch, covariant=True)
Rows = TypeVar("Rows", bound=Batch)


class LazyImages(Protocol[Kind]):
    """A set too large for the memory: decoded one by one, in worker processes."""

    @property
    def batch(self) -> type[Batch]:
        """The type of its rows."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Kind, str | None]:
        """Row `index` as a batch of one, and a line about the broken file that it replaces, or None."""
        ...


@dataclass(frozen=True)
class Some(Generic[Kind]):
    """Some rows of a set too large for the memory.

    Attributes:
        images: the whole set.
        numbers: the numbers of the rows.
    """

    images: LazyImages[Kind]
    numbers: Sequence[int]

    @property
    def batch(self) -> type[Batch]:
        """The type of its rows."""
        return self.images.batch

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> tuple[Kind, str | None]:
        """Row `index` of them, and a line about the broken file that it replaces, or None."""
        return self.images[self.numbers[index]]


Afresh = Callable[[Any, torch.Generator], Any]  # a batch (uint8) to a randomly changed batch


@dataclass(frozen=True)
class Source(Generic[Kind]):
    """An opened, named set of images or pairs.

    Attributes:
        name: of the data set, or the full path of the folder.
        spec: the shape of every image in it.
        images: all images, decoded (uint8), or a lazy set that decodes them one by one.
        left_out: a line for each file that could not be used.
        part: `train` or `test` of a set that is split; empty for a whole folder.
        margin: by how many pixels images are kept larger than `spec.size`, for random crops.
        afresh: a random change of each batch, such as added noise; None for none.
        notes: what the user should know of it, a line each.
        names: the file of each row, relative to the folder; empty where there are none.
        shards: the shards that the rows lie in, if they are not decoded; else None.
        fingerprint: a digest of the names and sizes of its files, the same wherever they lie; empty for data that are
            no files, and for a part of a source.
    """

    name: str
    spec: Spec
    images: Kind | LazyImages[Kind]
    left_out: tuple[str, ...] = ()
    part: str = ""
    margin: int = 0
    afresh: Afresh | None = None
    notes: tuple[str, ...] = ()
    names: Sequence[str] = ()
    shards: Shards | None = None
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.images)

    def name_of(self, row: int) -> str:
        """The printable name of the file of a row, relative to the folder; empty where it has none."""
        return readable(self.names[row]) if self.names else ""

    def only(self, rows: Sequence[int]) -> "Source[Kind]":
        """The same source with these rows only."""
        which = torch.as_tensor(rows, dtype=torch.int64)
        images: Any = (
            self.images.over(lambda t: t[which]) if isinstance(self.images, Batch) else Some(self.images, rows)
        )
        names = tuple(self.names[row] for row in rows) if self.names else ()
        return replace(self, images=images, names=names, shards=None, fingerprint="")

    def rows(self, numbers: Sequence[int]) -> Kind:
        """The rows (uint8) of these numbers, the same each time: the centre crop, and noise seeded by their number."""
        rows = self.raw(numbers)
        if self.margin:
            middle = torch.full((len(rows),), self.margin // 2)
            rows = rows.windows(middle, middle, self.spec.size)
        if self.afresh is None or not len(rows):
            return rows
        parts = [
            self.afresh(rows.over(lambda t, i=i: t[i : i + 1]), torch.Generator().manual_seed(number))  # type: ignore[misc]
            for i, number in enumerate(numbers)
        ]
        return type(rows).together(parts)

    def raw(self, numbers: Sequence[int]) -> Kind:
        """The rows as stored, without crop and noise."""
        if isinstance(self.images, Batch):
            which = torch.as_tensor(numbers, dtype=torch.int64)
            return self.images.over(lambda t: t[which])
        with ThreadPoolExecutor(cores()) as pool:  # decoding releases the interpreter's lock
            rows = [row for row, _ in pool.map(self.images.__getitem__, numbers)]
        return type(rows[0]).together(rows)

    def some(self, n: int) -> Kind:
        """`n` images, evenly from first to last, so that every class is included; all where there are fewer.

        Of a remote set they are the first ones, in one shard.
        """
        return self.rows(self._spaced(min(n, len(self))))

    def parts(self, size: int, n: int | None = None) -> Iterator[Kind]:
        """All images, or `n` evenly from first to last, in their order and up to `size` at a time."""
        numbers = self._spaced(len(self) if n is None else n)
        for start in range(0, len(numbers), size):
            yield self.rows(numbers[start : start + size])

    def _spaced(self, n: int) -> list[int]:
        return [i * len(self) // n for i in range(n)] if not self.shards or not self.shards.far else list(range(n))

    @property
    def complaints(self) -> list[str]:
        """The first few files that could not be used, and how many there are, a line each."""
        more = [f"left out {len(self.left_out)} files in all"] if len(self.left_out) > 5 else []
        return [*(f"left out {line}" for line in self.left_out[:5]), *more]

    @property
    def title(self) -> str:
        """Its name, with its split."""
        return f"{self.name} ({self.part})" if self.part else self.name

    @property
    def short_title(self) -> str:
        """The same without the path to a folder, for files that are passed on."""
        if are_fonts(self.name):
            return fonts_in_short(self.name) + (f" ({self.part})" if self.part else "")
        short = Path(self.name)
        name = readable("/".join(short.parts[1:][-2:]) if short.is_absolute() else self.name)
        return f"{name} ({self.part})" if self.part else name

    @property
    def batch(self) -> type[Batch]:
        """The type of the batches it gives."""
        return type(self.images) if isinstance(self.images, Batch) else self.images.batch
