"""From files to rows: all decoded at once if they fit into memory, else one by one on access."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from ganvas.core.device import cores
from ganvas.data.batch import RESIDENT_BYTES, Batch, Kind, Source, Spec
from ganvas.data.fingerprints import of_files
from ganvas.data.loader import MAX_BROKEN, refuse_if_many
from ganvas.data.progress import Track, silently
from ganvas.data.webdataset.shard_order import Shards
from ganvas.errors import DataError
from ganvas.imaging.images import Header, read_header

TOGETHER = 4096  # items under way, or single rows kept, at once: a million would fill the memory

T = TypeVar("T")
Item = TypeVar("Item", contravariant=True)  # what a row is read from: a file, or the two files of a pair
Given = TypeVar("Given")


@dataclass(frozen=True, kw_only=True)
class How:
    """How the images of a folder or another source are read.

    Attributes:
        size: of the squares, in pixels; None for that of `like`, or one that suits the files.
        random_crop: keep them an eighth larger, for random crops.
        holdout: fraction of the files that is held out from training.
        part: `train` or `test`, where some are held out.
        like: the shape of a model's training data, to read other images in the same shape.
        least: how many images there must be; training needs two or more.
        track: shows the progress of long work.
    """

    size: int | None = None
    random_crop: bool = False
    holdout: float = 0.0
    part: str = ""
    like: Spec | None = None
    least: int = 2
    track: Track = silently

    @property
    def held_part(self) -> str:
        """The split, where files are held out; empty where all are taken."""
        return self.part if self.holdout else ""

    def margin(self, size: int) -> int:
        """By how many pixels images of that size are kept larger: an eighth, about as in pix2pix."""
        return size // 8 if self.random_crop else 0


class Read(Protocol[Item, Kind]):
    """Reads a row; can be pickled for worker processes."""

    @property
    def batch(self) -> type[Kind]:
        """The type of its rows."""
        ...

    def __call__(self, item: Item, /) -> Kind:
        """A batch of one, uint8.

        Raises:
            DataError: if it cannot be read.
        """
        ...


@dataclass(frozen=True)
class LazyRows(Generic[Given, Kind]):
    """The rows of a set too large for the memory, decoded on access.

    Attributes:
        items: what each row is read from, in the order of the rows.
        read: reads an item.
    """

    items: Sequence[Given]
    read: Read[Given, Kind]

    @property
    def batch(self) -> type[Batch]:
        """The type of its rows."""
        return self.read.batch

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Kind, str | None]:
        """Row `index`; a broken one is replaced by the next readable one, and reported."""
        complaint, tried = None, min(len(self), int(MAX_BROKEN * len(self)) + 2)
        for row in range(index, index + tried):
            try:
                return self.read(self.items[row % len(self)]), complaint
            except DataError as error:
                complaint = complaint or str(error)
        raise DataError(f"{tried} of {len(self)} files cannot be read (such as {complaint}); mend or remove them")


def open_rows(
    path: Path,
    items: Sequence[Given],
    read: Read[Given, Kind],
    how: How,
    *,
    spec: Spec,
    left_out: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Source[Kind]:
    """The source of these rows of a folder.

    Raises:
        DataError: if there are fewer than `how.least`, or more than a tenth of them cannot be read.
    """
    files = [item[0] if isinstance(item, tuple) else item for item in items]  # of a pair, that of the source
    names = [file.relative_to(path).as_posix() for file in files if isinstance(file, Path)]
    source = source_of(
        tuple(items), read, how, name=str(path.resolve()), names=tuple(names), spec=spec, left_out=left_out
    )
    return replace(source, notes=tuple(notes), fingerprint=of_files(path, items))


def source_of(
    items: Sequence[Given],
    read: Read[Given, Kind],
    how: How,
    *,
    name: str,
    names: Sequence[str],
    spec: Spec,
    shards: Shards | None = None,
    left_out: Sequence[str] = (),
) -> Source[Kind]:
    """The source of the rows that are read from these items, which are called `names` and may lie in shards.

    Raises:
        DataError: if there are fewer than `how.least`, or more than a tenth of them cannot be read.
    """
    margin, part = how.margin(spec.size), how.held_part
    n, bytes_a_row = len(items) + len(left_out), spec.bytes * (spec.size + margin) ** 2 // spec.size**2
    if bytes_a_row * len(items) > RESIDENT_BYTES or (shards and shards.far):
        rows = LazyRows(items, read)
        return Source(name, spec, rows, tuple(left_out), part, margin, names=names, shards=shards)
    blocks, broken = list[Kind](), dict[int, str]()
    tried = how.track(attempts(items, read), total=len(items), description="reading the images")
    results = enumerate(tried)
    while block := list(itertools.islice(results, TOGETHER)):
        broken |= {number: str(row) for number, row in block if isinstance(row, DataError)}
        if whole := [row for _, row in block if not isinstance(row, DataError)]:
            blocks.append(read.batch.together(whole))
    left_out = [*left_out, *broken.values()]
    refuse_if_many(len(left_out), n, name=name, example=left_out[0] if left_out else "")
    if (found := len(items) - len(broken)) < how.least:
        raise DataError(f"{name}: holds {found} image; learning takes many, so give a folder with more")
    if broken:
        names = tuple(name for number, name in enumerate(names) if number not in broken)
    return Source(name, spec, read.batch.together(blocks), tuple(left_out), part, margin, names=names)


def headers_of(files: list[Path], *, name: str, track: Track) -> tuple[list[Path], list[Header], list[str]]:
    """The files that open as images, their headers, and a line for each file that does not.

    Raises:
        DataError: if that is more than a tenth of them.
    """
    headers, left_out = attempt_all(files, read_header, track, "looking at the files")
    refuse_if_many(len(left_out), len(files), name=name, example=left_out[0] if left_out else "")
    known = [(file, header) for file, header in zip(files, headers, strict=True) if header]
    return [file for file, _ in known], [header for _, header in known], left_out


def attempt_all(
    items: Sequence[Given], read: Callable[[Given], T], track: Track, description: str
) -> tuple[list[T | None], list[str]]:
    """The result of `read` for each item (None where it fails), and a line for each that is broken.

    In threads: Pillow releases the interpreter's lock while it decodes and scales.
    """
    results = list(track(attempts(items, read), total=len(items), description=description))
    complaints = [str(result) for result in results if isinstance(result, DataError)]
    return [None if isinstance(result, DataError) else result for result in results], complaints


def attempts(items: Sequence[Given], read: Callable[[Given], T], *, ahead: int = TOGETHER) -> Iterator[T | DataError]:
    """The result of `read` for each item, or its DataError; up to `ahead` items are read in advance."""

    def attempt(item: Given) -> T | DataError:
        try:
            return read(item)
        except DataError as error:
            return error

    with ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(items), ahead):
            yield from pool.map(attempt, items[start : start + ahead])
