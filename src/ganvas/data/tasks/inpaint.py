"""Inpainting: holes are filled with plausible content."""

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.core.device import sent
from ganvas.core.rng import uniform
from ganvas.data.batch import PairBatch
from ganvas.data.tasks._base import Task
from ganvas.errors import DataError
from ganvas.imaging.images import to_bytes

GREY_HOLE = 128  # the value of pixels that are to be filled in
OPAQUE = 128  # the smallest alpha of a pixel that is kept
HOLES = (0.1, 0.3)  # the fraction of an image that its holes take, from and to
COARSE = 32  # pixels; shapes of holes are computed no finer, and scaled up smoothly

_STROKES, _BENDS, _RECTANGLES = 3, 3, 2  # at most, of an image


class Inpaint(Task):
    """Fills holes with plausible content."""

    fresh = True

    def pair(self, image: Tensor) -> PairBatch:
        """The image twice; `afresh` makes the holes in the source."""
        return PairBatch(image[None], image[None])

    def afresh(self, pairs: PairBatch, generator: torch.Generator) -> PairBatch:
        """New holes in every source."""
        n, _, height, width = pairs.source.shape
        hole = holes(n, height, width, generator=generator, device=pairs.source.device)
        return replace(pairs, source=pairs.source.masked_fill(hole[:, None], GREY_HOLE))

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """The image with holes where it is transparent.

        Raises:
            DataError: if it is opaque everywhere.
        """
        if alpha is None or not bool((alpha < OPAQUE).any()):
            raise DataError("nothing to fill in: make the area transparent (alpha below 128) and save as PNG or WebP")
        return image.masked_fill(alpha < OPAQUE, GREY_HOLE)

    def leave(self, image: Tensor, alpha: Tensor | None, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """The image, opaque, with its holes filled and every other byte as it was."""
        assert alpha is not None, "enter refuses images without alpha"
        filling = to_bytes(output)
        channels = max(len(image), len(filling))
        return torch.where(alpha < OPAQUE, filling.expand(channels, -1, -1), image), None


def holes(n: int, height: int, width: int, *, generator: torch.Generator, device: torch.device) -> Tensor:
    """Masks of the holes of n images, (n, H, W): strokes and rectangles that cover a tenth to three tenths.

    Every shape is a field that grows from its centre; the hole is where the field is below the level that gives the
    wanted area. So the area is exact, whatever the shapes.
    """
    rows, columns = min(height, COARSE), min(width, COARSE)
    y = (torch.arange(rows, device=device) + 0.5)[:, None] / rows
    x = (torch.arange(columns, device=device) + 0.5)[None] / columns
    fields = [
        *(field for _ in range(_STROKES) for field in _stroke(n, y, x, generator=generator)),
        *(_rectangle(n, y, x, generator=generator) for _ in range(_RECTANGLES)),
    ]
    field = torch.stack(fields).amin(0)  # (N, rows, columns)
    low, high = HOLES
    share = torch.rand(n, generator=generator) * (high - low) + low
    place = sent((share * (rows * columns - 1)).round().long(), device)
    level = field.flatten(1).sort(1).values.gather(1, place[:, None])[:, :, None]
    if (rows, columns) != (height, width):
        field = F.interpolate(field[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]
    return field <= level


def _sometimes(generator: torch.Generator, n: int, device: torch.device) -> Tensor:
    """Random: zero for a shape that is there, a large distance for one that is not; (N, 1, 1)."""
    return sent(torch.where(torch.rand(n, 1, 1, generator=generator) < 0.7, 0.0, 1.0), device)


def _stroke(n: int, y: Tensor, x: Tensor, *, generator: torch.Generator) -> list[Tensor]:
    """A bent line: of each piece, the distance to it in sides, over a random width; (N, rows, columns)."""
    at = uniform(generator, n, 2, low=0.05, high=0.95, device=x.device)
    angle = uniform(generator, n, low=0, high=2 * math.pi, device=x.device)
    turns = uniform(generator, n, _BENDS, low=-1.3, high=1.3, device=x.device)
    lengths = uniform(generator, n, _BENDS, low=0.1, high=0.4, device=x.device)
    width = uniform(generator, n, 1, 1, low=0.5, high=1.5, device=x.device)
    away = _sometimes(generator, n, x.device)
    pieces = []
    for bend in range(_BENDS):
        angle = angle + turns[:, bend]
        step = torch.stack([angle.sin(), angle.cos()], 1) * lengths[:, bend, None]  # (N, 2): down, across
        start, along = at[:, :, None, None], step[:, :, None, None]
        dy, dx = y - start[:, 0], x - start[:, 1]  # (N, rows, 1), (N, 1, columns)
        rate = along / lengths[:, bend, None, None, None] ** 2
        share = (dy * rate[:, 0] + dx * rate[:, 1]).clamp_(0, 1)  # of the way along the piece, where it is nearest
        squared = (dy - share * along[:, 0]).square_() + (dx - share * along[:, 1]).square_()
        pieces.append(squared.sqrt_() / width + away)
        at = (at + step).clamp(0, 1)
    return pieces


def _rectangle(n: int, y: Tensor, x: Tensor, *, generator: torch.Generator) -> Tensor:
    """The distance from a rectangle's centre, over its random sides; (N, rows, columns)."""
    middle = uniform(generator, n, 2, 1, 1, low=0.1, high=0.9, device=x.device)
    sides = uniform(generator, n, 2, 1, 1, low=0.5, high=2.5, device=x.device)
    across = torch.maximum((y - middle[:, 0]).abs() / sides[:, 0], (x - middle[:, 1]).abs() / sides[:, 1])
    return across + _sometimes(generator, n, x.device)
