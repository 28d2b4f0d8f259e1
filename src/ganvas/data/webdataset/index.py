"""The index of shards: a table of the samples of each, made by scanning the shard once."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from ganvas.core import schema
from ganvas.core.names import nfc, shown
from ganvas.data.batch import MOST_CLASSES
from ganvas.data.webdataset import tar
from ganvas.errors import DataError
from ganvas.imaging.images import EXTENSIONS, Encoded, read_header

LARGEST = 2**28  # bytes of an image's file; larger ones are left out
BEGINNING = 2**16  # bytes that hold the header of most images
MOST_BYTES = 2**32  # of an index: of some fifty million samples
LABEL = 32  # bytes of the file of a label, at most
_LONGEST_LINE = 300  # letters of a line about a sample

_FORMAT, _SAID = 1, "ganvas"
_COLUMNS = {"offset": np.int64, "size": np.int32, "label": np.int32, "grey": np.bool_, "end": np.int64}
_ALL = (*_COLUMNS, "letters")


@dataclass(frozen=True)
class Table:
    """The samples of a shard, or of several one after the other.

    Attributes:
        columns: of each sample where its image begins (`offset`) and its bytes (`size`), its `label` (-1: none),
            whether it is `grey`, and where its name ends in `letters`, the bytes of all names.
        own: width and height of the images; zeros where they are not all alike.
        left_out: a line for each sample that cannot be used.
    """

    columns: Mapping[str, NDArray[Any]]
    own: tuple[int, int] = (0, 0)
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ends, n = self.columns["end"], len(self)
        assert all(self.columns[name].shape == (n,) for name in _COLUMNS)
        assert not n or (ends[-1] == len(self.columns["letters"]) and (np.diff(ends, prepend=0) >= 0).all())

    def __len__(self) -> int:
        return len(self.columns["offset"])

    def name(self, row: int) -> str:
        """The name of a sample, with the ending of its image's file."""
        start, end = (int(self.columns["end"][row - 1]) if row else 0), int(self.columns["end"][row])
        return bytes(self.columns["letters"][start:end]).decode("utf-8", "surrogateescape")

    @classmethod
    def joined(cls, tables: Sequence["Table"]) -> "Table":
        """Concatenate several tables."""
        columns = {name: np.concatenate([table.columns[name] for table in tables]) for name in _ALL}
        letters = [len(table.columns["letters"]) for table in tables]
        columns["end"] += np.repeat(np.cumsum(letters) - letters, list(map(len, tables)))
        sizes = {table.own for table in tables if len(table)}
        own = sizes.pop() if len(sizes) == 1 else (0, 0)
        return cls(columns, own, tuple(line for table in tables for line in table.left_out))


def scan(handle: int, name: str) -> Table:
    """Scan an open shard: read the header of every file in it, and of every image.

    Samples are those of WebDataset: consecutive files with the same name up to the first dot; the ending gives the
    type. The image is used, and the number of its class in `.cls`.
    """
    found: dict[str, list[Any]] = {column: [] for column in _COLUMNS}
    letters, sizes, left_out = bytearray(), set[tuple[int, int]](), list[str]()
    for key, sample in _samples(handle, name, left_out):
        try:
            image = _image_of(sample, key)
            header = _header(handle, image)
            label = _label(handle, sample)
        except DataError as error:
            left_out.append(f"{name}: {error}")
            continue
        letters += image.name.encode("utf-8", "surrogateescape")
        sizes.add((header.width, header.height))
        row = (image.offset, image.size, label, header.grey, len(letters))
        for column, value in zip(found.values(), row, strict=True):
            column.append(value)
    columns: dict[str, NDArray[Any]] = {column: np.array(found[column], kind) for column, kind in _COLUMNS.items()}
    columns["letters"] = np.frombuffer(bytes(letters), np.uint8)
    return Table(columns, sizes.pop() if len(sizes) == 1 else (0, 0), tuple(left_out))


def _samples(handle: int, name: str, left_out: list[str]) -> Iterator[tuple[str, dict[str, tar.Member]]]:
    """The samples of a shard, each with its files by their endings; broken parts add a line to `left_out`."""
    key, sample = "", dict[str, tar.Member]()
    try:
        for member in tar.members(handle, end=os.fstat(handle).st_size):
            path = PurePosixPath(member.name)
            stem, _, ending = path.name.partition(".")
            if not stem or not ending or re.match(r"__[^/]*__(/|$)", member.name):  # WebDataset skips them
                continue
            if (here := str(path.parent / stem)) != key:
                if sample:
                    yield key, sample
                key, sample = here, {}
            sample.setdefault(ending.lower(), member)
    except DataError as error:
        left_out.append(f"{name}: {error}; anything behind it is lost")
    if sample:
        yield key, sample


def _image_of(sample: Mapping[str, tar.Member], key: str) -> tar.Member:
    for ending, member in sample.items():
        if f".{ending}" in EXTENSIONS:
            if member.size > LARGEST:
                raise DataError(f"{shown(member.name)}: claims {member.size:,} bytes; expected {LARGEST:,} at most")
            return member
    raise DataError(f"{shown(key)}: a sample without an image; it has {shown(', '.join(sample)) or 'nothing'}")


