"""Resize images strip by strip, so that what is computed in float never holds the whole of a large one."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.imaging.images import to_signed

AT_ONCE = 2**22  # values that are computed at once


@dataclass(frozen=True)
class Strip:
    """A part of an image that spans one of its axes.

    Attributes:
        axis: the other one, -2 or -1, along which `start` counts.
        pixels: (..., H, W).
    """

    axis: int
    start: int
    pixels: Tensor

    def of(self, whole: Tensor) -> Tensor:
        """The same part of another image of that size."""
        return whole.narrow(self.axis, self.start, self.pixels.shape[self.axis])


def joined(strips: Iterator[Strip], height: int, width: int) -> Tensor:
    """The image (..., H, W) of all of its strips."""
    whole: Tensor | None = None
    for strip in strips:
        if strip.pixels.shape[-2:] == (height, width):
            return strip.pixels
        if whole is None:
            whole = strip.pixels.new_empty((*strip.pixels.shape[:-2], height, width))
        strip.of(whole).copy_(strip.pixels)
    assert whole is not None
    return whole


def reduced(images: Tensor, height: int, width: int) -> Tensor:
    """Images (N, C, H, W), uint8 or float in -1..1, at a smaller size: bicubic with antialiasing, float in -1..1."""
    first, shape = (-1, -2) if images.shape[-1] >= images.shape[-2] else (-2, -1), (height, width)
    return _scaled(scaled_one_way(images, axis=first[0], length=shape[first[0]]), first[1], shape[first[1]])


def scaled_one_way(images: Tensor, *, axis: int, length: int) -> Tensor:
    """Images (N, C, H, W), uint8 or float in -1..1, scaled along one axis, float in -1..1."""
    other = -3 - axis
    parts = (Strip(other, start, _scaled(_signed(part), axis, length)) for start, part in _cut(images, other))
    return joined(parts, *((images.shape[-2], length) if axis == -1 else (length, images.shape[-1])))


def enlarged(images: Tensor, height: int, width: int) -> Iterator[Strip]:
    """Float images (N, C, H, W) at a larger size, bicubic with antialiasing, in strips."""
    axis = -1 if images.shape[-2] * width <= height * images.shape[-1] else -2  # the one that takes less memory first
    first = _scaled(images, axis, (height, width)[axis])  # then strips of it along the other
    other = (height, width)[-3 - axis]
    length = max(1, AT_ONCE // (other * images.shape[0] * images.shape[1]))
    for start in range(0, first.shape[axis], length):
        part = first.narrow(axis, start, min(length, first.shape[axis] - start))
        yield Strip(axis, start, _scaled(part, -3 - axis, other))


def _signed(part: Tensor) -> Tensor:
    return to_signed(part) if part.dtype == torch.uint8 else part


def _cut(images: Tensor, axis: int) -> Iterator[tuple[int, Tensor]]:
    """The images in parts along an axis, each with its start."""
    length = max(1, AT_ONCE * images.shape[axis] // images.numel())
    for start in range(0, images.shape[axis], length):
        yield start, images.narrow(axis, start, min(length, images.shape[axis] - start))


def _scaled(images: Tensor, axis: int, length: int) -> Tensor:
    """Scaled along one axis."""
    if images.shape[axis] == length:
        return images
    size = (images.shape[-2], length) if axis == -1 else (length, images.shape[-1])
    return F.interpolate(images, size, mode="bicubic", antialias=True)
