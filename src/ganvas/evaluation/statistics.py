"""What is measured of models side by side, and how it is told: which is better, by how much, and how surely."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor

from ganvas import metrics
from ganvas.imaging import images

INPUT = "input"  # the name of who does nothing
MEAN_IMAGE = "mean image"  # of who answers the same whatever is asked
TARGET = "target"  # what is wanted
TRAINING = "training images"  # as good as drawn ones can be
PAINTING = "painting"  # in whose style something is to be
OTHERS = (INPUT, MEAN_IMAGE, TARGET, TRAINING, PAINTING)  # what no model may be called


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a number says.

    Attributes:
        name: of its score.
        unit: what it is counted in; empty for bare numbers.
        better: `higher`, `lower`, or what it should be near.
        digits: how it is written.
        meaning: in a sentence.
        formula: what is said of it in the protocol, in a sentence; empty where that says it for all.
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
    """A way to hold images against what they should be, one by one.

    Attributes:
        of: from two sets of uint8 images (N, C, H, W) to a number for each (N,).
        smallest: pixels of the shorter side below which it cannot be had.
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
        name="SSIM", better="higher", digits=".4f", meaning="likeness of structure in small windows",
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
    meaning="what upsamplings left in the images, at the period of 2, 4 or 8 pixels where it stands out most",
)  # fmt: skip


@dataclass(frozen=True)
class Mean:
    """A mean over images with both ends of its 95 % interval, None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def sure(self) -> bool:
        """Whether it is surely above or below zero."""
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
        n: of how many images.
        values: by answer; one that has no such number is missing.
        differences: between models, and of each model to each baseline.
        each: whether it is a mean over images whose own numbers are in the table.
        way: of models that go both ways without pairs, `ab` or `ba`; else empty.
    """

    measure: Measure
    n: int
    values: Mapping[str, Mean]
    differences: Sequence[Difference] = ()
    each: bool = True
    way: str = ""

    @property
    def name(self) -> str:
        """What it goes by."""
        return f"{self.measure.name} {self.way}".rstrip()

    @property
    def value(self) -> float:
        """Of the first model; of several, and of baselines, `values` has each."""
        return next(mean.value for answer, mean in self.values.items() if answer not in OTHERS)

    def between(self, first: str, second: str) -> Difference:
        """The difference of two answers, whichever way round it is kept.

        Raises:
            KeyError: if it is not known.
        """
        for one in self.differences:
            if (one.first, one.second) == (first, second):
                return one
            if (one.second, one.first) == (first, second):
                return Difference(first, second, _negative(one.mean))
        raise KeyError((first, second))

    def winner(self, models: Sequence[str]) -> str | None:
        """The model that is surely better than each other one; None where there is none, or nothing to win."""
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
        """How much better, where more is not always better."""
        return difference if self.measure.better == "higher" else -difference

    def verdict(self, difference: Difference) -> str:
        """Whether the first is better than the second, by how much and how surely, in words."""
        measure, mean, n = self.measure, difference.mean, f"n = {self.n:,}"
        first, second = difference.first, _named(difference.second)
        gain = self._gain(mean.value)
        word, by = "better" if gain > 0 else "worse", measure.written(abs(gain))
        if mean.low is None or mean.high is None:
            few = "one image" if self.n == 1 else f"{self.n} images"
            sure = f"of {few} nobody can say how surely, {n}"
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
    """An answer as it stands in a sentence."""
    return f"the {answer}" if answer in (INPUT, MEAN_IMAGE) else answer


@dataclass(frozen=True)
class Judged:
    """A model that was judged.

    Attributes:
        name: what it is called beside others.
        method: what it is of, and `step` after how many steps.
        parameters: how many numbers it works with.
        megabytes: of its file.
        size: pixels of the images that it learned from.
        learned: whether it learned from these images, in words.
        mode: what evaluation does to layers that behave otherwise in training.
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
        number: which it is.
        name: of its file; empty where it has none.
        why: why it is shown, in words.
        images: uint8 (C, H, W), by answer, in the order in which they are shown.
        way: of two kinds without pairs, of which it is, `ab` or `ba`; each has an image number 0.
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

    def drawn(self) -> Tensor:
        """All of them as one image, uint8 (C, H, W)."""
        return images.grid(images.fitted(self.images, side=self.side), columns=self.across)
