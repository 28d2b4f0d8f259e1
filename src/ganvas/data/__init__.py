"""From disk to batches: what a user names becomes a `Source`, and a `Source` becomes a stream of batches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from ganvas.data import derived, folder, named, paired
from ganvas.data.batch import Batch, Images, Pairs, Source, Unpaired, check_size
from ganvas.data.making import pairs_from
from ganvas.data.progress import Track, silently
from ganvas.data.unpaired import unpaired
from ganvas.errors import DataError, UsageError


def open_source(
    name: str, *, root: Path, size: int | None = None, split: named.Split = "train", track: Track = silently
) -> Source[Images]:
    """Open the data set of that name, found or put under `root`, or else the folder of that name.

    Raises:
        DataError: if there is neither, or it cannot be used.
    """
    return _open_images(name, root=root, size=size, split=split, track=track)


def open_for(
    batches: Sequence[type[Batch]],
    name: str,
    *,
    root: Path,
    size: int | None = None,
    split: named.Split = "train",
    target: str = "",
    side: str = "",
    task: str = "",
    holdout: float = 0.0,
    jitter: bool = False,
    track: Track = silently,
) -> Source[Any]:
    """Open what a method learns from that takes these types of batches: single pictures, pairs, or two sets.

    Args:
        batches: the types, the usual one first.
        name: a named data set or a folder.
        root: where named data sets are looked for.
        size: of the pictures, in pixels.
        split: the part: of a named data set as it was published, of a folder by `holdout`.
        target: a second folder, of partners with the same names, or for a method without pairs of other things.
        side: `ab` or `ba`, where each picture of the folder holds two side by side.
        task: what makes pairs of single pictures.
        holdout: the share of a folder's files that is kept from training.
        jitter: keep the pictures larger, for windows taken by chance.
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
    if not given and Images not in batches:
        raise UsageError(
            "this method learns from pairs: add --side ab (or ba) where each picture holds two side by side, "
            "--target FOLDER for a second folder, or --task NAME to make pairs from single pictures"
        )
    if side not in ("", "ab", "ba"):
        raise UsageError(f"--side {side}: give ab where the left picture is the source, ba where the right one is")
    if size is not None:
        check_size(size)
    if holdout and name in named.NAMES:
        raise UsageError(f"--holdout {holdout}: {name} has a test part of its own; leave it out")
    files: dict[str, Any] = {"size": size, "holdout": holdout, "part": split, "jitter": jitter, "track": track}
    if target and Unpaired in batches:
        return _open_two_sets(_folder(name), _folder(target, "--target"), files)
    if target:
        return paired.open_two_folders(_folder(name), _folder(target, "--target"), **files)
    if side:
        return paired.open_side_by_side(_folder(name), side=cast(paired.Side, side), **files)
    made = derived.task(task) if task else None
    images = _open_images(
        name, root=root, size=size, split=split, task=made, holdout=holdout, jitter=jitter, track=track
    )
    return pairs_from(images, made, track=track) if made else images


def _open_images(
    name: str,
    *,
    root: Path,
    size: int | None,
    split: named.Split,
    track: Track,
    task: derived.Task | None = None,
    holdout: float = 0.0,
    jitter: bool = False,
) -> Source[Images]:
    if size is not None:
        check_size(size)
    if name in named.NAMES:
        return named.open_named(name, root=root, size=size, split=split, jitter=jitter)
    path = _folder(name)
    options: dict[str, Any] = {"size": size, "holdout": holdout, "part": split, "jitter": jitter, "track": track}
    if task:
        options |= {"channels": task.read_channels, "usual_size": paired.DEFAULT_SIZE}
    return folder.open_folder(path, **options)


def _open_two_sets(source: Path, target: Path, options: dict[str, Any]) -> Source[Unpaired]:
    if source.resolve() == target.resolve():
        raise DataError(f"--target {target}: is the same folder as --data; give a folder of other things")
    options = options | {"usual_size": paired.DEFAULT_SIZE}
    sides = [folder.open_folder(path, **options) for path in (source, target)]
    if len({side.spec.size for side in sides}) > 1:  # each has small pictures of its own size
        options["size"] = max(side.spec.size for side in sides)
        sides = [folder.open_folder(path, **options) for path in (source, target)]
    if len({side.spec.channels for side in sides}) > 1:
        options["channels"] = lambda grey: 3
        sides = [folder.open_folder(path, **options) for path in (source, target)]
    return unpaired(*sides)


def _folder(name: str, flag: str = "--data") -> Path:
    if Path(name).is_dir():
        return Path(name)
    known = f"; there are {', '.join(named.NAMES)}" if flag == "--data" else ""
    raise DataError(f"{flag} {name}: no folder of that name{', and no data set' if known else ''}{known}")
