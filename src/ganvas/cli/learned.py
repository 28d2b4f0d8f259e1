"""Whether a model learned from the pictures that it is judged by, and what is said of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ganvas.errors import UsageError

if TYPE_CHECKING:
    from ganvas.checkpoint import Model
    from ganvas.facts import Facts


def facts_with_paths(model: Path, loaded: "Model") -> "Facts":
    """The facts of the run that the model is of, where it lies in one: a model file by itself knows no paths."""
    from ganvas.checkpoint import RUN, read_run

    for folder in (model, *list(model.resolve().parents)[:2]):  # a run, a save of it, the file in a save
        if (folder / RUN).is_file() and (facts := read_run(folder)) and Path(facts.data).name == loaded.facts.data:
            return facts
    return loaded.facts


def same_folder(facts: "Facts", data: str) -> Literal["", "surely", "perhaps"]:
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


def learned_from(data: str, known: str, holdout: float) -> str:
    """What is to be said of whether the model learned from these pictures."""
    from ganvas.data.named import NAMES

    if data in NAMES:
        return "no: the test part of a published set"
    if not known:
        return "no: another folder than it learned from (whether that one held the same pictures is not known)"
    of = "the folder that it learned from" if known == "surely" else "a folder of the name of that it learned from"
    if holdout:
        return f"no: of {of} only the pictures that were held out (--holdout {holdout:g})"
    if known == "surely":
        return "YES: it learned from these very pictures; new ones, which it does not know, it will do worse on"
    return f"perhaps: this is {of}, and none was held out; if it is that one, on new pictures it will do worse"
