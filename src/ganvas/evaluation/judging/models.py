"""Models to evaluate, whether they were trained on the images they are evaluated on, and the notes about that."""

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from ganvas.checkpoint import RUN, WEIGHTS, Model, checkpoints, load, read_run
from ganvas.checkpoint.manifest import Manifest
from ganvas.core.atomic_io import readable
from ganvas.core.options import Data, EvaluateOptions
from ganvas.data import name_of
from ganvas.data.batch import Source
from ganvas.data.builtin import NAMES
from ganvas.data.progress import Track, silently
from ganvas.errors import UsageError
from ganvas.evaluation import contamination
from ganvas.evaluation.results import in_words
from ganvas.evaluation.statistics import OTHERS

Known = Literal["", "surely", "perhaps"]
T = TypeVar("T")


@dataclass(frozen=True)
class Contender:
    """A model to evaluate.

    Attributes:
        path: of its run or file.
        model: loaded.
        manifest: the manifest of its run, with paths, if it is in a run; else of the file.
    """

    path: Path
    model: Model
    manifest: Manifest


@dataclass(frozen=True)
class Request:
    """Models to evaluate, all of which do the same, with the data and the options.

    Attributes:
        models: by name.
        data: the images to evaluate on.
        options: how to evaluate.
        track: shows the progress.
    """

    models: Mapping[str, Contender]
    data: Data
    options: EvaluateOptions = EvaluateOptions()
    track: Track = silently

    @functools.cached_property
    def name(self) -> str:
        """What a run that learned from these data calls them."""
        return name_of(self.data)

    @property
    def loaded(self) -> dict[str, Model]:
        """The models alone, by name."""
        return {name: one.model for name, one in self.models.items()}

    @property
    def device(self) -> torch.device:
        """The device of the first model."""
        return next(next(iter(self.models.values())).model.method.parameters()).device


def contenders(paths: Iterable[Path], device: torch.device) -> dict[str, Contender]:
    """The models by name: those of their methods, or if these are equal those of their folders.

    Raises:
        ModelError: if one cannot be loaded.
        UsageError: if one is given twice.
    """
    paths = list(paths)
    require_different(paths)
    return by_name([contender(path, load(path, device)) for path in paths])


def require_different(paths: Iterable[Path]) -> None:
    """Raise UsageError if a model is given twice."""
    known: dict[Path, Path] = {}
    for path in paths:
        if (file := _file_of(path)) in known:
            same = "is given twice" if path == known[file] else f"is the same model as {known[file]}"
            raise UsageError(f"{path}: {same}; give each model once")
        known[file] = path


def contender(path: Path, model: Model) -> Contender:
    """A model that was loaded from this path."""
    return Contender(path, model, facts_with_paths(path, model))


def by_name(found: Sequence[Contender]) -> dict[str, Contender]:
    """Models by name."""
    return dict(zip(_names(found), found, strict=True))


def require_names(names: Iterable[str]) -> None:
    """Raise UsageError for a name that something else has beside the models in a comparison."""
    for name in names:
        if not isinstance(name, str) or name in OTHERS:
            raise UsageError(f"`models`: {name!r} is not a name for a model here; choose another")


def checkpoints_of(run: Path, device: torch.device) -> dict[str, Contender]:
    """Every checkpoint of a run, by its step.

    Raises:
        UsageError: if there are fewer than two.
    """
    if not (run / RUN).is_file():
        raise UsageError(f"`all_checkpoints`: {run} is not a run; give the folder of one, or leave it out")
    found = checkpoints(run)
    if len(found) < 2:
        raise UsageError(
            f"`all_checkpoints`: {run} holds {len(found)} {'checkpoint' if len(found) == 1 else 'checkpoints'}; train "
            "it on with `keep` 20 (and `save_every`), or leave it out"
        )
    return {f"step {one.model.step:,}": one for one in contenders(found, device).values()}


def _file_of(path: Path) -> Path:
    """The model file itself, so that a run and its newest checkpoint count as one model."""
    if path.is_dir() and not (path / WEIGHTS).exists():
        path = next(reversed(checkpoints(path)), path)
    return (path / WEIGHTS if path.is_dir() else path).resolve()


def _names(found: Sequence[Contender]) -> list[str]:
    """A name for each: its method, or the shortest end of its path that is unique."""
    places = [one.path.resolve() for one in found]
    places = [place.parent if place.name == WEIGHTS else place for place in places]
    places = [place.with_suffix("") if place.is_file() else place for place in places]
    names = [one.model.manifest.method for one in found]
    parts = 0
    while (len(set(names)) < len(names) or not set(names).isdisjoint(OTHERS)) and parts < 8:
        parts += 1
        names = [readable("/".join(place.parts[1:][-parts:])) for place in places]
    if len(set(names)) == len(names):
        return names
    return [f"{name} ({number})" for number, name in enumerate(names, 1)]


def facts_with_paths(model: Path, loaded: Model) -> Manifest:
    """The manifest of the model's run, if it is in one: a model file alone has no paths."""
    for folder in (model, *list(model.resolve().parents)[:2]):  # a run, a checkpoint of it, the file in a checkpoint
        if (
            (folder / RUN).is_file()
            and (manifest := read_run(folder))
            and Path(manifest.data).name == loaded.manifest.data
        ):
            return manifest
    return loaded.manifest


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
    files = contamination.files_of(source)
    if not files:
        return source, [], ()
    learned = {name: contamination.learned_files(one.manifest) for name, one in models.items()}
    notes = _not_sought(learned, contamination.MOST)
    sought = {
        name: of_one for name, of_one in learned.items() if of_one is not None and len(of_one) <= contamination.MOST
    }
    of_each = contamination.seek(files, sought, track=track)
    of_some = {name: twins for name, twins in of_each.items() if len(twins) < len(source)}
    dropped = set[int]().union(*of_some.values())
    left = [row for row in range(len(source)) if row not in dropped]
    knowing = [name for name in of_each if name not in of_some]
    notes += [f"{in_words(knowing)} learned from these very images; new ones will come out worse"] if knowing else []
    for names, twins in _alike(of_some):
        shown = ", ".join(
            source.name_of(row) + ("" if Path(source.names[row]).name == twin else f" (as {readable(twin)})")
            for row, twin in list(twins.items())[:5]
        )
        more = f" and {len(twins) - 5:,} more" if len(twins) > 5 else ""
        told = "left out, for" if left else "would have to be left out, and no image would be left:"
        notes.append(
            f"{len(twins):,} of {len(source):,} images {told} {in_words(names)} learned from them: {shown}{more}"
        )
    return source.only(left) if dropped and left else source, notes, knowing


def _alike(of_each: Mapping[str, T]) -> list[tuple[list[str], T]]:
    """Things by model, each once, with all models that have it: all checkpoints of a run share their training data."""
    found = list[tuple[list[str], T]]()
    for name, thing in of_each.items():
        names = next((names for names, other in found if other == thing), None)
        if names is None:
            found.append(([name], thing))
        else:
            names.append(name)
    return found


def sizes_said(models: Mapping[str, Contender], source: Source[Any]) -> list[str]:
    """A line for each model that was trained on images of another size than these."""
    sizes = {name: one.model.manifest.spec.size for name, one in models.items()}
    return [
        f"{in_words(names)} learned from images of {size} pixels, and these have {source.spec.size}"
        for names, size in _alike(sizes)
        if size != source.spec.size
    ]


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
