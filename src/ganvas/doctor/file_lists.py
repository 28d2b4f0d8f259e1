"""The files of a folder: images, other files beside them, and partners."""

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ganvas.core.names import shown
from ganvas.data import files as on_disk
from ganvas.data import folder
from ganvas.data.paired import name_of
from ganvas.data.webdataset import reader, shards
from ganvas.errors import readable
from ganvas.imaging.images import EXTENSIONS, Encoded

_IMAGES_OF_OTHERS = frozenset(
    {".heic", ".heif", ".avif", ".jp2", ".jxl", ".psd", ".svg", ".tga", ".ppm", ".pgm", ".exr", ".hdr"}
    | {".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".ico"}
)

LONGEST_SHOWN = 300  # letters of a path in a report


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
        special: what is no regular file, such as a FIFO, or a link that leads nowhere.
        within: how to read files in shards; these are named by shard, class and name.
        lost: a line for each sample of a shard that cannot be used.
    """

    root: Path
    files: tuple[Path, ...]
    classes: tuple[str, ...] = ()
    foreign: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()
    deeper: tuple[Path, ...] = ()
    special: tuple[Path, ...] = ()
    within: Mapping[Path, Callable[[], Encoded]] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


def list_folder(root: Path) -> Listing:
    """The files of a folder, flat, of classes, or of shards, as training reads them, and the files that it ignores.

    Raises:
        DataError: if it holds no images, it is not clear which are meant, or it cannot be read.
    """
    if shards.are_meant(str(root)):
        return _list_shards(root)
    files, classes, _ = folder.list_images(root)
    taken, searched = set(files), list(_walk(root))
    rest = [path for found in searched for path in found.files if path not in taken]
    deeper = [path for path in rest if on_disk.is_image(path)]
    foreign = [path for path in rest if path.suffix.lower() in _IMAGES_OF_OTHERS - EXTENSIONS]
    others = [path for path in rest if path.suffix.lower() not in EXTENSIONS | _IMAGES_OF_OTHERS]
    special = tuple(path for found in searched for path in found.special)
    return Listing(root, tuple(files), classes, tuple(foreign), tuple(others), tuple(deeper), special)


def _list_shards(root: Path) -> Listing:
    found = reader.look_through(str(root), root=root)
    samples, classes, left_out = found.samples(str(root))
    within = dict[Path, Callable[[], Encoded]]()
    for sample in samples:
        name = PurePosixPath(readable(sample.name).lstrip("/"))
        place = root / Path(found.shelf.shards[sample.shard]).name / name.parent
        within[place / (classes[sample.label] if classes else "") / name.name] = functools.partial(
            found.shelf.encoded, sample
        )
    return Listing(root, tuple(within), classes, within=within, lost=left_out)


def _walk(root: Path) -> Iterator[on_disk.Contents]:
    """The contents of a folder and of those below it; links to folders are not followed."""
    waiting = [root]
    while waiting:
        found = on_disk.contents(waiting.pop())
        yield found
        waiting += [below for below in reversed(found.folders) if not below.is_symlink()]


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
        for path in (*listing.files, *listing.foreign, *listing.others, *listing.deeper, *listing.special)
    }


def _shown(path: Path, label: Path) -> str:
    """A name that can be printed, whatever its bytes."""
    return shown(str(label / path), most=LONGEST_SHOWN)
