"""Images in WebDataset shards: tar archives, local, or behind a URL or a command, for sets beyond memory and disk."""

import os
import re
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import get_worker_info

from ganvas.core.names import shown
from ganvas.core.sources import is_far
from ganvas.data.batch import Kind
from ganvas.data.files import Contents, contents, open_regular
from ganvas.data.webdataset import shard_order
from ganvas.data.webdataset.index import LARGEST, Table
from ganvas.errors import DataError, GanvasError, UsageError
from ganvas.imaging.images import Encoded

_NAME = re.compile(r"[^/\s]+\.tar")  # the name of the file within a URL, or a command
_CHUNK = 2**20


# --- names ----------------------------------------------------------------------------------------------------------


Shard = Path | str  # a regular file; or a URL or a command, which only the user's own argument can be


def are_meant(name: str) -> bool:
    """Whether a name means shards: a URL or a command, an archive or a pattern of archives, or a folder of them.

    Raises:
        DataError: for a folder that cannot be read.
    """
    path = Path(name)
    if not path.is_dir():
        return is_far(name) or name.endswith(".tar")
    found = contents(path)
    return bool(_archives(found)) and not found.images


def title_of(name: str) -> str:
    """The name that is stored for a source: a URL or a command as it is, the rest by its full path."""
    return name if is_far(name) else str(Path(name).resolve())


def expand(name: str) -> list[Shard]:
    """The shards that a folder, a file, or a pattern with braces means.

    Raises:
        DataError: if there are none, or some are missing.
        UsageError: if the package webdataset is needed, and is not installed.
    """
    path = Path(name)
    if path.is_dir():
        if archives := _archives(contents(path.absolute())):
            return [*archives]
        raise DataError(f"{name}: no shards; expected files ending in .tar")
    if path.is_file():
        return [path.absolute()]
    try:
        from webdataset.shardlists import expand_urls
    except ImportError as error:
        raise UsageError(f"{name}: needs the package webdataset; pip install 'ganvas[webdataset]'") from error
    try:
        urls = [str(url) for url in expand_urls(name)]
    except Exception as error:  # braces that do not close, a variable that is not set
        raise DataError(f"{name}: {error}; expected a pattern such as shard-{{000000..000127}}.tar") from error
    found: list[Shard] = [url if is_far(url) else Path(url).absolute() for url in urls]
    missing = [file for file in found if isinstance(file, Path) and not file.is_file()]
    if missing:
        raise DataError(f"{missing[0]}: no such file ({len(missing):,} of {len(found):,} shards of {name} are missing)")
    return found


def _archives(found: Contents) -> list[Path]:
    return [file for file in found.files if file.suffix.lower() == ".tar"]


def name_in(shard: Shard) -> str:
    """The file name of a shard, its key in an index."""
    if isinstance(shard, Path):
        return shard.name
    found = _NAME.findall(shard)
    return str(found[-1]) if found else shard


# --- reading --------------------------------------------------------------------------------------------------------


@contextmanager
def fetched(shard: Shard) -> Iterator[int]:
    """An open handle of a local file, or of a temporary copy of a remote one.

    Raises:
        GanvasError: if it cannot be read.
    """
    with ExitStack() as opened:
        try:
            if isinstance(shard, str):
                from webdataset.gopen import gopen

                copy = opened.enter_context(tempfile.TemporaryFile(prefix="ganvas-shard-"))
                with closing(gopen(shard)) as stream:
                    shutil.copyfileobj(stream, copy, _CHUNK)
                copy.flush()
                handle = copy.fileno()
            else:
                handle = opened.enter_context(open_regular(shard)).fileno()
        except Exception as error:  # of the system, and of the package, which raises many types
            raise GanvasError(f"{shard}: cannot be read ({_reason(error)})") from error
        yield handle


