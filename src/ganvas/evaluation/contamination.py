"""Which held-out images a model was trained on: the same file, the same pixels, or near duplicates."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ganvas.checkpoint.manifest import Manifest
from ganvas.data import folder
from ganvas.data.batch import Source
from ganvas.data.decode import How
from ganvas.data.progress import Track, silently
from ganvas.data.webdataset.shards import are_meant
from ganvas.doctor.near_duplicates import find_twins
from ganvas.doctor.scan import Case, Look, examine
from ganvas.errors import DataError

MOST = 20_000  # training images that are searched: some minutes


def files_of(source: Source[Any]) -> list[Path]:
    """The files that the rows of a source are read from; none if the set is not a folder of files."""
    if are_meant(source.name):
        return []
    return [Path(source.name, name) for name in source.names]


def learned_files(manifest: Manifest) -> list[Path] | None:
    """The training images of a run, if its folders are still there; else None."""
    folders = [Path(name) for name in (manifest.data, manifest.target) if name]
    if not all(path.is_absolute() and path.is_dir() and not are_meant(str(path)) for path in folders):
        return None
    try:
        return [
            file
            for path in folders
            for file in folder.part_of(
                folder.list_images(path)[0], How(holdout=manifest.holdout, part="train"), name=str(path)
            )
        ]
    except DataError:
        return None


def seek(
    held_out: Sequence[Path], learned: Mapping[str, Sequence[Path]], *, track: Track = silently
) -> dict[str, dict[int, str]]:
    """By model, the held-out images that it was trained on, each with its training file.

    Args:
        held_out: the files.
        learned: by model, its training files.
        track: shows the progress.

    Returns:
        by model that was trained on some: by number among `held_out`, the name of the training file.
    """
    sets = {tuple(files): list(files) for files in learned.values()}  # models often share their training data
    found = {}
    ours: dict[int, Look] | None = None
    for key, files in sets.items():
        if len(files) > MOST:
            continue
        if ours is None:
            ours = dict(_looks(held_out, track))
        theirs = dict(_looks(files, track))
        both = [*ours.values(), *theirs.values()]
        exact, near = find_twins(both).across([True] * len(ours) + [False] * len(theirs))
        numbers = list(ours)
        found[key] = {numbers[held]: both[twin].path.name for held, twin in (*exact, *near)}
    return {model: twins for model, files in learned.items() if (twins := found.get(tuple(files)))}


def _looks(files: Sequence[Path], track: Track) -> Iterator[tuple[int, Look]]:
    """A look at each file that can be read, by its number."""
    names = {file: file.name for file in files}
    for number, (seen, _) in enumerate(examine([Case((file,)) for file in files], names=names, track=track)):
        if isinstance(seen[0], Look):
            yield number, seen[0]
