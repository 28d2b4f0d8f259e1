"""Evaluation of translators against targets."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ganvas import metrics
from ganvas.checkpoint import Model
from ganvas.data.batch import PairBatch, Source
from ganvas.data.progress import Track, silently
from ganvas.evaluation.comparing import LEAST, compared, distances
from ganvas.evaluation.outputs import Answering, Broken, device_of, judged, require_kind, rows_at_once
from ganvas.evaluation.patches import SWD, PatchSets, patch_scores
from ganvas.evaluation.perceptual import seen_by
from ganvas.evaluation.protocol import FORMULAS, colours_of, doing_nothing, formulas, protocol_of, sets_of
from ganvas.evaluation.results import Evaluation
from ganvas.evaluation.selection import bands, choose, evenly
from ganvas.evaluation.statistics import (
    CHECKERBOARD,
    INPUT,
    MEAN_IMAGE,
    MEASURES,
    TARGET,
    Grid,
    ImageMeasure,
    Mean,
    Score,
    Shown,
)
from ganvas.inference.translate import Translator
from ganvas.metrics.features import Features
from ganvas.training import samples

Direction = Literal["ab", "ba"]


# --- with targets ---------------------------------------------------------------------------------------------------


def evaluate_pairs(
    models: Mapping[str, Model],
    source: Source[PairBatch],
    *,
    direction: Direction = "ab",
    task: str = "",
    measures: Sequence[ImageMeasure] | None = MEASURES,
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
    wanted, measures = measures is not None, measures or ()
    for model in models.values():
        Translator(model, direction)
        require_kind(model, source, wanted=wanted)
    known = [judged(name, model, (learned or {}).get(name, "")) for name, model in models.items()]
    asking = _Asking(models, source, direction, task, wanted)
    measures = [measure for measure in measures if source.spec.size >= measure.smallest] if wanted else []
    features = features if wanted and len(source) >= LEAST else None
    patches = PatchSets(len(source)) if wanted and len(source) >= LEAST else None
    mean, seen = asking.mean_target(track) if wanted else None, dict[str, list[Tensor]]()
    columns: dict[str, dict[str, list[Tensor]]] = {measure.name: {} for measure in measures}
    spectra, measured = Spectra(), list[int]()
    for numbers, answers in asking.parts(track):
        target = answers.get(TARGET)
        if target is not None and mean is not None:
            answers[MEAN_IMAGE] = mean.expand_as(target)
        for measure in measures:
            assert target is not None
            for answer, made in answers.items():
                if answer != TARGET:
                    columns[measure.name].setdefault(answer, []).append(measure.of(made, target))
        spectra.add({answer: made for answer, made in answers.items() if answer != MEAN_IMAGE})
        if features:
            for answer in (*models, TARGET):
                seen.setdefault(answer, []).append(seen_by(features, answers[answer]))
        if patches:
            patches.add(answers)
        measured += numbers
    notes, milliseconds = asking.broken.notes(), asking.milliseconds()  # before the shown images go through alone
    table = {
        measure: {answer: torch.cat(rows) for answer, rows in of_each.items()} for measure, of_each in columns.items()
    }
    scores = [compared(measure, table[measure.name], list(models)) for measure in measures]
    if len(measured) < LEAST:  # of the images left without the broken ones
        features = patches = None
    if features:
        whole = {answer: torch.cat(rows) for answer, rows in seen.items()}
        scores += distances(features, whole.pop(TARGET), whole, list(models))
    if patches:
        scores += patch_scores(patches.apart_from(patches.of.pop(TARGET), track), list(models))
    chosen = choose(table, measures, list(models), len(measured))
    names = [source.name_of(number) for number in measured]
    return Evaluation(
        kind="pairs" if wanted else "images",
        data=source.short_title,
        models=known,
        baselines=_baselines(task, wanted=wanted),
        protocol=protocol_of(
            source, {"direction": direction, "task": task or "none: pairs of images"}, measured=len(measured)
        )
        | {"colour": colours_of(source.spec, task), **(FORMULAS if wanted else {})}
        | formulas([*measures, SWD] if patches else measures)
        | sets_of(features, "the targets"),
        scores=[*scores, spectra.score(len(measured))],
        notes=notes,
        values={f"{answer} {measure}": rows for measure, of_each in table.items() for answer, rows in of_each.items()},
        numbers=measured,
        names=names,
        shown=[
            Shown(measured[row], names[row], tuple(why), asking.looked_at(measured[row]))
            for row, why in sorted(chosen.items())
        ],
        grids={"grid": asking.grid()},
        checkerboards=spectra.periods(),
        milliseconds=milliseconds,
        device=asking.device,
    )


def _baselines(task: str, *, wanted: bool) -> dict[str, str]:
    """The answers beside the models, and what they mean."""
    if not wanted:
        return {INPUT: "the unchanged input"}
    return {
        INPUT: doing_nothing(task),
        MEAN_IMAGE: "the mean of these targets: the best single image as the answer to all",
        TARGET: "the targets; here for their own checkerboard",
    }


@dataclass
class _Asking:
    """The same images for several models.

    Attributes:
        models: the models by name.
        source: the images and their targets.
        direction: of the translation.
        task: how to show them.
        wanted: whether the targets are used.
    """

    models: Mapping[str, Model]
    source: Source[PairBatch]
    direction: Direction
    task: str
    wanted: bool

    def __post_init__(self) -> None:
        self.answering = {name: Answering(model) for name, model in self.models.items()}
        self.broken = Broken(self.source)
        self.device = str(device_of(next(iter(self.models.values())).method))

    def parts(self, track: Track) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
        """Numbers of images, and all answers to them; without images for which a model's answer is not finite."""
        at_once, n = rows_at_once(self.source.spec), len(self.source)
        starts = track(range(0, n, at_once), total=math.ceil(n / at_once), description="translating")
        for start in starts:
            numbers = list(range(start, min(n, start + at_once)))
            answers, whole = self.answers(numbers)
            kept = self.broken.sort_out(numbers, whole)
            if kept.any():
                kept_numbers = [number for number, keep in zip(numbers, kept.tolist(), strict=True) if keep]
                yield kept_numbers, {answer: made[kept] for answer, made in answers.items()}

    def answers(self, numbers: Sequence[int]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Input, output of each model, and target, as they are shown, uint8 (N, C, H, W).

        And by model (N,) whether it is finite.
        """
        pairs = self.source.rows(numbers)
        there = self.direction == "ab"
        source, target = samples.shown(pairs, self.task)
        shown, whole = {INPUT: source if there else target}, dict[str, Tensor]()
        for name, answer in self.answering.items():
            made, whole[name] = answer(pairs.source if there else pairs.target, self.direction)
            answered = replace(pairs, target=made) if there else replace(pairs, source=made)
            shown[name] = samples.shown(answered, self.task)[1 if there else 0]
        if self.wanted:
            shown[TARGET] = target if there else source
        return dict(zip(shown, alike(*shown.values()), strict=True)), whole

    def mean_target(self, track: Track) -> Tensor:
        """The mean of all targets as they are shown, uint8 (1, C, H, W)."""
        at_once, n, total = rows_at_once(self.source.spec), len(self.source), torch.zeros(())
        starts = track(range(0, n, at_once), total=math.ceil(n / at_once), description="reading the targets")
        for start in starts:
            pairs = self.source.rows(range(start, min(n, start + at_once)))
            source, target = alike(*samples.shown(pairs, self.task))
            total = total + (target if self.direction == "ab" else source).sum(0, keepdim=True, dtype=torch.float64)
        return (total / n).round().to(torch.uint8)

    def looked_at(self, number: int) -> dict[str, Tensor]:
        """All answers to one image, uint8 (C, H, W)."""
        return {answer: made[0] for answer, made in self.answers([number])[0].items()}

    def grid(self) -> Grid:
        """Input, answers and target below each other, for images evenly taken."""
        across = samples.columns(self.source.spec.size)
        rows = evenly(len(self.source), 2 * across)
        return Grid(bands([[torch.stack(list(self.looked_at(row).values())) for row in rows]], across), across)

    def milliseconds(self) -> dict[str, float]:
        """By model, the time per image in the network."""
        return {name: answering.milliseconds for name, answering in self.answering.items()}


def alike(*kinds: Tensor) -> list[Tensor]:
    """The same images (N, C, H, W) with as many channels each: grey is repeated to three if any is in colour."""
    channels = max(kind.shape[1] for kind in kinds)
    return [kind.expand(-1, channels, -1, -1) for kind in kinds]


class Spectra:
    """Power spectra by answer, summed over the parts."""

    def __init__(self) -> None:
        """Begin with none."""
        self.sums = dict[str, Tensor]()

    def add(self, images: Mapping[str, Tensor]) -> None:
        """Uint8 images (N, C, H, W) of a part, by answer."""
        for name, part in images.items():
            self.sums[name] = self.sums.get(name, torch.zeros(())) + metrics.power_spectrum(part) * len(part)

    def periods(self) -> dict[str, dict[int, float]]:
        """By answer, the excess power at each period in pixels."""
        return {name: metrics.checkerboard(total) for name, total in self.sums.items()}  # quotients: no count needed

    def score(self, n: int, *, way: str = "") -> Score:
        """The largest excess power."""
        worst = {name: Mean(max(periods.values())) for name, periods in self.periods().items()}
        return Score(CHECKERBOARD, n, worst, each=False, way=way)
