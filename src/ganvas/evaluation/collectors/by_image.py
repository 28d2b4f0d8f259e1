"""What the collectors of translated images share: every image of a source, with the outputs of all models beside it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch
from torch import Tensor

from ganvas.checkpoint import Model
from ganvas.data.batch import Source
from ganvas.data.progress import Track
from ganvas.evaluation.measures import SETS, ImageMeasure
from ganvas.evaluation.outputs import Broken, Translating, rows_at_once
from ganvas.evaluation.results import Evaluation, Grid, Kind, ModelSummary, Shown
from ganvas.evaluation.scoring import checkerboard_score, image_score, patch_scores, set_score
from ganvas.evaluation.selection import bands, choose, evenly
from ganvas.evaluation.statistics import TARGET, Score
from ganvas.evaluation.sums import FeatureSets, ImageValues, PatchSets, Sliced, Spectra
from ganvas.training import samples


@dataclass(frozen=True)
class Batch:
    """Images of a source and all answers to them.

    Attributes:
        numbers: of the images.
        images: uint8 (N, C, H, W), by answer, in the order of display.
        finite: by model, whether its output is, (N,).
    """

    numbers: list[int]
    images: dict[str, Tensor]
    finite: dict[str, Tensor]

    def only(self, kept: Tensor) -> Self:
        """The images for which `kept` (N,) is true."""
        numbers = [number for number, keep in zip(self.numbers, kept.tolist(), strict=True) if keep]
        return replace(self, numbers=numbers, images=rows_of(self.images, kept), finite=rows_of(self.finite, kept))


def rows_of(of_each: Mapping[str, Tensor], kept: Tensor) -> dict[str, Tensor]:
    """These rows of every tensor."""
    return {name: rows[kept] for name, rows in of_each.items()}


B = TypeVar("B", bound=Batch)


class ByImage(ABC, Generic[B]):
    """Translates all images of a source with all models.

    Attributes:
        source: the images.
        measures: the measures of single images.
        measured: the indices of the images in the scores: those for which every model's output is finite.
        values, spectra, features, patches: what is kept of them; None for what is not compared.
        direction: in which all images are translated.
        way: the direction, where it is one of two; else empty.
    """

    doing: ClassVar[str] = "translating"
    way: str = ""

    def __init__(self, models: Mapping[str, Model], source: Source[Any], measures: Sequence[ImageMeasure]) -> None:
        """Begin with no images."""
        self.models, self.source, self.measures = models, source, list(measures)
        self.translating = {name: Translating(model) for name, model in models.items()}
        self.broken, self.measured = Broken(source), list[int]()
        self.values, self.spectra = ImageValues(), Spectra()
        self.features: FeatureSets | None = None
        self.patches: PatchSets | None = None
        self.slices = dict[str, Sliced]()
        self.notes, self.milliseconds = list[str](), dict[str, float]()

    @abstractmethod
    def answers(self, numbers: Sequence[int]) -> B:
        """All answers to these images."""

    def way_of(self, measure: ImageMeasure) -> str:
        """The direction that a measure is of, where there are two; else empty."""
        return self.way

    def columns(self, number: int) -> dict[str, Tensor]:
        """All that is shown of an image, uint8 (C, H, W)."""
        return {answer: images[0] for answer, images in self.answers([number]).images.items()}

    def batches(self, track: Track) -> Iterator[B]:
        """All images but those for which some model's output is not finite."""
        at_once, n = rows_at_once(self.source.spec), len(self.source)
        starts = track(
            range(0, n, at_once), total=math.ceil(n / at_once), description=f"{self.doing} {self.way}".rstrip()
        )
        for start in starts:
            batch = self.answers(range(start, min(n, start + at_once)))
            kept = self.broken.sort_out(batch.numbers, batch.finite)
            if kept.any():
                yield batch.only(kept)

    def add(self, batch: B) -> None:
        """Note which images these are."""
        self.measured += batch.numbers

    def finish(self, track: Track) -> None:
        """Note what is said of broken images, and the time: before the shown images go through one at a time."""
        self.notes = self.broken.notes()
        self.milliseconds = {name: model.milliseconds for name, model in self.translating.items()}

    def names(self) -> list[str]:
        """Those of the files of the measured images."""
        return [self.source.name_of(number) for number in self.measured]

    def set_scores(self) -> list[Score]:
        """The scores of all images as a set, and of their spectra."""
        scores, models = list[Score](), list(self.models)
        if self.features:
            answers, title = self.features.sets(), self.features.features.title
            real = answers.pop(TARGET)
            measures = [replace(measure, name=title(measure.name)) for measure in SETS]
            scores += [set_score(measure, real, answers, models, way=self.way) for measure in measures]
        if self.slices:
            scores += patch_scores(self.slices, models, way=self.way)
        return [*scores, checkerboard_score(self.spectra, len(self.measured), way=self.way)]

    def shown(self) -> list[Shown]:
        """Images evenly taken, and the best and worst of each model."""
        measures = [measure for measure in self.measures if self.way_of(measure) == self.way]
        chosen = choose(self.values.table(), measures, list(self.models), len(self.measured))
        names, suffix = self.names(), f", {self.way}" if self.way else ""
        return [
            Shown(self.measured[row], names[row], tuple(reason + suffix for reason in why),
                  self.columns(self.measured[row]), self.way)
            for row, why in sorted(chosen.items())
        ]  # fmt: skip

    def rows(self, most: int, across: int) -> Tensor:
        """Up to so many images evenly taken, all that is shown of each below it, uint8 (N, C, H, W)."""
        numbers = evenly(len(self.source), most)
        return bands([[torch.stack(list(self.columns(number).values())) for number in numbers]], across)


