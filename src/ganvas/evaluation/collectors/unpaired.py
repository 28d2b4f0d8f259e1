"""Evaluation of translators between two kinds of images without pairs: there and back again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from ganvas import metrics
from ganvas.checkpoint import Model
from ganvas.core.options import Direction
from ganvas.data.batch import ImageBatch, Source
from ganvas.data.progress import Track, silently
from ganvas.evaluation.collect import collect
from ganvas.evaluation.collectors.by_image import Batch, ByImage, evaluation_of, rows_of
from ganvas.evaluation.measures import CYCLE, IDENTITY, SWD, ImageMeasure
from ganvas.evaluation.outputs import Translating, require_kind, rows_at_once
from ganvas.evaluation.protocol import formulas, protocol_of, sets_of
from ganvas.evaluation.results import Evaluation, ModelSummary
from ganvas.evaluation.scoring import LEAST
from ganvas.evaluation.statistics import INPUT, TARGET
from ganvas.evaluation.sums import FeatureSets, PatchSets, alike
from ganvas.inference.translate import Translator
from ganvas.metrics.features import Features

_BACK: dict[Direction, Direction] = {"ab": "ba", "ba": "ab"}


def evaluate_unpaired(
    models: Mapping[str, Model],
    source: Source[ImageBatch],
    target: Source[ImageBatch],
    *,
    features: Features | None = None,
    learned: Mapping[str, str] | None = None,
    track: Track = silently,
) -> Evaluation:
    """Translate the images of each kind to the other and back, as there are no targets to compare with.

    The cycle error is the change of an image on the way there and back, the identity error the change of an image that
    already is of the target kind; both with images rounded to bytes in between. SWD, and with `features` FID and KID,
    compare the translated images with those of the target kind.

    Raises:
        DataError: if the images are of another kind than a model's.
        ModelError: if a model does not go both ways, or none of its images is finite.
        SettingError: if a model does not support a direction.
    """
    return collect(Unpaired(models, source, target, features), learned=learned, track=track)


@dataclass(frozen=True)
class RoundTrips(Batch):
    """Images, their translations, and these translated back.

    Attributes:
        direction: of the translations.
        back: the translations translated back, by model, uint8 (N, C, H, W).
        unchanged: the images as translated from the wanted kind, which they are of, by model; without a model that
            changes the number of channels.
    """

    direction: Direction
    back: dict[str, Tensor]
    unchanged: dict[str, Tensor]

    def only(self, kept: Tensor) -> Self:
        """The images for which `kept` (N,) is true."""
        some = super().only(kept)
        return replace(some, back=rows_of(self.back, kept), unchanged=rows_of(self.unchanged, kept))


class Unpaired:
    """Goes both ways between two sets of images."""

    def __init__(
        self,
        models: Mapping[str, Model],
        source: Source[ImageBatch],
        target: Source[ImageBatch],
        features: Features | None,
    ) -> None:
        """Check that the models go both ways and fit the images; see `evaluate_unpaired`."""
        self.models, self.source, self.target, self.network = models, source, target, features
        pairs = replace(source, spec=replace(source.spec, classes=(), target_channels=target.spec.channels))
        for model in models.values():
            for direction in _BACK:
                Translator(model, direction)
            require_kind(model, pairs)
        self.ways: dict[Direction, _Way] = {
            "ab": _Way(models, source, target, direction="ab", features=features),
            "ba": _Way(models, target, source, direction="ba", features=features),
        }

    def batches(self, track: Track) -> Iterator[RoundTrips]:
        """One way, then the other; the first is finished before, as patches of both would take twice the memory."""
        yield from self.ways["ab"].batches(track)
        self.ways["ab"].finish(track)
        yield from self.ways["ba"].batches(track)

    def add(self, batch: RoundTrips) -> None:
        """Add to the images of its direction."""
        self.ways[batch.direction].add(batch)

    def finish(self, track: Track) -> None:
        """The second way is over."""
        self.ways["ba"].finish(track)

    def evaluation(self, models: Sequence[ModelSummary]) -> Evaluation:
        """The scores of both directions, with the protocol."""
        ways = list(self.ways.values())
        words = {"direction": "both, there and back again", "other kind": self.target.short_title}
        measured = max(len(way.measured) for way in ways)
        return evaluation_of(
            ways,
            models,
            kind="unpaired",
            data=f"{self.source.short_title} and {self.target.short_title}",
            baselines={INPUT: "the images as they are", TARGET: "images of the wanted kind"},
            protocol=protocol_of(self.source, words, measured=measured)
            | {"paired scores": "none: without pairs there are no targets"}
            | formulas([SWD] if any(way.slices for way in ways) else [])
            | sets_of(self.network, "images of the wanted kind"),
            sets=[score for way in ways for score in way.set_scores()],
        )


class _Way(ByImage[RoundTrips]):
    """One of the two directions."""

    def __init__(
        self,
        models: Mapping[str, Model],
        side: Source[ImageBatch],
        other: Source[ImageBatch],
        *,
        direction: Direction,
        features: Features | None,
    ) -> None:
        """Begin with no images."""
        super().__init__(models, side, [CYCLE, IDENTITY])
        self.other, self.direction, self.way = other, direction, direction
        self.again = {name: Translating(model) for name, model in models.items()}  # the way back is not timed
        self.used = min(len(side), len(other))  # images of either set whose patches are compared
        self.features = FeatureSets(features) if features else None
        self.patches = PatchSets(len(side), use=self.used) if self.used >= LEAST else None

    def way_of(self, measure: ImageMeasure) -> str:
        """The identity error is of the way back: these images are what it should make."""
        return self.direction if measure is CYCLE else _BACK[self.direction]

    def answers(self, numbers: Sequence[int]) -> RoundTrips:
        """Images, the output of each model, these translated back, and the images translated as if they were such."""
        given = self.source.rows(numbers).images
        images, finite, back, unchanged = {INPUT: given}, dict[str, Tensor](), dict[str, Tensor](), dict[str, Tensor]()
        other = _BACK[self.direction]
        for name in self.models:
            images[name], there = self.translating[name](given, self.direction)
            back[name], and_back = self.again[name](images[name], other)
            finite[name] = there & and_back
            if images[name].shape == given.shape:
                unchanged[name], as_well = self.again[name](given, other)
                finite[name] &= as_well
        return RoundTrips(list(numbers), images, finite, self.direction, back, unchanged)

    def add(self, batch: RoundTrips) -> None:
        """Measure what changed there and back."""
        super().add(batch)
        given = batch.images[INPUT]
        for measure, of_each in ((CYCLE, batch.back), (IDENTITY, batch.unchanged)):
            for name, images in of_each.items():
                self.values.add(measure.name, name, measure.of(images, given))
        self.spectra.add(batch.images)
        if self.features:
            self.features.add(batch.images)
        if self.patches:
            self.patches.add(dict(zip(batch.images, alike(*batch.images.values()), strict=True)))

    def finish(self, track: Track) -> None:
        """Compare all outputs with the images of the wanted kind, if there are enough of both."""
        super().finish(track)
        if min(len(self.measured), self.used) < LEAST:
            self.features = self.patches = None
        wanted = metrics.Patches(len(self.other), use=self.used)
        for part in self.other.parts(rows_at_once(self.other.spec)):
            self.spectra.add({TARGET: part.images})
            if self.features:
                self.features.add({TARGET: part.images})
            if self.patches:
                wanted.add(part.images.expand(-1, max(self.source.spec.channels, part.images.shape[1]), -1, -1))
        if self.patches:
            self.slices = self.patches.apart_from(wanted, track)
            self.patches = None

    def columns(self, number: int) -> dict[str, Tensor]:
        """An image, the output of each model, and its translation back, uint8 (C, H, W)."""
        one = self.answers([number])
        kinds = {INPUT: one.images[INPUT]}
        for name in self.models:
            kinds |= {name: one.images[name], f"{name} and back": one.back[name]}
        return {answer: images[0] for answer, images in zip(kinds, alike(*kinds.values()), strict=True)}