def _reason(error: Exception) -> str:
    """A short reason: the message of the package is the whole command."""
    ended = re.search(r"exit (\d+)", str(error))
    if ended:
        return f"the command ended with status {ended[1]}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class Shelf:
    """Reads from the shards of a set, and keeps open those used last.

    Attributes:
        shards: where each is.
        sizes: of each, in bytes.
    """

    def __init__(self, shards: tuple[Shard, ...], sizes: tuple[int, ...]):
        self.shards, self.sizes = shards, sizes
        self._lock, self._open = threading.Lock(), OrderedDict[int, tuple[int, ExitStack]]()

    def __del__(self) -> None:
        for _, opened in self._open.values():
            opened.close()

    def __reduce__(self) -> tuple[type["Shelf"], tuple[tuple[Shard, ...], tuple[int, ...]]]:
        return Shelf, (self.shards, self.sizes)  # locks and handles stay in their process

    def laid_out(self, counts: tuple[int, ...]) -> shard_order.Shards:
        """The layout of the shards, with so many samples of each."""
        return shard_order.Shards(
            counts, max(self.sizes, default=0), any(isinstance(shard, str) for shard in self.shards)
        )

    def read(self, shard: int, offset: int, size: int) -> bytes:
        """Some bytes of a shard.

        Raises:
            GanvasError: if the shard has disappeared, or is not the one in the index.
        """
        with self._lock:
            if shard not in self._open:
                for _ in range(len(self._open) - self._most() + 1):
                    self._open.popitem(last=False)[1][1].close()
                self._open[shard] = self._opened(shard)
            self._open.move_to_end(shard)
            return os.pread(self._open[shard][0], min(size, LARGEST), offset)

    def encoded(self, sample: "Sample") -> Encoded:
        """The file of a sample; raises the same errors."""
        return Encoded(shown(sample.name), self.read(sample.shard, sample.offset, sample.size))

    def _most(self) -> int:
        """How many shards to keep open: one per lane of this worker, and two for the ends of its part of a batch."""
        worker = get_worker_info()
        some = len(self.laid_out((1,) * len(self.shards)).lanes(shard_order.MOST_LANES)) - 1
        return -(-some // (worker.num_workers if worker else 1)) + 2

    def _opened(self, shard: int) -> tuple[int, ExitStack]:
        place, opened = self.shards[shard], ExitStack()
        try:
            handle = opened.enter_context(fetched(place))
        except GanvasError as error:
            raise GanvasError(
                f"{error}; fix it, and give the command again: it continues from the last checkpoint"
            ) from error
        size = os.fstat(handle).st_size
        if size != self.sizes[shard]:
            opened.close()
            raise GanvasError(
                f"{place}: came with {size:,} bytes, and has {self.sizes[shard]:,} by its index; give the command "
                "again, or make the index anew (`ganvas shards`)"
            )
        return handle, opened


@dataclass(frozen=True)
class Sample:
    """An image in a shard: its place, its name, and the number of its class, or -1."""

    shard: int
    name: str
    offset: int
    size: int
    label: int


@dataclass(frozen=True, eq=False)
class Samples(Sequence[Sample]):
    """The samples of a set, as a sequence without an object for each.

    Attributes:
        table: all samples in the shards.
        starts: the row of the table at which each shard begins.
        rows: the rows of it that are in the set.
    """

    table: Table
    starts: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> "Samples": ...
    def __getitem__(self, index: int | slice) -> "Sample | Samples":
        if isinstance(index, slice):
            return replace(self, rows=self.rows[index])
        row = int(self.rows[index])
        shard = int(np.searchsorted(self.starts, row, side="right")) - 1
        offset, size, label = (int(self.table.columns[name][row]) for name in ("offset", "size", "label"))
        return Sample(shard, self.table.name(row), offset, size, label)

    @property
    def names(self) -> "Names":
        """Their names."""
        return Names(self)

    @property
    def grey(self) -> int:
        """How many of them are grey."""
        return int(self.table.columns["grey"][self.rows].sum())

    def identity(self) -> list[bytes]:
        """What does not change when the shards move: the names and sizes of the samples, in their order."""
        columns = self.table.columns
        rows = [columns[name][self.rows].astype("<i8").tobytes() for name in ("size", "label", "end")]
        return [*rows, columns["letters"].tobytes()]

    def in_each_shard(self) -> tuple[int, ...]:
        """How many of them lie in each shard."""
        shards = np.searchsorted(self.starts, self.rows, side="right") - 1
        return tuple(np.bincount(shards, minlength=len(self.starts)).tolist())


@dataclass(frozen=True, eq=False)
class Names(Sequence[str]):
    """The names of samples, as such a sequence."""

    samples: Samples

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "Names": ...
    def __getitem__(self, index: int | slice) -> "str | Names":
        if isinstance(index, slice):
            return self.samples[index].names
        return self.samples.table.name(int(self.samples.rows[index]))


@dataclass(frozen=True)
class ReadSample(Generic[Kind]):
    """Reads a sample as `read` does a file, and gives it its class.

    Attributes:
        shelf: the shards.
        read: reads a row from an image's file.
        batch: the type of the rows.
        labelled: whether the samples have classes.
    """

    shelf: Shelf
    read: Callable[[Encoded], Kind]
    batch: type[Kind]
    labelled: bool = False

    def __call__(self, sample: Sample) -> Kind:
        """A batch of one, uint8."""
        row: Any = self.read(self.shelf.encoded(sample))
        return replace(row, labels=torch.tensor([sample.label])) if self.labelled else row  # type: ignore[no-any-return]
