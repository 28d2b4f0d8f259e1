"""Open what models of style are evaluated on: the photographs and the paintings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import equal

from ganvas.core.options import Data, vgg_file
from ganvas.data import open_data
from ganvas.data.batch import ImageBatch, Source, Spec
from ganvas.errors import UsageError
from ganvas.evaluation.collectors.style import Style, evaluate_style
from ganvas.evaluation.contamination import held_out_of, learned_from, without_known
from ganvas.evaluation.models import Contender, Request, sizes_said
from ganvas.evaluation.results import Evaluation
from ganvas.imaging import images
from ganvas.inference.translate import read_styles
from ganvas.metrics import features
from ganvas.nets.vgg import VGG19

Opened = Callable[[str, float], Source[ImageBatch]]


def evaluate_painters(request: Request) -> Evaluation:
    """Compare the output of models of style for the photographs with their painting, or with those given.

    Raises:
        UsageError: if it is not clear which paintings to use, or VGG-19's weights are not available.
        DataError: if an image cannot be read.
    """
    data, models = request.data, request.models
    if data.target and data.style:
        raise UsageError("`target` and `style` are two ways to say which paintings; give one")
    specs = [one.model.manifest.spec for one in models.values()]
    if data.size is None and len({spec.size for spec in specs}) > 1:
        raise UsageError("the models learned from images of different sizes: add `size`")
    complaints: list[str] = []

    def opened(name: str, holdout: float) -> Source[ImageBatch]:
        source: Source[ImageBatch] = open_data(
            Data(name, size=data.size, holdout=holdout, root=data.root), (ImageBatch,), split="test",
            like=Spec(specs[0].size, specs[0].channels), least=1, track=request.track,
        )  # fmt: skip
        complaints.extend(source.complaints)
        return source

    photographs, notes, knowing = without_known(
        models, opened(data.source, held_out_of(models, request.name)), track=request.track
    )
    notes += sizes_said(models, photographs)
    notes += _other_paintings(models, [Path(file) for file in data.style])
    styles, title = _styles_of_all(request, opened=opened, most=len(photographs))
    evaluation = evaluate_style(
        request.loaded, photographs, styles, vgg=open_vgg(request), title=title,
        learned=learned_from(models, request.name, knowing), track=request.track,
    )  # fmt: skip
    return replace(evaluation, notes=[*complaints, *notes, *evaluation.notes])


def _styles_of_all(request: Request, *, opened: Opened, most: int) -> tuple[list[Style], str]:
    """The styles for the photographs, the same for all models, and a title for them."""
    chosen = {name: _styles(one, request, opened=opened, most=most) for name, one in request.models.items()}
    (styles, title), *others = chosen.values()
    if not all(_same(styles, other) for other, _ in others):
        words = "; ".join(f"{name} in {paintings}" for name, (_, paintings) in chosen.items())
        raise UsageError(f"the models paint in different styles ({words}): add `style` PAINTING, one for all")
    return styles, title


def _styles(one: Contender, request: Request, *, opened: Opened, most: int) -> tuple[list[Style], str]:
    """The styles for the photographs, as given or else as the model was trained, and a title for them."""
    name, manifest, data = one.model.manifest.method, one.manifest, request.data
    style, target = [Path(file) for file in data.style], str(data.target or "")
    if one.model.method.takes_paintings:
        if target:
            raise UsageError(
                f"`target` {target}: this {name} model paints in the style of its own painting; leave it out"
            )
        learned = [Path(file) for file in manifest.style]
        if not style and (missing := [file for file in learned if not (file.is_absolute() and file.is_file())]):
            raise UsageError(
                f"the painting that the model learned from, {missing[0].name}, is not here: add `style` FILE"
            )
        style = style or learned
    elif not style:
        folder = target or manifest.target
        if not Path(folder).is_dir() or not (target or Path(folder).is_absolute()):  # a model file holds names alone
            where = f"`target` {target}: no such folder" if target else f"its paintings, {folder}, are not here"
            raise UsageError(f"{where}; add `target` FOLDER, or `style` PAINTING")
        paintings = opened(
            folder, manifest.holdout if Path(folder).resolve() == Path(manifest.target).resolve() else 0.0
        )
        rows = paintings.rows(range(min(most, len(paintings))))
        return [Style([painting]) for painting in rows.images], f"{len(rows):,} of {paintings.short_title} in turn"
    names = ", ".join(file.name for file in style) + (", all at once" if len(style) > 1 else "")
    return [Style([images.on_white(painting) for painting in read_styles(style)])], names


def _same(ones: Sequence[Style], others: Sequence[Style]) -> bool:
    """Whether these are the same paintings, whatever their names."""
    return [len(one.paintings) for one in ones] == [len(other.paintings) for other in others] and all(
        equal(painting, twin)
        for one, other in zip(ones, others, strict=True)
        for painting, twin in zip(one.paintings, other.paintings, strict=True)
    )


def _other_paintings(models: Mapping[str, Contender], style: Sequence[Path]) -> list[str]:
    """A line on each model that has a single style and is evaluated on another."""
    given = [file.name for file in style]
    return [
        f"{name} learned the style of {', '.join(Path(file).name for file in one.manifest.style)} alone, and is "
        "evaluated "
        f"on {', '.join(given)}"
        for name, one in models.items()
        if style
        and one.model.method.takes_paintings
        and sorted(given) != sorted(Path(file).name for file in one.manifest.style)
    ]


def open_vgg(request: Request) -> VGG19:
    """The whole VGG-19, from the given file, or from GANVAS_WEIGHTS, or from the download."""
    return features.open_vgg(vgg_file(request.options.vgg_weights)).to(request.device)
