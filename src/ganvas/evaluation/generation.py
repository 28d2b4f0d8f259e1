"""Evaluation of generators: scores of generated images against unseen ones, with the protocol."""

import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

import ganvas
from ganvas import metrics
from ganvas.checkpoint import Model
from ganvas.data.batch import ImageBatch, Source, Spec
from ganvas.data.progress import Track, silently
from ganvas.errors import DataError
from ganvas.evaluation.comparing import LEAST, distances
from ganvas.evaluation.outputs import KINDS, device_of, judged
from ganvas.evaluation.patches import SWD, Sliced, patch_scores
from ganvas.evaluation.perceptual import seen_by
from ganvas.evaluation.protocol import formulas
from ganvas.evaluation.results import Evaluation
from ganvas.evaluation.statistics import TRAINING, Grid, Mean, Measure, Score
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


@dataclass(frozen=True)
class _Seen:
    """The features of a set.

    Attributes:
        features: (N, D).
        labels: (N,) their classes; None if unknown.
    """

    features: Tensor
    labels: Tensor | None


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
    training = training or {}
    for model in models.values():
        _require_kind(model, source)
    _require_enough(count, source)
    referred = min(len(source), max(count, MOST))
    wanted, apart = Patches(referred, use=count), dict[str, Sliced]()
    real = _look(source, referred, features, track, wanted)
    known, of_floor = _floor(training, models, source, count)
    learned = Patches(min(count, len(known)), use=referred) if known else None
    floor = _look(known, min(count, len(known)), features, track, learned) if known else None
    scores, classes, grids, milliseconds = dict[str, _Row](), {}, {}, {}
    within = all(_tells_classes(features, model, real, source) for model in models.values())
    seen, closeness = dict[str, Tensor](), dict[str, Mean]()
    for name, model in models.items():
        start = time.perf_counter()
        images = track(draw(model.method, range(count)), total=count, description=_naming("drawing", name, models))
        drawn_patches = Patches(count, use=referred)
        fake, drawn, looking = _look_while_drawing(images, features, source.spec, drawn_patches)
        milliseconds[name] = 1000 * (time.perf_counter() - start - looking) / count
        apart[name] = Sliced.between(wanted, drawn_patches)
        if model.method.by_class:
            fake = _Seen(fake.features, torch.arange(count) % len(model.manifest.spec.classes))
        ours = real if source.spec.classes == model.manifest.spec.classes else _Seen(real.features, None)
        seen[name] = fake.features
        for row in _rows(features, model.method, ours, fake, floor, within=within):
            scores.setdefault(row.measure.name, row).take(name, row)
        if counted := _count_classes(features, fake):
            classes[name] = counted
        suffix = f"-{name}" if len(models) > 1 else ""
        grids[f"samples{suffix}"] = Grid(drawn[:SHOWN], across=10)
        if name in training:
            near, neighbours = _memorised(drawn, source, training[name], track)
            closeness |= {name: near} if near else {}
            grids[f"nearest{suffix}"] = Grid(neighbours, across=NEIGHBOURS_SHOWN, side=96)
    answers = seen | ({TRAINING: floor.features} if floor else {})
    if learned and min(wanted.n, learned.n) == min(one.n for one in apart.values()):  # fewer would give a larger value
        apart[TRAINING] = Sliced.between(wanted, learned)
    found = [
        *distances(features, real.features, answers, list(models)),
        *patch_scores(apart, list(models)),
        *(row.score(count) for row in scores.values()),
        *([Score(_COPIES, min(count, NEIGHBOURS_SOUGHT), closeness, each=False)] if closeness else []),
    ]
    return Evaluation(
        kind="generated",
        data=source.short_title,
        models=[judged(name, model) for name, model in models.items()],
        baselines={TRAINING: "images that the models learned from: the best possible score"} if floor else {},
        protocol=_protocol(models, source, features, count=count, referred=referred, floor=of_floor),
        scores=found,
        grids=grids,
        classes=classes,
        milliseconds=milliseconds,
        device=str(device_of(next(iter(models.values())).method)),
    )


def _naming(what: str, name: str, models: Mapping[str, Model]) -> str:
    return f"{what}: {name}" if len(models) > 1 else what


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


