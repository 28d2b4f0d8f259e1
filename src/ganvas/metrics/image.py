"""Similarity of images and their targets: errors of pixels, and structural similarity in windows."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Plane = npt.NDArray[np.float64]  # one channel of an image (H, W), 0 to 255

MOST_DECIBELS = 100.0  # of PSNR, for images that are equal
SSIM_WINDOW = 11  # pixels
LINES_SHARE = 0.85  # the smallest fraction of nearly black or white pixels in line art
SSIM_SIGMA = 1.5  # pixels
LUMINANCE_FLOOR = (0.01 * 255) ** 2  # C1 and C2 of the paper, against division by zero in plain areas
CONTRAST_FLOOR = (0.03 * 255) ** 2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # fitted to human ratings in the paper
MS_SSIM_SMALLEST = SSIM_WINDOW * 2 ** (len(SCALE_WEIGHTS) - 1)  # 176 pixels: one window at the coarsest scale


def squared_error(made: Tensor, wanted: Tensor) -> Tensor:
    """The mean squared error of each uint8 image (N, C, H, W), with its bytes taken as 0..1: (N,) float64."""
    return (made.float() - wanted.float()).square_().mean((1, 2, 3), dtype=torch.float64) / 255**2


def absolute_error(made: Tensor, wanted: Tensor) -> Tensor:
    """The mean absolute error of each uint8 image (N, C, H, W), in grey levels 0..255: (N,) float64."""
    return (made.float() - wanted.float()).abs_().mean((1, 2, 3), dtype=torch.float64)


def signal_to_noise(made: Tensor, wanted: Tensor) -> Tensor:
    """The peak signal-to-noise ratio of each uint8 image (N, C, H, W) in decibels, over all channels: (N,) float64.

    10 log10(255^2 / MSE), by torchmetrics; at most `MOST_DECIBELS`: for equal images it is infinite.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    values: Tensor = peak_signal_noise_ratio(
        made.float(), wanted.float(), data_range=255.0, reduction="none", dim=(1, 2, 3)
    )
    return values.double().clamp(max=MOST_DECIBELS)


def is_line_art(images: Tensor) -> bool:
    """Whether uint8 images (N, C, H, W) are black lines on white, as characters are: mostly white, hardly any grey."""
    dark, bright = images < 64, images >= 192
    return float((dark | bright).float().mean()) >= LINES_SHARE and float(bright.float().mean()) >= 0.5


def ink_agreement(made: Tensor, wanted: Tensor) -> Tensor:
    """How far the ink of each uint8 image (N, C, H, W) covers that of its target: (N,) float64, 0 to 1.

    The F1 of ink, 2 sum(min(a, b)) / (sum(a) + sum(b)), where the ink of a pixel is 1 if it is black and 0 if it is
    white; 1 where both are blank. A blank page scores 0, though its error per pixel is small.
    """
    ours, theirs = (1 - images.double().mean(1) / 255 for images in (made, wanted))  # (N, H, W)
    common, both = torch.minimum(ours, theirs).sum((1, 2)), (ours + theirs).sum((1, 2))
    return torch.where(both > 0, 2 * common / both, 1.0)


def stroke_distance(made: Tensor, wanted: Tensor) -> Tensor:
    """How far the strokes of each uint8 image (N, C, H, W) lie from those of its target, in pixels: (N,) float64.

    The mean distance of the dark pixels of one image to the nearest dark pixel of the other, over both ways (the
    symmetric chamfer distance, Barrow et al. 1977). Where only one of them is blank, it is the diagonal of the image.
    """
    from scipy.ndimage import distance_transform_edt

    dark = [(images.float().mean(1) < 128).numpy() for images in (made, wanted)]  # (N, H, W)
    height, width = made.shape[-2:]
    found = []
    for ours, theirs in zip(*dark, strict=True):
        if not ours.any() or not theirs.any():
            found.append(0.0 if ours.any() == theirs.any() else math.hypot(height, width))
            continue
        there = distance_transform_edt(~theirs)[ours].mean()
        back = distance_transform_edt(~ours)[theirs].mean()
        found.append((there + back) / 2)
    return torch.tensor(found, dtype=torch.float64)