def _header(handle: int, image: tar.Member) -> Any:
    """The header of an image; the whole file is read only where its beginning is not enough."""
    name = shown(image.name)
    if image.size > BEGINNING:
        try:
            return read_header(Encoded(name, os.pread(handle, BEGINNING, image.offset)))
        except DataError:
            pass
    return read_header(Encoded(name, os.pread(handle, image.size, image.offset)))


def _label(handle: int, sample: Mapping[str, tar.Member]) -> int:
    member = sample.get("cls")
    if member is None:
        return -1
    content = os.pread(handle, min(member.size, LABEL), member.offset)
    if not content.strip().isdigit() or int(content) >= MOST_CLASSES or member.size > LABEL:
        raise DataError(f"{shown(member.name)}: is not the number of a class, 0 to {MOST_CLASSES - 1:,}")
    return int(content)


@dataclass(frozen=True)
class Stamp:
    """Identifies a shard that was scanned: its bytes, and when it was written (seconds)."""

    size: int
    written: int

    @classmethod
    def of(cls, handle: int) -> "Stamp":
        """The stamp of an open shard."""
        found = os.fstat(handle)
        return cls(found.st_size, int(found.st_mtime))


@dataclass(frozen=True)
class Index:
    """The tables of shards.

    Attributes:
        tables: by the name of the shard.
        stamps: of each shard.
        classes: the names of the classes, where they are known.
    """

    tables: Mapping[str, Table]
    stamps: Mapping[str, Stamp]
    classes: tuple[str, ...] = ()

    def packed(self) -> bytes:
        """The index as a file: a safetensors file, whose header holds the metadata of the shards."""
        tables = list(self.tables.values())
        columns = {name: np.concatenate([table.columns[name] for table in tables]) for name in _ALL} if tables else {}
        shards = [
            [name, *astuple(self.stamps[name]), len(table), len(table.columns["letters"]), table.own, table.left_out]
            for name, table in self.tables.items()
        ]
        said = json.dumps({"format": _FORMAT, "shards": shards, "classes": self.classes})
        return bytes(safetensors.numpy.save(columns, {_SAID: said}))  # one entry: several come in random order

    @classmethod
    def unpacked(cls, content: bytes) -> "Index":
        """The index that a file holds.

        Raises:
            DataError: if it is not an index.
        """
        try:
            columns = safetensors.numpy.load(content)
            header = schema.parse(content[8 : 8 + int.from_bytes(content[:8], "little")])
            said = schema.fit(schema.parse(header["__metadata__"][_SAID]), _Said)
            _require_within_bounds(said, columns)
            tables, row, letter = dict[str, Table](), 0, 0
            for name, _, _, count, letters, own, left_out in said.shards:
                part = {column: columns[column][row : row + count] for column in _COLUMNS}
                part["letters"] = columns["letters"][letter : letter + letters]
                tables[name] = Table(part, own, tuple(shown(line, most=_LONGEST_LINE) for line in left_out))
                row, letter = row + count, letter + letters
            stamps = {name: Stamp(size, written) for name, size, written, *_ in said.shards}
            return cls(tables, stamps, tuple(map(nfc, said.classes)))
        except Exception as error:  # any error of a damaged file
            raise DataError(f"is no index of shards ({type(error).__name__}: {shown(str(error))})") from error


@dataclass(frozen=True)
class _Said:
    """The metadata of an index: of each shard its name, stamp, counts of samples and letters, `own`, `left_out`."""

    format: Literal[1]
    shards: tuple[tuple[str, int, int, int, int, tuple[int, int], tuple[str, ...]], ...]
    classes: tuple[str, ...] = ()


def _require_within_bounds(said: _Said, columns: Mapping[str, NDArray[Any]]) -> None:
    """Raise ValueError for an index that cannot be that of its shards: each number in it has a bound."""
    rows, letters = sum(shard[3] for shard in said.shards), sum(shard[4] for shard in said.shards)
    for name, kind in {**_COLUMNS, "letters": np.uint8}.items():
        if columns[name].dtype != kind or columns[name].shape != (letters if name == "letters" else rows,):
            raise ValueError(f"{name} has another type or length")
    if min((number for shard in said.shards for number in (*shard[1:5], *shard[5])), default=0) < 0:
        raise ValueError("a negative count")
    if len(said.classes) > MOST_CLASSES or len({shard[0] for shard in said.shards}) < len(said.shards):
        raise ValueError("too many classes, or a shard twice")
    counts = np.array([shard[3] for shard in said.shards], np.int64)
    sizes = np.repeat(np.array([shard[1] for shard in said.shards], np.int64), counts)  # of the shard of each row
    offset, size, label = (columns[name].astype(np.int64) for name in ("offset", "size", "label"))
    if (offset < 0).any() or (size < 0).any() or (size > LARGEST).any() or (offset > sizes - size).any():
        raise ValueError("a sample lies outside its shard")
    if (label < -1).any() or (label >= MOST_CLASSES).any():
        raise ValueError("a label that is no class")
    starts = (np.cumsum(counts) - counts)[counts > 0]
    lengths = np.diff(columns["end"], prepend=0)
    lengths[starts] = columns["end"][starts]  # the ends of each shard are counted from its own first name
    if (lengths < 0).any() or (lengths > tar.LONGEST_NAME).any():
        raise ValueError("a name without end")
