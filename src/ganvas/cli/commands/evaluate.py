"""`ganvas evaluate`."""

from pathlib import Path

from ganvas.cli import console
from ganvas.cli.commands import _scores
from ganvas.cli.commands._base import Command
from ganvas.cli.flag_types import Flag
from ganvas.core.options import Data, EvaluateOptions


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
    _scores.require_sound(data, out)
    with console.loading():
        from ganvas.api import evaluate as evaluate_model

    _scores.require_free(out, overwrite=overwrite)
    found = evaluate_model(model, data, options, all_checkpoints=all_checkpoints, progress=True)
    _scores.tell(found, found.save(out, standalone=standalone, overwrite=overwrite), json=json)


COMMAND = Command(
    run=evaluate,
    usage="MODEL --data SOURCE --out DIR [OPTIONS]",
    examples=(
        "evaluate runs/mnist-dcgan --data mnist --out report",
        "evaluate runs/colorize --data photos --features vgg --out report",
    ),
    only=_scores.ONLY,
)
