"""Stylise an image from coarse to fine, with colour preservation and a mask."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from ganvas.core.device import Precision
from ganvas.core.rng import noise
from ganvas.errors import DataError, SettingError
from ganvas.imaging import lab
from ganvas.imaging.images import DecodedImage, in_channels, scaled, to_bytes, to_signed
from ganvas.nets.vgg import SMALLEST_STYLE, VGG19, require_style
from ganvas.style.colors import grey_of, match_colours
from ganvas.style.config import CONTENT_LAYER, LARGEST_STYLE, StylizeConfig, words
from ganvas.style.scale import Scale, Statistics, masked_gram

_COARSEST = 256  # pixels of the longer side: from coarser ones the loss ends higher, for content is lost
_EXACT = 2**18  # pixels up to which fp32 is affordable: 512x512 take under 2 GB in all
_STRIP = 2**20  # pixels that are blended at once, to bound memory
_SIZES = 8  # whose style statistics are cached for the next image of a folder, each up to 2 MB


@dataclass(frozen=True)
class Progress:
    """The state after a step.

    Attributes:
        step: counted from 1 through all scales.
        steps: how many there will be.
        spent: the fraction of the work that is done, 0 to 1; most of it is at the finest scale.
        losses: of the image before the step, as in `Scale.losses`.
        made: the image so far, float (1 or 3, H, W) in -1..1, at the size of this scale; the next step changes it.
    """

    step: int
    steps: int
    spent: float
    losses: Mapping[str, float]
    made: Tensor


@dataclass(frozen=True)
class Stylizer:
    """Styles and settings; call it with an image for the steps, and `finish` for the result.

    Attributes:
        config: the settings.
        network: VGG-19, up to `config.deepest` at least.
        styles: one or several.
        precision: bf16 if that is faster; small images and the last steps are in fp32 all the same.
        mask: where to change the image, uint8 (1, H, W): 255 changes, 0 keeps; of the image's aspect ratio.
        start: the initial image, uint8 (1 or 3, H, W), of the same aspect ratio.
        seed: of the noise to start from.

    Raises:
        DataError: for a style that is too small, or an empty mask.
        SettingError: if there are not as many weights as styles.
    """

    config: StylizeConfig
    network: VGG19
    styles: Sequence[DecodedImage]
    precision: Precision = "fp32"
    mask: Tensor | None = None
    start: Tensor | None = None
    seed: int = 0
    _known: dict[int, Statistics] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        weights = self.config.style_weights
        if weights and len(weights) != len(self.styles):
            raise SettingError(
                f"`style_weights` {words(weights)}: {len(weights)} for {len(self.styles)} styles; give one for each"
            )
        for number, style in enumerate(self.styles, 1):
            require_style(style, name=f"style {number}")
        if self.mask is not None and not self.mask.any():
            raise DataError("`mask` is black all over, so nothing would change; make it white where to stylise")

    def working_size(self, content: DecodedImage) -> tuple[int, int]:
        """Height and width at which the last steps are taken: those of the content, or fewer."""
        height, width = content.pixels.shape[-2:]
        return _shape(height, width, longer=min(self.config.size, max(height, width)))

    def reduced(self, content: DecodedImage) -> DecodedImage:
        """The content at the size at which the last steps are taken: `finish` makes a preview of it."""
        return _resized(content, *self.working_size(content))

    def __call__(self, content: DecodedImage) -> Iterator[Progress]:
        """Take the steps, one for each event; a caller that stops early has the image of the last.

        Raises:
            DataError: if the mask, or the initial image, has another aspect ratio.
            DivergedError: if a loss is not finite.
        """
        self._require_fit(content)
        sizes = self._sizes(content)
        counts = _dealt(self.config.iterations, len(sizes))
        work = [height * width * count for (height, width), count in zip(sizes, counts, strict=True)]
        made, taken, worked = self._beginning(content, *sizes[0]), 0, 0
        for (height, width), count in zip(sizes, counts, strict=True):
            scale = self._scale(content, height, width, last=(height, width) == sizes[-1])
            start = scaled(made, height, width).clamp_(-1, 1)
            for losses, made in scale.steps(start, count):  # the next scale begins where this one ends
                taken, worked = taken + 1, worked + height * width
                yield Progress(taken, sum(counts), worked / sum(work), losses, made[0])

    def finish(self, content: DecodedImage, made: Tensor) -> DecodedImage:
        """The final image, from the image of the steps (1 or 3, H, W): of the content's size, alpha and resolution.

        It may have 12,000 pixels a side, so it is computed in bytes, or in strips.
        """
        pixels = in_channels(content.pixels, 3)
        height, width = pixels.shape[-2:]
        painted = scaled(to_bytes(made).cpu()[None], height, width)[0]
        if self.config.keep_colors == "luminance":
            painted = lab.with_colours_of(painted, pixels)
        if self.mask is None:
            return replace(content, pixels=painted)
        mask, result = scaled(self.mask[None], height, width)[0], torch.empty(pixels.shape, dtype=torch.uint8)
        strip = max(1, _STRIP // width)
        for top in range(0, height, strip):
            rows = slice(top, top + strip)
            before, after = pixels[:, rows].float(), painted[:, rows].float()
            result[:, rows] = torch.lerp(before, after, mask[:, rows].float() / 255).round_()
        return replace(content, pixels=result)

    # --- inputs ---

    def _require_fit(self, content: DecodedImage) -> None:
        """Raise DataError if the mask, or the initial image, has another aspect ratio than the content."""
        height, width = content.pixels.shape[-2:]
        for flag, other in (("`mask`", self.mask), ("`init_from`", self.start)):
            if other is None:
                continue
            rows, columns = other.shape[-2:]
            if abs(rows * width - columns * height) > max(width, height) + 0.01 * rows * width:  # a pixel, a hundredth
                raise DataError(
                    f"{flag} has {columns}x{rows} pixels and the image {width}x{height}; "
                    "give one of the image's aspect ratio"
                )

    def _sizes(self, content: DecodedImage) -> list[tuple[int, int]]:
        """Heights and widths from coarse to fine."""
        height, width = self.working_size(content)
        longer = max(height, width)
        scales = self.config.scales or max(1, int(math.log2(longer / _COARSEST)) + 1)
        sizes = [_shape(height, width, longer=round(longer / 2**k)) for k in reversed(range(scales))]
        return list(dict.fromkeys(sizes))  # of a tiny image several are the smallest size

    def _entered(self, pixels: Tensor, height: int, width: int) -> Tensor:
        """An image at that size as input of the network, float (1, 1 or 3, H, W)."""
        small = in_channels(scaled(pixels[None], height, width)[0], 3)
        return to_signed(grey_of(small) if self.config.keep_colors == "luminance" else small)[None].to(self._device)

    def _beginning(self, content: DecodedImage, height: int, width: int) -> Tensor:
        """The initial image, float (1, 1 or 3, H, W)."""
        if self.start is not None:
            return self._entered(self.start, height, width)
        entered = self._entered(content.pixels, height, width)
        if self.config.init == "noise":
            return noise([self.seed], entered.shape[1:], device=self._device).mul_(0.5).clamp_(-1, 1)
        return entered

    @cached_property
    def _prepared(self) -> list[DecodedImage]:
        """The styles in bytes, no larger than the largest size at which they are used."""
        largest = self._style_side(self.config.size)
        return [
            _resized(style, *_shape(*style.pixels.shape[-2:], longer=largest))
            if max(style.pixels.shape[-2:]) > largest
            else style
            for style in self.styles
        ]

    def _style_side(self, longer: int) -> int:
        """The longer side of a style, in pixels, for an image with `longer` pixels."""
        return min(round(longer * self.config.style_scale), max(longer, LARGEST_STYLE))

    def _paintings(self, content: DecodedImage, longer: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """The styles, float (1, 1 or 3, H, W), in the colours to use, and their alpha, (1, 1, H, W) in 0..1.

        At their size for an image with `longer` pixels on its longer side.
        """
        for style in self._prepared:
            size = _shape(*style.pixels.shape[-2:], longer=self._style_side(longer))
            painting, showing = self._entered(style.pixels, *size), _showing(style, *size)
            if self.config.keep_colors != "none":
                ours = self.working_size(content)
                wanted, seen = self._entered(content.pixels, *ours), _showing(content, *ours)
                painting = match_colours(painting, wanted, showing=showing, wanted_showing=seen).clamp_(-1, 1)
            yield painting, None if showing is None else showing.to(self._device)

    # --- targets ---

    @torch.no_grad()
    def _scale(self, content: DecodedImage, height: int, width: int, *, last: bool) -> Scale:
        entered = self._entered(content.pixels, height, width)
        mask = None if self.mask is None else scaled(self.mask[None], height, width).to(self._device) / 255
        seeing = self._seeing(entered)
        seen = seeing(entered, (CONTENT_LAYER,))[CONTENT_LAYER].float()
        longer = max(height, width)
        style = self._known.get(longer)
        if style is None:
            style = self._statistics(content, longer)
            if self.config.keep_colors == "none":  # otherwise they are for this content alone
                if len(self._known) == _SIZES:
                    del self._known[next(iter(self._known))]
                self._known[longer] = style
        return Scale(self.config, self._quick, seeing if last else None, entered, style, mask, seen)

    def _statistics(self, content: DecodedImage, longer: int) -> Statistics:
        """The weighted mean of the Gram matrices of the styles."""
        weights = self.config.style_weights or (1.0,) * len(self.styles)
        mean: dict[str, Tensor] = {}
        for weight, (painting, showing) in zip(weights, self._paintings(content, longer), strict=True):
            for layer, maps in self._seeing(painting)(painting, tuple(self.config.shares)).items():
                mean[layer] = mean.get(layer, 0) + masked_gram(maps, showing) * (weight / sum(weights))
        return mean

    def _seeing(self, images: Tensor) -> VGG19:
        """The network that computes targets: the exact one, unless images (1, C, H, W) are large."""
        return self.network if images.shape[-2] * images.shape[-1] <= _EXACT else self._quick

    @cached_property
    def _quick(self) -> VGG19:
        return copy.deepcopy(self.network).bfloat16() if self.precision == "bf16" else self.network

    @property
    def _device(self) -> torch.device:
        return next(self.network.buffers()).device


def _shape(height: int, width: int, *, longer: int) -> tuple[int, int]:
    """Height and width in proportion, with `longer` pixels on the longer side; at least `SMALLEST_STYLE` on each.

    So very thin images are widened: in proportion, a line of 12,000 pixels would become 48,000 of them.
    """
    share = longer / max(height, width)
    return max(SMALLEST_STYLE, round(height * share)), max(SMALLEST_STYLE, round(width * share))


def _resized(image: DecodedImage, height: int, width: int) -> DecodedImage:
    """The image at that size, its alpha with it."""
    alpha = None if image.alpha is None else scaled(image.alpha[None, None], height, width)[0, 0]
    return replace(image, pixels=scaled(image.pixels[None], height, width)[0], alpha=alpha)


def _showing(image: DecodedImage, height: int, width: int) -> Tensor | None:
    """The alpha of an image at that size, float (1, 1, H, W) in 0..1; None if it has none."""
    return None if image.alpha is None else scaled(image.alpha[None, None], height, width) / 255


def _dealt(count: int, parts: int) -> list[int]:
    """`count` in parts of about the same size, each of at least one."""
    edges = [max(k, round(count * k / parts)) for k in range(parts + 1)]
    return [end - start for start, end in pairwise(edges)]
