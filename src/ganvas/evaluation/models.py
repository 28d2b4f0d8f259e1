"""Models to evaluate, with names, data and options."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from ganvas.checkpoint import RUN, WEIGHTS, Model, checkpoints, load, read_run
from ganvas.checkpoint.manifest import Manifest
from ganvas.core.options import Data, EvaluateOptions
from ganvas.data import name_of
from ganvas.data.batch import Source
from ganvas.data.progress import Track, silently
from ganvas.errors import UsageError, readable
from ganvas.evaluation.results import in_words
from ganvas.evaluation.statistics import OTHERS

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
    return Contender(path, model, manifest_with_paths(path, model))


def by_name(models: Sequence[Contender]) -> dict[str, Contender]:
    """Models by name."""
    return dict(zip(_names(models), models, strict=True))


def require_names(names: Iterable[str]) -> None:
    """Raise UsageError for a name that cannot be printed, or that something else has in a comparison."""
    for name in names:
        if not isinstance(name, str) or name in OTHERS or not name or name != readable(name):
            raise UsageError(f"`models`: {name!r} is not a name for a model here; choose another")


def checkpoints_of(run: Path, device: torch.device) -> dict[str, Contender]:
    """Every checkpoint of a run, by its step.

    Raises:
        UsageError: if there are fewer than two.
    """
    if not (run / RUN).is_file():
        raise UsageError(f"`all_checkpoints`: {run} is not a run; give the folder of one, or leave it out")
    paths = checkpoints(run)
    if len(paths) < 2:
        raise UsageError(
            f"`all_checkpoints`: {run} holds {len(paths)} {'checkpoint' if len(paths) == 1 else 'checkpoints'}; train "
            "it on with `keep` 20 (and `save_every`), or leave it out"
        )
    return {f"step {one.model.step:,}": one for one in contenders(paths, device).values()}


def _file_of(path: Path) -> Path:
    """The model file itself, so that a run and its newest checkpoint count as one model."""
    if path.is_dir() and not (path / WEIGHTS).exists():
        path = next(reversed(checkpoints(path)), path)
    return (path / WEIGHTS if path.is_dir() else path).resolve()


def _names(models: Sequence[Contender]) -> list[str]:
    """A name for each: its method, or the shortest end of its path that is unique."""
    places = [one.path.resolve() for one in models]
    places = [place.parent if place.name == WEIGHTS else place for place in places]
    places = [place.with_suffix("") if place.is_file() else place for place in places]
    names = [one.model.manifest.method for one in models]
    parts = 0
    while (len(set(names)) < len(names) or not set(names).isdisjoint(OTHERS)) and parts < 8:
        parts += 1
        names = [readable("/".join(place.parts[1:][-parts:])) for place in places]
    if len(set(names)) == len(names):
        return names
    return [f"{name} ({number})" for number, name in enumerate(names, 1)]


def manifest_with_paths(model: Path, loaded: Model) -> Manifest:
    """The manifest of the model's run, if it is in one: a model file alone has no paths."""
    for folder in (model, *list(model.resolve().parents)[:2]):  # a run, a checkpoint of it, the file in a checkpoint
        if (
            (folder / RUN).is_file()
            and (manifest := read_run(folder))
            and Path(manifest.data).name == loaded.manifest.data
        ):
            return manifest
    return loaded.manifest


def sizes_said(models: Mapping[str, Contender], source: Source[Any]) -> list[str]:
    """A line for each model that was trained on images of another size than these."""
    sizes = {name: one.model.manifest.spec.size for name, one in models.items()}
    return [
        f"{in_words(names)} learned from images of {size} pixels, and these have {source.spec.size}"
        for names, size in alike(sizes)
        if size != source.spec.size
    ]


def alike(of_each: Mapping[str, T]) -> list[tuple[list[str], T]]:
    """Things by model, each once, with all models that have it: all checkpoints of a run share their training data."""
    groups = list[tuple[list[str], T]]()
    for name, thing in of_each.items():
        names = next((names for names, other in groups if other == thing), None)
        if names is None:
            groups.append(([name], thing))
        else:
            names.append(name)
    return groups
