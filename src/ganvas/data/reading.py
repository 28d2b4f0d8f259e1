"""From files to rows: all decoded at once where they fit into memory, else one by one when asked for."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from ganvas.data.batch import RESIDENT_BYTES, Batch, Kind, Source, Spec
from ganvas.data.progress import Track, silently
from ganvas.data.stream import refuse_if_many
from ganvas.errors import DataError
from ganvas.images import Header, read_header
from ganvas.runtime import cores

T = TypeVar("T")
Item = TypeVar("Item", contravariant=True)  # what a row is read from: a file, or the two files of a pair
Given = TypeVar("Given")


class Read(Protocol[Item, Kind]):
    """Reads a row; something that can be sent to worker processes."""

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
    """The rows of a set too large for the memory, decoded when asked for.

    Attributes:
        items: what each row is read from, in the order of the rows.
        read: how.
    """

    items: tuple[Given, ...]
    read: Read[Given, Kind]

    @property
    def batch(self) -> type[Batch]:
        """The type of its rows."""
        return self.read.batch

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Kind, str | None]:
        """Row `index`; one that turns out broken is replaced by the next whole one, and named."""
        complaint = None
        for row in [*range(index, len(self)), *range(index)]:
            try:
                return self.read(self.items[row]), complaint
            except DataError as error:
                complaint = complaint or str(error)
        raise DataError(f"none of the {len(self)} pictures can be read; the first: {complaint}")


def open_rows(
    path: Path,
    items: Sequence[Given],
    read: Read[Given, Kind],
    *,
    spec: Spec,
    left_out: Sequence[str] = (),
    part: str = "",
    margin: int = 0,
    least: int = 2,
    track: Track = silently,
) -> Source[Kind]:
    """The source of these rows, of pictures `margin` pixels larger than `spec.size`.

    Raises:
        DataError: if there are fewer than `least`, or more than 1 % of them cannot be read.
    """
    name, n = str(path.resolve()), len(items) + len(left_out)
    files = [item[0] if isinstance(item, tuple) else item for item in items]  # of a pair, that of the source
    names = [file.relative_to(path).as_posix() for file in files if isinstance(file, Path)]
    bytes_a_row = spec.bytes * (spec.size + margin) ** 2 // spec.size**2
    if bytes_a_row * len(items) > RESIDENT_BYTES:
        return Source(name, spec, LazyRows(tuple(items), read), tuple(left_out), part, margin, names=tuple(names))
    rows, broken = attempt_all(items, read, track, "reading the pictures")
    left_out = [*left_out, *broken]
    refuse_if_many(len(left_out), n, name=str(path), example=left_out[0] if left_out else "")
    whole = [row for row in rows if row is not None]
    if len(whole) < least:
        raise DataError(f"{path}: holds {len(whole)} picture; learning takes many, so give a folder with more")
    names = [name for name, row in zip(names, rows, strict=True) if row is not None]
    return Source(name, spec, read.batch.together(whole), tuple(left_out), part, margin, names=tuple(names))


def headers_of(files: list[Path], *, name: str, track: Track) -> tuple[list[Path], list[Header], list[str]]:
    """The files that open as pictures, what they say of themselves, and a line for each that does not.

    Raises:
        DataError: if that is more than 1 % of them.
    """
    headers, left_out = attempt_all(files, read_header, track, "looking at the files")
    refuse_if_many(len(left_out), len(files), name=name, example=left_out[0] if left_out else "")
    known = [(file, header) for file, header in zip(files, headers, strict=True) if header]
    return [file for file, _ in known], [header for _, header in known], left_out


def attempt_all(
    items: Sequence[Given], read: Callable[[Given], T], track: Track, description: str
) -> tuple[list[T | None], list[str]]:
    """What `read` makes of each item (None where it cannot), and a line for each that is broken.

    In threads: Pillow decodes and scales outside the interpreter's lock.
    """

    def attempt(item: Given) -> T | DataError:
        try:
            return read(item)
        except DataError as error:
            return error

    with ThreadPoolExecutor(cores()) as pool:
        results = list(track(pool.map(attempt, items), total=len(items), description=description))
    complaints = [str(result) for result in results if isinstance(result, DataError)]
    return [None if isinstance(result, DataError) else result for result in results], complaints
