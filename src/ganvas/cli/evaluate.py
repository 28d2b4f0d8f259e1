"""`ganvas evaluate` and `ganvas compare`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.cli import console
from ganvas.cli.flags import Flag
from ganvas.core.options import Data, EvaluateOptions
from ganvas.errors import UsageError

if TYPE_CHECKING:
    from ganvas.api import Report
    from ganvas.evaluation import Score

_TOLD = 4  # models for which each difference is printed; for more, only those of the best


def evaluate(
    model: Path,
    /,
    data: Data,
    *,
    out: Path,
    options: EvaluateOptions,
    all_checkpoints: Flag = False,
    standalone: Flag = False,
    overwrite: Flag = False,
    json: Flag = False,
) -> None:
    """Score a model on unseen images, with confidence intervals; writes a report.

    A generator: how real its images are, how varied, and whether they are copies; training images beside it give the
    best possible score. A translator: how near each image is to its target; beside it are the input, which is the score
    of doing nothing, and the mean of all targets. A model of style (fast_style, adain): how near each image is to the
    style of the painting, and how far from the photograph. Of a named data set the test part is used, and of the
    folder that a model was trained on the images held out.

    Args:
        model: a run folder, or a model file (weights.safetensors of a checkpoint)
        data: the images to evaluate on
        out: a folder for index.html, the report to view; report.md, to paste; metrics.json and metrics.csv, a row
            for each image; and images
        options: how to evaluate
        all_checkpoints: evaluate every checkpoint of the run (`ganvas train --keep` keeps more than two), with curves
        standalone: embed the images in index.html, so that it can be sent alone
        overwrite: replace existing results
        json: print JSON
    """
    from ganvas import api

    _require_free(out, overwrite=overwrite)
    found = api.evaluate(model, data, options, all_checkpoints=all_checkpoints, progress=True)
    _tell(found, found.save(out, standalone=standalone), json=json)


def compare(
    *models: Path,
    data: Data,
    out: Path,
    options: EvaluateOptions,
    standalone: Flag = False,
    overwrite: Flag = False,
    json: Flag = False,
) -> None:
    """Score several models on the same images, and say which is better, by how much, and how surely.

    A model wins a score only if it is surely better than each other one: the difference is taken image by image, with a
    95 % interval. The report also has speed and size, the best and the worst images of each model, and those on which
    they differ most. Images that one of the models was trained on are named and left out.

    Args:
        models: two or more, of any methods that do the same: generate, translate the same pairs, or paint in a style
        data: the images to evaluate on
        out: a folder for index.html, the report to view; report.md, to paste; metrics.json and metrics.csv, a row
            for each image; and images
        options: how to evaluate
        standalone: embed the images in index.html, so that it can be sent alone
        overwrite: replace existing results
        json: print JSON
    """
    from ganvas import api

    if len(models) < 2:
        raise UsageError("give two models or more: ganvas compare MODEL MODEL --data SOURCE --out DIR")
    _require_free(out, overwrite=overwrite)
    found = api.compare(models, data, options, progress=True)
    _tell(found, found.save(out, standalone=standalone), json=json)


def _require_free(out: Path, *, overwrite: bool) -> None:
    """Raise UsageError if results cannot be written, or would replace others."""
    from ganvas import evaluation
    from ganvas.core.atomic_io import require_place

    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; name a folder")
    if (out / evaluation.NUMBERS).exists() and not overwrite:
        raise UsageError(f"{out / evaluation.NUMBERS} is already there; choose another --out, or add --overwrite")
    require_place(out)


def _tell(report: "Report", paths: Sequence[Path], *, json: bool) -> None:
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
            if difference.second in (*names, "input") and not several:
                console.tell(score.verdict(difference))
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
