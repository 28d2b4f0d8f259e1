"""Distances by features of VGG-19: of two images, and of an image from a target style."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.imaging.images import scaled, to_signed
from ganvas.losses import gram
from ganvas.nets.vgg import VGG19

VGG_LAYERS = ("relu1_2", "relu2_2", "relu3_4", "relu4_4", "relu5_4")  # the last of each block, as in VGG-16 there
VGG_SMALLEST = 32  # pixels a side; at 16 the deepest layer has one position, mostly padding
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")  # those that fast_style and adain train on
SEEN_AT_ONCE = 2**18  # pixels, whose feature maps in VGG-19 take a few hundred megabytes


def vgg_distance(vgg: VGG19, made: Tensor, wanted: Tensor) -> Tensor:
    """The VGG-19 distance of each uint8 image (N, C, H, W) from its target, 0 to 2: (N,) float64; lower is closer.

    Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", equation 1 with all
    weights one: features of unit length along their channels, squared differences summed over channels, averaged over
    positions, and here over layers too. It is not LPIPS, whose weights are learned from human ratings.
    """
    values = torch.zeros(len(made), dtype=torch.float64)
    for rows in _few_at_once(made):
        both = (_seen(vgg, images[rows], VGG_LAYERS) for images in (made, wanted))
        for ours, theirs in zip(*(maps.values() for maps in both), strict=True):
            squares = (F.normalize(ours, dim=1, eps=1e-10) - F.normalize(theirs, dim=1, eps=1e-10)).square().sum(1)
            values[rows] += squares.cpu().mean((1, 2), dtype=torch.float64) / len(VGG_LAYERS)  # of (n, H, W)
    return values


def style_of(vgg: VGG19, images: Tensor) -> list[Tensor]:
    """The Gram matrices of uint8 images (N, C, H, W) at `STYLE_LAYERS`, (N, K, K) each."""
    parts = [[gram(maps) for maps in _seen(vgg, images[rows], STYLE_LAYERS).values()] for rows in _few_at_once(images)]
    return [torch.cat(layer) for layer in zip(*parts, strict=True)]


def style_distance(vgg: VGG19, made: Tensor, wanted: list[Tensor]) -> Tensor:
    """The distance of the style of each uint8 image (N, C, H, W) from a target: (N,) float64; 1 is without any style.

    |G - A|^2 / |A|^2 of the Gram matrices G and the targets A, (K, K) or (N, K, K) of each of `STYLE_LAYERS`,
    averaged over layers: `losses.gram_distance`, image by image.
    """
    distances = [
        (ours - theirs).square().sum((1, 2)) / theirs.square().sum((-2, -1)).clamp(min=1e-12)
        for ours, theirs in zip(_doubles(style_of(vgg, made)), _doubles(wanted), strict=True)
    ]
    return torch.stack(distances).mean(0)


def _doubles(matrices: list[Tensor]) -> Iterator[Tensor]:
    """In float64, on the CPU: not every device has it."""
    return (matrix.cpu().double() for matrix in matrices)


def _seen(vgg: VGG19, images: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
    """Features of uint8 images (N, C, H, W), enlarged if they are too small; in fp32, also under autocast."""
    height, width = images.shape[-2:]
    times = max(1.0, VGG_SMALLEST / min(height, width))
    assert isinstance(vgg.relu1_1_weight, Tensor)
    device = vgg.relu1_1_weight.device
    signed = scaled(to_signed(images), round(height * times), round(width * times)).clamp_(-1, 1).to(device)
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        return {layer: maps.float() for layer, maps in vgg(signed, layers).items()}


def _few_at_once(images: Tensor) -> Iterator[slice]:
    """Rows of images (N, C, H, W), some at a time."""
    some = max(1, SEEN_AT_ONCE // max(VGG_SMALLEST**2, images.shape[-2] * images.shape[-1]))
    return (slice(start, start + some) for start in range(0, len(images), some))
