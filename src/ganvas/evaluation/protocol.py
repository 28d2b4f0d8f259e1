"""The protocol: how images were made and compared, in words; a value means nothing without it."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

import ganvas
from ganvas import metrics
from ganvas.data.batch import Source, Spec
from ganvas.evaluation.measures import Measure
from ganvas.metrics.features import Features

FORMULAS = {
    "range": "MSE of values 0 to 1; MAE in grey levels; PSNR with a peak of 255 over all channels of an image, "
    f"at most {metrics.MOST_DECIBELS:.0f} dB; means are of images",
    "SSIM": f"Gaussian windows of {metrics.SSIM_WINDOW}x{metrics.SSIM_WINDOW} pixels and sigma 1.5 within the image, "
    "K1 0.01, K2 0.03, over 0 to 255; channels averaged",
    "MS-SSIM": f"five scales, from {metrics.MS_SSIM_SMALLEST} pixels a side on; the same windows and constants",
}


def protocol_of(source: Source[Any], ways: Mapping[str, str], *, measured: int) -> dict[str, Any]:
    """How images were made and compared, by aspect; differences between models are listed with the models.

    `measured` is the number of images in the scores.
    """
    n, square = len(source), f"{source.spec.size}x{source.spec.size}"
    return {
        "images": f"{n:,} of {source.short_title}, {square}, scaled from the largest centred square (Lanczos) where "
        "not so",
        "n": n,
        "size": source.spec.size,
        "part": source.part,
        **ways,
        "outputs": "rounded to 8 bits, 0 to 255, as they are written, and compared like that",
        "intervals": f"95 %: percentiles of a bootstrap over images, {metrics.RESAMPLES:,} times, seed 0, wider for "
        "few images by Student's t; differences image by image. For the choice of images alone, not for another "
        "training; and each alone: of twenty differences that are zero, one looks significant"
        if measured >= metrics.FEWEST
        else f"none: fewer than {metrics.FEWEST} images give no interval",
        "checkerboard": "power at the frequencies that repeat every 2, 4 and 8 pixels over that of their neighbours, "
        "the largest of the three; about 1 or less is none; 8-bit images in Hann windows of up to 64 pixels, "
        "channels added",
        "versions": {
            "ganvas": ganvas.__version__,
            "torch": str(torch.__version__),
            "torchmetrics": version("torchmetrics"),  # importing it takes two seconds
        },
    }


def formulas(measures: Iterable[Measure]) -> dict[str, str]:
    """The protocol entries of measures with their own formulas."""
    return {measure.name: measure.formula for measure in measures if measure.formula}


def mode_of(method: nn.Module) -> str:
    """How layers that differ between training and evaluation behave here."""
    kinds = {
        "batch norm by the running statistics of training": nn.BatchNorm2d | nn.BatchNorm1d,
        "instance norm per image, as in training": nn.InstanceNorm2d,
        "group norm per image, as in training": nn.GroupNorm,
        "dropout off": nn.Dropout,
    }
    said = [words for words, kind in kinds.items() if any(isinstance(layer, kind) for layer in method.modules())]
    return "; ".join(said or ["no norms and no dropout"])


def colours_of(spec: Spec, task: str) -> str:
    """How colour is compared."""
    if task == "colorize":
        return "lightness and the colours of Lab combined to sRGB, on both sides; channels averaged"
    if max(spec.channels, spec.outputs) == 1:
        return "grey"
    return "sRGB, channels averaged; grey is spread over three channels where the other side is in colour"


def doing_nothing(task: str) -> str:
    """The meaning of the input as an answer."""
    if task == "reconstruct":
        return "the input as its own answer, which here is the target itself: no model can be better"
    return "the input as its own answer, as it looks: what doing nothing scores"


def sets_of(features: Features | None, wanted: str) -> dict[str, str]:
    """The sets that FID and KID compare, if they are computed."""
    if features is None:
        return {}
    both = f"{features.title('FID')} and {features.title('KID')}"
    return {"sets": f"{both} between a model's images and {wanted}: {features.protocol}"}