def evaluation_of(
    collectors: Sequence[ByImage[Any]],
    models: Sequence[ModelSummary],
    *,
    kind: Kind,
    data: str,
    baselines: Mapping[str, str],
    protocol: Mapping[str, Any],
    sets: Sequence[Score],
) -> Evaluation:
    """The evaluation of translated images; if they go both ways, of both.

    `sets` are the scores of all images as a set, which follow those of single images.
    """
    first, names = collectors[0], [model.name for model in models]
    across = samples.columns(first.source.spec.size)
    grids = [collector.rows(2 * across // len(collectors), across) for collector in collectors]
    columns = _columns(collectors)
    return Evaluation(
        kind=kind,
        data=data,
        models=models,
        baselines=baselines,
        protocol=protocol,
        scores=[*(image_score(measure, of_each, names, way=way) for measure, way, of_each in columns), *sets],
        notes=[note for collector in collectors for note in collector.notes],
        values={
            f"{answer} {measure.name} {way}".rstrip(): rows
            for measure, way, of_each in columns
            for answer, rows in of_each.items()
        },
        numbers=max((collector.measured for collector in collectors), key=len),
        names=_names(collectors),
        shown=[image for collector in collectors for image in collector.shown()],
        grids={"grid": Grid(torch.cat(grids), across)},
        checkerboards={
            f"{answer} {collector.way}".rstrip(): periods
            for collector in collectors
            for answer, periods in collector.spectra.periods().items()
        },
        milliseconds={
            name: sum(collector.milliseconds[name] for collector in collectors) / len(collectors) for name in names
        },
    )


def _columns(collectors: Sequence[ByImage[Any]]) -> list[tuple[ImageMeasure, str, dict[str, Tensor]]]:
    """Each measure with its direction and the values of each answer (N,); both directions of one measure together."""
    tables = [(collector, collector.values.table()) for collector in collectors]
    order = [measure.name for measure in collectors[0].measures]
    columns = [
        (measure, collector.way_of(measure), table[measure.name])
        for collector, table in tables
        for measure in collector.measures
        if measure.name in table
    ]
    return sorted(columns, key=lambda column: (order.index(column[0].name), column[1]))


def _names(collectors: Sequence[ByImage[Any]]) -> list[str]:
    """The names of the files in each row of the table: with two directions, of one image for each."""
    longest = max(len(collector.measured) for collector in collectors)
    of_each = [[*collector.names(), *[""] * (longest - len(collector.measured))] for collector in collectors]
    return [" | ".join(filter(None, names)) for names in zip(*of_each, strict=True)]