@dataclass
class _Row:
    """A score that is collected model by model."""

    measure: Measure
    values: dict[str, Mean]
    floor: float | None

    def take(self, name: str, row: "_Row") -> None:
        """The value of one more model."""
        self.values[name] = row.values[""]

    def score(self, n: int) -> Score:
        """The score of all models."""
        values = {name: mean for name, mean in self.values.items() if name}
        if self.floor is not None:
            values[TRAINING] = Mean(self.floor)
        return Score(self.measure, n, values, each=False)


def _row(measure: Measure, value: float, half: float | None, floor: float | None) -> _Row:
    return _Row(measure, {"": Mean(value) if half is None else Mean.around(value, half)}, floor)


def _require_enough(count: int, source: Source[ImageBatch]) -> None:
    if min(count, len(source)) < LEAST:
        raise DataError(
            f"{count} generated images and {len(source)} of {source.name}: scores take {LEAST} or more of each"
        )


def _protocol(
    models: Mapping[str, Model],
    source: Source[ImageBatch],
    features: Features,
    *,
    count: int,
    referred: int,
    floor: str,
) -> dict[str, Any]:
    square = f"{source.spec.size}x{source.spec.size}"
    scaled = (
        f"scaled to {square} where not so (bicubic)" if source.part else f"centre squares scaled to {square} (Lanczos)"
    )
    by_class = any(model.method.by_class for model in models.values())
    return {
        "generated": f"{count} images of the seeds 0 to {count - 1}"
        + (", classes in turn where a model generates by class" if by_class else "")
        + f", {square}, rounded to 8 bits",
        "reference": f"{referred} images of {source.short_title}, {scaled}",
        "floor": floor,
        "features": features.name,
        "seen": features.protocol,
        **formulas([SWD]),
        "intervals": "95 %, for the choice of images alone: FID and SWD by a jackknife of tenths, KID by its "
        "blocks; differences by the same tenths and blocks for both models",
        "versions": {"ganvas": ganvas.__version__, "torch": str(torch.__version__)},
    }


# --- the set as a whole ---------------------------------------------------------------------------------------------


def _look(
    source: Source[ImageBatch], count: int, features: Features, track: Track = silently, patches: Patches | None = None
) -> _Seen:
    """The features of `count` images of a source, evenly taken; their patches are added to `patches`."""
    some = _at_once(source.spec)
    parts = track(source.parts(some, count), total=math.ceil(count / some), description=f"reading {source.title}")
    seen = list[tuple[Tensor, Tensor | None]]()
    for part in parts:
        seen.append((seen_by(features, part.images), part.labels))
        if patches:
            patches.add(part.images)
    labels = [of for _, of in seen if of is not None]
    return _Seen(torch.cat([rows for rows, _ in seen]), torch.cat(labels) if labels else None)


