"""From disk or memory to batches: the user's data is opened as a `Source`, and a `Source` gives a stream of batches."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganvas.core.names import as_on_disk
from ganvas.core.options import Data
from ganvas.core.sources import are_fonts, folder_of, is_far, known_as
from ganvas.data import builtin, folder, glyphs, memory, paired, tasks
from ganvas.data.batch import Batch, ImageBatch, PairBatch, Source, Spec, UnpairedBatch, check_size
from ganvas.data.decode import How, headers_of
from ganvas.data.progress import Track, silently
from ganvas.data.tasks._pairs import pairs_from
from ganvas.data.unpaired import unpaired
from ganvas.data.webdataset import reader, shards
from ganvas.errors import DataError, UsageError


def open_data(
    data: Data,
    batches: Sequence[type[Batch]] = (ImageBatch,),
    *,
    split: builtin.Split = "train",
    like: Spec | None = None,
    least: int = 2,
    track: Track = silently,
) -> Source[Any]:
    """Open the data for a method that takes these types of batches: single images, pairs, or two sets.

    Args:
        data: the options.
        batches: the types, the usual one first.
        split: the split, as published for a named data set, by `data.holdout` for a folder.
        like: the shape of a model's training data, to read other images in the same shape.
        least: how many images there must be; training needs two or more.
        track: shows the progress of long work.

    Raises:
        UsageError: if it is not clear where partners come from.
        DataError: if there is nothing of that name, or it cannot be used.
    """
    _require_one_way(data, batches)
    if data.size is not None:
        check_size(data.size)
        like = like and replace(like, size=data.size)
    if data.characters and not are_fonts(data.name):
        raise UsageError(f"`characters` {data.characters}: goes with glyphs:FONT, the characters of fonts")
    if isinstance(data.source, str) and not data.source:
        raise UsageError("`data`: is empty; give a data set's name, a folder, or images in memory")
    how = How(
        size=data.size, random_crop=data.random_crop, holdout=data.holdout, part=split, like=like, least=least,
        track=track,
    )  # fmt: skip
    if not isinstance(data.source, str | Path):
        return _open_memory(data, batches, how)
    name = known_as(data.name)
    if name not in builtin.NAMES and not is_far(name):
        name = str(as_on_disk(Path(name)))
    if are_fonts(name) or are_fonts(str(data.target or "")):
        return _open_glyphs(data, how)
    in_shards = name not in builtin.NAMES and shards.are_meant(name)
    if data.target and (in_shards or shards.are_meant(str(data.target))):
        raise UsageError(
            f"`target` {data.target}: goes with folders of files, not with shards; there partners lie side by side in "
            "one image (`side` ab or ba)"
        )
    # where there is no home, a folder of images needs none, nor do digits, which come along
    root = data.folder_of_sets if in_shards or (name in builtin.NAMES and name != "digits") else Path()
    if data.side and in_shards:
        return reader.open_shards(name, how, root=root, side=data.side)
    if data.target:
        one, other = folder_of(name), folder_of(str(data.target), "target")
        return _open_two_sets(one, other, how) if UnpairedBatch in batches else paired.open_two_folders(one, other, how)
    if data.side:
        return paired.open_side_by_side(folder_of(name), how, side=data.side)
    made = tasks.task(data.task) if data.task else None
    if name in builtin.NAMES:
        if data.holdout:
            raise UsageError(f"`holdout` {data.holdout}: {name} has a test part of its own; leave it out")
        size = like.size if like else data.size
        images = builtin.open_named(name, root=root, size=size, split=split, random_crop=data.random_crop)
        return pairs_from(images, made, track=track) if made else images
    usual: dict[str, Any] = {}
    if made:
        usual = {"channels": made.read_channels, "usual_size": paired.DEFAULT_SIZE}
        how = replace(how, like=like and Spec(like.size, made.read_channels(like.outputs == 1)))
    images = (
        reader.open_shards(name, how, root=root, **usual)
        if in_shards
        else folder.open_folder(folder_of(name), how, **usual)
    )
    return pairs_from(images, made, track=track) if made else images


def name_of(data: Data) -> str:
    """What a run that learns from these data calls them: the name given, or an identity of what is in memory."""
    if isinstance(data.source, str | Path):
        return data.name
    return memory.identity(data.source) or data.name


def _require_one_way(data: Data, batches: Sequence[type[Batch]]) -> None:
    """Raise UsageError unless it is clear where partners come from, for a method that learns from such batches."""
    ways = {"target": data.target, "side": data.side, "task": data.task}
    given = [name for name, value in ways.items() if value]
    if len(given) > 1:
        raise UsageError(
            f"{' and '.join(f'`{n}`' for n in given)} are two ways to say where partners come from; give one"
        )
    if given and not any(issubclass(kind, PairBatch) for kind in batches):
        raise UsageError(f"`{given[0]}` {ways[given[0]]}: this method learns from single images; leave it out")
    if not given and batches[0] is UnpairedBatch:
        raise UsageError("this method learns from two sets: add `target` FOLDER, images of the other kind")
    if not given and ImageBatch not in batches and isinstance(data.source, str | Path):
        raise UsageError(
            "this method learns from pairs: add `side` ab (or ba) where each image holds two side by side, "
            "`target` FOLDER for a second folder, or `task` NAME to make pairs from single images"
        )


def _open_memory(data: Data, batches: Sequence[type[Batch]], how: How) -> Source[Any]:
    """Open a data set, an array or a tensor, of single images or of pairs."""
    if data.side:
        raise UsageError(f"`side` {data.side}: is for files; give a data set of (source, target) pairs")
    if data.target is not None:
        raise UsageError("`target`: goes with a folder as `data`; give a data set of (source, target) pairs")
    made = tasks.task(data.task) if data.task else None
    usual_size = paired.DEFAULT_SIZE if made else folder.DEFAULT_SIZE
    if made and how.like:
        how = replace(how, like=Spec(how.like.size, made.read_channels(how.like.outputs == 1)))
    opened = memory.open_memory(data.source, how, channels=made.read_channels if made else None, usual_size=usual_size)
    if made and opened.batch is PairBatch:
        raise UsageError(f"`task` {made.name}: makes pairs of single images, and these are pairs; leave it out")
    if not made and opened.batch not in batches:
        holds = "pairs" if opened.batch is PairBatch else "single images"
        wants = "pairs: give a data set of (source, target), or a `task`" if holds != "pairs" else "single images"
        raise UsageError(f"`data` {data.name}: holds {holds}, and this method learns from {wants}")
    return pairs_from(opened, made, track=how.track) if made else opened


def _open_glyphs(data: Data, how: How) -> Source[Any]:
    """Open the characters of fonts, alone, as pairs with those of another font, or as pairs that a task makes."""
    target = None if data.target is None else str(data.target)
    if not are_fonts(data.name) or (target is not None and not are_fonts(target)):
        raise DataError(f"`target` {target}: `data` and `target` go together where both are fonts, or both folders")
    if data.side:
        raise UsageError(f"`side` {data.side}: goes with folders of images; give a second font as `target`")
    opened = glyphs.open_glyphs(data.name, how, target=target, characters=data.characters)
    return pairs_from(opened, tasks.task(data.task), track=how.track) if data.task else opened


def _open_two_sets(source: Path, target: Path, how: How) -> Source[UnpairedBatch]:
    if source.resolve() == target.resolve():
        raise DataError(f"`target` {target}: is the same folder as `data`; give a folder of other things")
    if how.like is None:
        headers = [
            headers_of(folder.list_images(path).files, name=str(path), track=how.track)[1] for path in (source, target)
        ]
        size = how.size or max(folder.own_size(of_one, paired.DEFAULT_SIZE) for of_one in headers)
        grey = all(header.grey for of_one in headers for header in of_one)
        how = replace(how, like=Spec(size, 1 if grey else 3))
    return unpaired(*(_with_its_name(folder.open_folder(path, how), path) for path in (source, target)))


def _with_its_name(source: Source[ImageBatch], path: Path) -> Source[ImageBatch]:
    return replace(source, notes=tuple(f"{path}: {note}" for note in source.notes))
