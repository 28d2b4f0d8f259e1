"""Judging models of style from the command line: by which paintings, and what looks at them."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas import console
from ganvas.cli.learned import learned_from, same_folder
from ganvas.cli.translating import read_styles
from ganvas.errors import UsageError

if TYPE_CHECKING:
    import torch

    from ganvas.checkpoint import Model
    from ganvas.data.batch import Images, Source
    from ganvas.evaluation import Style, StyleEvaluation
    from ganvas.facts import Facts
    from ganvas.nets.vgg import VGG19


def evaluate_style(
    loaded: "Model",
    facts: "Facts",
    data: str,
    root: Path,
    *,
    target: str | None,
    style: Sequence[Path],
    size: int | None,
    features: str,
) -> "StyleEvaluation":
    """Hold what a model of style makes of the photographs against its painting, or those that it is told of.

    Raises:
        UsageError: if it is not clear which paintings, or VGG-19's weights are not to be had.
        DataError: if a picture cannot be read.
    """
    from ganvas import evaluation
    from ganvas.data import open_for
    from ganvas.data.batch import Images, Spec

    if target and style:
        raise UsageError("--target and --style are two ways to say which paintings; give one")
    known = same_folder(facts, data)
    holdout = facts.holdout if known else 0.0
    spec = loaded.facts.spec

    def opened(name: str, holdout: float) -> "Source[Images]":
        source: Source[Images] = open_for(
            (Images,), name, root=root, size=size, split="test", holdout=holdout,
            like=Spec(spec.size, spec.channels), least=1, track=console.track,
        )  # fmt: skip
        console.tell_left_out(source.left_out)
        return source

    photographs = opened(data, holdout)
    styles, title = _styles(loaded, facts, target=target, style=style, opened=opened, most=len(photographs))
    vgg = open_judge(features, device_of(loaded))
    learned = learned_from(data, known, holdout)
    return evaluation.evaluate_style(
        loaded, photographs, styles, vgg=vgg, title=title, learned=learned, track=console.track
    )


def _styles(
    loaded: "Model",
    facts: "Facts",
    *,
    target: str | None,
    style: Sequence[Path],
    opened: "Callable[[str, float], Source[Images]]",
    most: int,
) -> "tuple[list[Style], str]":
    """What photographs are to be painted in, as was said, or else as the model learned it; and what to call it."""
    from ganvas import images
    from ganvas.evaluation import Style
    from ganvas.methods._base import TakesStyles

    name = loaded.facts.method
    if isinstance(loaded.method, TakesStyles):
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
        return [Style([painting]) for painting in rows.images], f"{len(rows):,} of {paintings.title} in turn"
    names = ", ".join(file.name for file in style) + (", all at once" if len(style) > 1 else "")
    return [Style([images.on_white(painting) for painting in read_styles(style)])], names


def device_of(loaded: "Model") -> "torch.device":
    """Where a model computes."""
    return next(loaded.method.parameters()).device


def open_judge(features: str, device: "torch.device") -> "VGG19":
    """The whole of VGG-19, of the file that --features names, or of GANVAS_WEIGHTS, or of the download."""
    from ganvas.features import open_vgg

    if features not in ("auto", "vgg"):
        file: Path | None = Path(features)
        if not Path(features).is_file():
            raise UsageError(f"--features {features}: expected vgg, or a file with VGG-19's weights")
    else:
        file = Path(os.environ["GANVAS_WEIGHTS"]) if os.environ.get("GANVAS_WEIGHTS") else None
    return open_vgg(file).to(device)
