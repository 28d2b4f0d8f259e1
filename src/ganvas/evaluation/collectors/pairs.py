"""Evaluation of translators against targets."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ganvas import metrics
from ganvas.checkpoint import Model
from ganvas.core.options import Direction
from ganvas.data.batch import PairBatch, Source
from ganvas.data.progress import Track, silently
from ganvas.evaluation.collect import collect
from ganvas.evaluation.collectors.by_image import Batch, ByImage, evaluation_of
from ganvas.evaluation.measures import PAIRS, SWD, ImageMeasure
from ganvas.evaluation.outputs import require_kind, rows_at_once
from ganvas.evaluation.protocol import FORMULAS, colours_of, doing_nothing, formulas, protocol_of, sets_of
from ganvas.evaluation.results import Evaluation, ModelSummary
from ganvas.evaluation.scoring import LEAST
from ganvas.evaluation.statistics import INPUT, MEAN_IMAGE, TARGET
from ganvas.evaluation.sums import FeatureSets, PatchSets, alike
from ganvas.inference.translate import Translator
from ganvas.metrics.features import Features
from ganvas.training import samples


def evaluate_pairs(
    models: Mapping[str, Model],
    source: Source[PairBatch],
    *,
    direction: Direction = "ab",
    task: str = "",
    measures: Sequence[ImageMeasure] | None = PAIRS,
    features: Features | None = None,
    learned: Mapping[str, str] | None = None,
    track: Track = silently,
) -> Evaluation:
    """Translate every source with every model and compare the result with its target; baselines answer too.

    Args:
        models: of methods that translate, by name.
        source: pairs, ideally unseen by all models.
        direction: `ba` for targets to sources.
        task: the task that made the pairs, which also shows them.
        measures: the measures that compare output and target; None if there is nothing to compare with.
        features: the feature network for all images as a set, for FID and KID; None for neither.
        learned: by model, a sentence on whether it was trained on these.
        track: shows the progress.

    Raises:
        DataError: if the pairs are of another kind than a model's.
        ModelError: if a model does not translate, or none of its images is finite.
        SettingError: if it does not support that direction.
    """
    pairs = Pairs(models, source, direction=direction, task=task, measures=measures, features=features)
    return collect(pairs, learned=learned, track=track)


class Pairs(ByImage[Batch]):
    """Translates the sources of pairs, and compares the outputs with the targets."""

    def __init__(
        self,
        models: Mapping[str, Model],
        source: Source[PairBatch],
        *,
        direction: Direction,
        task: str,
        measures: Sequence[ImageMeasure] | None,
        features: Features | None,
    ) -> None:
        """Check that the models fit the pairs; see `evaluate_pairs`."""
        self.targets = measures is not None
        for model in models.values():
            Translator(model, direction)
            require_kind(model, source, wanted=self.targets)
        self.direction, self.task = direction, task
        lines = self.targets and metrics.is_line_art(self._some_targets(source))
        known = [
            measure
            for measure in measures or ()
            if source.spec.size >= measure.smallest and (lines or not measure.line_art)
        ]
        super().__init__(models, source, known)
        if self.targets and len(source) >= LEAST:
            self.features = FeatureSets(features) if features else None
            self.patches = PatchSets(len(source))

    def _some_targets(self, source: Source[PairBatch]) -> Tensor:
        """The first targets, as they are shown."""
        shown = samples.shown(source.rows(range(min(rows_at_once(source.spec), len(source)))), self.task)
        return shown[1 if self.direction == "ab" else 0]

    def answers(self, numbers: Sequence[int]) -> Batch:
        """Input, output of each model, and target, as they are shown."""
        pairs = self.source.rows(numbers)
        there = self.direction == "ab"
        source, target = samples.shown(pairs, self.task)
        shown, finite = {INPUT: source if there else target}, dict[str, Tensor]()
        for name, translate in self.translating.items():
            output, finite[name] = translate(pairs.source if there else pairs.target, self.direction)
            answered = replace(pairs, target=output) if there else replace(pairs, source=output)
            shown[name] = samples.shown(answered, self.task)[1 if there else 0]
        if self.targets:
            shown[TARGET] = target if there else source
        return Batch(list(numbers), dict(zip(shown, alike(*shown.values()), strict=True)), finite)

    def batches(self, track: Track) -> Iterator[Batch]:
        """The mean of the targets is needed before the first."""
        self.mean = self._mean_target(track) if self.targets else None
        yield from super().batches(track)

    def add(self, batch: Batch) -> None:
        """Compare these outputs with their targets."""
        super().add(batch)
        self.spectra.add(batch.images)
        if self.mean is None:
            return
        target = batch.images[TARGET]
        answers = batch.images | {MEAN_IMAGE: self.mean.expand_as(target)}
        for measure in self.measures:
            for answer, images in answers.items():
                if answer != TARGET:
                    self.values.add(measure.name, answer, measure.of(images, target))
        if self.features:
            self.features.add({answer: answers[answer] for answer in (*self.models, TARGET)})
        if self.patches:
            self.patches.add(answers)

    def finish(self, track: Track) -> None:
        """Compare all outputs with all targets, if enough are left without the broken ones."""
        super().finish(track)
        if len(self.measured) < LEAST:
            self.features = self.patches = None
        if self.patches:
            self.slices = self.patches.apart_from(self.patches.of.pop(TARGET), track)
            self.patches = None

    def evaluation(self, models: Sequence[ModelSummary]) -> Evaluation:
        """The scores of single images and of all, with the protocol."""
        ways = {"direction": self.direction, "task": self.task or "none: pairs of images"}
        features = self.features.features if self.features else None
        return evaluation_of(
            [self],
            models,
            kind="pairs" if self.targets else "images",
            data=self.source.short_title,
            baselines=self._baselines(),
            protocol=protocol_of(self.source, ways, measured=len(self.measured))
            | {"colour": colours_of(self.source.spec, self.task), **(FORMULAS if self.targets else {})}
            | formulas([*self.measures, SWD] if self.slices else self.measures)
            | sets_of(features, "the targets"),
            sets=self.set_scores(),
        )

    def _baselines(self) -> dict[str, str]:
        """The answers beside the models, and what they mean."""
        if not self.targets:
            return {INPUT: "the unchanged input"}
        return {
            INPUT: doing_nothing(self.task),
            MEAN_IMAGE: "the mean of these targets: the best single image as the answer to all",
            TARGET: "the targets; here for their own checkerboard",
        }

    def _mean_target(self, track: Track) -> Tensor:
        """The mean of all targets as they are shown, uint8 (1, C, H, W)."""
        at_once, n, total = rows_at_once(self.source.spec), len(self.source), torch.zeros(())
        starts = track(range(0, n, at_once), total=math.ceil(n / at_once), description="reading the targets")
        for start in starts:
            pairs = self.source.rows(range(start, min(n, start + at_once)))
            source, target = alike(*samples.shown(pairs, self.task))
            total = total + (target if self.direction == "ab" else source).sum(0, keepdim=True, dtype=torch.float64)
        return (total / n).round().to(torch.uint8)
