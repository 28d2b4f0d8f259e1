"""Differentiable augmentation: the discriminator sees only augmented images, real and fake alike.

Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training". A discriminator that has only a
few hundred images memorises them; random augmentation prevents that. The fakes are augmented in the same ways and
the gradient passes through the augmentation, so the generator does not learn to generate augmented images.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.core.rng import rand, randint

Augmentation = Literal["color", "translation", "cutout"]


def augment(images: Tensor, changes: Sequence[Augmentation]) -> Tensor:
    """Augment images (N, C, H, W) in -1..1, each at random in the named ways; without changes the same tensor."""
    for change in changes:
        images = {"color": _color, "translation": _translation, "cutout": _cutout}[change](images)
    return images


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """One random number per image, (N, 1, 1, 1)."""
    return low + (high - low) * rand(len(images), 1, 1, 1, device=images.device)


def _color(x: Tensor) -> Tensor:
    """Shift brightness by up to half of white, scale saturation by 0 to 2 and contrast by 0.5 to 1.5."""
    x = x + _uniform(x, -0.5, 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * _uniform(x, 0, 2)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * _uniform(x, 0.5, 1.5)


def _translation(x: Tensor) -> Tensor:
    """Shift by up to an eighth of the side (rounded) in both directions; the uncovered border is mid grey."""
    n, _, height, width = x.shape
    most = (height + 4) // 8
    dy, dx = torch.split(randint(0, 2 * most + 1, n, 2, device=x.device), 1, dim=1)  # (N, 1) each
    rows = dy + torch.arange(height, device=x.device)  # (N, H)
    columns = dx + torch.arange(width, device=x.device)  # (N, W)
    padded = F.pad(x, (most, most, most, most))
    which = torch.arange(n, device=x.device)[:, None, None]
    return padded[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cutout(x: Tensor) -> Tensor:
    """Fill a square of half the side with mid grey; its centre may lie anywhere."""
    n, _, height, width = x.shape
    top, left = (randint(0, side + 1, n, 1, device=x.device) - side // 4 for side in (height, width))
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    down = (rows >= top) & (rows < top + height // 2)  # (N, H)
    across = (columns >= left) & (columns < left + width // 2)  # (N, W)
    return x.masked_fill((down[:, :, None] & across[:, None, :])[:, None], 0)
