"""How good the pictures are that a model draws: scores against pictures it has not seen, with how they were found."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

import ganvas
from ganvas import images, metrics
from ganvas.checkpoint import Model
from ganvas.data.batch import Images, Source
from ganvas.data.progress import Track, silently
from ganvas.errors import DataError
from ganvas.evaluation.found import Found
from ganvas.features import Features
from ganvas.inference import draw
from ganvas.methods._base import Method

LEAST = 50  # pictures of either kind; of fewer no covariance can be told
AT_ONCE = 250  # pictures of a source
MOST = 10_000  # reference pictures, unless more are drawn; the distances of all to all fit no memory
NEIGHBOURS_SOUGHT = 1000  # drawn pictures whose nearest training picture is looked for
NEIGHBOURS_SHOWN = 8
SHOWN = 100  # drawn pictures on the sheet
NEIGHBOUR_SIDE = 32  # pixels at which pictures are compared one by one


@dataclass(frozen=True)
class Score:
    """One number.

    Attributes:
        name: with the feature network in brackets unless it is Inception.
        value: of the model's pictures.
        interval: half of the 95 % interval around it; None where none is known.
        floor: the same of up to as many training pictures, which no model need beat; None where none are to be had.
        better: which way is better, or what it should be near.
        meaning: in a sentence.
    """

    name: str
    value: float
    interval: float | None
    floor: float | None
    better: str
    meaning: str


@dataclass(kw_only=True)
class Evaluation(Found):
    """What was found of a model that draws.

    Attributes:
        scores: the numbers.
        classes: by class, how many of the drawn pictures were judged to be of it; empty where nothing can judge.
        samples: drawn pictures, uint8 (N, C, H, W), to look at.
        neighbours: drawn pictures, eight to a row, each row over one of their nearest training pictures: first those
            nearest to any, then those of the first seeds; uint8 (N, C, H, W), None where unknown.
    """

    scores: list[Score]
    classes: dict[str, int] = field(default_factory=dict)
    samples: Tensor | None = None
    neighbours: Tensor | None = None

    def to_json(self) -> dict[str, Any]:
        """All but the pictures, as JSON values."""
        return super().to_json() | {"scores": [asdict(score) for score in self.scores], "classes": self.classes}

    def sheets(self) -> dict[str, Tensor]:
        """`samples`, and `nearest` where the training pictures are known."""
        sheets = {}
        if self.samples is not None:
            sheets["samples"] = images.grid(images.enlarge(self.samples), columns=10)
        if self.neighbours is not None:
            sheets["nearest"] = images.grid(images.enlarge(self.neighbours, side=96), columns=NEIGHBOURS_SHOWN)
        return sheets

    def __getitem__(self, name: str) -> Score:
        return next(score for score in self.scores if score.name == name)


@dataclass(frozen=True)
class _Seen:
    """What the feature network makes of a set.

    Attributes:
        features: (N, D).
        labels: (N,) the classes they are said to be of; None where nobody says.
    """

    features: Tensor
    labels: Tensor | None


def evaluate(
    model: Model,
    source: Source[Images],
    *,
    features: Features,
    count: int,
    training: Source[Images] | None = None,
    track: Track = silently,
) -> Evaluation:
    """Draw `count` pictures, of the seeds 0 to count - 1, and hold them against those of `source`.

    With `training`, what the model learned from, up to as many of its pictures are scored in the same way, and the
    nearest of them all is found for some of the drawn ones.

    Raises:
        DataError: if there are too few pictures, or they are not of the model's kind.
        ModelError: if the model does not draw from noise.
    """
    spec = model.facts.spec
    if source.spec.channels != spec.channels:
        kinds = {1: "grey", 3: "colour"}
        raise DataError(
            f"{source.name} is {kinds[source.spec.channels]} and the model draws {kinds[spec.channels]}; "
            "give pictures of the kind that it learned from"
        )
    if source.spec.size != spec.size:
        raise DataError(f"{source.name} is opened at {source.spec.size} pixels; open it at the model's {spec.size}")
    _require_enough(count, source)
    referred = min(len(source), max(count, MOST))
    real = _look(source, referred, features, track)
    if source.spec.classes != spec.classes:  # then its labels mean something else
        real = _Seen(real.features, None)
    pictures = track(draw(model.method, range(count)), total=count, description="drawing")
    fake, drawn = _look_while_drawing(pictures, features)
    if model.method.by_class:
        fake = _Seen(fake.features, torch.arange(count) % len(spec.classes))
    floor = None
    if training is not None and len(training) >= LEAST and training.title != source.title:
        floor = _look(training, min(count, len(training)), features, track)

    scores = [*_distances(features, real, fake, floor), *_class_scores(features, model.method, real, fake, floor)]
    found = Evaluation(
        model=model.facts.method,
        step=model.step,
        protocol=_protocol(model, source, features, count=count, referred=referred, training=training),
        scores=scores,
        classes=_count_classes(features, fake),
        samples=drawn[:SHOWN],
    )
    if training is not None:
        closeness, found.neighbours = _memorised(drawn, source, training, track)
        found.scores += closeness
    return found


def _require_enough(count: int, source: Source[Images]) -> None:
    if min(count, len(source)) < LEAST:
        raise DataError(
            f"{count} drawn pictures and {len(source)} of {source.name}: scores take {LEAST} or more of each"
        )


def _protocol(
    model: Model,
    source: Source[Images],
    features: Features,
    *,
    count: int,
    referred: int,
    training: Source[Images] | None,
) -> dict[str, Any]:
    facts = model.facts
    square = f"{facts.spec.size}x{facts.spec.size}"
    return {
        "drawn": f"{count} pictures of the seeds 0 to {count - 1}"
        + (", classes in turn" if model.method.by_class else "")
        + f", {square}, rounded to 8 bits",
        "reference": f"{referred} pictures of {source.title}, "
        + (
            f"scaled to {square} where not so (bicubic)"
            if source.part
            else f"centre squares scaled to {square} (Lanczos)"
        ),
        "floor": _floor_protocol(source, training, count),
        "features": features.name,
        "seen": features.protocol,
        "intervals": "95 %, from the choice of pictures alone: FID by a jackknife of tenths, KID by its blocks",
        "versions": {"ganvas": ganvas.__version__, "torch": str(torch.__version__)},
    }


def _floor_protocol(source: Source[Images], training: Source[Images] | None, count: int) -> str:
    if training is None:
        return "unknown: what it learned from is not to be found"
    if training.title == source.title:
        return "none: the reference is what it learned from, so that learning by heart would score best"
    if len(training) < LEAST:
        return f"none: it learned from {len(training)} pictures"
    return f"{min(count, len(training))} pictures of {training.title}, which it learned from"


# --- the set as a whole ---------------------------------------------------------------------------------------------


def _see(pictures: Tensor, features: Features) -> Tensor:
    with torch.inference_mode():
        return torch.cat([features.see(part).float().cpu() for part in torch.split(pictures, features.at_once)])


def _look(source: Source[Images], count: int, features: Features, track: Track = silently) -> _Seen:
    """What the network makes of `count` pictures of a source, evenly taken."""
    parts = track(
        source.parts(AT_ONCE, count), total=math.ceil(count / AT_ONCE), description=f"looking at {source.title}"
    )
    seen = [(_see(part.images, features), part.labels) for part in parts]
    labels = [of for _, of in seen if of is not None]
    return _Seen(torch.cat([rows for rows, _ in seen]), torch.cat(labels) if labels else None)


def _look_while_drawing(pictures: Iterable[Tensor], features: Features) -> tuple[_Seen, Tensor]:
    """What the network makes of all pictures (C, H, W), and the first of them, as many as are looked at one by one."""
    seen, kept, pictures = list[Tensor](), list[Tensor](), iter(pictures)
    while part := list(itertools.islice(pictures, AT_ONCE)):
        seen.append(_see(torch.stack(part), features))
        kept += part[: max(0, NEIGHBOURS_SOUGHT - len(kept))]
    return _Seen(torch.cat(seen), None), torch.stack(kept)


def _distances(features: Features, real: _Seen, fake: _Seen, floor: _Seen | None) -> Iterator[Score]:
    a, b = real.features, fake.features
    c = floor.features if floor else None
    yield Score(
        features.title("FID"),
        metrics.frechet_distance(a, b),
        metrics.jackknife(metrics.frechet_distance, a, b),
        None if c is None else metrics.frechet_distance(a, c),
        "lower",
        "how far the drawn pictures as a whole are from real ones",
    )
    kernel, interval = metrics.kernel_distance(a, b)
    yield Score(
        features.title("KID"),
        kernel,
        interval,
        None if c is None else metrics.kernel_distance(a, c)[0],
        "lower",
        "the same by kernels: without bias, so it also compares between numbers of pictures",
    )
    both = metrics.precision_and_recall(a, b)
    floors = (None, None) if c is None else metrics.precision_and_recall(a, c)
    meanings = ("share of drawn pictures that lie among real ones", "share of real ones that lie among drawn pictures")
    for name, value, bound, meaning in zip(("precision", "recall"), both, floors, meanings, strict=True):
        yield Score(features.title(name), value, None, bound, "higher", meaning)


# --- by class -------------------------------------------------------------------------------------------------------


def _count_classes(features: Features, fake: _Seen) -> dict[str, int]:
    if features.classify is None:
        return {}
    counts = torch.bincount(features.classify(fake.features), minlength=len(features.classes))
    return {name: int(n) for name, n in zip(features.classes, counts, strict=True)}


def _class_scores(features: Features, method: Method, real: _Seen, fake: _Seen, floor: _Seen | None) -> Iterator[Score]:
    spec = method.spec
    judge = features.classify if features.classes == spec.classes else None
    if judge is not None:
        if method.by_class:
            yield Score(
                "asked class",
                _share_right(judge, fake),
                _share_interval(_share_right(judge, fake), len(fake.features)),
                None if floor is None or floor.labels is None else _share_right(judge, floor),
                "higher",
                f"share of drawn pictures that the {features.name} network takes for the class that was asked for",
            )
        shares = torch.bincount(judge(fake.features), minlength=len(spec.classes)) / len(fake.features)
        for name, value in (("rarest class", shares.min()), ("commonest class", shares.max())):
            even = f"{1 / len(spec.classes):.2g}"
            yield Score(name, float(value), None, None, f"near {even}", "its share, as judged, of all drawn pictures")
    if judge is not None and not method.by_class:  # nobody says which class a picture is meant to be: judge them all
        real, fake = (_Seen(seen.features, judge(seen.features)) for seen in (real, fake))
        floor = floor and _Seen(floor.features, judge(floor.features))
    inside = real.labels is not None and fake.labels is not None
    groups = len(spec.classes) if inside else 0
    of_real = _spread(real, groups) or math.inf
    yield Score(
        features.title("diversity"),
        _spread(fake, groups) / of_real,
        None,
        None if floor is None else _spread(floor, groups) / of_real,
        "near 1",
        f"mean distance between two drawn pictures{' of a class' if inside else ''}, as a share of that of real ones",
    )


def _share_right(judge: Callable[[Tensor], Tensor], seen: _Seen) -> float:
    assert seen.labels is not None
    return float((judge(seen.features) == seen.labels).float().mean())


def _share_interval(share: float, n: int) -> float:
    """Half of the 95 % interval of a share of n (Agresti and Coull 1998), which is not 0 even for a share of 0."""
    centred = (share * n + 2) / (n + 4)
    return 1.96 * math.sqrt(centred * (1 - centred) / (n + 4))


def _spread(seen: _Seen, classes: int) -> float:
    """The mean distance of two pictures of a class, each class weighing the same; of any two for no classes."""
    if not classes or seen.labels is None:
        return metrics.spread(seen.features)
    groups = [seen.features[seen.labels == k] for k in range(classes)]
    spreads = [metrics.spread(group) for group in groups if len(group) > 1]
    return sum(spreads) / len(spreads) if spreads else 0.0


# --- one by one -----------------------------------------------------------------------------------------------------


def _memorised(
    drawn: Tensor, source: Source[Images], training: Source[Images], track: Track
) -> tuple[list[Score], Tensor]:
    """Whether drawn pictures are nearer to a training picture than new real ones are, and the nearest of some."""
    unseen = source.some(NEIGHBOURS_SOUGHT).images
    total = math.ceil(len(training) / AT_ONCE)
    parts = track(training.parts(AT_ONCE), total=total, description="seeking the nearest training pictures")
    distances, numbers = metrics.nearest(_flat(torch.cat([drawn, unseen])), (_flat(part.images) for part in parts))
    closest = torch.argsort(distances[: len(drawn)])[:NEIGHBOURS_SHOWN]
    rows = []
    for shown in (closest, torch.arange(min(NEIGHBOURS_SHOWN, len(drawn)))):
        rows += [drawn[shown], training.rows(numbers[shown].tolist()).images]
    pairs = torch.cat(rows)
    of_unseen = distances[len(drawn) :]
    if source.title == training.title:  # each is its own nearest
        return [], pairs
    near = of_unseen.quantile(0.01)
    share = float((distances[: len(drawn)] <= near).float().mean())
    return [
        Score(
            "copies",
            share,
            _share_interval(share, len(drawn)),
            None,
            "near 0.01 or less",
            "share of drawn pictures as near to a training picture as the nearest hundredth of new real ones",
        )
    ], pairs


def _flat(pictures: Tensor) -> Tensor:
    side = min(NEIGHBOUR_SIDE, pictures.shape[-1])
    return images.resize(pictures, side).flatten(1).float()


# --- while training -------------------------------------------------------------------------------------------------


def scorer(
    source: Source[Any], features: Features, *, count: int, by: Literal["fid", "kid"] = "fid"
) -> Callable[[Method], tuple[str, float]]:
    """A function that scores a method in training: `count` drawn pictures against as many of `source`, lower is better.

    Raises:
        DataError: if there are too few.
    """
    count = min(count, len(source))
    _require_enough(count, source)
    real = _look(source, count, features).features

    def score(method: Method) -> tuple[str, float]:
        fake = _look_while_drawing(draw(method, range(count)), features)[0].features
        if by == "kid":
            return features.title("KID"), metrics.kernel_distance(real, fake)[0]
        return features.title("FID"), metrics.frechet_distance(real, fake)

    return score
