"""From values of single images, or features of sets of them, to scores: means, differences, and their intervals."""

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ganvas import metrics
from ganvas.evaluation.measures import CHECKERBOARD, SWD, SWD_ALL_LEVELS, BlockMeasure, Measure, SetMeasure
from ganvas.evaluation.statistics import Difference, Mean, Score
from ganvas.evaluation.sums import Sliced, Spectra

LEAST = 50  # images of either kind; fewer give no covariance


def image_score(measure: Measure, columns: Mapping[str, Tensor], models: Sequence[str], *, way: str = "") -> Score:
    """The score of a measure for all answers, (N,) each, to the same images.

    Each model is compared with each other one, and with each baseline, image by image.
    """
    names = [answer for answer in columns if answer in models]
    baselines = [answer for answer in columns if answer not in models]
    pairs = [*itertools.combinations(names, 2), *itertools.product(names, baselines)]
    gaps = [columns[first] - columns[second] for first, second in pairs]
    both = means([*columns.values(), *gaps])
    values, differences = both[: len(columns)], both[len(columns) :]
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
    centres = values.mean(0).tolist()
    if len(values) < metrics.FEWEST:
        return [Mean(value) for value in centres]
    ends = (end.tolist() for end in metrics.bootstrap(values))
    return [Mean(*numbers) for numbers in zip(centres, *ends, strict=True)]


def set_score(
    measure: SetMeasure | BlockMeasure,
    real: Tensor,
    answers: Mapping[str, Tensor],
    models: Sequence[str],
    *,
    n: int | None = None,
    way: str = "",
) -> Score:
    """The score of a measure of features (N, D) against those of real images (M, D), for all answers.

    Models with equal numbers of images are compared with each other, if the measure has an interval.

    Args:
        measure: by its name and that of the feature network.
        real: the features of real images.
        answers: features by answer.
        models: which answers are of models.
        n: the number of images; by default that of the smallest set.
        way: of the score.
    """
    pairs = equally_many({answer: len(rows) for answer, rows in answers.items()}, models)
    n = n or min(map(len, answers.values()))
    if isinstance(measure, BlockMeasure):
        values = {answer: Mean.around(*measure.of(real, rows)) for answer, rows in answers.items()}
        gaps = [Difference(a, b, Mean.around(*measure.difference(real, answers[a], answers[b]))) for a, b in pairs]
        return Score(measure, n, values, gaps, each=False, way=way)
    if not measure.interval:
        plain = {answer: Mean(measure.of(real, rows)) for answer, rows in answers.items()}
        return Score(measure, n, plain, each=False, way=way)
    parts = {
        answer: (measure.of(real, rows), metrics.left_out(measure.of, real, rows)) for answer, rows in answers.items()
    }
    return by_tenths(measure, n, parts, pairs, way=way)


def equally_many(counts: Mapping[str, int], models: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of models that have the same number of images."""
    names = [answer for answer in counts if answer in models]
    return [(a, b) for a, b in itertools.combinations(names, 2) if counts[a] == counts[b]]


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


def patch_scores(answers: Mapping[str, Sliced], models: Sequence[str], *, way: str = "") -> list[Score]:
    """SWD of the finest level and the mean of all; models with equal numbers of images are compared."""
    pairs = equally_many({answer: one.n for answer, one in answers.items()}, models)
    n = min(one.n for one in answers.values())
    finest = {answer: (float(one.levels[0]), one.left_out[:, 0]) for answer, one in answers.items()}
    means = {answer: (float(one.levels.mean()), one.left_out.mean(1)) for answer, one in answers.items()}
    several = any(len(one.levels) > 1 for one in answers.values())
    wanted = [(SWD, finest), *([(SWD_ALL_LEVELS, means)] if several else [])]
    return [by_tenths(measure, n, values, pairs, way=way) for measure, values in wanted]


def checkerboard_score(spectra: Spectra, n: int, *, way: str = "") -> Score:
    """The largest excess power of the spectra of n images."""
    worst = {name: Mean(max(periods.values())) for name, periods in spectra.periods().items()}
    return Score(CHECKERBOARD, n, worst, each=False, way=way)
