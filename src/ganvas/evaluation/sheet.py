"""Which of many pictures are shown of an evaluation, and how they lie."""

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ganvas.evaluation.scores import Measure

EVENLY = 8  # pictures that nobody chose
EXTREME = 2  # best and worst, for each model by each measure; and where models disagree most


def choose(
    columns: Mapping[str, Mapping[str, Tensor]], measures: Sequence[Measure], models: Sequence[str], n: int
) -> dict[int, list[str]]:
    """The rows of `n` that are shown, each with why: some evenly, the best and the worst, the most disputed.

    Args:
        columns: by the name of a measure, the numbers of each answer (n,).
        measures: those to choose by.
        models: whose pictures are chosen.
        n: how many there are.
    """
    why = dict[int, list[str]]()
    for row in evenly(n, EVENLY):
        why.setdefault(row, []).append("evenly taken")
    for measure, model in itertools.product(measures, models):
        numbers = columns[measure.name][model]
        order = torch.argsort(numbers, descending=measure.better == "higher", stable=True).tolist()
        some = min(EXTREME, n // 2)
        for word, rows in (("best", order[:some]), ("worst", order[::-1][:some])):
            for row in rows:
                why.setdefault(row, []).append(f"{word} of {model} by {measure.name}")
    if len(models) > 1:
        for measure in measures:
            numbers = torch.stack([columns[measure.name][model] for model in models])  # (K, n)
            apart = numbers.amax(0) - numbers.amin(0)
            for row in torch.argsort(apart, descending=True, stable=True)[:EXTREME].tolist():
                why.setdefault(row, []).append(f"most disputed by {measure.name}")
    return why


def evenly(n: int, most: int) -> list[int]:
    """Up to `most` numbers below `n`, evenly from the first on."""
    some = min(n, most)
    return [i * n // some for i in range(some)]


def bands(groups: Sequence[Sequence[Tensor]], across: int) -> Tensor:
    """Pictures (K, C, H, W) each with its K kinds under each other, `across` to a row; white where a row lacks some."""
    rows = []
    for group in groups:
        for start in range(0, len(group), across):
            band = list(group[start : start + across])
            band += [torch.full_like(band[0], 255)] * (across - len(band))
            rows.append(torch.stack(band, 1).flatten(0, 1))  # (K * across, C, H, W)
    return torch.cat(rows)
