"""Evaluation of models: generators against unseen images, translators against the targets.

`generation`, `translation`, `unpaired` and `style` each evaluate one kind of model, one or several side by side, and
return an `Evaluation`, which `write` writes to a folder. A further measure of translated images is a function in
`ganvas.metrics` and a line in `scores.MEASURES`, or in `perception` if it takes a network.
"""

from ganvas.evaluation.comparing import LEAST
from ganvas.evaluation.generation import NEIGHBOURS_SHOWN, evaluate_generated, scorer
from ganvas.evaluation.perceptual import lpips_measure, vgg_measure
from ganvas.evaluation.results import NUMBERS, TABLE, TIMES, Evaluation, in_words, write
from ganvas.evaluation.statistics import (
    MEASURES,
    Difference,
    Grid,
    ImageMeasure,
    Judged,
    Mean,
    Measure,
    Score,
    Shown,
)
from ganvas.evaluation.style import Style, evaluate_style
from ganvas.evaluation.translation import evaluate_pairs
from ganvas.evaluation.unpaired import evaluate_unpaired

__all__ = [
    "LEAST",
    "MEASURES",
    "NEIGHBOURS_SHOWN",
    "NUMBERS",
    "TABLE",
    "TIMES",
    "Difference",
    "Evaluation",
    "Grid",
    "ImageMeasure",
    "Judged",
    "Mean",
    "Measure",
    "Score",
    "Shown",
    "Style",
    "evaluate_generated",
    "evaluate_pairs",
    "evaluate_style",
    "evaluate_unpaired",
    "in_words",
    "lpips_measure",
    "scorer",
    "vgg_measure",
    "write",
]