def _at_once(spec: Spec) -> int:
    return max(1, min(AT_ONCE, _BYTES_AT_ONCE // spec.bytes))


def _look_while_drawing(
    images: Iterable[Tensor], features: Features, spec: Spec, patches: Patches | None = None
) -> tuple[_Seen, Tensor, float]:
    """The features of all images (C, H, W), small copies of those compared one by one, and the seconds it took."""
    seen, kept, images, seconds = list[Tensor](), list[Tensor](), iter(images), 0.0
    while part := list(itertools.islice(images, _at_once(spec))):
        start = time.perf_counter()
        seen.append(seen_by(features, torch.stack(part)))
        if patches:
            patches.add(torch.stack(part))
        seconds += time.perf_counter() - start
        if lacking := part[: max(0, NEIGHBOURS_SOUGHT - sum(map(len, kept)))]:
            kept.append(_small(torch.stack(lacking)))
    return _Seen(torch.cat(seen), None), torch.cat(kept), seconds


def _rows(
    features: Features, method: Method, real: _Seen, fake: _Seen, floor: _Seen | None, *, within: bool
) -> Iterator[_Row]:
    """The scores of one model's images other than the distances of the sets."""
    a, b = real.features, fake.features
    both = metrics.precision_and_recall(a, b)
    floors = (None, None) if floor is None else metrics.precision_and_recall(a, floor.features)
    meanings = (
        "fraction of generated images that lie among real ones",
        "fraction of real ones that lie among generated images",
    )
    for name, value, bound, meaning in zip(("precision", "recall"), both, floors, meanings, strict=True):
        measure = Measure(name=features.title(name), better="higher", digits=".4g", meaning=meaning)
        yield _row(measure, value, None, bound)
    yield from _class_rows(features, method, real, fake, floor, within=within)


# --- by class -------------------------------------------------------------------------------------------------------


def _count_classes(features: Features, fake: _Seen) -> dict[str, int]:
    if features.classify is None:
        return {}
    counts = torch.bincount(features.classify(fake.features), minlength=len(features.classes))
    return {name: int(n) for name, n in zip(features.classes, counts, strict=True)}


def _judge_of(features: Features, spec: Spec) -> Callable[[Tensor], Tensor] | None:
    """The classifier of these classes, if there is one."""
    return features.classify if features.classes == spec.classes else None


def _tells_classes(features: Features, model: Model, real: _Seen, source: Source[ImageBatch]) -> bool:
    """Whether the classes of a model's images and of real ones are given, or can be classified."""
    if model.method.by_class:
        return real.labels is not None and source.spec.classes == model.manifest.spec.classes
    return _judge_of(features, model.manifest.spec) is not None


def _class_rows(
    features: Features, method: Method, real: _Seen, fake: _Seen, floor: _Seen | None, *, within: bool
) -> Iterator[_Row]:
    spec = method.spec
    judge = _judge_of(features, spec)
    if judge is not None:
        if method.by_class:
            meaning = f"fraction of generated images that the {features.name} network puts in the requested class"
            right, n = _share_right(judge, fake), len(fake.features)
            of_floor = None if floor is None or floor.labels is None else _share_right(judge, floor)
            measure = Measure(name="asked class", better="higher", digits=".4g", meaning=meaning)
            yield _row(measure, right, _share_interval(right, n), of_floor)
        shares = torch.bincount(judge(fake.features), minlength=len(spec.classes)) / len(fake.features)
        for name, value in (("rarest class", shares.min()), ("commonest class", shares.max())):
            even, meaning = f"{1 / len(spec.classes):.2g}", "its fraction of all generated images, as classified"
            yield _row(
                Measure(name=name, better=f"near {even}", digits=".4g", meaning=meaning), float(value), None, None
            )
    if judge is not None and not method.by_class:  # no classes are given: classify all images
        real, fake = (_Seen(seen.features, judge(seen.features)) for seen in (real, fake))
        floor = floor and _Seen(floor.features, judge(floor.features))
    groups = len(spec.classes) if within else 0  # for all models, or for none: else their values could not be compared
    of_real = _spread(real, groups) or math.inf
    of_class = " of a class, where it is given or can be classified" if within else ""
    meaning = f"mean distance between two generated images{of_class}, as a fraction of that of real ones"
    yield _row(
        Measure(name=features.title("diversity"), better="near 1", digits=".4g", meaning=meaning),
        _spread(fake, groups) / of_real, None, None if floor is None else _spread(floor, groups) / of_real,
    )  # fmt: skip


def _share_right(judge: Callable[[Tensor], Tensor], seen: _Seen) -> float:
    assert seen.labels is not None
    return float((judge(seen.features) == seen.labels).float().mean())


def _share_interval(share: float, n: int) -> float:
    """Half of the 95 % interval of a fraction of n (Agresti and Coull 1998), which is not 0 even for the fraction 0."""
    centred = (share * n + 2) / (n + 4)
    return 1.96 * math.sqrt(centred * (1 - centred) / (n + 4))


def _spread(seen: _Seen, classes: int) -> float:
    """The mean distance of two images of a class, with equal class weights; of any two if there are no classes."""
    if not classes or seen.labels is None:
        return metrics.spread(seen.features)
    groups = [seen.features[seen.labels == k] for k in range(classes)]
    spreads = [metrics.spread(group) for group in groups if len(group) > 1]
    return sum(spreads) / len(spreads) if spreads else 0.0


# --- one by one -----------------------------------------------------------------------------------------------------


_COPIES = Measure(
    name="copies", better="near 0.01 or less", digits=".4g",
    meaning="fraction of generated images as near to a training image as the nearest hundredth of new real ones",
)  # fmt: skip


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
    return Mean.around(share, _share_interval(share, len(drawn))), pairs


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
    count = min(count, len(source))
    _require_enough(count, source)
    real = _look(source, count, features).features

    def score(method: Method) -> tuple[str, float]:
        fake, _, _ = _look_while_drawing(draw(method, range(count)), features, source.spec)
        if by == "kid":
            return features.title("KID"), metrics.kernel_distance(real, fake.features)[0]
        return features.title("FID"), metrics.frechet_distance(real, fake.features)

    return score
