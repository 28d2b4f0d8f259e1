"""Evaluation of models of style: how near their images are to the painting, and how much of the photograph they keep.

The two oppose each other, so neither is enough alone: the unchanged photograph keeps all content, and the painting in
place of the photograph has all the style.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ganvas import metrics
from ganvas.checkpoint import Model
from ganvas.core.optim import evaluating
from ganvas.data.batch import ImageBatch, Source
from ganvas.data.progress import Track, silently
from ganvas.errors import DataError
from ganvas.evaluation.comparing import compared
from ganvas.evaluation.outputs import Answering, Broken, device_of, judged, rows_at_once
from ganvas.evaluation.perceptual import vgg_measure
from ganvas.evaluation.protocol import formulas, protocol_of
from ganvas.evaluation.results import Evaluation
from ganvas.evaluation.selection import bands, choose, evenly
from ganvas.evaluation.statistics import INPUT, PAINTING, Grid, ImageMeasure, Shown
from ganvas.evaluation.translation import Spectra, alike
from ganvas.imaging.images import in_channels, scaled, to_signed
from ganvas.inference.translate import Translator
from ganvas.methods._base import Method, Restyles
from ganvas.methods.fast_style import FastStyleConfig
from ganvas.nets.vgg import VGG19
from ganvas.training import samples

CONTENT = "content distance"
KEPT = 64  # styles whose Gram matrices are kept, 1.4 MB each


@dataclass(frozen=True)
class Style:
    """The style for photographs: one painting, or several at once.

    Attributes:
        paintings: uint8 (1 or 3, H, W) each, of any size.
    """

    paintings: Sequence[Tensor]

    def at(self, shorter: int, channels: int) -> list[Tensor]:
        """Each with that many pixels on its shorter side, or its own if it has fewer, uint8 (1, C, H, W)."""
        made = []
        for painting in self.paintings:
            share = min(1.0, shorter / min(painting.shape[-2:]))
            height, width = (round(side * share) for side in painting.shape[-2:])
            made.append(scaled(in_channels(painting, channels).contiguous()[None], height, width))
        return made


def evaluate_style(
    models: Mapping[str, Model],
    photographs: Source[ImageBatch],
    styles: Sequence[Style],
    *,
    vgg: VGG19,
    title: str = "",
    learned: Mapping[str, str] | None = None,
    track: Track = silently,
) -> Evaluation:
    """Let each model paint every photograph, and compare the result with its painting and with the photograph.

    Args:
        models: of methods of style, by name.
        photographs: ideally unseen by all models.
        styles: photograph i is compared with style i, cyclically; a model that takes any style is given it.
        vgg: the feature network, whole.
        title: the name of the paintings in the protocol.
        learned: by model, a sentence on whether it was trained on these photographs.
        track: shows the progress.

    Raises:
        DataError: if one model paints in grey and another in colour.
        ModelError: if a model does not translate, or none of its images is finite.
    """
    painting = _Painting(models, photographs, styles, vgg)
    known = [judged(name, model, (learned or {}).get(name, "")) for name, model in models.items()]
    content, style = replace(vgg_measure(vgg), name=CONTENT, meaning="VGG distance to the photograph"), _style(vgg)
    columns: dict[str, dict[str, list[Tensor]]] = {style.name: {}, content.name: {}}
    spectra, measured, n = Spectra(), list[int](), len(photographs)
    at_once = rows_at_once(photographs.spec)
    for start in track(range(0, n, at_once), total=math.ceil(n / at_once), description="painting"):
        numbers = list(range(start, min(n, start + at_once)))
        answers, whole = painting.answers(numbers)
        kept = painting.broken.sort_out(numbers, whole)
        if not kept.any():
            continue
        numbers = [number for number, keep in zip(numbers, kept.tolist(), strict=True) if keep]
        answers = {answer: made[kept] for answer, made in answers.items()}
        measured += numbers
        spectra.add(answers)
        targets = painting.wanted(numbers)
        for answer, made in answers.items():
            columns[style.name].setdefault(answer, []).append(metrics.style_distance(vgg, made, targets))
            if answer != INPUT:
                columns[content.name].setdefault(answer, []).append(content.of(*alike(made, answers[INPUT])))
    notes = painting.broken.notes()
    milliseconds = {name: answering.milliseconds for name, answering in painting.answering.items()}
    table = {name: {answer: torch.cat(rows) for answer, rows in of_each.items()} for name, of_each in columns.items()}
    names = [photographs.name_of(number) for number in measured]
    chosen = choose(table, [style, content], list(models), len(measured))
    return Evaluation(
        kind="style",
        data=photographs.short_title,
        models=known,
        baselines={INPUT: "the unchanged photograph: all of its content, and only the style that it happens to have"},
        protocol=protocol_of(photographs, {"direction": "ab"}, measured=len(measured))
        | {
            "paintings": f"{title or 'as given'}; used with {painting.shorter} pixels or fewer on the shorter side"
            + (", also for a model that takes any style" if painting.any_style else ""),
            **formulas([style, content]),
        },
        scores=[
            *(compared(measure, table[measure.name], list(models)) for measure in (style, content)),
            spectra.score(len(measured)),
        ],
        notes=notes,
        values={f"{answer} {name}": rows for name, of_each in table.items() for answer, rows in of_each.items()},
        numbers=measured,
        names=names,
        shown=[
            Shown(measured[row], names[row], tuple(why), painting.looked_at(measured[row]))
            for row, why in sorted(chosen.items())
        ],
        grids={"grid": painting.grid()},
        checkerboards=spectra.periods(),
        milliseconds=milliseconds,
        device=painting.device,
    )


class _Painting:
    """The same photographs for several models, each painted in its style."""

    def __init__(
        self, models: Mapping[str, Model], photographs: Source[ImageBatch], styles: Sequence[Style], vgg: VGG19
    ) -> None:
        """Find the style of each model.

        Raises:
            DataError: if one paints in grey and another in colour.
        """
        for model in models.values():
            Translator(model)
        channels = {model.manifest.spec.channels for model in models.values()}
        if channels != {photographs.spec.channels}:
            raise DataError("one of the models paints in grey and another in colour; compare those of one kind")
        self.models, self.photographs, self.styles, self.vgg = models, photographs, styles, vgg
        self.answering = {name: Answering(model) for name, model in models.items()}
        self.broken = Broken(photographs)
        configs = [model.manifest.config for model in models.values()]
        sizes = [config.painting_size for config in configs if isinstance(config, FastStyleConfig)]
        self.shorter = max(sizes, default=photographs.spec.size)  # strokes of the size in training
        self.any_style = any(isinstance(model.method, Restyles) for model in models.values())
        self.device = str(device_of(next(iter(models.values())).method))
        self.look = functools.lru_cache(KEPT)(self._look)

    def _look(self, number: int) -> tuple[list[Tensor], dict[str, Tensor], Tensor]:
        """Gram matrices of a style, its encoding for each model that takes any, and the painting, (C, H, W)."""
        paintings = self.styles[number].at(self.shorter, self.photographs.spec.channels)
        wanted = _mean([metrics.style_of(self.vgg, painting) for painting in paintings])
        told = {
            name: _told(model.method, paintings)
            for name, model in self.models.items()
            if isinstance(model.method, Restyles)
        }
        return wanted, told, _square(paintings[0], self.photographs.spec.size)[0]

    def answers(self, numbers: Sequence[int]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Photographs and the output of each model, uint8 (N, C, H, W); and by model (N,) whether it is finite."""
        given = self.photographs.rows(numbers).images
        told = [self.look(number % len(self.styles))[1] for number in numbers]
        made, whole = {INPUT: given}, dict[str, Tensor]()
        for name, answering in self.answering.items():
            styles = torch.stack([of_each[name] for of_each in told]) if name in told[0] else None
            made[name], whole[name] = answering(given, "ab", styles=styles)
        return made, whole

    def wanted(self, numbers: Sequence[int]) -> list[Tensor]:
        """The Gram matrices of the styles of these photographs, (N, K, K) each."""
        of_each = [self.look(number % len(self.styles))[0] for number in numbers]
        return [torch.stack(matrices) for matrices in zip(*of_each, strict=True)]

    def looked_at(self, number: int) -> dict[str, Tensor]:
        """A photograph, the output of each model, and the painting, uint8 (C, H, W)."""
        shown = self.answers([number])[0] | {PAINTING: self.look(number % len(self.styles))[2][None]}
        return {answer: made[0] for answer, made in zip(shown, alike(*shown.values()), strict=True)}

    def grid(self) -> Grid:
        """Photograph, results and painting below each other, for photographs evenly taken."""
        across = samples.columns(self.photographs.spec.size)
        rows = evenly(len(self.photographs), 2 * across)
        return Grid(bands([[torch.stack(list(self.looked_at(row).values())) for row in rows]], across), across)


