"""Evaluation of models: generators against unseen images, translators against the targets.

`evaluate` takes a request: it opens the data and calls the collector of the kind, one of `evaluate_pairs`,
`evaluate_unpaired`, `evaluate_style` and `evaluate_generated`. All return an `Evaluation`, which `write` writes to a
folder. A new measure is a function in `ganvas.metrics` and a line in a table of `ganvas.evaluation.measures`.
"""

from ganvas.evaluation.collectors.generated import NEIGHBOURS_SHOWN, evaluate_generated, scorer
from ganvas.evaluation.collectors.pairs import evaluate_pairs
from ganvas.evaluation.collectors.style import Style, evaluate_style
from ganvas.evaluation.collectors.unpaired import evaluate_unpaired
from ganvas.evaluation.measures import ImageMeasure, Measure
from ganvas.evaluation.perceptual import lpips_measure, vgg_measure
from ganvas.evaluation.results import (
    NUMBERS,
    TABLE,
    TIMES,
    Evaluation,
    Grid,
    ModelSummary,
    Shown,
    in_words,
    write,
)
from ganvas.evaluation.scoring import LEAST
from ganvas.evaluation.statistics import Difference, Mean, Score

__all__ = [
    "LEAST",
    "NEIGHBOURS_SHOWN",
    "NUMBERS",
    "TABLE",
    "TIMES",
    "Difference",
    "Evaluation",
    "Grid",
    "ImageMeasure",
    "Mean",
    "Measure",
    "ModelSummary",
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
