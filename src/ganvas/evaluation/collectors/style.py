"""Evaluation of models of style: how near their images are to the painting, and how much of the photograph they keep.

The two oppose each other, so neither is enough alone: the unchanged photograph keeps all content, and the painting in
place of the photograph has all the style.
"""

import functools
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
from ganvas.evaluation.collect import collect
from ganvas.evaluation.collectors.by_image import Batch, ByImage, evaluation_of
from ganvas.evaluation.measures import ImageMeasure
from ganvas.evaluation.outputs import device_of
from ganvas.evaluation.perceptual import vgg_measure
from ganvas.evaluation.protocol import formulas, protocol_of
from ganvas.evaluation.results import Evaluation, ModelSummary
from ganvas.evaluation.statistics import INPUT, PAINTING
from ganvas.evaluation.sums import alike
from ganvas.imaging.images import in_channels, scaled, to_signed
from ganvas.inference.translate import Translator
from ganvas.methods._base import Method, Restyles
from ganvas.methods.fast_style import FastStyleConfig
from ganvas.nets.vgg import VGG19

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
        scaled_ones = []
        for painting in self.paintings:
            share = min(1.0, shorter / min(painting.shape[-2:]))
            height, width = (round(side * share) for side in painting.shape[-2:])
            scaled_ones.append(scaled(in_channels(painting, channels).contiguous()[None], height, width))
        return scaled_ones


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
    painting = Paintings(models, photographs, styles, vgg=vgg, title=title)
    return collect(painting, learned=learned, track=track)


class Paintings(ByImage[Batch]):
    """Paints photographs, each in its style."""

    doing = "painting"

    def __init__(
        self,
        models: Mapping[str, Model],
        photographs: Source[ImageBatch],
        styles: Sequence[Style],
        *,
        vgg: VGG19,
        title: str,
    ) -> None:
        """Check that the models paint such photographs; see `evaluate_style`."""
        for model in models.values():
            Translator(model)
        channels = {model.manifest.spec.channels for model in models.values()}
        if channels != {photographs.spec.channels}:
            raise DataError("one of the models paints in grey and another in colour; compare those of one kind")
        self.content = replace(vgg_measure(vgg), name=CONTENT, meaning="VGG distance to the photograph")
        self.style = _style(vgg)
        super().__init__(models, photographs, [self.style, self.content])
        self.styles, self.vgg, self.title = styles, vgg, title
        configs = [model.manifest.config for model in models.values()]
        sizes = [config.painting_size for config in configs if isinstance(config, FastStyleConfig)]
        self.shorter = max(sizes, default=photographs.spec.size)  # strokes of the size in training
        self.encoded = functools.lru_cache(KEPT)(self._encoded)

    def _encoded(self, number: int) -> tuple[list[Tensor], dict[str, Tensor], Tensor]:
        """Gram matrices of a style, its encoding for each model that takes any, and the painting, (C, H, W)."""
        paintings = self.styles[number].at(self.shorter, self.source.spec.channels)
        wanted = _mean([metrics.style_of(self.vgg, painting) for painting in paintings])
        codes = {
            name: _code(model.method, paintings)
            for name, model in self.models.items()
            if isinstance(model.method, Restyles)
        }
        return wanted, codes, _square(paintings[0], self.source.spec.size)[0]

    def answers(self, numbers: Sequence[int]) -> Batch:
        """Photographs and the output of each model."""
        given = self.source.rows(numbers).images
        codes = [self.encoded(number % len(self.styles))[1] for number in numbers]
        images, finite = {INPUT: given}, dict[str, Tensor]()
        for name, translate in self.translating.items():
            styles = torch.stack([of_each[name] for of_each in codes]) if name in codes[0] else None
            images[name], finite[name] = translate(given, "ab", styles=styles)
        return Batch(list(numbers), images, finite)

    def add(self, batch: Batch) -> None:
        """Compare the outputs with their paintings and their photographs."""
        super().add(batch)
        self.spectra.add(batch.images)
        of_each = [self.encoded(number % len(self.styles))[0] for number in batch.numbers]
        wanted = [torch.stack(matrices) for matrices in zip(*of_each, strict=True)]  # (N, K, K) each
        for answer, images in batch.images.items():
            self.values.add(self.style.name, answer, metrics.style_distance(self.vgg, images, wanted))
            if answer != INPUT:
                self.values.add(self.content.name, answer, self.content.of(*alike(images, batch.images[INPUT])))

    def columns(self, number: int) -> dict[str, Tensor]:
        """A photograph, the output of each model, and the painting, uint8 (C, H, W)."""
        shown = self.answers([number]).images | {PAINTING: self.encoded(number % len(self.styles))[2][None]}
        return {answer: images[0] for answer, images in zip(shown, alike(*shown.values()), strict=True)}

    def evaluation(self, models: Sequence[ModelSummary]) -> Evaluation:
        """The two distances, with the protocol."""
        any_style = any(isinstance(model.method, Restyles) for model in self.models.values())
        paintings = (
            f"{self.title or 'as given'}; used with {self.shorter} pixels or fewer on the shorter side"
            f"{', also for a model that takes any style' if any_style else ''}"
        )
        return evaluation_of(
            [self],
            models,
            kind="style",
            data=self.source.short_title,
            baselines={
                INPUT: "the unchanged photograph: all of its content, and only the style that it happens to have"
            },
            protocol=protocol_of(self.source, {"direction": "ab"}, measured=len(self.measured))
            | {"paintings": paintings, **formulas(self.measures)},
            sets=self.set_scores(),
        )


def _mean(of_each: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The Gram matrices (K, K) of several paintings at once: their mean for each layer."""
    return [torch.cat(list(layer)).mean(0) for layer in zip(*of_each, strict=True)]


def _code(method: Method, paintings: Sequence[Tensor]) -> Tensor:
    """The style of these, as a model that takes any style encodes it: the mean of their codes."""
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
    def of(images: Tensor, wanted: Tensor) -> Tensor:
        return metrics.style_distance(vgg, images, metrics.style_of(vgg, wanted))

    formula = (
        f"Gram matrices F F^T / (H W) of VGG-19 (max pooling) at {', '.join(metrics.STYLE_LAYERS)}: squared "
        "difference to the painting's over the painting's own square, averaged over layers; of several paintings the "
        "mean of their matrices is the target; 0 is the painting's style, 1 none of it"
    )
    meaning = "distance of the Gram matrices of VGG-19 features of the image to those of the painting"
    return ImageMeasure(name="style distance", better="lower", digits=".4f", meaning=meaning, of=of, formula=formula)
