"""Scores of generated images by class: whether they are of the requested ones, of all, and how varied within each."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ganvas import metrics
from ganvas.data.batch import Spec
from ganvas.evaluation.measures import Measure
from ganvas.evaluation.statistics import TRAINING, Mean, Score
from ganvas.methods._base import Method
from ganvas.metrics.features import Features

Classify = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Labelled:
    """The features of a set.

    Attributes:
        features: (N, D).
        labels: (N,) their classes; None if unknown.
    """

    features: Tensor
    labels: Tensor | None


def count_classes(features: Features, sets: Mapping[str, Tensor]) -> dict[str, dict[str, int]]:
    """By model, how many of its images, by their features (N, D), are classified as each class."""
    if features.classify is None:
        return {}
    classes = features.classes
    counts = {name: torch.bincount(features.classify(rows), minlength=len(classes)) for name, rows in sets.items()}
    return {name: dict(zip(classes, of_each.tolist(), strict=True)) for name, of_each in counts.items()}


def class_scores(
    features: Features, methods: Mapping[str, Method], spec: Spec, *, unseen: Labelled, sets: Mapping[str, Labelled]
) -> list[Score]:
    """The scores by class of all models, and of the training images.

    Args:
        features: the network.
        methods: by name.
        spec: of the real images.
        unseen: the real images.
        sets: the images of each model, and of the training if they are known.
    """
    within = all(_classes_known(features, method, unseen, spec) for method in methods.values())
    known = dict[str, tuple[Measure, dict[str, Mean]]]()
    for name, method in methods.items():
        real = unseen if spec.classes == method.spec.classes else Labelled(unseen.features, None)
        given = _Sets(real, sets[name], sets.get(TRAINING))
        for measure, value, floor in _class_values(features, method, given, within=within):
            _, values = known.setdefault(measure.name, (measure, {} if floor is None else {TRAINING: floor}))
            values[name] = value
    n = len(sets[next(iter(methods))].features)
    return [Score(measure, n, _training_last(values), each=False) for measure, values in known.values()]


def _training_last(values: Mapping[str, Mean]) -> dict[str, Mean]:
    return dict(sorted(values.items(), key=lambda of: of[0] == TRAINING))


@dataclass(frozen=True)
class _Sets:
    """The sets that a model's images are compared with."""

    real: Labelled
    fake: Labelled
    floor: Labelled | None

    def classified(self, classify: Classify) -> "_Sets":
        """All of them with the labels that a network gives."""
        real, fake = (Labelled(one.features, classify(one.features)) for one in (self.real, self.fake))
        return _Sets(real, fake, self.floor and Labelled(self.floor.features, classify(self.floor.features)))


Value = tuple[Measure, Mean, Mean | None]  # of a model, and of the training images


def _class_values(features: Features, method: Method, sets: _Sets, *, within: bool) -> Iterator[Value]:
    """Whether the images of one model are of the requested class, of all classes, and varied."""
    classify, n = _classifier_of(features, method.spec), len(method.spec.classes)
    if classify is not None:
        if method.by_class:
            yield _requested(features, classify, sets)
        yield from _balance(classify(sets.fake.features), n)
        if not method.by_class:  # no classes are given
            sets = sets.classified(classify)
    yield _diversity(features, sets, n if within else 0)


def _requested(features: Features, classify: Classify, sets: _Sets) -> Value:
    meaning = f"fraction of generated images that the {features.name} network puts in the requested class"
    floor = None if sets.floor is None or sets.floor.labels is None else Mean(_fraction_right(classify, sets.floor))
    return (
        Measure(name="asked class", better="higher", digits=".4g", meaning=meaning),
        fraction(_fraction_right(classify, sets.fake), len(sets.fake.features)),
        floor,
    )


def _balance(labels: Tensor, n: int) -> Iterator[Value]:
    fractions = torch.bincount(labels, minlength=n) / len(labels)
    for name, value in (("rarest class", fractions.min()), ("commonest class", fractions.max())):
        even, meaning = f"{1 / n:.2g}", "its fraction of all generated images, as classified"
        yield Measure(name=name, better=f"near {even}", digits=".4g", meaning=meaning), Mean(float(value)), None


def _diversity(features: Features, sets: _Sets, n: int) -> Value:
    of_real = _spread(sets.real, n) or math.inf
    of_class = " of a class, where it is given or can be classified" if n else ""
    meaning = f"mean distance between two generated images{of_class}, as a fraction of that of real ones"
    measure = Measure(name=features.title("diversity"), better="near 1", digits=".4g", meaning=meaning)
    floor = None if sets.floor is None else Mean(_spread(sets.floor, n) / of_real)
    return measure, Mean(_spread(sets.fake, n) / of_real), floor


def fraction(value: float, n: int) -> Mean:
    """A fraction of n with its 95 % interval (Agresti and Coull 1998), which is not 0 even for the fraction 0."""
    centred = (value * n + 2) / (n + 4)
    return Mean.around(value, 1.96 * math.sqrt(centred * (1 - centred) / (n + 4)))


def _classifier_of(features: Features, spec: Spec) -> Classify | None:
    """The classifier of these classes, if there is one."""
    return features.classify if features.classes == spec.classes else None


def _classes_known(features: Features, method: Method, real: Labelled, spec: Spec) -> bool:
    """Whether the classes of a method's images and of real ones are given, or can be classified.

    For all models, or for none: else their values could not be compared.
    """
    if method.by_class:
        return real.labels is not None and spec.classes == method.spec.classes
    return _classifier_of(features, method.spec) is not None


def _fraction_right(classify: Classify, known: Labelled) -> float:
    assert known.labels is not None
    return float((classify(known.features) == known.labels).float().mean())


def _spread(known: Labelled, classes: int) -> float:
    """The mean distance of two images of a class, with equal class weights; of any two if there are no classes."""
    if not classes or known.labels is None:
        return metrics.spread(known.features)
    groups = [known.features[known.labels == k] for k in range(classes)]
    spreads = [metrics.spread(group) for group in groups if len(group) > 1]
    return sum(spreads) / len(spreads) if spreads else 0.0
