"""How good the pictures are that a model makes of others: held against what they should be, one by one.

What is measured is the 8-bit picture that a person gets. Beside the model stands the input as its own answer: who
does nothing is often hard to beat.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
import torchmetrics
from torch import Tensor, nn

import ganvas
from ganvas import gallery, metrics
from ganvas.checkpoint import Model
from ganvas.data.batch import Images, Pairs, Source, Spec
from ganvas.data.progress import Track, silently
from ganvas.errors import DataError, ModelError
from ganvas.evaluation.scores import (
    CYCLE,
    IDENTITY,
    MEASURES,
    Checkerboard,
    Mean,
    Measure,
    PictureScore,
    TranslationEvaluation,
)
from ganvas.evaluation.sheet import Chosen, bands, evenly
from ganvas.images import to_bytes, to_signed
from ganvas.methods._base import Restyles, Translates
from ganvas.runtime import evaluating
from ganvas.translation import Translator

Direction = Literal["ab", "ba"]

INPUT = "input"  # the name of who does nothing

_PIXELS_AT_ONCE = 2**20  # a million keep a processor busy
_BACK: dict[str, Direction] = {"ab": "ba", "ba": "ab"}


# --- against what they should be ------------------------------------------------------------------------------------


def evaluate_pairs(
    model: Model,
    source: Source[Pairs],
    *,
    direction: Direction = "ab",
    task: str = "",
    measures: Sequence[Measure] = MEASURES,
    learned: str = "",
    track: Track = silently,
) -> TranslationEvaluation:
    """Translate every source and hold it against its target; the input is held against it too.

    Args:
        model: of a method that translates.
        source: pairs, best such that the model has not seen.
        direction: `ba` for targets to sources.
        task: what made the pairs, which knows how to show them.
        measures: how they are held against each other; `MEASURES`, and others beside them.
        learned: what is to be said in the protocol of whether the model learned from these.
        track: shows what long work has done.

    Raises:
        DataError: if the pairs are not of the model's kind.
        ModelError: if the model does not translate, or its pictures hold what is no number.
        SettingError: if it does not go in that direction.
    """
    method = Translator(model, direction).method
    _require_kind(model, source)
    assert set(MEASURES) <= set(measures)
    spectra, values = Spectra(), dict[str, list[Tensor]]()
    across = gallery.columns(source.spec.size)
    chosen = Chosen(len(source), across)
    at_once = rows_at_once(source.spec)
    parts = track(source.parts(at_once), total=math.ceil(len(source) / at_once), description="translating")
    for part in parts:
        given, made, wanted = alike(*_translated(method, part, direction=direction, task=task))
        spectra.add(outputs=made, targets=wanted)
        for column, numbers in _measured(measures, {"": made, INPUT: given}, wanted).items():
            values.setdefault(column, []).append(numbers)
        chosen.add(torch.stack([given, made, wanted], 1), values["PSNR"][-1])
    columns = {name: torch.cat(numbers) for name, numbers in values.items()}
    ways = {"direction": direction, "task": task or "none: pairs of pictures"}
    return TranslationEvaluation(
        model=model.facts.method,
        step=model.step,
        protocol=protocol_of(model, source, ways, learned)
        | {"colour": _colours(source.spec, task), "baseline": _doing_nothing(task), **_FORMULAS}
        | formulas(measures),
        scores=[compared(measure, columns) for measure in measures],
        checkerboards=[spectra.checkerboard()],
        values=columns,
        shown=chosen.numbers(),
        sheet=chosen.sheet(),
        across=across,
    )


def _translated(method: Translates, pairs: Pairs, *, direction: str, task: str) -> tuple[Tensor, Tensor, Tensor]:
    """Input, output and target (uint8) as a person would look at them."""
    source, target = gallery.shown(pairs, task)
    if direction == "ab":
        made = replace(pairs, target=through(method, pairs.source, "ab"))
        return source, gallery.shown(made, task)[1], target
    made = replace(pairs, source=through(method, pairs.target, "ba"))
    return target, gallery.shown(made, task)[0], source


def through(method: Translates, pictures: Tensor, direction: str, *, styles: Tensor | None = None) -> Tensor:
    """What the method makes of uint8 pictures (N, C, H, W), rounded to bytes; in these styles, one each, if any.

    Raises:
        ModelError: if it is not finite.
    """
    assert isinstance(method, nn.Module)
    device = next(method.parameters()).device
    with evaluating(method):
        signed = to_signed(pictures).to(device)
        if styles is None:
            made = method.translate(signed, direction)
        else:
            assert isinstance(method, Restyles)
            made = method.restyle(signed, styles)
        if not made.isfinite().all():
            raise ModelError(
                "the model makes pictures that hold what is no number; train it anew with a smaller --learning-rate"
            )
        return to_bytes(made).cpu()


def alike(*kinds: Tensor) -> list[Tensor]:
    """The same pictures (N, C, H, W) with as many channels each: grey spread over three where any is in colour."""
    channels = max(kind.shape[1] for kind in kinds)
    return [kind.expand(-1, channels, -1, -1) for kind in kinds]


def _measured(measures: Sequence[Measure], answers: Mapping[str, Tensor], wanted: Tensor) -> dict[str, Tensor]:
    """What each measure says of each answer, (N,), by column; the model's answer goes by no name."""
    return {
        f"{answer} {measure.name}".lstrip(): measure.of(made, wanted)
        for answer, made in answers.items()
        for measure in measures
    }


