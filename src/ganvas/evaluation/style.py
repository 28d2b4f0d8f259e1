"""How good a model of style is: how near its pictures come to the painting, and what they keep of the photograph.

The two pull against each other, so neither says anything alone: who does nothing keeps all content, and who hangs the
painting in place of the photograph has all its style.
"""

import functools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ganvas import gallery, metrics
from ganvas.checkpoint import Model
from ganvas.data.batch import Images, Source
from ganvas.data.progress import Track, silently
from ganvas.evaluation.perception import vgg_measure
from ganvas.evaluation.scores import Measure, PictureScore, TranslationEvaluation
from ganvas.evaluation.sheet import Chosen
from ganvas.evaluation.translation import (
    INPUT,
    Spectra,
    alike,
    compared,
    formulas,
    means,
    protocol_of,
    rows_at_once,
    through,
)
from ganvas.images import in_channels, scaled, to_signed
from ganvas.methods._base import Restyles, Translates
from ganvas.methods.fast_style import FastStyleConfig
from ganvas.nets.vgg import VGG19
from ganvas.runtime import evaluating
from ganvas.translation import Translator

CONTENT = "content distance"
KEPT = 64  # styles of which is kept what is wanted, 1.4 MB each


@dataclass(frozen=True)
class Style:
    """What photographs are to be painted in: one painting, or several at once.

    Attributes:
        paintings: uint8 (1 or 3, H, W) each, of any size.
    """

    paintings: Sequence[Tensor]

    def at(self, shorter: int, channels: int) -> list[Tensor]:
        """Each with that many pixels on its shorter side, or its own where it has fewer, uint8 (1, C, H, W)."""
        made = []
        for painting in self.paintings:
            share = min(1.0, shorter / min(painting.shape[-2:]))
            height, width = (round(side * share) for side in painting.shape[-2:])
            made.append(scaled(in_channels(painting, channels).contiguous()[None], height, width))
        return made


@dataclass(kw_only=True)
class StyleEvaluation(TranslationEvaluation):
    """What was found of a model of style.

    Attributes:
        milliseconds: that a picture took in the network; not part of what is kept, for it is another each time.
    """

    milliseconds: float


def evaluate_style(
    model: Model,
    photographs: Source[Images],
    styles: Sequence[Style],
    *,
    vgg: VGG19,
    title: str = "",
    learned: str = "",
    track: Track = silently,
) -> StyleEvaluation:
    """Paint every photograph and hold it against its painting and against itself.

    Args:
        model: of a method of style.
        photographs: best such that the model has not seen.
        styles: photograph i is held against style i, counted round; a model that takes any style is told it.
        vgg: what looks at them, whole.
        title: what the protocol calls the paintings.
        learned: what is to be said in the protocol of whether the model learned from these photographs.
        track: shows what long work has done.

    Raises:
        ModelError: if the model does not translate, or its pictures hold what is no number.
    """
    method, size, channels = Translator(model).method, photographs.spec.size, model.facts.spec.channels
    config = model.facts.config
    shorter = config.painting_size if isinstance(config, FastStyleConfig) else size  # strokes as large as it learned

    @functools.lru_cache(KEPT)
    def looked_at(number: int) -> tuple[list[Tensor], Tensor | None, Tensor]:
        """What is wanted of a style, what the model is told of it, and how it looks, (C, H, W)."""
        paintings = styles[number].at(shorter, channels)
        wanted = _mean([metrics.style_of(vgg, painting) for painting in paintings])
        told = _told(method, paintings) if isinstance(method, Restyles) else None
        return wanted, told, _square(paintings[0], size)[0]

    content, style = replace(vgg_measure(vgg), name=CONTENT, meaning="VGG distance to the photograph"), _style(vgg)

    spectra, values, seconds = Spectra(), dict[str, list[Tensor]](), 0.0
    across = gallery.columns(size)
    chosen = Chosen(len(photographs), across)
    at_once, start = rows_at_once(photographs.spec), 0
    parts = photographs.parts(at_once)
    for part in track(parts, total=math.ceil(len(photographs) / at_once), description="painting"):
        given = part.images
        numbers = [i % len(styles) for i in range(start, start + len(given))]
        start += len(given)
        wanted, told, shown = zip(*map(looked_at, numbers), strict=True)
        told_of_each = None if told[0] is None else torch.stack(told)
        began = time.perf_counter()
        made = through(method, given, "ab", styles=told_of_each)
        seconds += time.perf_counter() - began
        spectra.add(outputs=made, targets=given)
        targets = [torch.stack(matrices) for matrices in zip(*wanted, strict=True)]
        row = {
            style.name: metrics.style_distance(vgg, made, targets),
            f"{INPUT} {style.name}": metrics.style_distance(vgg, given, targets),
            content.name: content.of(*alike(made, given)),
        }
        for column, found in row.items():
            values.setdefault(column, []).append(found)
        chosen.add(torch.stack(alike(given, made, torch.stack(shown)), 1), -row[style.name])
    columns = {name: torch.cat(found) for name, found in values.items()}
    return StyleEvaluation(
        model=model.facts.method,
        step=model.step,
        protocol=protocol_of(model, photographs, {"direction": "ab"}, learned)
        | {
            "paintings": f"{title or 'as given'}; seen with {shorter} pixels or fewer on the shorter side"
            + (", so too by the model" if isinstance(method, Restyles) else ""),
            "baseline": "the photograph as it is: all of its content, and no more of the style than it happens to have",
            **formulas([style, content]),
        },
        scores=[
            compared(style, columns),
            PictureScore(content, len(photographs), means(columns)[content.name]),
        ],
        checkerboards=[spectra.checkerboard()],
        values=columns,
        shown=chosen.numbers(),
        sheet=chosen.sheet(),
        across=across,
        milliseconds=1000 * seconds / max(1, len(photographs)),
    )


def _mean(of_each: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The Gram matrices (K, K) of several paintings at once: their mean, layer by layer."""
    return [torch.cat(list(layer)).mean(0) for layer in zip(*of_each, strict=True)]


def _told(method: Translates, paintings: Sequence[Tensor]) -> Tensor:
    """What a model that takes any style is told of these: the mean of their styles."""
    assert isinstance(method, Restyles)
    assert isinstance(method, torch.nn.Module)
    device = next(method.parameters()).device
    with evaluating(method):
        return torch.stack([method.style_of(to_signed(painting).to(device))[0] for painting in paintings]).mean(0)


def _square(painting: Tensor, size: int) -> Tensor:
    """The largest centred square of (1, C, H, W), scaled, for the sheet."""
    height, width = painting.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return scaled(painting[..., top : top + side, left : left + side], size, size)


def _style(vgg: VGG19) -> Measure:
    def of(made: Tensor, wanted: Tensor) -> Tensor:
        return metrics.style_distance(vgg, made, metrics.style_of(vgg, wanted))

    formula = (
        f"Gram matrices F F^T / (H W) of VGG-19 (max pooling) at {', '.join(metrics.STYLE_LAYERS)}: squared "
        "difference to the painting's over the painting's own square, averaged over layers; of several paintings the "
        "mean of their matrices is wanted; 0 is the painting's style, 1 none at all"
    )
    meaning = "how far what goes together in the picture is from what goes together in the painting"
    return Measure("style distance", "", "lower", ".4f", meaning, of, formula)
