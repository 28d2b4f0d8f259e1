"""From disk to batches: what a user names becomes a `Source`, and a `Source` becomes a stream of batches."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from ganvas.data import builtin, folder, paired
from ganvas.data.batch import Batch, Images, Pairs, Source, Spec, Unpaired, check_size
from ganvas.data.decode import headers_of
from ganvas.data.progress import Track, silently
from ganvas.data.tasks import base
from ganvas.data.tasks.pairs import pairs_from
from ganvas.data.unpaired import unpaired
from ganvas.data.webdataset import reader, shards
from ganvas.errors import DataError, UsageError


def open_source(
    name: str, *, root: Path, size: int | None = None, split: builtin.Split = "train", track: Track = silently
) -> Source[Images]:
    """Open the data set of that name, found or put under `root`, or else the folder of that name.

    Raises:
        DataError: if there is neither, or it cannot be used.
    """
    source: Source[Images] = open_for((Images,), name, root=root, size=size, split=split, track=track)
    return source


def open_for(
    batches: Sequence[type[Batch]],
    name: str,
    *,
    root: Path,
    size: int | None = None,
    split: builtin.Split = "train",
    target: str = "",
    side: str = "",
    task: str = "",
    holdout: float = 0.0,
    jitter: bool = False,
    like: Spec | None = None,
    least: int = 2,
    track: Track = silently,
) -> Source[Any]:
    """Open what a method learns from that takes these types of batches: single pictures, pairs, or two sets.

    Args:
        batches: the types, the usual one first.
        name: a named data set, a folder, or shards.
        root: where named data sets are looked for, and indexes of shards that are far.
        size: of the pictures, in pixels.
        split: the part: of a named data set as it was published, of a folder by `holdout`.
        target: a second folder, of partners with the same names, or for a method without pairs of other things.
        side: `ab` or `ba`, where each picture of the folder holds two side by side.
        task: what makes pairs of single pictures.
        holdout: the share of a folder's files that is kept from training.
        jitter: keep the pictures larger, for windows taken by chance.
        like: the shape of what a model has learned from, to read others in the same.
        least: how many there must be; learning takes two or more.
        track: shows what long work has done.

    Raises:
        UsageError: if it is not clear where partners are to come from.
        DataError: if there is nothing of that name, or it cannot be used.
    """
    ways = {"--target": target, "--side": side, "--task": task}
    given = [flag for flag, value in ways.items() if value]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} are two ways to say where partners come from; give one")
    if given and not any(issubclass(kind, Pairs) for kind in batches):
        raise UsageError(f"{given[0]} {ways[given[0]]}: this method learns from single pictures; leave it out")
    if not given and batches[0] is Unpaired:
        raise UsageError("this method learns from two sets: add --target FOLDER, pictures of the other kind")
    if not given and Images not in batches:
        raise UsageError(
            "this method learns from pairs: add --side ab (or ba) where each picture holds two side by side, "
            "--target FOLDER for a second folder, or --task NAME to make pairs from single pictures"
        )
    if side not in ("", "ab", "ba"):
        raise UsageError(f"--side {side}: give ab where the left picture is the source, ba where the right one is")
    if size is not None:
        check_size(size)
    if holdout and name in builtin.NAMES:
        raise UsageError(f"--holdout {holdout}: {name} has a test part of its own; leave it out")
    if like and size:
        like = replace(like, size=size)
    files: dict[str, Any] = {"size": size, "like": like, "holdout": holdout, "part": split, "jitter": jitter}
    files |= {"least": least, "track": track}
    in_shards = name not in builtin.NAMES and shards.are_meant(name)
    if target and (in_shards or shards.are_meant(target)):
        raise UsageError(
            f"--target {target}: goes with folders of files, not with shards; there partners lie side by side in one "
            "picture (--side ab or ba)"
        )
    if side and in_shards:
        return reader.open_shards(name, root=root, side=side, **files)
    if target and Unpaired in batches:
        return _open_two_sets(_folder(name), _folder(target, "--target"), files)
    if target:
        return paired.open_two_folders(_folder(name), _folder(target, "--target"), **files)
    if side:
        return paired.open_side_by_side(_folder(name), side=cast(paired.Side, side), **files)
    made = base.task(task) if task else None
    if name in builtin.NAMES:
        size = like.size if like else size
        images = builtin.open_named(name, root=root, size=size, split=split, jitter=jitter)
    else:
        if made:
            files |= {"channels": made.read_channels, "usual_size": paired.DEFAULT_SIZE}
            files["like"] = like and Spec(like.size, made.read_channels(like.outputs == 1))
        images = (
            reader.open_shards(name, root=root, **files) if in_shards else folder.open_folder(_folder(name), **files)
        )
    return pairs_from(images, made, track=track) if made else images


def _open_two_sets(source: Path, target: Path, options: dict[str, Any]) -> Source[Unpaired]:
    if source.resolve() == target.resolve():
        raise DataError(f"--target {target}: is the same folder as --data; give a folder of other things")
    if options["like"] is None:
        headers = [
            headers_of(folder.list_pictures(path)[0], name=str(path), track=options["track"])[1]
            for path in (source, target)
        ]
        size = options["size"] or max(folder.own_size(of_one, paired.DEFAULT_SIZE) for of_one in headers)
        grey = all(header.grey for of_one in headers for header in of_one)
        options = options | {"like": Spec(size, 1 if grey else 3)}
    return unpaired(*(folder.open_folder(path, **options) for path in (source, target)))


def _folder(name: str, flag: str = "--data") -> Path:
    if Path(name).is_dir():
        return Path(name)
    if name in builtin.NAMES:
        raise DataError(f"{flag} {name}: is no folder; only folders hold pairs, so leave out --side and --target")
    known = f", and no data set; there are {', '.join(builtin.NAMES)}" if flag == "--data" else ""
    raise DataError(f"{flag} {name}: no folder of that name{known}")
