"""Cartoons of photographs, by classical filters."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data.batch import PairBatch
from ganvas.data.tasks._base import Task


class Cartoon(Task):
    """A photograph to a cartoon of it."""

    def pair(self, image: Tensor) -> PairBatch:
        """The image, and a cartoon made by classical filters."""
        return PairBatch(image[None], cartoon(image)[None])


def cartoon(image: Tensor) -> Tensor:
    """A uint8 photograph (1 or 3, H, W) as a cartoon of the same shape: flat, vivid colours and ink lines.

    Winnemöller, Olsen and Gooch 2006, "Real-Time Video Abstraction": smoothing that keeps edges, lightness in soft
    steps, and lines where a difference of Gaussians is negative.
    """
    import cv2

    cv2.setNumThreads(1)
    pixels = image.expand(3, -1, -1).permute(1, 2, 0).contiguous().cpu().numpy()  # (H, W, 3)
    scale = min(pixels.shape[:2]) / 256
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2Lab)
    ink = _ink(cv2.bilateralFilter(lab[:, :, 0], 5, 20, 3).astype(np.float32), scale=scale)
    lab = cv2.medianBlur(lab, 5 if scale > 0.75 else 3)
    for _ in range(max(2, round(6 * scale))):
        lab = cv2.bilateralFilter(lab, 5, 24, 3)
    flat = lab.astype(np.float32)
    flat[:, :, 0] = _stepped(255 * (flat[:, :, 0] / 255) ** 0.8)
    flat[:, :, 1:] = 128 + (flat[:, :, 1:] - 128) * 1.3
    drawn = cv2.cvtColor(flat.round().clip(0, 255).astype(np.uint8), cv2.COLOR_Lab2RGB)
    inked = torch.from_numpy((drawn * ink[:, :, None]).round().astype(np.uint8)).permute(2, 0, 1)
    return (inked if len(image) == 3 else inked[:1]).contiguous().to(image.device)


def _stepped(lightness: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Lightness in 0..255 in seven steps with soft flanks, so that skies have no hard contours."""
    step = 255 / 7
    nearest = (lightness / step).round() * step
    return nearest + step / 2 * np.tanh((lightness - nearest) * (4 / step)) / np.tanh(2.0)  # type: ignore[no-any-return]


def _ink(lightness: NDArray[np.float32], *, scale: float) -> NDArray[np.float32]:
    """1 on paper to 0.1 in the middle of a line: where a pixel is darker than its surroundings; no specks."""
    import cv2

    sigma = max(0.7, 1.0 * scale)
    narrow = cv2.GaussianBlur(lightness, (0, 0), sigma)
    wide = cv2.GaussianBlur(lightness, (0, 0), 1.6 * sigma)
    darker = wide - narrow  # grey levels
    _, labels, stats, _ = cv2.connectedComponentsWithStats((darker > 1.5).astype(np.uint8), connectivity=8)
    long = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) >= 22 * max(scale, 0.5)
    strength = np.where(long[labels], np.tanh(np.maximum(darker - 2.0, 0) / 4), 0)
    return (1 - 0.85 * strength).astype(np.float32)
