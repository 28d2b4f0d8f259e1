"""Scores of models side by side, and their statistics: which model is better, by how much, and how surely."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor

from ganvas import metrics
from ganvas.imaging import images

INPUT = "input"  # the answer that changes nothing
MEAN_IMAGE = "mean image"  # the same answer for every image
TARGET = "target"  # the wanted image
TRAINING = "training images"  # the best that generated images can score
PAINTING = "painting"  # the painting that gives the style
OTHERS = (INPUT, MEAN_IMAGE, TARGET, TRAINING, PAINTING)  # names that no model may have


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A measure: what a value means.

    Attributes:
        name: of its score.
        unit: the unit of its values; empty for none.
        better: `higher`, `lower`, or the value that it should be near.
        digits: the format of a value.
        meaning: the explanation, in a sentence.
        formula: its entry in the protocol, in a sentence; empty if the protocol has one for all.
    """

    name: str
    unit: str = ""
    better: str
    digits: str
    meaning: str
    formula: str = ""

    def written(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:{self.digits}} {self.unit}".rstrip()


@dataclass(frozen=True, kw_only=True)
class ImageMeasure(Measure):
    """A measure that compares images with their targets, one by one.

    Attributes:
        of: from two sets of uint8 images (N, C, H, W) to a number for each (N,).
        smallest: pixels of the shorter side below which it cannot be computed.
    """

    of: Callable[[Tensor, Tensor], Tensor]
    smallest: int = 0


MEASURES = (
    ImageMeasure(
        name="MSE", better="lower", digits=".3g", meaning="mean squared error of values 0 to 1",
        of=metrics.squared_error,
    ),
    ImageMeasure(
        name="MAE", unit="levels", better="lower", digits=".2f", meaning="mean absolute error in grey levels, 0 to 255",
        of=metrics.absolute_error,
    ),
    ImageMeasure(
        name="PSNR", unit="dB", better="higher", digits=".2f", meaning="peak of the signal over the error",
        of=metrics.signal_to_noise,
    ),
    ImageMeasure(
        name="SSIM", better="higher", digits=".4f", meaning="similarity of structure in small windows",
        of=metrics.structural_similarity,
    ),
    ImageMeasure(
        name="MS-SSIM", better="higher", digits=".4f", meaning="the same at five scales, each half of the one before",
        of=metrics.multi_scale_similarity, smallest=metrics.MS_SSIM_SMALLEST,
    ),
)  # fmt: skip
CYCLE = replace(MEASURES[1], name="cycle error", meaning="mean absolute error in grey levels, there and back again")
IDENTITY = replace(
    MEASURES[1], name="identity error", meaning="how much an image changes that is of the wanted kind already"
)
CHECKERBOARD = Measure(
    name="checkerboard", better="about 1 or less", digits=".3g",
    meaning="artefacts of upsampling in the images, at the period of 2, 4 or 8 pixels where it stands out most",
)  # fmt: skip


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

    def winner(self, models: Sequence[str]) -> str | None:
        """The model that is surely better than each other one; None if none is, or neither direction is better."""
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
        """Whether the first is better than the second, by how much and how surely, in words."""
        measure, mean, n = self.measure, difference.mean, f"n = {self.n:,}"
        first, second = difference.first, _named(difference.second)
        gain = self._gain(mean.value)
        word, by = "better" if gain > 0 else "worse", measure.written(abs(gain))
        if mean.low is None or mean.high is None:
            few = "one image" if self.n == 1 else f"{self.n} images"
            sure = f"{few} cannot show how surely, {n}"
            return f"{first} is {word} than {second} in {self.name} by {by}; {sure}"
        low, high = sorted((self._gain(mean.low), self._gain(mean.high)))
        if mean.sure:
            low, high = sorted((abs(low), abs(high)))
        interval = f"(95 %: {low:{measure.digits}} to {high:{measure.digits}}), {n}"
        if mean.sure:
            return f"{first} is {word} than {second} in {self.name} by {by} {interval}"
        unsure = f"{first} is not surely better or worse than {second} in {self.name}"
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
    return f"the {answer}" if answer in (INPUT, MEAN_IMAGE) else answer


@dataclass(frozen=True)
class Judged:
    """A model that was evaluated.

    Attributes:
        name: its name beside others.
        method: its method, and `step` the number of training steps.
        parameters: the number of its parameters.
        megabytes: the size of its file.
        size: pixels of its training images.
        learned: whether it was trained on these images, in words.
        mode: how layers that differ between training and evaluation behave here.
    """

    name: str
    method: str
    step: int
    parameters: int
    megabytes: float
    size: int
    learned: str = ""
    mode: str = ""


@dataclass(frozen=True)
class Shown:
    """An image that is shown with all answers to it.

    Attributes:
        number: its index.
        name: of its file; empty if it has none.
        why: why it is shown, in words.
        images: uint8 (C, H, W), by answer, in the order of display.
        way: `ab` or `ba` for two kinds without pairs; each has an image number 0.
    """

    number: int
    name: str
    why: tuple[str, ...] = ()
    images: Mapping[str, Tensor] = field(default_factory=dict)
    way: str = ""


@dataclass(frozen=True)
class Grid:
    """Images side by side.

    Attributes:
        images: uint8 (N, C, H, W).
        across: how many to a row.
        side: pixels to which small ones are enlarged.
    """

    images: Tensor
    across: int
    side: int = 64

    def image(self) -> Tensor:
        """All of them in one image, uint8 (C, H, W)."""
        return images.grid(images.fitted(self.images, side=self.side), columns=self.across)
