"""The files of a folder: images, other files beside them, and partners."""

import functools
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ganvas.core.atomic_io import readable
from ganvas.data import folder
from ganvas.data.paired import name_of
from ganvas.data.webdataset import reader, shards
from ganvas.errors import DataError
from ganvas.imaging.images import EXTENSIONS, Encoded

_IMAGES_OF_OTHERS = frozenset(
    {".heic", ".heif", ".avif", ".jfif", ".jp2", ".jxl", ".psd", ".svg", ".tga", ".ppm", ".pgm", ".exr", ".hdr"}
    | {".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".ico"}
)


@dataclass(frozen=True)
class Listing:
    """The files of a folder.

    Attributes:
        root: the folder.
        files: the images that ganvas reads, in a fixed order.
        classes: the names of the class folders; empty where there are none.
        foreign: images of formats that ganvas does not read.
        others: files that are not images, such as notes and label files.
        deeper: images in sub-folders, which are not searched.
        within: how to read files in shards; these are named by shard, class and name.
        lost: a line for each sample of a shard that cannot be used.
    """

    root: Path
    files: tuple[Path, ...]
    classes: tuple[str, ...] = ()
    foreign: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()
    deeper: tuple[Path, ...] = ()
    within: Mapping[Path, Callable[[], Encoded]] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


def list_folder(root: Path) -> Listing:
    """The files of a folder, flat, of classes, or of shards, as training reads them, and the files that it ignores.

    Raises:
        DataError: if it holds no images, it is not clear which are meant, or it cannot be read.
    """
    if shards.are_meant(str(root)):
        return _list_shards(root)
    files, classes = folder.list_images(root)
    taken = set(files)
    rest = [path for path in sorted(_walk(root)) if path not in taken]
    deeper = [path for path in rest if path.suffix.lower() in EXTENSIONS]
    foreign = [path for path in rest if path.suffix.lower() in _IMAGES_OF_OTHERS]
    others = [path for path in rest if path.suffix.lower() not in EXTENSIONS | _IMAGES_OF_OTHERS]
    return Listing(root, tuple(files), classes, tuple(foreign), tuple(others), tuple(deeper))


def _list_shards(root: Path) -> Listing:
    found = reader.look_through(str(root), root=root)
    samples, classes, left_out = found.samples(str(root))
    within = dict[Path, Callable[[], Encoded]]()
    for sample in samples:
        name = PurePosixPath(readable(sample.name).lstrip("/"))
        place = root / Path(found.shelf.urls[sample.shard]).name / name.parent
        within[place / (classes[sample.label] if classes else "") / name.name] = functools.partial(
            found.shelf.encoded, sample
        )
    return Listing(root, tuple(within), classes, within=within, lost=left_out)


def _walk(root: Path) -> list[Path]:
    def fail(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error

    found = []
    for place, folders, files in os.walk(root, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files if not name.startswith(".")]
    return found


@dataclass(frozen=True)
class Partners:
    """The partners of two folders, by the name without its ending.

    Attributes:
        pairs: source and target.
        without_target: sources without a partner.
        without_source: targets without a partner.
        double: files of one folder that share a name.
        nearly: how many lack a partner only because of capital letters.
    """

    pairs: tuple[tuple[Path, Path], ...]
    without_target: tuple[Path, ...]
    without_source: tuple[Path, ...]
    double: tuple[Path, ...]
    nearly: int


def match(source: Listing, target: Listing) -> Partners:
    """Match two folders as training does, by the names of `name_of`, never by position."""
    sources, targets = _by_stem(source), _by_stem(target)
    double = [path for group in (*sources.values(), *targets.values()) if len(group) > 1 for path in group]
    both = sources.keys() & targets.keys()
    clear = [stem for stem in sources if stem in both and len(sources[stem]) == len(targets[stem]) == 1]
    pairs = [(sources[stem][0], targets[stem][0]) for stem in clear]
    lonely = [[group[0] for stem, group in side.items() if stem not in both] for side in (sources, targets)]
    loosely = [{stem.casefold() for stem in side if stem not in both} for side in (sources, targets)]
    return Partners(
        tuple(pairs), tuple(lonely[0]), tuple(lonely[1]), tuple(double), nearly=len(loosely[0] & loosely[1])
    )


def _by_stem(listing: Listing) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in listing.files:
        found[name_of(path, listing.root)].append(path)
    return found


def names_of(listings: Sequence[Listing]) -> dict[Path, str]:
    """How each file is shown: by its path below its folder, and by the folder's name if there are several."""
    roots = [listing.root for listing in listings]
    labels = [root.resolve().name for root in roots]
    if len(set(labels)) < len(labels):  # such as a/train and b/train
        labels = [str(root) for root in roots]
    return {
        path: _shown(path.relative_to(listing.root), Path(label) if len(roots) > 1 else Path())
        for listing, label in zip(listings, labels, strict=True)
        for path in (*listing.files, *listing.foreign, *listing.others, *listing.deeper)
    }


def _shown(path: Path, label: Path) -> str:
    """A name that can be printed, whatever its bytes."""
    return os.fsencode(label / path).decode("utf-8", "replace")
