"""Whether models were trained on the images they are evaluated on: by the folders, and by near duplicates."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ganvas.checkpoint.manifest import Manifest
from ganvas.data import folder
from ganvas.data.batch import Source
from ganvas.data.builtin import NAMES
from ganvas.data.decode import How
from ganvas.data.progress import Track, silently
from ganvas.data.webdataset.shards import are_meant
from ganvas.doctor.near_duplicates import find_twins
from ganvas.doctor.scan import Case, Look, examine
from ganvas.errors import DataError, UsageError, readable
from ganvas.evaluation.models import Contender, alike
from ganvas.evaluation.results import in_words

Known = Literal["", "surely", "perhaps"]

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
    known = {}
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
        known[key] = {numbers[held]: both[twin].path.name for held, twin in (*exact, *near)}
    return {model: twins for model, files in learned.items() if (twins := known.get(tuple(files)))}


def _looks(files: Sequence[Path], track: Track) -> Iterator[tuple[int, Look]]:
    """A look at each file that can be read, by its number."""
    names = {file: file.name for file in files}
    for number, (looks, _) in enumerate(examine([Case((file,)) for file in files], names=names, track=track)):
        if isinstance(looks[0], Look):
            yield number, looks[0]


def same_folder(manifest: Manifest, data: str) -> Known:
    """Whether the model was trained on this folder: surely, or perhaps, if only its name is known."""
    if data in NAMES:
        return ""
    if data.startswith("memory-") or manifest.data.startswith("memory-"):
        return "surely" if data == manifest.data else ""
    if data == manifest.data:  # such as a URL of shards
        return "surely"
    here, learned = Path(data).resolve(), Path(manifest.data)
    if not learned.is_absolute():
        return "perhaps" if here.name == manifest.data else ""
    if manifest.target and here == Path(manifest.target):
        raise UsageError(
            f"`data` {data}: holds what the model learned to make from {manifest.data}; give it as `target` "
            "(and `direction` ba for the way back, where it goes both)"
        )
    return "surely" if here.is_relative_to(learned) or learned.is_relative_to(here) else ""


def held_out_of(models: Mapping[str, Contender], data: str) -> float:
    """The fraction of the folder that none of the models with a holdout was trained on.

    Images held out by a smaller fraction are held out by a larger one too, so the smallest is common to all.
    """
    shares = [
        one.manifest.holdout for one in models.values() if same_folder(one.manifest, data) and one.manifest.holdout
    ]
    return min(shares, default=0.0)


def learned_from(models: Mapping[str, Contender], data: str, knowing: Collection[str]) -> dict[str, str]:
    """A sentence for each model on whether it was trained on these images; `knowing` are those that surely were."""
    yes = "YES: it learned from these very images; on new ones it will do worse"
    return {name: yes if name in knowing else _learned_from(one.manifest, data) for name, one in models.items()}


def _learned_from(manifest: Manifest, data: str) -> str:
    if data in NAMES:
        return "no: the test part of a published set"
    known, holdout = same_folder(manifest, data), manifest.holdout
    if not known:
        return "no: another folder than it learned from"
    of = "the folder that it learned from" if known == "surely" else "a folder of the name of that it learned from"
    if holdout:
        return f"no: of {of} only the images that were held out (`holdout` {holdout:g})"
    if known == "surely":
        return "YES: it learned from these very images; on new ones it will do worse"
    return f"perhaps: this is {of}, and nothing was held out; if it is the same, it will do worse on new images"


def without_known(
    models: Mapping[str, Contender], source: Source[Any], *, track: Track
) -> tuple[Source[Any], list[str], Collection[str]]:
    """The source without the images that a model was trained on, notes on that, and the models trained on all of them.

    If a model was trained on all of them, they stay, with a note: that may be intended. They also stay if no image
    would be left.
    """
    files = files_of(source)
    if not files:
        return source, [], ()
    learned = {name: learned_files(one.manifest) for name, one in models.items()}
    notes = _not_sought(learned, MOST)
    sought = {name: of_one for name, of_one in learned.items() if of_one is not None and len(of_one) <= MOST}
    of_each = seek(files, sought, track=track)
    of_some = {name: twins for name, twins in of_each.items() if len(twins) < len(source)}
    dropped = set[int]().union(*of_some.values())
    left = [row for row in range(len(source)) if row not in dropped]
    knowing = [name for name in of_each if name not in of_some]
    notes += [f"{in_words(knowing)} learned from these very images; new ones will come out worse"] if knowing else []
    for names, twins in alike(of_some):
        shown = ", ".join(
            source.name_of(row) + ("" if Path(source.names[row]).name == twin else f" (as {readable(twin)})")
            for row, twin in list(twins.items())[:5]
        )
        more = f" and {len(twins) - 5:,} more" if len(twins) > 5 else ""
        action = "left out, for" if left else "would have to be left out, and no image would be left:"
        notes.append(
            f"{len(twins):,} of {len(source):,} images {action} {in_words(names)} learned from them: {shown}{more}"
        )
    return source.only(left) if dropped and left else source, notes, knowing


def _not_sought(learned: Mapping[str, Sequence[Path] | None], most: int) -> list[str]:
    """A line on the models whose training data could not be searched."""
    reasons: dict[str, Callable[[Sequence[Path] | None], bool]] = {
        "they were not found": lambda files: files is None,
        f"they are more than {most:,}": lambda files: files is not None and len(files) > most,
    }
    unknown = {reason: [name for name, files in learned.items() if holds(files)] for reason, holds in reasons.items()}
    return [
        f"the training images of {in_words(names)} were not searched for these images: {reason}"
        for reason, names in unknown.items()
        if names
    ]