def compared(measure: Measure, columns: Mapping[str, Tensor]) -> PictureScore:
    """The score of a measure beside that of the input, of their columns (N,)."""
    model, given = columns[measure.name], columns[f"{INPUT} {measure.name}"]
    found = means({"model": model, INPUT: given, "difference": model - given})
    return PictureScore(measure, len(model), found["model"], {INPUT: found[INPUT]}, {INPUT: found["difference"]})


def formulas(measures: Sequence[Measure]) -> dict[str, str]:
    """What the protocol says of measures of their own."""
    return {measure.name: measure.formula for measure in measures if measure.formula}


def means(columns: Mapping[str, Tensor]) -> dict[str, Mean]:
    """The mean of each column (N,), with its interval where there is more than one row."""
    values = torch.stack(list(columns.values()), 1)  # (N, K)
    means = values.mean(0).tolist()
    if len(values) < 2:
        return {name: Mean(mean) for name, mean in zip(columns, means, strict=True)}
    ends = (end.tolist() for end in metrics.bootstrap(values))
    return {name: Mean(*numbers) for name, *numbers in zip(columns, means, *ends, strict=True)}


class Spectra:
    """Power spectra of outputs and targets, summed over the parts."""

    def __init__(self) -> None:
        """Begin with none."""
        self.sums = dict[str, Tensor]()

    def add(self, **pictures: Tensor) -> None:
        """Uint8 pictures (N, C, H, W) of a part, by what they are."""
        for name, part in pictures.items():
            self.sums[name] = self.sums.get(name, torch.zeros(())) + metrics.power_spectrum(part) * len(part)

    def checkerboard(self, way: str = "") -> Checkerboard:
        """What stands out of those of outputs and of targets."""
        found = {name: metrics.checkerboard(total) for name, total in self.sums.items()}  # quotients: no count needed
        return Checkerboard(found["outputs"], found["targets"], way)


# --- there and back again -------------------------------------------------------------------------------------------


def evaluate_unpaired(
    model: Model,
    source: Source[Images],
    target: Source[Images],
    *,
    learned: str = "",
    track: Track = silently,
) -> TranslationEvaluation:
    """Translate the pictures of each kind to the other and back; without partners nobody can say how they should look.

    The cycle error is what a picture lost on the way there and back, the identity error what a picture loses that is
    of the wanted kind already; both with bytes in between, as a person would have them.

    Raises:
        DataError: if the pictures are not of the model's kind.
        ModelError: if the model does not go both ways, or its pictures hold what is no number.
        SettingError: the same.
    """
    for direction in _BACK:
        method = Translator(model, direction).method
    sides = {"ab": source, "ba": target}
    pairs = replace(source, spec=replace(source.spec, classes=(), target_channels=target.spec.channels))
    _require_kind(model, pairs)
    across = gallery.columns(source.spec.size)
    spectra = {direction: Spectra() for direction in sides}
    columns, rows = dict[str, Tensor](), dict[str, list[Tensor]]()
    for direction, side in sides.items():
        back, at_once, values = _BACK[direction], rows_at_once(side.spec), dict[str, list[Tensor]]()
        parts = track(side.parts(at_once), total=math.ceil(len(side) / at_once), description=f"translating {direction}")
        for part in parts:
            made = through(method, part.images, direction)
            spectra[direction].add(outputs=made)
            spectra[back].add(targets=part.images)
            again = through(method, made, back)
            values.setdefault(f"{CYCLE.name} {direction}", []).append(CYCLE.of(again, part.images))
            if made.shape == part.images.shape:
                same = through(method, part.images, back)
                values.setdefault(f"{IDENTITY.name} {back}", []).append(IDENTITY.of(same, part.images))
        columns |= {name: torch.cat(numbers) for name, numbers in values.items()}
        given = side.rows(evenly(len(side), across)).images
        made = through(method, given, direction)
        rows[direction] = list(torch.stack(alike(given, made, through(method, made, back)), 1))
    names = [f"{measure.name} {direction}" for measure in (CYCLE, IDENTITY) for direction in sides]
    columns = {name: columns[name] for name in names if name in columns}
    protocol = protocol_of(
        model, source, {"direction": "both, there and back again", "other kind": target.title}, learned
    )
    return TranslationEvaluation(
        model=model.facts.method,
        step=model.step,
        protocol=protocol | {"paired scores": "none: without pairs nobody can say how a picture should look"},
        scores=[
            PictureScore(measure, len(columns[name]), means({name: columns[name]})[name], way=direction)
            for measure in (CYCLE, IDENTITY)
            for direction in sides
            if (name := f"{measure.name} {direction}") in columns
        ],
        checkerboards=[spectra[direction].checkerboard(direction) for direction in sides],
        values=columns,
        shown={direction: evenly(len(side), across) for direction, side in sides.items()},
        sheet=bands(list(rows.values()), across),
        across=across,
    )


