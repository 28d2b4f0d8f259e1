"""Write images as WebDataset shards, with their index: from a folder, or from a program."""

import io
import itertools
import json
import os
import random
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from ganvas.core.atomic_io import new_folder
from ganvas.core.names import nfc
from ganvas.data.decode import attempts
from ganvas.data.files import content_of
from ganvas.data.folder import list_images
from ganvas.data.loader import refuse_if_many
from ganvas.data.progress import Track, silently
from ganvas.data.webdataset.index import LARGEST, Index, Stamp, Table, scan
from ganvas.data.webdataset.reader import CLASSES, INDEX
from ganvas.errors import DataError, UsageError
from ganvas.imaging import images

PER_SHARD = 1000
_READ_AHEAD = 64  # files that are in memory at once


@dataclass(frozen=True)
class Sample:
    """An image to be written.

    Attributes:
        name: with the ending of its file, and without any other dot.
        content: the bytes of its file.
        label: the number of its class; None where there are none.
    """

    name: str
    content: bytes
    label: int | None = None


@dataclass(frozen=True)
class Packed:
    """What `pack` has written.

    Attributes:
        images: the number of images.
        shards: the number of shards.
        left_out: a line for each that could not be read.
        notes: one line that counts what the folder holds beside images, if there is anything.
    """

    images: int
    shards: int
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def pack_folder(
    folder: Path, out: Path, *, size: int | None = None, per_shard: int = PER_SHARD, track: Track = silently
) -> Packed:
    """Write the images of a folder, flat or with one folder per class, as shards of `per_shard` each.

    In a random order, always the same, so that every shard is a mix of everything. The files are copied as they are;
    with `size`, those whose shorter side is longer are downsampled.

    Raises:
        DataError: if there are no images, or more than a tenth of them cannot be read.
        UsageError: if nothing can be written there.
        SaveError: if it cannot be written; nothing of it is left.
    """
    files, classes, passed_over = list_images(folder)
    items = list(zip(files, _keys(files, folder), strict=True))
    random.Random(0).shuffle(items)
    left_out = list[str]()

    def read(item: tuple[Path, str]) -> Sample:
        file, key = item
        content, ending = _shrunk(file, size) if size else _checked(file)
        return Sample(key + ending, content, classes.index(nfc(file.parent.name)) if classes else None)

    def whole() -> Iterator[Sample]:
        for result in track(attempts(items, read, ahead=_READ_AHEAD), total=len(items), description="writing shards"):
            if isinstance(result, DataError):
                left_out.append(str(result))
                refuse_if_many(len(left_out), len(items), name=str(folder), example=left_out[0])
            else:
                yield result

    packed = pack(whole(), out, classes=classes, per_shard=per_shard)
    return replace(packed, left_out=tuple(left_out), notes=passed_over.notes(folder))


def pack(images: Iterable[Sample], out: Path, *, classes: Sequence[str] = (), per_shard: int = PER_SHARD) -> Packed:
    """Write images, as they come, to `out`/shard-000000.tar and so on, with an index; whole or not at all.

    Raises:
        UsageError: if nothing can be written there.
        SaveError: if it cannot be written; nothing of it is left.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(f"`out` {out}: is there already; give a new folder")
    tables, stamps, coming = dict[str, Table](), dict[str, Stamp](), iter(images)
    with new_folder(out) as half:
        while some := list(itertools.islice(coming, per_shard)):
            name = f"shard-{len(tables):06d}.tar"
            with (half / name).open("w+b") as file:
                _write_shard(file, some)
                file.flush()
                os.fsync(file.fileno())
                tables[name], stamps[name] = scan(file.fileno(), name), Stamp.of(file.fileno())
        if classes:
            (half / CLASSES).write_text(json.dumps(list(classes), ensure_ascii=False), encoding="utf-8")
        (half / INDEX).write_bytes(Index(tables, stamps, tuple(classes)).packed())
    return Packed(sum(map(len, tables.values())), len(tables))


def _write_shard(file: io.BufferedRandom, images: Sequence[Sample]) -> None:
    for image in images:
        _add(file, image.name, image.content)
        if image.label is not None:
            _add(file, f"{image.name.rpartition('.')[0]}.cls", str(image.label).encode())
    file.write(bytes(2 * tarfile.BLOCKSIZE))
    file.write(bytes(-file.tell() % tarfile.RECORDSIZE))


def _add(file: io.BufferedRandom, name: str, content: bytes) -> None:
    """Add a file to an archive, without the copies of `TarFile.addfile`: this matters for a million files."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    file.write(header.tobuf(tarfile.GNU_FORMAT))
    file.write(content)
    file.write(bytes(-len(content) % tarfile.BLOCKSIZE))


def _keys(files: Sequence[Path], folder: Path) -> Iterator[str]:
    """The names of the files in shards: their paths without the ending, one for each sample.

    WebDataset takes names up to the first dot, so they have none.
    """
    taken = set[str]()
    for file in files:
        path = file.relative_to(folder)
        key = plain = nfc((path.parent / path.stem.replace(".", "_")).as_posix())
        for number in itertools.count(2):
            if key not in taken:
                break
            key = f"{plain}-{number}"
        taken.add(key)
        yield key


def _checked(file: Path) -> tuple[bytes, str]:
    """A file as it is, if it opens as an image."""
    try:
        content = content_of(file, most=LARGEST)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from error
    images.read_header(images.Encoded(str(file), content))
    return content, file.suffix.lower()


def _shrunk(file: Path, size: int) -> tuple[bytes, str]:
    """A file reduced to a shorter side of `size` pixels, as JPEG for JPEG, else PNG; small ones as they are."""
    content, ending = _checked(file)
    header = images.read_header(images.Encoded(str(file), content))
    if min(header.width, header.height) <= size:
        return content, ending
    whole = images.to_pillow(images.on_white(images.read(file)))
    scale = size / min(whole.size)
    small = whole.resize((round(whole.width * scale), round(whole.height * scale)), Image.Resampling.LANCZOS)
    ending = ".jpg" if images.format_of(file) == "JPEG" else ".png"
    return images.encode(Path(f"{file.stem}{ending}"), small).getvalue(), ending
