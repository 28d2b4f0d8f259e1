"""Judging models that translate, from the command line: by which pairs, and what looks at them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ganvas.cli import console
from ganvas.cli.judging_style import device_of, open_judge
from ganvas.cli.learned import Contender, held_out_of, learned_from, same_folder, sizes_said, without_known
from ganvas.errors import UsageError

if TYPE_CHECKING:
    import torch

    from ganvas.data.batch import Batch, Source, Spec
    from ganvas.evaluation import Evaluation
    from ganvas.metrics.features import Features
    from ganvas.nets.vgg import VGG19


def judge_translators(
    models: Mapping[str, Contender],
    data: str,
    root: Path,
    *,
    ways: Mapping[str, str],
    direction: Literal["ab", "ba"] | None,
    size: int | None,
    features: str,
    lpips: bool,
    weights: Path | None,
    pictures_only: bool,
    paired: bool,
) -> "Evaluation":
    """Hold what models make of pictures against what they should make, or against what comes back.

    `ways` says where partners come from, by `target`, `side` and `task`; empty for what the models learned.

    Raises:
        UsageError: for models that learned different things, or flags that do not fit.
        DataError: for pictures that cannot be used.
    """
    from dataclasses import replace

    from ganvas import evaluation
    from ganvas.data import open_for
    from ganvas.data.batch import Unpaired
    from ganvas.data.tasks import base
    from ganvas.data.unpaired import TwoSets

    by_name = {name: one.model for name, one in models.items()}
    chosen: dict[str, Any] = dict(ways)
    notes = list[str]()
    measuring = lpips or features != "auto" or paired
    if pictures_only:
        if any(chosen.values()) or measuring:
            raise UsageError("--pictures-only: measures nothing, so leave out whatever says what is to be measured")
        chosen["task"] = _tasks(models) or "reconstruct"
    elif not any(chosen.values()):
        chosen, notes = _ways_of_all(models, data)
        pictures_only = bool(notes)
        if pictures_only and measuring:
            raise UsageError(f"--features, --lpips and --paired are for pictures with partners; {notes[0]}")
    if chosen["task"]:
        chosen["task"] = base.task(chosen["task"]).name
    if paired and not any(Unpaired in type(model.method).batches for model in by_name.values()):
        raise UsageError("--paired: is for models that learned without pairs, and these learned with; leave it out")
    like = _one_shape(models, size)
    if pictures_only and chosen["task"] == "reconstruct":  # there are no targets: whatever goes in, of any shape
        like = replace(like, target_channels=like.channels)
    source: Source[Any] = open_for(
        _batches(models, paired=paired or pictures_only), data, root=root, size=size, split="test",
        holdout=held_out_of(models, data), like=like, least=1, track=console.track, **chosen,
    )  # fmt: skip
    console.tell_left_out(source.left_out)
    notes += sizes_said(models, source)
    device = device_of(next(iter(by_name.values())))
    vgg = None if features in ("auto", "inception") else open_judge(features, device)
    in_sets = len(source) >= evaluation.LEAST and not pictures_only
    seen_by = _features(features, vgg, weights, device) if in_sets else None
    if isinstance(source.pictures, TwoSets):  # a method without pairs, and two folders
        if direction:
            raise UsageError(f"--direction {direction}: without pairs both are measured; leave it out")
        if lpips:
            raise UsageError("--lpips: without pairs nobody can say how a picture should look; leave it out")
        sides = []
        knowing = set[str]()
        for side in source.pictures.sides:
            kept, known, who = without_known(models, side)
            knowing |= {*who}
            sides.append(kept)
            notes += [line for line in known if line not in notes]
        learned = learned_from(models, data, knowing)
        found = evaluation.evaluate_unpaired(by_name, *sides, features=seen_by, learned=learned, track=console.track)
    else:
        source, known, who = without_known(models, source)
        notes += known
        measures = [*evaluation.MEASURES]
        measures += [evaluation.vgg_measure(vgg)] if vgg is not None else []
        measures += [evaluation.lpips_measure(device)] if lpips else []
        found = evaluation.evaluate_pairs(
            by_name, source, direction=direction or "ab", task=chosen["task"],
            measures=measures, features=seen_by, learned=learned_from(models, data, who), wanted=not pictures_only,
            track=console.track,
        )  # fmt: skip
    return replace(found, notes=[*notes, *found.notes])


def _batches(models: Mapping[str, Contender], *, paired: bool) -> "list[type[Batch]]":
    """What all models are judged by: two sets without pairs only where that is what they all learned from."""
    from ganvas.data.batch import Pairs, Unpaired

    kinds = [kind for one in models.values() for kind in type(one.model.method).batches]
    others = [kind for kind in kinds if kind is not Unpaired]
    alone = all(Unpaired in type(one.model.method).batches for one in models.values())
    return kinds if alone and not paired else [Pairs, *others]


def _tasks(models: Mapping[str, Contender]) -> str:
    """The task that all models learned.

    Raises:
        UsageError: if they learned several.
    """
    tasks = {one.facts.task for one in models.values()}
    if len(tasks) > 1:
        raise UsageError(f"the models learned different tasks ({', '.join(sorted(tasks))}); compare those of one")
    return tasks.pop()


def _features(features: str, vgg: "VGG19 | None", weights: Path | None, device: "torch.device") -> "Features | None":
    """What looks at whole sets of pictures; None where nothing is at hand."""
    from ganvas.metrics.features import inception_at_hand, open_features, vgg_features

    if vgg is not None:
        return vgg_features(vgg)
    if features == "inception" or inception_at_hand():
        return open_features("inception", device=device, weights=weights)
    return None


def _one_shape(models: Mapping[str, Contender], size: int | None) -> "Spec":
    """The shape in which pictures are read."""
    specs = {name: one.model.facts.spec for name, one in models.items()}
    first = next(iter(specs.values()))
    sizes = {name: spec.size for name, spec in specs.items()}
    if size is None and len(set(sizes.values())) > 1:
        said = ", ".join(f"{name} {pixels}" for name, pixels in sizes.items())
        raise UsageError(f"the models learned from pictures of different sizes ({said} pixels): add --size")
    kinds = {(spec.channels, spec.outputs) for spec in specs.values()}
    if len(kinds) > 1:
        raise UsageError(
            "the models take or make pictures of different kinds (grey, colour, or the colours of Lab); compare those "
            "of one kind"
        )
    return first


def _ways_of_all(models: Mapping[str, Contender], data: str) -> tuple[dict[str, str], list[str]]:
    """Where partners come from, as all models learned it; and a note where there are none.

    Raises:
        UsageError: if one learned other things than another.
    """
    found = {name: _ways_of(one, data) for name, one in models.items()}
    first, *others = found.values()
    if any(other != first for other in others):
        said = "; ".join(f"{name} by {_said(ways)}" for name, ways in found.items())
        raise UsageError(
            f"the models learned different things ({said}): say what they are to be judged by, with --task, --side "
            "or --target"
        )
    if first is None:
        name = Path(next(iter(models.values())).facts.target).name
        note = f"no scores: the models learned from two folders, the second called {name}; add --target FOLDER"
        return {"target": "", "side": "", "task": "reconstruct"}, [note]
    return first, []


def _ways_of(one: Contender, data: str) -> dict[str, str] | None:
    """Where partners come from, as the model learned it; None where they were in a folder, and nobody says which."""
    facts = one.facts
    known = same_folder(facts, data)
    if facts.target and not (known == "surely" and Path(facts.target).is_dir()):
        return None
    task = facts.task
    if not (facts.target or task or facts.side or facts.spec.target_channels):
        task = "reconstruct"  # it learned from single pictures
    return {"target": facts.target, "side": facts.side, "task": task}


def _said(ways: Mapping[str, str] | None) -> str:
    return "a folder of targets" if ways is None else next((f"--{k} {v}" for k, v in ways.items() if v), "pairs")
