"""What `ganvas evaluate` and `ganvas compare` share: the data, the folder of results, and the lines about scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.cli import console
from ganvas.cli.commands._places import require_folder
from ganvas.core.options import Data
from ganvas.core.sources import require_there
from ganvas.errors import UsageError

if TYPE_CHECKING:
    from ganvas.api import Report
    from ganvas.evaluation import Score

ONLY: dict[type, tuple[str, ...]] = {  # of what a training learns from, that by which a model is evaluated
    Data: ("source", "target", "side", "task", "style", "size", "root")
}
_TOLD = 4  # models for which each difference is printed; for more, only those of the best


def require_sound(data: Data, out: Path) -> None:
    """Raise UsageError where, as is seen without torch, there are no such data, or results cannot be written."""
    require_there(data.name)
    require_folder(out)


def require_free(out: Path, *, overwrite: bool) -> None:
    """Raise UsageError if results would replace others."""
    from ganvas.evaluation import NUMBERS

    if (out / NUMBERS).exists() and not overwrite:
        raise UsageError(f"{out / NUMBERS} is already there; choose another --out, or add --overwrite")


def tell(report: "Report", paths: Sequence[Path], *, json: bool) -> None:
    """Print the scores of all, which model is better, and the protocol."""
    found = report.found
    if json:
        console.print_json(found.to_json())
        return
    console.tell(found.verdict)
    names = [model.name for model in found.models]
    answers = [*names, *(name for name in found.baselines if any(name in score.values for score in found.scores))]
    rows = [
        (score.name, *(_cell(score, answer, interval=names == [answer]) for answer in answers), score.measure.better)
        for score in found.scores
    ]
    steps = ", ".join(f"{model.name} after {model.step:,} steps" for model in found.models)
    if rows:
        console.table(f"{found.data}: {steps}", ("score", *answers, "better"), rows)
    for line in found.notes:
        console.tell(f"NOTE: {line}")
    for score in found.scores:
        if winner := score.winner(names):
            console.tell(f"best in {score.name}: {winner}")
    for score in found.scores:
        for difference in score.differences:
            several = len(names) > _TOLD and difference.first != score.winner(names) != difference.second
            line = score.verdict(difference)
            telling = difference.second in names or difference == score.to_baseline(difference.first)
            if telling and not several and line != found.verdict:
                console.tell(line)
    if len(names) > _TOLD:
        console.tell("the differences of all other pairs of models are in metrics.json")
    for model, counts in found.classes.items():
        total = sum(counts.values())
        shares = ", ".join(f"{name} {n / total:.1%}" for name, n in counts.items())
        console.tell(f"{model}, classified as: {shares}")
    for model, milliseconds in found.milliseconds.items():
        console.tell(f"{model}: {milliseconds:,.1f} ms per image in the network, on {found.device}")
    for one in found.models:
        if one.learned:
            console.tell(f"{one.name}, learned from these: {one.learned}")
    for name, said in found.baselines.items():
        console.tell(f"{name}: {said}")
    for aspect, said in found.protocol.items():
        if aspect not in ("n", "size", "part", "versions", "checkerboard"):  # printed already, or for programs
            console.tell(f"{aspect}: {said}")
    for path in paths:
        console.tell(f"  {path}")


def _cell(score: "Score", answer: str, *, interval: bool) -> str:
    """A value of the table; no intervals for several models, whose differences have them."""
    mean, digits = score.values.get(answer), score.measure.digits
    if mean is None:
        return ""
    ends = f" ({mean.low:{digits}} to {mean.high:{digits}})" if interval and mean.low is not None else ""
    return score.measure.written(mean.value) + ends
