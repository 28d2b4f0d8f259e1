"""Judging models of style from the command line: by which paintings, and what looks at them."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.cli import console
from ganvas.cli.learned import Contender, held_out_of, learned_from, sizes_said, without_known
from ganvas.cli.translate import read_styles
from ganvas.errors import UsageError

if TYPE_CHECKING:
    import torch

    from ganvas.checkpoint import Model
    from ganvas.data.batch import Images, Source
    from ganvas.evaluation import Evaluation, Style
    from ganvas.nets.vgg import VGG19


def judge_style(
    models: Mapping[str, Contender],
    data: str,
    root: Path,
    *,
    target: str | None,
    style: Sequence[Path],
    size: int | None,
    features: str,
) -> "Evaluation":
    """Hold what models of style make of the photographs against their painting, or those that they are told of.

    Raises:
        UsageError: if it is not clear which paintings, or VGG-19's weights are not to be had.
        DataError: if a picture cannot be read.
    """
    from dataclasses import replace

    from ganvas import evaluation
    from ganvas.data import open_for
    from ganvas.data.batch import Images, Spec

    if target and style:
        raise UsageError("--target and --style are two ways to say which paintings; give one")
    specs = [one.model.facts.spec for one in models.values()]
    if size is None and len({spec.size for spec in specs}) > 1:
        raise UsageError("the models learned from pictures of different sizes: add --size")

    def opened(name: str, holdout: float) -> "Source[Images]":
        source: Source[Images] = open_for(
            (Images,), name, root=root, size=size, split="test", holdout=holdout,
            like=Spec(specs[0].size, specs[0].channels), least=1, track=console.track,
        )  # fmt: skip
        console.tell_left_out(source.left_out)
        return source

    photographs, notes, knowing = without_known(models, opened(data, held_out_of(models, data)))
    notes += sizes_said(models, photographs)
    notes += _other_paintings(models, style)
    chosen = {
        name: _styles(one, target=target, style=style, opened=opened, most=len(photographs))
        for name, one in models.items()
    }
    (styles, title), *others = chosen.values()
    if not all(_same(styles, other) for other, _ in others):
        said = "; ".join(f"{name} in {paintings}" for name, (_, paintings) in chosen.items())
        raise UsageError(f"the models paint in different styles ({said}): add --style PAINTING, one for all")
    by_name = {name: one.model for name, one in models.items()}
    found = evaluation.evaluate_style(
        by_name, photographs, styles, vgg=open_judge(features, device_of(next(iter(by_name.values())))), title=title,
        learned=learned_from(models, data, knowing), track=console.track,
    )  # fmt: skip
    return replace(found, notes=[*notes, *found.notes])


def _styles(
    one: Contender,
    *,
    target: str | None,
    style: Sequence[Path],
    opened: "Callable[[str, float], Source[Images]]",
    most: int,
) -> "tuple[list[Style], str]":
    """What photographs are to be painted in, as was said, or else as the model learned it; and what to call it."""
    from ganvas.evaluation import Style
    from ganvas.imaging import images
    from ganvas.methods._base import TakesStyles

    name, facts = one.model.facts.method, one.facts
    if isinstance(one.model.method, TakesStyles):
        if target:
            raise UsageError(
                f"--target {target}: this {name} model paints in the style of its own painting; leave it out"
            )
        learned = [Path(file) for file in facts.style]
        if not style and (missing := [file for file in learned if not (file.is_absolute() and file.is_file())]):
            raise UsageError(
                f"the painting that the model learned from, {missing[0].name}, is not here: add --style FILE"
            )
        style = style or learned
    elif not style:
        folder = target or facts.target
        if not Path(folder).is_dir() or not (target or Path(folder).is_absolute()):  # a model file knows names alone
            where = f"--target {target}: no such folder" if target else f"its paintings, {folder}, are not here"
            raise UsageError(f"{where}; add --target FOLDER, or --style PAINTING")
        paintings = opened(folder, facts.holdout if Path(folder).resolve() == Path(facts.target).resolve() else 0.0)
        rows = paintings.rows(range(min(most, len(paintings))))
        return [Style([painting]) for painting in rows.images], f"{len(rows):,} of {paintings.short_title} in turn"
    names = ", ".join(file.name for file in style) + (", all at once" if len(style) > 1 else "")
    return [Style([images.on_white(painting) for painting in read_styles(style)])], names


def _same(ones: "Sequence[Style]", others: "Sequence[Style]") -> bool:
    """Whether these are the same paintings, whatever they are called."""
    from torch import equal

    return [len(one.paintings) for one in ones] == [len(other.paintings) for other in others] and all(
        equal(painting, twin)
        for one, other in zip(ones, others, strict=True)
        for painting, twin in zip(one.paintings, other.paintings, strict=True)
    )


def _other_paintings(models: Mapping[str, Contender], style: Sequence[Path]) -> list[str]:
    """A line on each model that can paint in one style alone and is judged by another."""
    from ganvas.methods._base import TakesStyles

    given = [file.name for file in style]
    return [
        f"{name} learned the style of {', '.join(Path(file).name for file in one.facts.style)} alone, and is judged by "
        f"{', '.join(given)}"
        for name, one in models.items()
        if style
        and isinstance(one.model.method, TakesStyles)
        and sorted(given) != sorted(Path(file).name for file in one.facts.style)
    ]


def device_of(loaded: "Model") -> "torch.device":
    """Where a model computes."""
    return next(loaded.method.parameters()).device


def open_judge(features: str, device: "torch.device") -> "VGG19":
    """The whole of VGG-19, of the file that --features names, or of GANVAS_WEIGHTS, or of the download."""
    from ganvas.metrics.features import open_vgg

    if features not in ("auto", "vgg"):
        file: Path | None = Path(features)
        if not Path(features).is_file():
            raise UsageError(f"--features {features}: expected vgg, or a file with VGG-19's weights")
    else:
        file = Path(os.environ["GANVAS_WEIGHTS"]) if os.environ.get("GANVAS_WEIGHTS") else None
    return open_vgg(file).to(device)
