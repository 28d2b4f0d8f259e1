"""Choose which images of an evaluation are shown, and lay them out."""

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ganvas.evaluation.measures import Measure

EVENLY = 8  # images that are evenly taken
EXTREME = 2  # best and worst, for each model by each measure; and those where models disagree most
MOST = 64  # images in all: with twenty models, the best and the worst of each are too many


def choose(
    columns: Mapping[str, Mapping[str, Tensor]], measures: Sequence[Measure], models: Sequence[str], n: int
) -> dict[int, list[str]]:
    """The rows of `n` that are shown, each with the reason: some evenly, the most disputed, the best and the worst.

    Up to `MOST` in all, the second best and worst after the first.

    Args:
        columns: by the name of a measure, the values of each answer (n,).
        measures: the measures to choose by.
        models: the models whose images are chosen.
        n: the number of images.
    """
    why = dict[int, list[str]]()

    def take(row: int, reason: str) -> None:
        if row in why or len(why) < MOST:
            why.setdefault(row, []).append(reason)

    for row in evenly(n, EVENLY):
        take(row, "evenly taken")
    if len(models) > 1:
        for measure in measures:
            numbers = torch.stack([columns[measure.name][model] for model in models])  # (K, n)
            apart = numbers.amax(0) - numbers.amin(0)
            for row in torch.argsort(apart, descending=True, stable=True)[:EXTREME].tolist():
                take(row, f"most disputed by {measure.name}")
    orders = [
        (f"of {model} by {measure.name}",
         torch.argsort(columns[measure.name][model], descending=measure.better == "higher", stable=True).tolist())
        for measure, model in itertools.product(measures, models)
    ]  # fmt: skip
    for place in range(min(EXTREME, n // 2)):
        for what, order in orders:
            take(order[place], f"best {what}")
            take(order[-1 - place], f"worst {what}")
    return why


def evenly(n: int, most: int) -> list[int]:
    """Up to `most` numbers below `n`, evenly from the first on."""
    some = min(n, most)
    return [i * n // some for i in range(some)]


def bands(groups: Sequence[Sequence[Tensor]], across: int) -> Tensor:
    """Images (K, C, H, W) each with its K kinds below each other, `across` to a row; missing ones are white."""
    rows = []
    for group in groups:
        for start in range(0, len(group), across):
            band = list(group[start : start + across])
            band += [torch.full_like(band[0], 255)] * (across - len(band))
            rows.append(torch.stack(band, 1).flatten(0, 1))  # (K * across, C, H, W)
    return torch.cat(rows)
