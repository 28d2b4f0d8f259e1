"""What is measured on pictures that a model made of others, and how it is told."""

import csv
import io
import itertools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

from ganvas import images, metrics
from ganvas.evaluation.found import Found


@dataclass(frozen=True)
class Measure:
    """One way to hold pictures against what they should be.

    Attributes:
        name: of its score, and of its column.
        unit: what its numbers are counted in; empty for bare numbers.
        better: `higher` or `lower`.
        digits: how its numbers are written.
        meaning: in a sentence.
        of: from two sets of uint8 pictures (N, C, H, W) to a number for each (N,).
        formula: what is said of it in the protocol, in a sentence; empty where that says it for all.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    digits: str
    meaning: str
    of: Callable[[Tensor, Tensor], Tensor]
    formula: str = ""

    def written(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:{self.digits}} {self.unit}".rstrip()


MEASURES = (
    Measure("MSE", "", "lower", ".3g", "mean squared error of values 0 to 1", metrics.squared_error),
    Measure("MAE", "levels", "lower", ".2f", "mean absolute error in grey levels, 0 to 255", metrics.absolute_error),
    Measure("PSNR", "dB", "higher", ".2f", "peak of the signal over the error", metrics.signal_to_noise),
    Measure("SSIM", "", "higher", ".4f", "likeness of structure in small windows", metrics.structural_similarity),
)
CYCLE = replace(MEASURES[1], name="cycle error", meaning="mean absolute error in grey levels, there and back again")
IDENTITY = replace(
    MEASURES[1], name="identity error", meaning="how much a picture changes that is of the wanted kind already"
)


@dataclass(frozen=True)
class Mean:
    """A mean over pictures with both ends of its 95 % interval, None where there is but one picture."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class PictureScore:
    """The mean of one measure.

    Attributes:
        measure: what was measured.
        pictures: of how many.
        model: of the model's pictures.
        baselines: the same of other answers, by name.
        differences: of each, the mean of model minus baseline, picture by picture.
        way: of a model that goes both ways without pairs, `ab` or `ba`; else empty.
    """

    measure: Measure
    pictures: int
    model: Mean
    baselines: Mapping[str, Mean] = field(default_factory=dict)
    differences: Mapping[str, Mean] = field(default_factory=dict)
    way: str = ""

    @property
    def name(self) -> str:
        """What it goes by."""
        return f"{self.measure.name} {self.way}".rstrip()

    def verdict(self, baseline: str) -> str:
        """Whether the model is better than a baseline, by how much and how surely, in words."""
        measure, difference = self.measure, self.differences[baseline]
        sign = 1 if measure.better == "higher" else -1
        gain, n = sign * difference.value, f"n = {self.pictures}"
        if difference.low is None or difference.high is None:
            word = "better" if gain > 0 else "worse"
            by = measure.written(abs(gain))
            return f"{word} than the {baseline} by {by}; of one picture nobody can say how surely, {n}"
        low, high = sorted((sign * difference.low, sign * difference.high))
        if low <= 0 <= high:
            interval = f"95 %: {low:{measure.digits}} to {high:{measure.digits}}"
            return f"not surely better or worse than the {baseline}: {measure.written(gain)} ({interval}), {n}"
        word = "better" if gain > 0 else "worse"
        low, high = sorted((abs(low), abs(high)))
        interval = f"95 %: {low:{measure.digits}} to {high:{measure.digits}}"
        return f"{word} than the {baseline} by {measure.written(abs(gain))} ({interval}), {n}"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        measure = self.measure
        return {
            "name": self.name, "unit": measure.unit, "better": measure.better, "meaning": measure.meaning,
            "pictures": self.pictures, **asdict(self.model),
            "baselines": {
                name: {**asdict(mean), "difference": asdict(self.differences[name]), "verdict": self.verdict(name)}
                for name, mean in self.baselines.items()
            },
        }  # fmt: skip


@dataclass(frozen=True)
class Checkerboard:
    """What doublings left in a model's pictures, and what is in the pictures that they should be; by period in pixels.

    Attributes:
        outputs: of the model's.
        targets: of the others.
        way: as of a `PictureScore`.
    """

    outputs: Mapping[int, float]
    targets: Mapping[int, float]
    way: str = ""

    @property
    def name(self) -> str:
        """What it goes by."""
        return f"checkerboard {self.way}".rstrip()

    @property
    def worst(self) -> int:
        """The period at which the model's stand out most."""
        return max(self.outputs, key=lambda period: self.outputs[period])

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.name,
            "value": self.outputs[self.worst],
            "period": self.worst,
            **{
                name: {str(period): value for period, value in values.items()}
                for name, values in (("outputs", self.outputs), ("targets", self.targets))
            },
        }


@dataclass(kw_only=True)
class TranslationEvaluation(Found):
    """What was found of a model that translates.

    Attributes:
        scores: means over the pictures.
        checkerboards: one for each way that was measured.
        values: picture by picture, (N,) each, by the name of the column.
        shown: the numbers of the pictures on the sheet, by why they are there.
        sheet: uint8 (N, C, H, W), `across` to a row.
    """

    scores: list[PictureScore]
    checkerboards: list[Checkerboard]
    values: dict[str, Tensor]
    shown: dict[str, list[int]]
    sheet: Tensor
    across: int

    def to_json(self) -> dict[str, Any]:
        """All but the pictures, as JSON values; what was found of each picture is in the table."""
        return super().to_json() | {
            "scores": [score.to_json() for score in self.scores],
            "checkerboard": [score.to_json() for score in self.checkerboards],
            "shown": self.shown,
        }

    def sheets(self) -> dict[str, Tensor]:
        """The pictures in rows: input, output and target under each other, or there and back again."""
        return {"pictures": images.grid(images.enlarge(self.sheet), columns=self.across)}

    def tables(self) -> dict[str, str]:
        """A row for each picture."""
        written = io.StringIO()
        table = csv.writer(written, lineterminator="\n")
        table.writerow(["picture", *self.values])
        rows = itertools.zip_longest(*(column.tolist() for column in self.values.values()), fillvalue="")
        table.writerows([number, *row] for number, row in enumerate(rows))
        return {"metrics": written.getvalue()}

    def __getitem__(self, name: str) -> PictureScore:
        return next(score for score in self.scores if score.name == name)
