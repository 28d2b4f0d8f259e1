"""How good a model is: that draws, against pictures it has not seen; that translates, against what they should become.

`generation` and `translation` each measure one kind of model and give a `Found`, which `write` keeps in a folder. A
further measure of translated pictures is a function in `ganvas.metrics` and a line in `scores.MEASURES`.
"""

from ganvas.evaluation.found import NUMBERS, Found, write
from ganvas.evaluation.generation import NEIGHBOURS_SHOWN, Evaluation, Score, evaluate, scorer
from ganvas.evaluation.scores import TranslationEvaluation
from ganvas.evaluation.translation import evaluate_pairs, evaluate_unpaired

__all__ = [
    "NEIGHBOURS_SHOWN",
    "NUMBERS",
    "Evaluation",
    "Found",
    "Score",
    "TranslationEvaluation",
    "evaluate",
    "evaluate_pairs",
    "evaluate_unpaired",
    "scorer",
    "write",
]
