"""How good a model is: that draws, against pictures it has not seen; that translates, against what they should become.

`generation`, `translation` and `style` each measure one kind of model and give a `Found`, which `write` keeps in a
folder. A further measure of translated pictures is a function in `ganvas.metrics` and a line in `scores.MEASURES`, or
in `perception` where it takes a network.
"""

from ganvas.evaluation.found import NUMBERS, Found, write
from ganvas.evaluation.generation import NEIGHBOURS_SHOWN, Evaluation, Score, evaluate, scorer
from ganvas.evaluation.perception import lpips_measure, vgg_measure
from ganvas.evaluation.scores import MEASURES, Measure, TranslationEvaluation
from ganvas.evaluation.style import Style, StyleEvaluation, evaluate_style
from ganvas.evaluation.translation import evaluate_pairs, evaluate_unpaired

__all__ = [
    "MEASURES",
    "NEIGHBOURS_SHOWN",
    "NUMBERS",
    "Evaluation",
    "Found",
    "Measure",
    "Score",
    "Style",
    "StyleEvaluation",
    "TranslationEvaluation",
    "evaluate",
    "evaluate_pairs",
    "evaluate_style",
    "evaluate_unpaired",
    "lpips_measure",
    "scorer",
    "vgg_measure",
    "write",
]
