"""Opens the images in shards as a source, by their index, which is made where it is missing."""

import contextlib
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import filelock
import numpy as np

from ganvas.core import schema
from ganvas.core.atomic_io import make_folder, write_whole
from ganvas.core.names import nfc, shown
from ganvas.core.options import Side
from ganvas.data.batch import MOST_CLASSES, Source, Spec
from ganvas.data.decode import How, source_of
from ganvas.data.files import content_of
from ganvas.data.fingerprints import of_parts
from ganvas.data.folder import DEFAULT_SIZE, ReadImage, held_out, own_size
from ganvas.data.loader import refuse_if_many
from ganvas.data.paired import DEFAULT_SIZE as DEFAULT_SIZE_OF_PAIRS
from ganvas.data.paired import ReadHalves
from ganvas.data.progress import Track, silently
from ganvas.data.webdataset.index import MOST_BYTES, Index, Stamp, Table, scan
from ganvas.data.webdataset.shards import ReadSample, Samples, Shelf, expand, fetched, name_in, title_of
from ganvas.errors import DataError, GanvasError
from ganvas.imaging.images import Header

INDEX = "index.safetensors"
CLASSES = "classes.json"
_MOST_BYTES_OF_CLASSES = 2**24


@dataclass(frozen=True)
class Found:
    """The content of shards.

    Attributes:
        shelf: the shards.
        table: all samples in them.
        starts: the number of the first sample of each shard.
        classes: the names of the classes, where they are known.
        index: the path of the index.
        notes: what the user should know of it.
    """

    shelf: Shelf
    table: Table
    starts: tuple[int, ...]
    classes: tuple[str, ...]
    index: str
    notes: tuple[str, ...] = ()

    def samples(self, name: str) -> tuple[Samples, tuple[str, ...], tuple[str, ...]]:
        """The samples that can be used, the names of their classes, and a line for each that is left out.

        Where some have a class, all need one.

        Raises:
            DataError: if a class has no name.
        """
        labels = self.table.columns["label"]
        whole = Samples(self.table, np.array(self.starts, dtype=np.int64), np.arange(len(self.table)))
        if not (labels >= 0).any():
            return whole, (), self.table.left_out
        classes = self.classes or tuple(str(number) for number in range(int(labels.max()) + 1))
        if labels.max() >= len(classes):
            raise DataError(f"{name}: has a sample of class {labels.max()}, and {CLASSES} names {len(classes)}; fix it")
        without = [
            f"{shown(self.table.name(row))}: has no class, and others have"
            for row in np.flatnonzero(labels < 0).tolist()
        ]
        return replace(whole, rows=np.flatnonzero(labels >= 0)), classes, (*self.table.left_out, *without)


