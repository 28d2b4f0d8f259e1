"""From values of single images to scores: means, differences between answers, and their intervals."""

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ganvas import metrics
from ganvas.evaluation.statistics import Difference, Mean, Measure, Score
from ganvas.metrics.features import Features

LEAST = 50  # images of either kind; fewer give no covariance


def compared(measure: Measure, columns: Mapping[str, Tensor], models: Sequence[str], *, way: str = "") -> Score:
    """The score of a measure for all answers, (N,) each, to the same images.

    Each model is compared with each other one, and with each baseline, image by image.
    """
    names = [answer for answer in columns if answer in models]
    baselines = [answer for answer in columns if answer not in models]
    pairs = [*itertools.combinations(names, 2), *itertools.product(names, baselines)]
    gaps = [columns[first] - columns[second] for first, second in pairs]
    found = means([*columns.values(), *gaps])
    values, differences = found[: len(columns)], found[len(columns) :]
    return Score(
        measure,
        len(next(iter(columns.values()))),
        dict(zip(columns, values, strict=True)),
        [Difference(*pair, mean) for pair, mean in zip(pairs, differences, strict=True)],
        way=way,
    )


def means(columns: Sequence[Tensor]) -> list[Mean]:
    """The mean of each column (N,), with its interval if there are enough rows."""
    values = torch.stack(list(columns), 1)  # (N, K)
    found = values.mean(0).tolist()
    if len(values) < metrics.FEWEST:
        return [Mean(value) for value in found]
    ends = (end.tolist() for end in metrics.bootstrap(values))
    return [Mean(*numbers) for numbers in zip(found, *ends, strict=True)]


def distances(
    features: Features, real: Tensor, answers: Mapping[str, Tensor], models: Sequence[str], *, way: str = ""
) -> list[Score]:
    """FID and KID of sets of features (N, D) to those of real images (M, D); models with equal counts are compared."""
    names = [answer for answer in answers if answer in models]
    pairs = [pair for pair in itertools.combinations(names, 2) if len({len(answers[one]) for one in pair}) == 1]
    n = min(map(len, answers.values()))
    frechet, kernel = (
        Measure(name=features.title(name), better="lower", digits=".4g", meaning=meaning)
        for name, meaning in (
            ("FID", "distance of the images as a whole to real ones"),
            ("KID", "the same by kernels: unbiased, so different numbers of images can be compared"),
        )
    )
    fids = {
        answer: (metrics.frechet_distance(real, seen), metrics.left_out(metrics.frechet_distance, real, seen))
        for answer, seen in answers.items()
    }
    kids = {answer: Mean.around(*metrics.kernel_distance(real, seen)) for answer, seen in answers.items()}
    by_blocks = [
        Difference(a, b, Mean.around(*metrics.kernel_difference(real, answers[a], answers[b]))) for a, b in pairs
    ]
    return [
        by_tenths(frechet, n, fids, pairs, way=way),
        Score(kernel, n, kids, by_blocks, each=False, way=way),
    ]


def by_tenths(
    measure: Measure, n: int, answers: Mapping[str, tuple[float, Tensor]], pairs: Sequence[tuple[str, str]], *, way: str
) -> Score:
    """The score of whole sets from the value of each answer, and its values (10,) without each tenth of the images.

    Answers that are compared omit the same tenths, so that noise common to both cancels in their difference.
    """
    values = {answer: Mean.around(value, metrics.half_interval(parts)) for answer, (value, parts) in answers.items()}
    differences = []
    for a, b in pairs:
        (ours, our_parts), (theirs, their_parts) = answers[a], answers[b]
        differences.append(Difference(a, b, Mean.around(ours - theirs, metrics.half_interval(our_parts - their_parts))))
    return Score(measure, n, values, differences, each=False, way=way)
