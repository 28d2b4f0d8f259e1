"""How the two sides of a pair are aligned, by their edges.

Source and target may differ in everything except where things are: a label map has no colours in common with its
photograph, but its edges are at the same places.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

SIDE = 128  # pixels: at which edges are compared
LEAST = 0.015  # of the side, 4 pixels of 256: networks compensate for less, and for less than 2 pixels
FARTHEST = SIDE * 3 // 8  # a shift beyond this leaves too little in common to be reliable
PEAK = 0.3  # of phase correlation; images that have nothing in common reach a third of it
GAIN = 0.15  # by how much the correlation of the edges must grow for a shift to be accepted
ALIKE = 0.4  # correlation of edges, above which two images show the same thing


@dataclass(frozen=True)
class Relation:
    """The alignment of the target of a pair with its source.

    Attributes:
        same: whether both are the same pixels.
        alike: correlation of the edges in place, -1..1.
        shift: pixels by which the target is too far right and down; (0, 0) unless edges fit better shifted.
        turned: how the target is turned against the source, in words; empty if its edges fit best unturned.
    """

    same: bool
    alike: float
    shift: tuple[float, float] = (0.0, 0.0)
    turned: str = ""


def relate(source: Pixels, target: Pixels) -> Relation:
    """Compare two images (C, H, W); if their sizes differ, both are scaled to one."""
    same = source.shape == target.shape and bool((source == target).all())
    one, other = _edges(source), _edges(target)
    alike = _correlation(one, other)
    turned = _turned(one, other, alike)
    x, y = (0.0, 0.0) if turned else _shift(one, other, alike)
    _, height, width = target.shape
    x, y = x / SIDE * width, y / SIDE * height
    far = math.hypot(x, y) >= max(LEAST * min(width, height), 2)
    return Relation(same, alike, (x, y) if far else (0.0, 0.0), turned)


def _edges(pixels: Pixels) -> Floats:
    """The size of the gradient of the brightness, (SIDE, SIDE)."""
    planes = [cv2.resize(plane, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for plane in pixels]
    grey = cv2.GaussianBlur(np.mean(planes, axis=0, dtype=np.float32), (0, 0), 1)
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))


def _correlation(one: Floats, other: Floats) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / np.sqrt((one * one).sum() * (other * other).sum() + 1e-9))


def _shift(one: Floats, other: Floats, alike: float) -> tuple[float, float]:
    """By how much `other` is further right and down than `one`, if that is beyond doubt."""
    window = cv2.createHanningWindow((SIDE, SIDE), cv2.CV_32F)
    (x, y), peak = cv2.phaseCorrelate(one, other, window)
    if peak < PEAK or max(abs(x), abs(y)) > FARTHEST:
        return 0.0, 0.0
    dx, dy = round(x), round(y)
    here = one[max(0, -dy) : SIDE - max(0, dy), max(0, -dx) : SIDE - max(0, dx)]
    there = other[max(0, dy) : SIDE - max(0, -dy), max(0, dx) : SIDE - max(0, -dx)]
    shifted = _correlation(here, there)
    return (x, y) if shifted >= max(ALIKE, alike + GAIN) else (0.0, 0.0)


def _turned(one: Floats, other: Floats, alike: float) -> str:
    """How `other` is turned, if it would beyond doubt fit better when turned back."""
    ways = {
        "mirrored": other[:, ::-1],
        "upside down": np.rot90(other, 2),
        "a quarter to the right": np.rot90(other, 1),
        "a quarter to the left": np.rot90(other, 3),
        "mirrored top to bottom": other[::-1],
    }
    fits = {way: _correlation(one, turned) for way, turned in ways.items()}
    way = max(fits, key=fits.__getitem__)
    return way if fits[way] >= max(ALIKE, alike + 2 * GAIN) else ""
