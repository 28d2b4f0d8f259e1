"""Colour preservation: give the style the colours of the content, or transfer only lightness.

Gatys, Bethge, Hertzmann and Shechtman 2016, "Preserving Color in Neural Artistic Style Transfer".
"""

import torch
from torch import Tensor

from ganvas.imaging import lab


def match_colours(
    images: Tensor, wanted: Tensor, *, showing: Tensor | None = None, wanted_showing: Tensor | None = None
) -> Tensor:
    """Images (1, C, H, W) with the mean and the covariance of the colours of `wanted` (1, C, H', W').

    Of all linear maps that do so it is the one that moves colours least (Pitie and Kokaram 2007, "The Linear
    Monge-Kantorovitch Linear Colour Mapping"); for grey images, it matches mean and deviation. `showing`
    and `wanted_showing` are the weights of pixels, (1, 1, H, W) in 0..1, or None for all alike.
    """
    ours, theirs = (image[0].flatten(1).cpu().double() for image in (images, wanted))  # (C, H W); MPS has no float64
    middle, spread = _distribution(ours, showing)
    goal_middle, goal = _distribution(theirs, wanted_showing)
    root = _root(spread)
    back = torch.linalg.inv(root)
    turn = back @ _root(root @ goal @ root) @ back  # turn spread turn = goal
    moved: Tensor = turn @ (ours - middle) + goal_middle
    return moved.to(images).reshape(images.shape)


def _distribution(colours: Tensor, showing: Tensor | None) -> tuple[Tensor, Tensor]:
    """The mean (C, 1) and the covariance (C, C) of colours (C, N), weighted by `showing`.

    A small multiple of the identity is added to the covariance, so that it has an inverse.
    """
    weights = torch.ones_like(colours[:1]) if showing is None else showing.reshape(1, -1).to(colours)
    if not weights.any():  # nothing shows: all alike
        weights = torch.ones_like(weights)
    weights = weights / weights.sum()
    mean = (colours * weights).sum(1, keepdim=True)
    apart = colours - mean
    return mean, (apart * weights) @ apart.mT + 1e-6 * torch.eye(len(colours)).to(colours)


def _root(matrix: Tensor) -> Tensor:
    """The root of a symmetric positive matrix (C, C)."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.mT
    return root


def grey_of(pixels: Tensor) -> Tensor:
    """The grey, uint8 (1, H, W), with the lightness of colours, uint8 (3, H, W)."""
    lightness = lab.lightness(pixels)
    return lab.to_srgb(torch.cat([lightness, torch.zeros_like(lightness).expand(2, -1, -1)]))[:1]
