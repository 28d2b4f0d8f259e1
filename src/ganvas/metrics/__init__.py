"""Distances of two sets of images, or of two images, and artifacts of upsampling; mostly by libraries.

Sets are compared by features or patches of their images, images by their pixels.
"""

from ganvas.metrics.bootstrap import FEWEST, RESAMPLES, bootstrap
from ganvas.metrics.distribution import (
    frechet_difference,
    frechet_distance,
    half_interval,
    jackknife,
    kernel_difference,
    kernel_distance,
    left_out,
    nearest,
    precision,
    recall,
    spread,
)
from ganvas.metrics.image import (
    MOST_DECIBELS,
    MS_SSIM_SMALLEST,
    SSIM_WINDOW,
    absolute_error,
    multi_scale_similarity,
    signal_to_noise,
    squared_error,
    structural_similarity,
)
from ganvas.metrics.patches import (
    DIRECTIONS,
    JACKKNIFE_DIRECTIONS,
    MOST_PATCHES,
    PATCHES,
    SMALLEST_LEVEL,
    SWD_FACTOR,
    Patches,
    sliced_distance,
    sliced_left_out,
)
from ganvas.metrics.perceptual import STYLE_LAYERS, VGG_LAYERS, VGG_SMALLEST, style_distance, style_of, vgg_distance
from ganvas.metrics.spectrum import STRIDES, checkerboard, power_spectrum

__all__ = [
    "DIRECTIONS",
    "FEWEST",
    "JACKKNIFE_DIRECTIONS",
    "MOST_DECIBELS",
    "MOST_PATCHES",
    "MS_SSIM_SMALLEST",
    "PATCHES",
    "RESAMPLES",
    "SMALLEST_LEVEL",
    "SSIM_WINDOW",
    "STRIDES",
    "STYLE_LAYERS",
    "SWD_FACTOR",
    "VGG_LAYERS",
    "VGG_SMALLEST",
    "Patches",
    "absolute_error",
    "bootstrap",
    "checkerboard",
    "frechet_difference",
    "frechet_distance",
    "half_interval",
    "jackknife",
    "kernel_difference",
    "kernel_distance",
    "left_out",
    "multi_scale_similarity",
    "nearest",
    "power_spectrum",
    "precision",
    "recall",
    "signal_to_noise",
    "sliced_distance",
    "sliced_left_out",
    "spread",
    "squared_error",
    "structural_similarity",
    "style_distance",
    "style_of",
    "vgg_distance",
]