def _mean(of_each: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The Gram matrices (K, K) of several paintings at once: their mean for each layer."""
    return [torch.cat(list(layer)).mean(0) for layer in zip(*of_each, strict=True)]


def _told(method: Method, paintings: Sequence[Tensor]) -> Tensor:
    """The style of these for a model that takes any style: the mean of their styles."""
    assert isinstance(method, Restyles)
    device = device_of(method)
    with evaluating(method):
        return torch.stack([method.style_of(to_signed(painting).to(device))[0] for painting in paintings]).mean(0)


def _square(painting: Tensor, size: int) -> Tensor:
    """The largest centred square of (1, C, H, W), scaled, for the grid."""
    height, width = painting.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return scaled(painting[..., top : top + side, left : left + side], size, size)


def _style(vgg: VGG19) -> ImageMeasure:
    def of(made: Tensor, wanted: Tensor) -> Tensor:
        return metrics.style_distance(vgg, made, metrics.style_of(vgg, wanted))

    formula = (
        f"Gram matrices F F^T / (H W) of VGG-19 (max pooling) at {', '.join(metrics.STYLE_LAYERS)}: squared "
        "difference to the painting's over the painting's own square, averaged over layers; of several paintings the "
        "mean of their matrices is the target; 0 is the painting's style, 1 none of it"
    )
    meaning = "distance of the Gram matrices of VGG-19 features of the image to those of the painting"
    return ImageMeasure(name="style distance", better="lower", digits=".4f", meaning=meaning, of=of, formula=formula)
