"""Evaluation of generators: scores of generated images against unseen ones, with the protocol."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

import ganvas
from ganvas import metrics
from ganvas.checkpoint import Model
from ganvas.data.batch import ImageBatch, Source, Spec
from ganvas.data.progress import Track, silently
from ganvas.errors import DataError
from ganvas.evaluation.collect import collect
from ganvas.evaluation.collectors.by_class import Labelled, class_scores, count_classes, fraction
from ganvas.evaluation.measures import COPIES, GENERATED, SETS, SWD
from ganvas.evaluation.outputs import KINDS
from ganvas.evaluation.protocol import formulas
from ganvas.evaluation.results import Evaluation, Grid, ModelSummary
from ganvas.evaluation.scoring import LEAST, patch_scores, set_score
from ganvas.evaluation.statistics import TARGET, TRAINING, Mean, Score
from ganvas.evaluation.sums import FeatureSets, Sliced, features_of
from ganvas.imaging import images
from ganvas.inference.generate import draw
from ganvas.methods._base import Method
from ganvas.metrics import Patches
from ganvas.metrics.features import Features

AT_ONCE = 250  # images of a source; fewer of large ones
_BYTES_AT_ONCE = 2**27
MOST = 10_000  # reference images, unless more are generated; the distances of all to all would not fit in memory
NEIGHBOURS_SOUGHT = 1000  # generated images whose nearest training image is searched
NEIGHBOURS_SHOWN = 8
SHOWN = 100  # generated images on the grid
NEIGHBOUR_SIDE = 32  # pixels at which images are compared with each other


def evaluate_generated(
    models: Mapping[str, Model],
    source: Source[ImageBatch],
    *,
    features: Features,
    count: int,
    training: Mapping[str, Source[ImageBatch]] | None = None,
    track: Track = silently,
) -> Evaluation:
    """Let each model generate `count` images, of the seeds 0 to count - 1, and compare them with those of `source`.

    With `training`, the models' training data, up to as many of its images are scored in the same way (if it is one set
    for all), and the nearest of them all is found for some of the generated images.

    Raises:
        DataError: if there are too few images, or they are of another kind than the models'.
        ModelError: if a model does not generate from noise.
    """
    return collect(Generated(models, source, features, count=count, training=training or {}), track=track)


@dataclass(frozen=True)
class Drawn:
    """Images of one set: generated, or real.

    Attributes:
        answer: the name of their model, or of the real ones.
        images: uint8 (N, C, H, W).
        labels: (N,) their classes; None if unknown.
    """

    answer: str
    images: Tensor
    labels: Tensor | None = None


class Generated:
    """Generates images with each model, and compares them with real ones, seen in training and not."""

    def __init__(
        self,
        models: Mapping[str, Model],
        source: Source[ImageBatch],
        features: Features,
        *,
        count: int,
        training: Mapping[str, Source[ImageBatch]],
    ) -> None:
        """Check that the models fit the images; see `evaluate_generated`."""
        for model in models.values():
            _require_kind(model, source)
        _require_enough(count, source)
        self.models, self.source, self.training, self.count = models, source, training, count
        self.referred = min(len(source), max(count, MOST))
        self.known, self.floor = _floor(training, models, source, count)
        self.features, self.labels = FeatureSets(features), dict[str, list[Tensor]]()
        self.patches = {TARGET: Patches(self.referred, use=count)}
        if self.known:
            self.patches[TRAINING] = Patches(min(count, len(self.known)), use=self.referred)
        self.slices = dict[str, Sliced]()
        self.small = {name: list[Tensor]() for name in models}
        self.milliseconds = dict[str, float]()
        self.grids, self.closeness = dict[str, Grid](), dict[str, Mean]()

    def batches(self, track: Track) -> Iterator[Drawn]:
        """The real images, those of the training, and those that each model generates."""
        yield from _read(TARGET, self.source, self.referred, track)
        if self.known:
            yield from _read(TRAINING, self.known, min(self.count, len(self.known)), track)
        for name, model in self.models.items():
            doing = f"drawing: {name}" if len(self.models) > 1 else "drawing"
            drawn = iter(track(draw(model.method, range(self.count)), total=self.count, description=doing))
            self.milliseconds[name], self.patches[name] = 0.0, Patches(self.count, use=self.referred)
            while part := self._timed(name, drawn):
                yield Drawn(name, torch.stack(part))
            mine = self.patches.pop(name)  # before the next model: those of one may take half a gigabyte
            self.slices[name] = Sliced.between(self.patches[TARGET], mine)

    def _timed(self, name: str, drawn: Iterator[Tensor]) -> list[Tensor]:
        start = time.perf_counter()
        part = list(itertools.islice(drawn, _at_once(self.source.spec)))
        self.milliseconds[name] += 1000 * (time.perf_counter() - start) / self.count
        return part

    def add(self, batch: Drawn) -> None:
        """Keep features and patches, and of generated images small copies of those that are compared one by one."""
        self.features.add({batch.answer: batch.images})
        self.patches[batch.answer].add(batch.images)
        if batch.labels is not None:
            self.labels.setdefault(batch.answer, []).append(batch.labels)
        if (small := self.small.get(batch.answer)) is not None and (
            left := NEIGHBOURS_SOUGHT - sum(map(len, small))
        ) > 0:
            small.append(_small(batch.images[:left]))

    def finish(self, track: Track) -> None:
        """Compare the training images with the real ones, and search those that are nearest to generated ones."""
        real, fewest = self.patches[TARGET], min(one.n for one in self.slices.values())
        if self.known and min(real.n, self.patches[TRAINING].n) == fewest:  # fewer would give a larger value
            self.slices[TRAINING] = Sliced.between(real, self.patches[TRAINING])
        for name, parts in self.small.items():
            suffix, drawn = f"-{name}" if len(self.models) > 1 else "", torch.cat(parts)
            self.grids[f"samples{suffix}"] = Grid(drawn[:SHOWN], across=10)
            if name in self.training:
                near, neighbours = _memorised(drawn, self.source, self.training[name], track)
                self.closeness |= {name: near} if near else {}
                self.grids[f"nearest{suffix}"] = Grid(neighbours, across=NEIGHBOURS_SHOWN, side=96)

    def evaluation(self, models: Sequence[ModelSummary]) -> Evaluation:
        """The scores of all sets, with the protocol."""
        sets, names = self.features.sets(), list(self.models)
        real = sets.pop(TARGET)
        answers = {name: sets[name] for name in (*names, *([TRAINING] if self.known else []))}
        title, n = self.features.features.title, min(self.count, NEIGHBOURS_SOUGHT)
        whole, alone = ([replace(one, name=title(one.name)) for one in table] for table in (SETS, GENERATED))
        copies = [Score(COPIES, n, self.closeness, each=False)] if self.closeness else []
        return Evaluation(
            kind="generated",
            data=self.source.short_title,
            models=models,
            baselines={TRAINING: "images that the models learned from: the best possible score"} if self.known else {},
            protocol=self._protocol(),
            scores=[
                *(set_score(measure, real, answers, names) for measure in whole),
                *patch_scores(self.slices, names),
                *(set_score(measure, real, answers, names, n=self.count) for measure in alone),
                *self._class_scores(real, answers),
                *copies,
            ],
            grids=self.grids,
            classes=count_classes(self.features.features, {name: answers[name] for name in names}),
            milliseconds=self.milliseconds,
        )

    def _class_scores(self, real: Tensor, answers: Mapping[str, Tensor]) -> list[Score]:
        """The scores by class."""
        labels = {answer: torch.cat(parts) for answer, parts in self.labels.items()}
        for name, model in self.models.items():
            if model.method.by_class:  # in turn
                labels[name] = torch.arange(self.count) % len(model.manifest.spec.classes)
        sets = {answer: Labelled(rows, labels.get(answer)) for answer, rows in answers.items()}
        unseen = Labelled(real, labels.get(TARGET))
        methods = {name: model.method for name, model in self.models.items()}
        return class_scores(self.features.features, methods, self.source.spec, unseen=unseen, sets=sets)

    def _protocol(self) -> dict[str, Any]:
        spec, source, features = self.source.spec, self.source, self.features.features
        square = f"{spec.size}x{spec.size}"
        scaled = (
            f"scaled to {square} where not so (bicubic)"
            if source.part
            else f"centre squares scaled to {square} (Lanczos)"
        )
        by_class = any(model.method.by_class for model in self.models.values())
        return {
            "generated": f"{self.count} images of the seeds 0 to {self.count - 1}"
            + (", classes in turn where a model generates by class" if by_class else "")
            + f", {square}, rounded to 8 bits",
            "reference": f"{self.referred} images of {source.short_title}, {scaled}",
            "floor": self.floor,
            "features": features.name,
            "preprocessing": features.protocol,
            **formulas([SWD]),
            "intervals": "95 %, for the choice of images alone: FID and SWD by a jackknife of tenths, KID by its "
            "blocks; differences by the same tenths and blocks for both models",
            "versions": {"ganvas": ganvas.__version__, "torch": str(torch.__version__)},
        }


def _require_kind(model: Model, source: Source[ImageBatch]) -> None:
    spec = model.manifest.spec
    if source.spec.channels != spec.channels:
        raise DataError(
            f"{source.name} is {KINDS[source.spec.channels]} and the model generates {KINDS[spec.channels]}; "
            "give images of the kind that it learned from"
        )
    if source.spec.size != spec.size:
        raise DataError(f"{source.name} is opened at {source.spec.size} pixels; open it at the model's {spec.size}")


def _floor(
    training: Mapping[str, Source[ImageBatch]], models: Mapping[str, Model], source: Source[ImageBatch], count: int
) -> tuple[Source[ImageBatch] | None, str]:
    """The common training data of all models, if it differs from the reference and is enough; and what to say of it."""
    sets = {known.title: known for known in training.values()}
    if training.keys() != models.keys():
        return None, "unknown: the training data were not found"
    if len(sets) > 1:
        return None, "none: the models learned from different images"
    (known,) = sets.values()
    if known.title == source.title:
        return None, "none: the reference is the training data, so that memorising would score best"
    if len(known) < LEAST:
        return None, f"none: the training data are {len(known)} images"
    return known, f"{min(count, len(known))} images of {known.short_title}, the training data"


def _require_enough(count: int, source: Source[ImageBatch]) -> None:
    if min(count, len(source)) < LEAST:
        raise DataError(
            f"{count} generated images and {len(source)} of {source.name}: scores take {LEAST} or more of each"
        )


# --- the images -----------------------------------------------------------------------------------------------------


def _read(answer: str, source: Source[ImageBatch], count: int, track: Track) -> Iterator[Drawn]:
    """`count` images of a source, evenly taken."""
    some = _at_once(source.spec)
    parts = track(source.parts(some, count), total=math.ceil(count / some), description=f"reading {source.title}")
    for part in parts:
        yield Drawn(answer, part.images, part.labels)


def _at_once(spec: Spec) -> int:
    return max(1, min(AT_ONCE, _BYTES_AT_ONCE // spec.bytes))


# --- one by one -----------------------------------------------------------------------------------------------------


def _memorised(
    drawn: Tensor, source: Source[ImageBatch], training: Source[ImageBatch], track: Track
) -> tuple[Mean | None, Tensor]:
    """The fraction of generated images as near to a training image as few new real ones, and the nearest of some."""
    some = _at_once(source.spec)
    unseen = [_flat(part.images) for part in source.parts(some, min(NEIGHBOURS_SOUGHT, len(source)))]
    total = math.ceil(len(training) / some)
    parts = track(training.parts(some), total=total, description="finding the nearest training images")
    distances, numbers = metrics.nearest(torch.cat([_flat(drawn), *unseen]), (_flat(part.images) for part in parts))
    closest = torch.argsort(distances[: len(drawn)])[:NEIGHBOURS_SHOWN]
    rows = []
    for shown in (closest, torch.arange(min(NEIGHBOURS_SHOWN, len(drawn)))):
        rows += [drawn[shown], _small(training.rows(numbers[shown].tolist()).images)]
    pairs = torch.cat(rows)
    of_unseen = distances[len(drawn) :]
    if source.title == training.title:  # each is its own nearest
        return None, pairs
    near = of_unseen.quantile(0.01)
    share = float((distances[: len(drawn)] <= near).float().mean())
    return fraction(share, len(drawn)), pairs


def _small(whole: Tensor) -> Tensor:
    """Images as they are kept and shown: a thousand of 1024 pixels would take three gigabytes."""
    return images.resize(whole, min(images.ON_A_GRID, whole.shape[-1]))


def _flat(whole: Tensor) -> Tensor:
    small = _small(whole)
    return images.resize(small, min(NEIGHBOUR_SIDE, small.shape[-1])).flatten(1).float()


# --- while training -------------------------------------------------------------------------------------------------


def scorer(
    source: Source[Any], features: Features, *, count: int, by: Literal["fid", "kid"] = "fid"
) -> Callable[[Method], tuple[str, float]]:
    """A function that scores a method in training: `count` generated images against as many real ones; lower is better.

    Raises:
        DataError: if there are too few.
    """
    count, some = min(count, len(source)), _at_once(source.spec)
    _require_enough(count, source)
    real = torch.cat([features_of(features, part.images) for part in source.parts(some, count)])

    def score(method: Method) -> tuple[str, float]:
        drawn = draw(method, range(count))
        parts = iter(lambda: list(itertools.islice(drawn, some)), [])
        fake = torch.cat([features_of(features, torch.stack(part)) for part in parts])
        if by == "kid":
            return features.title("KID"), metrics.kernel_distance(real, fake)[0]
        return features.title("FID"), metrics.frechet_distance(real, fake)

    return score
