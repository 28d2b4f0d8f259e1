"""Digits that are hidden in patterns, to be found."""

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.core.device import sent
from ganvas.core.rng import uniform
from ganvas.data.batch import ImageBatch, PairBatch
from ganvas.data.tasks._base import Task

_KINDS = 6  # of backgrounds: stripes, waves, checks, dots, rings, smooth noise
_WEAVES = 4  # the background inside a digit: shifted by half a period, rotated, of another scale, fainter
_STRENGTHS = (-1.0, 1.0, 1.0, 0.25)  # by weave; shifting a wave by half a period changes its sign
_STROKE = (64, 160)  # ink up to which there is background only, and from which on there is none
_RIPPLES = 8  # plane waves of which smooth noise is the sum


class HiddenDigit(Task):
    """A patterned image, to the digit that is hidden in it."""

    channels = 3
    target_channels = 1
    fresh = True

    def read_channels(self, grey: bool) -> int:
        """Always in grey."""
        return 1

    def pair(self, image: Tensor) -> PairBatch:
        """The digit twice; `afresh` hides the source."""
        return PairBatch(image[None].expand(-1, 3, -1, -1).contiguous(), image[None])

    def afresh(self, pairs: PairBatch, generator: torch.Generator) -> PairBatch:
        """Every digit shifted a little and hidden in a new pattern."""
        n, _, height, _ = pairs.target.shape  # squares
        most = max(1, height // 14)  # pixels
        top, left = torch.randint(0, 2 * most + 1, (2, n), generator=generator)
        padded = ImageBatch(F.pad(pairs.target, (most, most, most, most)))
        device = pairs.target.device
        moved = padded.windows(sent(top, device), sent(left, device), height).images
        return replace(pairs, source=woven(moved, generator=generator), target=moved)

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """The image in colour."""
        return image.expand(3, -1, -1).contiguous()


def woven(ink: Tensor, *, generator: torch.Generator) -> Tensor:
    """Patterned images uint8 (N, 3, H, W), each with the digit of uint8 `ink` (N, 1, H, W) hidden in the pattern.

    Inside of the digit the same pattern is shifted by half a period, rotated, of another scale, or fainter. Its mean is
    the same inside and outside: no threshold finds the digit.
    """
    n, _, height, width = ink.shape
    kinds, weaves = torch.randint(_KINDS, (n,), generator=generator), torch.randint(_WEAVES, (n,), generator=generator)
    low, high = (torch.tensor(column) for column in zip(*_lots(min(height, width)), strict=True))
    lots = torch.rand(n, len(low), generator=generator) * (high - low) + low  # (N, 6)
    ripples = torch.rand(n, 3, _RIPPLES, generator=generator)
    blank, full = _STROKE
    stroke = ((ink[:, 0].float() - blank) / (full - blank)).clamp_(0, 1)
    pattern = _ground(kinds, lots, ripples, shape=(height, width), device=ink.device)
    other = _ground(kinds, _changed(lots, kinds, weaves), ripples, shape=(height, width), device=ink.device)
    other *= sent(torch.tensor(_STRENGTHS)[weaves, None, None], ink.device)
    pattern += (other - pattern) * stroke  # (N, H, W) in -1..1
    return _coloured(pattern, generator=generator)


def _lots(side: int) -> list[tuple[float, float]]:
    """The ranges of a background's angle, period in pixels, two phases, bend and hardness."""
    turn = 2 * math.pi
    return [(0, turn), (max(3.0, side * 0.11), max(4.5, side * 0.24)), (0, turn), (0, turn), (0.8, 2.0), (0.3, 2.5)]


def _changed(lots: Tensor, kinds: Tensor, weaves: Tensor) -> Tensor:
    """The random parameters inside of the digit."""
    angle, period, *rest = lots.T
    grid = (kinds == 2) | (kinds == 3)  # looks the same after a quarter turn
    angle = angle + torch.where(grid, math.pi / 4, math.pi / 2) * (weaves == 1)
    other = torch.where(period >= 5, period * 0.6, period * 1.7)  # below three pixels there is no wave any more
    period = torch.where(weaves == 2, other, period)
    return torch.stack([angle, period, *rest], 1)


def _ground(kinds: Tensor, lots: Tensor, ripples: Tensor, *, shape: tuple[int, int], device: torch.device) -> Tensor:
    """Patterns (N, H, W) in -1..1 of mean 0; `lots` (N, 6) are the columns angle, period, phases, bend, hardness."""
    height, width = shape
    y = torch.arange(height, device=device)[:, None] - height / 2
    x = torch.arange(width, device=device)[None] - width / 2
    out = torch.empty(len(kinds), height, width, device=device)
    for kind in range(_KINDS):
        which = (kinds == kind).nonzero()[:, 0]  # known on the CPU: nothing waits for the device
        if not len(which):
            continue
        angle, period, first, second, bend, hardness = sent(lots[which], device).T[:, :, None, None]  # (n, 1, 1) each
        u = (x * angle.cos() + y * angle.sin()) * (2 * math.pi / period)  # (n, H, W), radians
        v = (y * angle.cos() - x * angle.sin()) * (2 * math.pi / period)
        if kind == 0:
            pattern = (u + first).sin_()
        elif kind == 1:
            pattern = (u + first + bend * (v * 0.4 + second).sin_()).sin_()
        elif kind == 2:
            pattern = (u + first).sin_() * (v + second).sin_() * 1.4
        elif kind == 3:
            pattern = ((u + first).sin_() + (v + second).sin_()) / 1.4
        elif kind == 4:
            pattern = (torch.hypot(u - 4 * first.cos(), v - 4 * second.cos()) + first + second).sin_()
        else:
            pattern = _grain(u, v, sent(ripples[which], device))
        out[sent(which, device)] = (pattern * hardness).tanh_() / hardness.tanh()
    return out


def _grain(u: Tensor, v: Tensor, ripples: Tensor) -> Tensor:
    """Smooth noise with a grain: a sum of plane waves (n, H, W), nearly alike in direction and length."""
    out = torch.zeros_like(u)
    for lot in ripples.unbind(-1):  # (n, 3)
        angle, scale, phase = lot.T[:, :, None, None]
        angle = (angle - 0.5) * 1.2
        out += (u * (angle.cos() * (0.7 + 0.6 * scale)) + v * angle.sin() + 2 * math.pi * phase).sin_()
    return out * math.sqrt(1 / _RIPPLES)


def _coloured(pattern: Tensor, *, generator: torch.Generator) -> Tensor:
    """A pattern (N, H, W) in -1..1 between two colours, or greys in every third image; uint8 (N, 3, H, W)."""
    n, device = len(pattern), pattern.device
    middle = uniform(generator, n, 3, 1, 1, low=100, high=155, device=device)
    towards = torch.randn(n, 3, generator=generator)
    towards = torch.where(torch.rand(n, 1, generator=generator) < 1 / 3, 1.0, towards)
    towards = sent(F.normalize(towards)[:, :, None, None], device) * uniform(
        generator, n, 1, 1, 1, low=60, high=120, device=device
    )
    speckle = sent(torch.randn(n, 1, *pattern.shape[1:], generator=generator), device) * 6
    return (middle + towards * pattern[:, None] + speckle).round_().clamp_(0, 255).to(torch.uint8)
