"""Colour for grey images: the lightness stays, and the network adds the a and b of Lab."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ganvas.data.batch import PairBatch
from ganvas.data.tasks._base import Task
from ganvas.imaging import lab
from ganvas.imaging.images import to_bytes, to_signed

COLORLESS = 3  # of 255, a and b around their middle: not visible as a colour

_STRIP = 2**20  # pixels whose colours are converted at once, to bound memory


class Colorize(Task):
    """Lightness to the a and b of Lab: bytes 0..255 stand for L in 0..100, and for a and b in -110..110."""

    channels = 1
    target_channels = 2

    def read_channels(self, grey: bool) -> int:
        """Always in colour."""
        return 3

    def pair(self, image: Tensor) -> PairBatch:
        """Lightness, and colour."""
        values = lab.from_srgb(image)
        colour = (values[1:] / lab.AB_LIMIT).clamp(-1, 1)
        return PairBatch(self.enter(image, None)[None], to_bytes(colour)[None])

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """The lightness."""
        strips = [to_bytes(lab.lightness(strip) / 50 - 1) for strip in _strips(image)]
        return torch.cat(strips, 1)

    def leave(self, image: Tensor, alpha: Tensor | None, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """The image's own lightness with the generated colours; with less chroma where sRGB has no such colour."""
        strips = [
            lab.to_srgb(torch.cat([lab.lightness(strip), colour.float() * lab.AB_LIMIT]))
            for strip, colour in zip(_strips(image), _strips(output), strict=True)
        ]
        return torch.cat(strips, 1), alpha

    def show(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The lightness as grey, and the image in colour."""
        luminance, colour = (to_signed(source) + 1) * 50, to_signed(target) * lab.AB_LIMIT
        grey = torch.cat([luminance, torch.zeros_like(colour)])
        return lab.to_srgb(grey), lab.to_srgb(torch.cat([luminance, colour]))

    def colorless(self, pairs: PairBatch) -> int:
        """How many targets are grey."""
        return int(((pairs.target.float() - 127.5).abs().amax((1, 2, 3)) < COLORLESS).sum())


def _strips(image: Tensor) -> Sequence[Tensor]:
    """An image (C, H, W) in strips of rows, so that converting a large one takes little memory."""
    return torch.split(image, max(1, _STRIP // image.shape[-1]), 1)
