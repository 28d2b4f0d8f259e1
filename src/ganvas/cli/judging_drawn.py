"""Judging models that draw, from the command line: by which pictures, and what looks at them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ganvas.cli import console
from ganvas.cli.learned import Contender, held_out_of, without_known
from ganvas.errors import DataError, ModelError, UsageError

if TYPE_CHECKING:
    from ganvas.checkpoint.manifest import Facts
    from ganvas.data.batch import Images, Source, Spec
    from ganvas.evaluation import Evaluation

DRAWN_BY = ("digits", "inception")  # what looks at them


def judge_drawn(
    models: Mapping[str, Contender],
    data: str,
    root: Path,
    *,
    count: int,
    features: str,
    weights: Path | None,
) -> "Evaluation":
    """Let models draw, and hold their pictures against real ones.

    Raises:
        UsageError: for models of different sizes or colours, or a network that is not to be had.
        DataError: if a picture cannot be read.
    """
    from dataclasses import replace

    from ganvas import evaluation
    from ganvas.data import open_for
    from ganvas.data.batch import Images
    from ganvas.metrics.features import Name, open_features, suited

    spec = _one_shape(models)
    source: Source[Images] = open_for(
        (Images,), data, root=root, size=spec.size, split="test", holdout=held_out_of(models, data),
        track=console.track,
    )  # fmt: skip
    source, notes, _ = without_known(models, source)
    name = suited(spec) if features == "auto" else cast(Name, features)
    if weights and name != "inception":
        raise UsageError(
            f"--weights {weights}: are Inception's, and the {name} network judges; add --features inception"
        )
    device = next(next(iter(models.values())).model.method.parameters()).device
    judge = open_features(name, device=device, weights=weights, framed=source.name == "digits")
    opened: dict[tuple[str, float], Source[Images] | None] = {}  # models often learned from the same
    training: dict[str, Source[Images]] = {}
    for called, one in models.items():
        key = one.facts.data, one.facts.holdout
        if key not in opened:
            opened[key] = _training_source(one.facts, root)
        if (known := opened[key]) is not None:
            training[called] = known
    found = evaluation.evaluate_drawn(
        {name: one.model for name, one in models.items()}, source, features=judge, count=count, training=training,
        track=console.track,
    )  # fmt: skip
    return replace(found, notes=[*notes, *found.notes])


def _one_shape(models: Mapping[str, Contender]) -> "Spec":
    """The shape of what all draw."""
    specs = {name: one.model.facts.spec for name, one in models.items()}
    shapes = {(spec.size, spec.channels) for spec in specs.values()}
    if len(shapes) > 1:
        kinds = {1: "grey", 3: "colour"}
        said = ", ".join(f"{name} {spec.size} pixels in {kinds[spec.channels]}" for name, spec in specs.items())
        raise UsageError(f"these draw pictures of different shapes ({said}); compare models of one")
    return next(iter(specs.values()))


def _training_source(facts: "Facts", root: Path) -> "Source[Images] | None":
    """What the model learned from, if it is still where it was; a model file by itself knows named sets only."""
    from ganvas.data import open_for
    from ganvas.data.batch import Images
    from ganvas.data.builtin import NAMES

    data = facts.data
    try:
        if data not in NAMES and not Path(data).is_absolute():
            raise DataError(f"the model knows no more than its name, {data}")
        source: Source[Images] = open_for(
            (Images,), data, root=root, size=facts.spec.size, holdout=facts.holdout, track=console.track
        )
        if source.spec != facts.spec:
            raise DataError(f"{data} has changed since, or is another of that name")
    except (DataError, ModelError) as error:
        console.say(f"what it learned from is not to be found, so it is not compared with that ({error})")
        return None
    return source