# --- how ------------------------------------------------------------------------------------------------------------


_FORMULAS = {
    "range": "MSE of values 0 to 1; MAE in grey levels; PSNR with a peak of 255 over all channels of a picture, "
    f"at most {metrics.MOST_DECIBELS:.0f} dB; means are of pictures",
    "SSIM": f"Gaussian windows of {metrics.SSIM_WINDOW}x{metrics.SSIM_WINDOW} pixels and sigma 1.5 within the picture, "
    "K1 0.01, K2 0.03, over 0 to 255; channels averaged",
}


def protocol_of(model: Model, source: Source[Any], ways: Mapping[str, str], learned: str) -> dict[str, Any]:
    """How pictures were made and compared, by aspect."""
    n, square = len(source), f"{source.spec.size}x{source.spec.size}"
    return {
        "pictures": f"{n:,} of {source.title}, {square}, scaled from the largest centred square (Lanczos) where not so",
        "n": n,
        "size": source.spec.size,
        "part": source.part,
        **ways,
        "learned": learned or "whether the model learned from these is not known",
        "outputs": "rounded to 8 bits, 0 to 255, as a person gets them, and compared so",
        "mode": _mode(model.method),
        "intervals": f"95 %: percentiles of a bootstrap over pictures, {metrics.RESAMPLES:,} times, seed 0; "
        "differences picture by picture. Of the choice of pictures alone, not of another training"
        if n > 1
        else "none: of one picture no interval can be told",
        "checkerboard": "power at the frequencies that repeat every 2, 4 and 8 pixels over that of their neighbours; "
        "about 1 or less is none; 8-bit pictures in Hann windows of up to 64 pixels, channels added",
        "versions": {
            "ganvas": ganvas.__version__,
            "torch": str(torch.__version__),
            "torchmetrics": torchmetrics.__version__,
        },
    }


def _mode(method: nn.Module) -> str:
    """What evaluation does to the layers that behave otherwise in training."""
    kinds = {
        "batch norm by the running statistics of training": nn.BatchNorm2d | nn.BatchNorm1d,
        "instance norm by picture, as in training": nn.InstanceNorm2d,
        "group norm by picture, as in training": nn.GroupNorm,
        "dropout off": nn.Dropout,
    }
    said = [words for words, kind in kinds.items() if any(isinstance(layer, kind) for layer in method.modules())]
    return "; ".join(said or ["no norms and no dropout"])


def _colours(spec: Spec, task: str) -> str:
    if task == "colorize":
        return "lightness and the colours of Lab put together to sRGB, on both sides; channels averaged"
    if max(spec.channels, spec.outputs) == 1:
        return "grey"
    return "sRGB, channels averaged; grey is spread over three channels where the other side is in colour"


def _doing_nothing(task: str) -> str:
    if task == "reconstruct":
        return "the input as its own answer, which here is the target itself: no model can be better"
    return "the input as its own answer, as it looks: what doing nothing scores"


def _require_kind(model: Model, source: Source[Any]) -> None:
    """Raise DataError for pictures of other channels than the model's, or of a size that it cannot take."""
    method, ours, theirs = model.method, model.facts.spec, source.spec
    kinds = {1: "grey", 2: "the colours of Lab", 3: "colour"}
    if (theirs.channels, theirs.outputs) != (ours.channels, ours.outputs):
        raise DataError(
            f"{source.name}: from {kinds[theirs.channels]} to {kinds[theirs.outputs]}, and the model goes from "
            f"{kinds[ours.channels]} to {kinds[ours.outputs]}; give pictures of the kind that it learned from"
        )
    assert isinstance(method, Translates)
    if not method.any_size and theirs.size != ours.size:
        raise DataError(
            f"{source.name} is opened at {theirs.size} pixels, and the model takes {ours.size} alone; give that size"
        )


def rows_at_once(spec: Spec) -> int:
    """How many pictures go through the network at a time: as many for every set of one size, for equal numbers."""
    return max(1, min(64, _PIXELS_AT_ONCE // spec.bytes))
