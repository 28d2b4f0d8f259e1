"""What flows from the data to the methods: the shape of the data, and batches as types."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from ganvas.errors import SettingError
from ganvas.images import to_signed
from ganvas.runtime import cores

RESIDENT_BYTES = 2**30  # sets that decode to less are decoded once and kept; larger ones stream through workers
SIZES = (16, 28, 32, 64, 128, 256)


def check_size(size: int) -> None:
    """Raise SettingError for a size that no picture here has."""
    if size not in SIZES:
        raise SettingError(f"--size {size}: pictures are squares of {', '.join(map(str, SIZES))} pixels")


@dataclass(frozen=True)
class Spec:
    """What the data tells a network about its shape, so that nobody types it twice.

    Attributes:
        size: height and width in pixels.
        channels: 1 for grey, 3 for colour.
        classes: the names of the classes, in the order of the labels; empty where there are none.
    """

    size: int
    channels: int
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_size(self.size)
        if self.channels not in (1, 3):
            raise SettingError(f"--channels {self.channels}: pictures have 1 (grey) or 3 (colour)")

    @property
    def bytes(self) -> int:
        """What one picture takes in memory, as uint8."""
        return self.channels * self.size**2


@dataclass(frozen=True)
class Batch:
    """Tensors that belong together, row by row."""

    def over(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The batch with every tensor in it changed in the same way."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(value) for name, value in values.items() if value is not None})

    def pin_memory(self) -> Self:
        """The batch in memory from which a GPU copies by itself; the DataLoader calls this."""
        return self.over(Tensor.pin_memory)

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))


@dataclass(frozen=True)
class Images(Batch):
    """Single pictures.

    Attributes:
        images: (N, C, H, W); uint8 in 0..255 at rest, float in -1..1 after `signed`.
        labels: (N,) int64, indices into `Spec.classes`; None where there are none.
    """

    images: Tensor
    labels: Tensor | None = None

    def signed(self) -> "Images":
        """The batch as networks see it: float in -1..1."""
        return replace(self, images=to_signed(self.images))

    def mirrored(self, which: Tensor) -> "Images":
        """The batch with the rows that `which` (N,) bool names turned left to right."""
        return replace(self, images=self.images.where(~which[:, None, None, None], self.images.flip(-1)))


class Pictures(Protocol):
    """A set too large for the memory: decoded one by one, in worker processes."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> "tuple[Images, str | None]":
        """Row `index` as a batch of one, and the name of the file that turned out broken in its place."""
        ...


@dataclass(frozen=True)
class Source:
    """A named set of pictures, opened.

    Attributes:
        name: of the data set, or the full path of the folder.
        spec: the shape of every picture in it.
        pictures: all of them, decoded (uint8), or the means to decode them one by one.
        left_out: a line for each file that could not be used.
        part: `train` or `test` of a set that is published in parts; empty for a folder.
    """

    name: str
    spec: Spec
    pictures: Images | Pictures
    left_out: tuple[str, ...] = ()
    part: str = ""

    def __len__(self) -> int:
        return len(self.pictures)

    def rows(self, numbers: Sequence[int]) -> Images:
        """The pictures (uint8) of these numbers, and their labels."""
        if isinstance(self.pictures, Images):
            which = torch.as_tensor(numbers, dtype=torch.int64)
            return self.pictures.over(lambda t: t[which])
        with ThreadPoolExecutor(cores()) as pool:  # decoding is done outside the interpreter's lock
            rows = [row for row, _ in pool.map(self.pictures.__getitem__, numbers)]
        labels = [row.labels for row in rows if row.labels is not None]
        return Images(torch.cat([row.images for row in rows]), torch.cat(labels) if labels else None)

    def some(self, n: int) -> Images:
        """`n` pictures evenly from first to last, so that every class has its part; all where there are fewer."""
        return self.rows(self._spaced(min(n, len(self))))

    def parts(self, size: int, n: int | None = None) -> Iterator[Images]:
        """All pictures, or `n` evenly from first to last, in their order and up to `size` at a time."""
        numbers = self._spaced(len(self) if n is None else n)
        for start in range(0, len(numbers), size):
            yield self.rows(numbers[start : start + size])

    def _spaced(self, n: int) -> list[int]:
        return [i * len(self) // n for i in range(n)]

    @property
    def title(self) -> str:
        """Its name, with the part that it is."""
        return f"{self.name} ({self.part})" if self.part else self.name

    @property
    def batch(self) -> type[Images]:
        """The type of the batches it gives."""
        return Images
