"""The discriminator of patches.

Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks".
"""

import math
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from ganvas.nets.layers import Norm, norm_of, small_weights

Patch = Literal["pixel", "16", "70", "286"]

STRIDED = {"16": 1, "70": 3, "286": 5}  # downsamplings, by the receptive field in pixels


def with_features(discriminator: nn.Sequential, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The logits of a discriminator, and its feature maps after each activation on the way there."""
    features = []
    for layer in discriminator:
        x = layer(x)
        if isinstance(layer, nn.LeakyReLU):
            features.append(x)
    return x, features


def patch_discriminator(
    channels: int, *, patch: Patch, width: int, norm: Norm, size: int, slope: float = 0.2
) -> nn.Sequential:
    """Images (N, channels, H, W) to a map of logits (N, 1, H', W'), each for a patch of the image.

    Isola et al. 2017, section 6.1.2: 4x4 convolutions; `70` has a receptive field of 70x70 and makes 30x30
    logits of 256x256. If `size` is too small for all downsamplings, there are fewer; `pixel` has 1x1 convolutions.
    """
    bias = norm == "none"
    if patch == "pixel":
        network = nn.Sequential(
            nn.Conv2d(channels, width, 1), nn.LeakyReLU(slope),
            nn.Conv2d(width, 2 * width, 1, bias=bias), norm_of(norm, 2 * width), nn.LeakyReLU(slope),
            nn.Conv2d(2 * width, 1, 1),
        )  # fmt: skip
        small_weights(network)
        return network
    strided = min(STRIDED[patch], int(math.log2(size)) - 2)
    widths = [width * min(8, 2**level) for level in range(strided + 1)]
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(slope)]
    for level, (before, after) in enumerate(pairwise(widths), 1):
        stride = 2 if level < strided else 1
        layers += [nn.Conv2d(before, after, 4, stride, 1, bias=bias), norm_of(norm, after), nn.LeakyReLU(slope)]
    network = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))
    small_weights(network)
    return network
