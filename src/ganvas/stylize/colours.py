"""Colours kept: those of the style turned into the content's, or lightness alone.

Gatys, Bethge, Hertzmann and Shechtman 2016, "Preserving Color in Neural Artistic Style Transfer".
"""

import torch
from torch import Tensor

from ganvas import lab


def match_colours(pictures: Tensor, wanted: Tensor) -> Tensor:
    """Pictures (1, C, H, W) with the mean and the covariance that the colours of `wanted` (1, C, H', W') have.

    Of all linear maps that do so it is the one that moves colours least (Pitie and Kokaram 2007, "The Linear
    Monge-Kantorovitch Linear Colour Mapping"); for grey ones, it matches mean and deviation.
    """
    ours, theirs = (picture[0].flatten(1).double() for picture in (pictures, wanted))  # (C, H W)
    spread, goal = _covariance(ours), _covariance(theirs)
    root = _root(spread)
    back = torch.linalg.inv(root)
    turn = back @ _root(root @ goal @ root) @ back  # turn spread turn = goal
    moved: Tensor = turn @ (ours - ours.mean(1, keepdim=True)) + theirs.mean(1, keepdim=True)
    return moved.to(pictures.dtype).reshape(pictures.shape)


def _covariance(colours: Tensor) -> Tensor:
    """Of colours (C, N), with a little of every colour, so that a picture of one colour has an inverse."""
    return torch.cov(colours).reshape(len(colours), -1) + 1e-6 * torch.eye(len(colours)).to(colours)


def _root(matrix: Tensor) -> Tensor:
    """The root of a symmetric positive matrix (C, C)."""
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors * values.clamp(min=0).sqrt() @ vectors.mT
    return root


def grey_of(pixels: Tensor) -> Tensor:
    """The grey, uint8 (1, H, W), that is as light as colours, uint8 (3, H, W)."""
    lightness = lab.lightness(pixels)
    return lab.to_srgb(torch.cat([lightness, torch.zeros_like(lightness).expand(2, -1, -1)]))[:1]