def open_shards(
    name: str,
    how: How,
    *,
    root: Path,
    side: Side | None = None,
    usual_size: int = DEFAULT_SIZE,
    channels: Callable[[bool], int] = lambda grey: 1 if grey else 3,
) -> Source[Any]:
    """Open shards as `open_folder` does a folder, or with `side` as `open_side_by_side` does.

    Raises:
        DataError: if there is nothing of that name, or more than a tenth of it cannot be used.
    """
    found = look_through(name, root=root, track=how.track)
    samples, classes, left_out = found.samples(name)
    refuse_if_many(len(left_out), len(samples) + len(left_out), name=name, example=left_out[0] if left_out else "")
    if not len(samples):
        raise DataError(f"{name}: no images; expected samples such as 0001.jpg, with 0001.cls where there are classes")
    width, height = found.table.own
    grey = samples.grey == len(samples)
    if side:
        headers, usual_size, classes = [Header(width // 2, height, grey)], DEFAULT_SIZE_OF_PAIRS, ()
    else:
        headers = [Header(width, height, grey)]
    like = how.like
    if like is None:
        like = Spec(how.size or own_size(headers, usual_size), channels(grey))
    spec = Spec(
        like.size, like.channels, classes, target_channels=(like.target_channels or like.channels) if side else 0
    )
    margin = how.margin(spec.size)
    read: ReadSample[Any]
    if side:
        halves = ReadHalves(spec.size + margin, spec.channels, spec.outputs, side)
        read = ReadSample(found.shelf, halves, halves.batch)
    else:
        whole = ReadImage(spec.size + margin, spec.channels)
        read = ReadSample(found.shelf, whole, whole.batch, labelled=bool(classes))
    chosen = _part_of(samples, how, name=name)
    source = source_of(
        chosen, read, how, name=title_of(name), names=chosen.names, spec=spec, left_out=left_out,
        shards=found.shelf.laid_out(chosen.in_each_shard()),
    )  # fmt: skip
    return replace(source, notes=found.notes, fingerprint=of_parts(chosen.identity()))


def _part_of(samples: Samples, how: How, *, name: str) -> Samples:
    """The samples for training, those held out, or all: by their names, as for a folder."""
    if not how.holdout:
        return samples
    out = np.fromiter((held_out(PurePosixPath(each), how.holdout) for each in samples.names), np.bool_, len(samples))
    chosen = replace(samples, rows=samples.rows[out == (how.part == "test")])
    if not len(chosen):
        raise DataError(
            f"{name}: of its {len(samples)} images `holdout` {how.holdout} leaves none to {how.part}; change it"
        )
    return chosen


# --- the index ------------------------------------------------------------------------------------------------------


def look_through(name: str, *, root: Path, track: Track = silently, anew: bool = False) -> Found:
    """The content of the shards of that name, by their index; for local shards it is made where it is missing.

    Args:
        name: a folder, a pattern, a URL or a command.
        root: where the index of remote or read-only shards is kept.
        track: shows the progress of long work.
        anew: make the index of remote shards again, which downloads every shard once.

    Raises:
        DataError: if they cannot be read, or are remote and have no index.
    """
    shards = expand(name)
    names = [name_in(shard) for shard in shards]
    far = [shard for shard in shards if isinstance(shard, str)]
    files = [shard for shard in shards if isinstance(shard, Path)]
    if far and files:
        raise DataError(f"{name}: means files and URLs; give one or the other")
    try:
        if far:
            if len(set(names)) < len(names):
                raise DataError(f"{name}: two shards of one name; an index needs different file names")
            index, place, notes = _index_of_far(name, far, root, track, anew=anew)
            parts = [(index.tables[each], index.stamps[each].size) for each in names]
            classes = index.classes
        else:
            parts, notes, place, classes = _of_files(files, root, track)
    except GanvasError as error:
        raise error if isinstance(error, DataError) else DataError(str(error)) from error
    tables, sizes = [table for table, _ in parts], [size for _, size in parts]
    counts = np.array([len(table) for table in tables])
    starts = tuple((np.cumsum(counts) - counts).tolist())
    return Found(Shelf(tuple(shards), tuple(sizes)), Table.joined(tables), starts, classes, str(place), tuple(notes))


def _of_files(
    files: list[Path], root: Path, track: Track
) -> tuple[list[tuple[Table, int]], list[str], Path, tuple[str, ...]]:
    """The tables and sizes of local shards, notes, the path of their index, and their classes."""
    parts, notes, classes, place = list[tuple[Table, int]](), list[str](), tuple[str, ...](), Path()
    for folder, of_folder in itertools.groupby(files, key=lambda file: file.parent):
        here = list(of_folder)
        place = folder / INDEX if os.access(folder, os.W_OK) else _kept_at(root, str(folder.resolve()))
        index = _kept(place) or Index({}, {})
        if _changed(here, index):
            with _alone(place):
                index = _kept(place) or Index({}, {})
                index = _renewed(here, index, track)
                try:
                    make_folder(place.parent)
                    write_whole(place, index.packed())
                except GanvasError as error:
                    notes.append(f"the index of the shards cannot be written: {error}; each opening makes it again")
        parts += [(index.tables[file.name], index.stamps[file.name].size) for file in here]
        classes = _classes_of(folder) or index.classes or classes
    return parts, notes, place, classes


def _changed(files: list[Path], index: Index) -> list[Path]:
    """The shards that are not in the index, or have changed."""

    def known(file: Path) -> bool:
        with fetched(file) as handle:
            return index.stamps.get(file.name) == Stamp.of(handle)

    return [file for file in files if not known(file)]


def _renewed(files: list[Path], index: Index, track: Track) -> Index:
    """The index with changed shards scanned again, and without those that are gone."""
    there = {file.name for file in files[0].parent.iterdir()}
    tables = {name: table for name, table in index.tables.items() if name in there}
    stamps = {name: stamp for name, stamp in index.stamps.items() if name in there}
    changed = _changed(files, index)
    for file in track(changed, total=len(changed), description="scanning the shards"):
        with fetched(file) as handle:
            tables[file.name], stamps[file.name] = scan(handle, file.name), Stamp.of(handle)
    return Index(tables, stamps, _classes_of(files[0].parent) or index.classes)


def _index_of_far(
    name: str, urls: list[str], root: Path, track: Track, *, anew: bool
) -> tuple[Index, Path | str, list[str]]:
    """The index of remote shards: the local copy, else the one beside them."""
    place: Path | str = _kept_at(root, name)
    if anew:
        index = _read_all(urls, track)
        make_folder(Path(place).parent)
        write_whole(Path(place), index.packed())
        return index, place, []
    kept = _kept(Path(place))
    if kept is None:
        place = beside(urls[0])
        try:
            with fetched(place) as handle:
                kept = Index.unpacked(os.pread(handle, min(os.fstat(handle).st_size, MOST_BYTES), 0))
        except GanvasError as error:
            raise DataError(
                f"{name}: no index beside the shards ({error}); `ganvas shards` fetches them all once and makes it"
            ) from error
    missing = [url for url in urls if name_in(url) not in kept.tables]
    if missing:
        raise DataError(f"{missing[0]}: is not in the index ({place}); `ganvas shards` makes it anew")
    return kept, place, []


def _read_all(urls: list[str], track: Track) -> Index:
    tables, stamps = dict[str, Table](), dict[str, Stamp]()
    for url in track(urls, total=len(urls), description="fetching the shards"):
        with fetched(url) as handle:
            tables[name_in(url)], stamps[name_in(url)] = scan(handle, name_in(url)), Stamp.of(handle)
    return Index(tables, stamps)


def beside(url: str) -> str:
    """The URL, or command, of the index that lies beside a shard."""
    before, name, after = url.rpartition(name_in(url))
    return before + INDEX + after if name else url


def _kept_at(root: Path, name: str) -> Path:
    return root / "shards" / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}.safetensors"


def _kept(place: Path) -> Index | None:
    """The index at that path; None where it is missing or damaged."""
    try:
        return Index.unpacked(content_of(place, most=MOST_BYTES))
    except (OSError, DataError):
        return None


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Within the block no other process makes this index; where nothing can be written, there is no lock."""
    lock = filelock.FileLock(place.with_name(f".{place.name}.lock"))
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock)
        yield


def _classes_of(folder: Path) -> tuple[str, ...]:
    """The names in `classes.json`: a list, in the order of the numbers."""
    try:
        named = schema.fit(schema.parse(content_of(folder / CLASSES, most=_MOST_BYTES_OF_CLASSES)), tuple[str, ...])
    except FileNotFoundError:
        return ()
    except (OSError, schema.Misfit) as error:
        raise DataError(f"{folder / CLASSES}: cannot be read ({error}); expected a list of names") from error
    if len(named) > MOST_CLASSES:
        raise DataError(f"{folder / CLASSES}: names {len(named):,} classes; expected {MOST_CLASSES:,} at most")
    return tuple(map(nfc, named))
