"""`ganvas compare`."""

from pathlib import Path

from ganvas.cli import console
from ganvas.cli.commands import _scores
from ganvas.cli.commands._base import Command
from ganvas.cli.flag_types import Flag
from ganvas.core.options import Data, EvaluateOptions
from ganvas.errors import UsageError


def compare(
    *models: Path,
    data: Data,
    out: Path,
    options: EvaluateOptions,
    standalone: Flag = False,
    overwrite: Flag = False,
    json: Flag = False,
) -> None:
    """Score several models on the same images, and say which is better, by how much, and how sure that is.

    A model wins a score only if it is significantly better than each other one: the difference is taken image by image,
    with a 95 % interval. The report also has speed and size, the best and the worst images of each model, and those on
    which they differ most. Images that one of the models was trained on are named and left out.

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
    if len(models) < 2:
        raise UsageError("give two models or more: ganvas compare MODEL MODEL --data SOURCE --out DIR")
    _scores.require_sound(data, out)
    with console.loading():
        from ganvas.api import compare as compare_models

    _scores.require_free(out, overwrite=overwrite)
    found = compare_models(models, data, options, progress=True)
    _scores.tell(found, found.save(out, standalone=standalone, overwrite=overwrite), json=json)


COMMAND = Command(
    run=compare,
    usage="MODEL MODEL ... --data SOURCE --out DIR [OPTIONS]",
    examples=(
        "compare runs/pix2pix runs/autoencoder --data photos --out report",
        "compare runs/dcgan runs/wgan --data mnist --count 2000 --out report",
    ),
    only=_scores.ONLY,
)
