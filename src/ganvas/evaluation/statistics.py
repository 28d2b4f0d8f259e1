"""Scores of models side by side, and their statistics: which model is better, by how much, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ganvas.evaluation.measures import Measure

INPUT = "input"  # the answer that changes nothing
MEAN_IMAGE = "mean image"  # the same answer for every image
TARGET = "target"  # the wanted image
TRAINING = "training images"  # the best that generated images can score
PAINTING = "painting"  # the painting that gives the style
BASELINES = (INPUT, MEAN_IMAGE)  # the answers that take no training
OTHERS = (INPUT, MEAN_IMAGE, TARGET, TRAINING, PAINTING)  # names that no model may have


@dataclass(frozen=True)
class Mean:
    """A mean over images with both ends of its 95 % interval, None if there is none."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def sure(self) -> bool:
        """Whether its interval is above or below zero."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    @staticmethod
    def around(value: float, half: float) -> "Mean":
        """A value with half of its interval on either side."""
        return Mean(value, value - half, value + half)


@dataclass(frozen=True)
class Difference:
    """By how much one answer differs from another: the mean of first minus second, image by image."""

    first: str
    second: str
    mean: Mean


@dataclass(frozen=True)
class Score:
    """One measure of all answers, those of models and those of baselines.

    Attributes:
        measure: what was measured.
        n: the number of images.
        values: by answer; an answer without a value is missing.
        differences: between models, and of each model to each baseline.
        each: whether it is a mean over images, whose values are in the table.
        way: `ab` or `ba` for models that translate both ways without pairs; else empty.
    """

    measure: Measure
    n: int
    values: Mapping[str, Mean]
    differences: Sequence[Difference] = ()
    each: bool = True
    way: str = ""

    @property
    def name(self) -> str:
        """Its name."""
        return f"{self.measure.name} {self.way}".rstrip()

    @property
    def value(self) -> float:
        """The value of the first model; `values` has those of the others and of baselines."""
        return next(mean.value for answer, mean in self.values.items() if answer not in OTHERS)

    def between(self, first: str, second: str) -> Difference:
        """The difference of two answers, in either order.

        Raises:
            KeyError: if there is none.
        """
        for one in self.differences:
            if (one.first, one.second) == (first, second):
                return one
            if (one.second, one.first) == (first, second):
                return Difference(first, second, _negative(one.mean))
        raise KeyError((first, second))

    def to_baseline(self, model: str) -> Difference | None:
        """The difference of a model to the best baseline, which is the hardest to beat; None if there is none."""
        to_each = [one for one in self.differences if one.first == model and one.second in BASELINES]
        return max(to_each, key=lambda one: self._gain(self.values[one.second].value), default=None)

    def beats_baselines(self, model: str) -> bool:
        """Whether a model is significantly better than every baseline; true where there is none."""
        against = [one for one in self.differences if one.first == model and one.second in BASELINES]
        return all(self._beats(model, one.second) for one in against)

    def winner(self, models: Sequence[str]) -> str | None:
        """The model that is significantly better than each other one; None if none is, or no direction is better."""
        if len(models) < 2:
            return None
        return next((one for one in models if all(self._beats(one, other) for other in models if other != one)), None)

    def _beats(self, first: str, second: str) -> bool:
        try:
            mean = self.between(first, second).mean
        except KeyError:
            return False
        return mean.sure and self._gain(mean.value) > 0

    def _gain(self, difference: float) -> float:
        """How much better the difference is, for measures of any direction."""
        return difference if self.measure.better == "higher" else -difference

    def verdict(self, difference: Difference) -> str:
        """Whether the first is better than the second, by how much and how sure that is, in words."""
        measure, mean, n = self.measure, difference.mean, f"n = {self.n:,}"
        first, second = difference.first, _named(difference.second)
        gain = self._gain(mean.value)
        word, by = "better" if gain > 0 else "worse", measure.written(abs(gain))
        if mean.low is None or mean.high is None:
            few = "one image" if self.n == 1 else f"{self.n} images"
            sure = f"{few} cannot show how sure that is, {n}"
            return f"{first} is {word} than {second} in {self.name} by {by}; {sure}"
        low, high = sorted((self._gain(mean.low), self._gain(mean.high)))
        if mean.sure:
            low, high = sorted((abs(low), abs(high)))
        interval = f"(95 %: {low:{measure.digits}} to {high:{measure.digits}}), {n}"
        if mean.sure:
            return f"{first} is {word} than {second} in {self.name} by {by} {interval}"
        unsure = f"{first} is not significantly better or worse than {second} in {self.name}"
        return f"{unsure}: {measure.written(gain)} {interval}"

    def to_json(self, models: Sequence[str]) -> dict[str, Any]:
        """As JSON values."""
        measure = self.measure
        return {
            "name": self.name, "unit": measure.unit, "better": measure.better, "digits": measure.digits,
            "meaning": measure.meaning, "n": self.n,
            "values": {answer: asdict(mean) for answer, mean in self.values.items()},
            "winner": self.winner(models),
            "differences": [
                {"first": one.first, "second": one.second, **asdict(one.mean), "verdict": self.verdict(one)}
                for one in self.differences
            ],
            "each": self.each,
        }  # fmt: skip


def _negative(mean: Mean) -> Mean:
    ends = (mean.low, mean.high)
    low, high = (None if end is None else -end for end in reversed(ends))
    return Mean(-mean.value, low, high)


def _named(answer: str) -> str:
    """The name of an answer in a sentence."""
    return f"the {answer}" if answer in BASELINES else answer