def structural_similarity(made: Tensor, wanted: Tensor) -> Tensor:
    """The structural similarity of each uint8 image (N, C, H, W), up to 1: (N,) float64; NaN under 11 pixels.

    Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity": Gaussian windows of
    11x11 pixels and sigma 1.5 that lie within the image, K1 = 0.01, K2 = 0.03, over 0..255; channels are averaged.
    """
    return _by_plane(_similarity, made, wanted, smallest=SSIM_WINDOW)


def multi_scale_similarity(made: Tensor, wanted: Tensor) -> Tensor:
    """The structural similarity of each uint8 image (N, C, H, W) over five scales, 0 to 1: (N,) float64.

    Wang, Simoncelli and Bovik 2003, "Multi-Scale Structural Similarity for Image Quality Assessment", equation 7: the
    windows of `structural_similarity` on the image and on copies of half its size, a quarter, ..., by means of 2x2
    pixels. Contrast and structure count at every scale, luminance only at the coarsest; channels are averaged. A
    scale of negative similarity has no real power: it counts as 0, and so does the channel. NaN if a side has fewer
    than `MS_SSIM_SMALLEST` pixels.
    """
    # Not by torchmetrics: at its coarsest scale windows reach outside the image, and values are up to 0.004 off.
    return _by_plane(_similarity_over_scales, made, wanted, smallest=MS_SSIM_SMALLEST)


def _by_plane(score: Callable[[Plane, Plane], float], made: Tensor, wanted: Tensor, *, smallest: int) -> Tensor:
    """The mean score of the channels of each uint8 image (N, C, H, W): (N,) float64.

    Channel by channel, for one fits into the CPU's cache; in float64, for a variance is the difference of two large
    numbers: in float32 SSIM is wrong by up to 1e-5.
    """
    n, channels, height, width = made.shape
    if min(height, width) < smallest:
        return torch.full((n,), math.nan, dtype=torch.float64)
    planes = (images.cpu().flatten(0, 1).numpy() for images in (made, wanted))  # (N C, H, W)
    values = [score(ours.astype(np.float64), theirs.astype(np.float64)) for ours, theirs in zip(*planes, strict=True)]
    return torch.tensor(values, dtype=torch.float64).view(n, channels).mean(1)


def _similarity(ours: Plane, theirs: Plane) -> float:
    luminance, contrast = _in_windows(ours, theirs)
    return float((luminance * contrast).mean())


def _similarity_over_scales(ours: Plane, theirs: Plane) -> float:
    product = 1.0
    for weight in SCALE_WEIGHTS[:-1]:
        _, contrast = _in_windows(ours, theirs)
        product *= math.pow(max(0.0, float(contrast.mean())), weight)
        ours, theirs = _halved(ours), _halved(theirs)
    return product * math.pow(max(0.0, _similarity(ours, theirs)), SCALE_WEIGHTS[-1])


def _in_windows(ours: Plane, theirs: Plane) -> tuple[Plane, Plane]:
    """Similarity of two channels in luminance, and in contrast and structure: (H - 10, W - 10) each."""
    mean, other_mean = _windowed(ours), _windowed(theirs)
    both, squares = mean * other_mean, mean * mean + other_mean * other_mean
    covariance = _windowed(ours * theirs) - both
    variances = _windowed(ours * ours + theirs * theirs) - squares  # the sum of both
    return (
        (2 * both + LUMINANCE_FLOOR) / (squares + LUMINANCE_FLOOR),
        (2 * covariance + CONTRAST_FLOOR) / (variances + CONTRAST_FLOOR),
    )


def _windowed(plane: Plane) -> Plane:
    """The means (H - 10, W - 10) of a channel in Gaussian windows that lie within it; by OpenCV."""
    import cv2

    edge = SSIM_WINDOW // 2
    means = np.asarray(cv2.GaussianBlur(plane, (SSIM_WINDOW, SSIM_WINDOW), SSIM_SIGMA), np.float64)
    return means[edge:-edge, edge:-edge]


def _halved(plane: Plane) -> Plane:
    """The means of 2x2 pixels, without an odd last row or column."""
    height, width = (side // 2 * 2 for side in plane.shape)
    upper, lower = plane[0:height:2], plane[1:height:2]
    return (upper[:, 0:width:2] + upper[:, 1:width:2] + lower[:, 0:width:2] + lower[:, 1:width:2]) / 4
