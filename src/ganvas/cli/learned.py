"""Models that are to be judged, whether they learned from the pictures that judge them, and what is said of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganvas import console
from ganvas.errors import UsageError

if TYPE_CHECKING:
    import torch

    from ganvas.checkpoint import Model
    from ganvas.data.batch import Source
    from ganvas.facts import Facts

Known = Literal["", "surely", "perhaps"]


@dataclass(frozen=True)
class Contender:
    """A model that is to be judged.

    Attributes:
        path: of its run or file.
        model: loaded.
        facts: those of its run, with its paths, where it lies in one.
    """

    path: Path
    model: "Model"
    facts: "Facts"


def contenders(paths: Iterable[Path], device: "torch.device") -> dict[str, Contender]:
    """The models by the names that they go by: those of their methods, or where these are alike of their folders.

    Raises:
        ModelError: if one cannot be loaded.
        UsageError: if one is given twice.
    """
    from ganvas.checkpoint import load

    paths = list(paths)
    for number, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:number]]:
            raise UsageError(f"{path}: is given twice; give each model once")
    loaded = [load(path, device) for path in paths]
    found = [Contender(path, model, facts_with_paths(path, model)) for path, model in zip(paths, loaded, strict=True)]
    for names in (
        [one.model.facts.method for one in found],
        [one.path.stem if one.path.is_file() else one.path.resolve().name for one in found],
        [str(one.path) for one in found],
    ):
        if len(set(names)) == len(names):
            break
    return dict(zip(names, found, strict=True))


def facts_with_paths(model: Path, loaded: "Model") -> "Facts":
    """The facts of the run that the model is of, where it lies in one: a model file by itself knows no paths."""
    from ganvas.checkpoint import RUN, read_run

    for folder in (model, *list(model.resolve().parents)[:2]):  # a run, a save of it, the file in a save
        if (folder / RUN).is_file() and (facts := read_run(folder)) and Path(facts.data).name == loaded.facts.data:
            return facts
    return loaded.facts


def same_folder(facts: "Facts", data: str) -> Known:
    """Whether the model learned from pictures in this folder: surely, or perhaps, where only its name is known."""
    from ganvas.data.named import NAMES

    if data in NAMES:
        return ""
    here, learned = Path(data).resolve(), Path(facts.data)
    if not learned.is_absolute():
        return "perhaps" if here.name == facts.data else ""
    if facts.target and here == Path(facts.target):
        raise UsageError(
            f"--data {data}: is what the model learned to make of {facts.data}; give it as --target "
            "(and --direction ba for the way back, where it goes both)"
        )
    return "surely" if here.is_relative_to(learned) or learned.is_relative_to(here) else ""


def held_out_of(models: Mapping[str, Contender], data: str) -> float:
    """The share of the folder that none of those models learned from that held some of it out.

    What is held out of a smaller share is held out of a larger one too, so the smallest is common to all.
    """
    shares = [one.facts.holdout for one in models.values() if same_folder(one.facts, data) and one.facts.holdout]
    return min(shares, default=0.0)


def learned_from(facts: "Facts", data: str) -> str:
    """What is to be said of whether the model learned from these pictures."""
    from ganvas.data.named import NAMES

    if data in NAMES:
        return "no: the test part of a published set"
    known, holdout = same_folder(facts, data), facts.holdout
    if not known:
        return "no: another folder than it learned from"
    of = "the folder that it learned from" if known == "surely" else "a folder of the name of that it learned from"
    if holdout:
        return f"no: of {of} only the pictures that were held out (--holdout {holdout:g})"
    if known == "surely":
        return "YES: it learned from these very pictures; new ones, which it does not know, it will do worse on"
    return f"perhaps: this is {of}, and none was held out; if it is that one, on new pictures it will do worse"


def without_known(models: Mapping[str, Contender], source: "Source[Any]") -> "tuple[Source[Any], list[str]]":
    """The source without the pictures that a model learned from, and what is to be said of it.

    Where a model learned from all of them, all stay: to be judged by them may be what is meant, and it is said.
    """
    from ganvas.evaluation import leaks

    files = leaks.files_of(source)
    if not files:
        return source, []
    learned = {name: leaks.learned_files(one.facts) for name, one in models.items()}
    notes = _not_sought(learned, leaks.MOST)
    sought = {name: of_one for name, of_one in learned.items() if of_one is not None and len(of_one) <= leaks.MOST}
    dropped = set[int]()
    for name, twins in leaks.seek(files, sought, track=console.track).items():
        if len(twins) == len(source):
            notes.append(f"{name} learned from these very pictures; on new ones it will do worse")
            continue
        dropped |= twins.keys()
        shown = ", ".join(
            source.names[row] + ("" if source.names[row] == twin else f" (as {twin})")
            for row, twin in list(twins.items())[:5]
        )
        more = f" and {len(twins) - 5:,} more" if len(twins) > 5 else ""
        notes.append(
            f"{len(twins):,} of {len(source):,} pictures left out, for {name} learned from them: {shown}{more}"
        )
    if not dropped or len(dropped) == len(source):
        return source, notes
    return source.only([row for row in range(len(source)) if row not in dropped]), notes


def _not_sought(learned: "Mapping[str, Sequence[Path] | None]", most: int) -> list[str]:
    """A line on the models of which nobody could see what they learned from."""
    reasons: dict[str, Callable[[Sequence[Path] | None], bool]] = {
        "what it learned from is not to be found": lambda files: files is None,
        f"it learned from more than {most:,}": lambda files: files is not None and len(files) > most,
    }
    return [
        f"whether {name} learned from some of these pictures was not looked for: {reason}"
        for name, files in learned.items()
        for reason, holds in reasons.items()
        if holds(files)
    ]
