"""Image-to-image generators and the discriminator of patches.

Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks" (U-Net, encoder-decoder,
PatchGAN); Johnson et al. 2016, "Perceptual Losses for Real-Time Style Transfer" (the residual generator, which CycleGAN
uses).

All of them are fully convolutional and take images of any height and width: sides that their stride does not divide
are padded by reflection, and the result is cropped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.nets.cpu_ops import Conv2d, ConvTranspose2d, Dropout, side_by_side

Norm = Literal["instance", "batch", "group", "none"]
Upsample = Literal["deconv", "resize", "pixelshuffle"]
Patch = Literal["pixel", "16", "70", "286"]

GROUP = 16  # channels per group in group norm
LARGE = 2**22  # values of a kernel that is mostly larger than its feature maps: 512x512 of 4x4
STRIDED = {
    "16": 1,
    "70": 3,
    "286": 5,
}  # downsamplings in a discriminator, by its receptive field in pixels


# --- parts ----------------------------------------------------------------------------------------------------------


def reflected(x: Tensor, multiple: int, least: int = 1) -> Tensor:
    """(N, C, H, W) padded below and to the right by reflection, to the next multiple a side, and to `least` of them.

    The padding may be larger than the image, which torch's own does not allow.
    """
    for axis in (-2, -1):
        n = x.shape[axis]
        wanted = max(least, math.ceil(n / multiple)) * multiple
        if wanted > n:
            way = torch.arange(wanted, device=x.device) % max(1, 2 * n - 2)  # there and back again
            x = x.index_select(axis, torch.where(way < n, way, 2 * n - 2 - way).clamp_(0, n - 1))
    return x


def norm_of(norm: Norm, channels: int) -> nn.Module:
    """The normalisation of that name; `instance` and `group` do the same in training and inference."""
    if norm == "instance":
        return InstanceNorm(channels, affine=True)
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        return nn.GroupNorm(math.gcd(channels, max(1, channels // GROUP)), channels)
    return nn.Identity()


class InstanceNorm(nn.InstanceNorm2d):
    """Instance norm that keeps the memory format of the CPU's convolutions, channels last.

    torch's own changes it, and every layer after it then copies. For one image it equals batch norm, so that is called
    for each image, in a quarter of the time.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Feature maps (N, C, H, W) to feature maps of the same shape."""
        if input.device.type != "cpu":
            return super().forward(input)
        made = [
            F.batch_norm(image, None, None, self.weight, self.bias, training=True, eps=self.eps)
            for image in torch.split(input, 1)
        ]
        return made[0] if len(made) == 1 else torch.cat(made)


def upsampling(before: int, after: int, *, upsample: Upsample, kernel: int = 4, bias: bool = True) -> nn.Module:
    """Feature maps (N, before, H, W) to (N, after, 2 H, 2 W).

    `deconv` is a transposed convolution, which overlaps unevenly and may leave a checkerboard (Odena et al. 2016,
    "Deconvolution and Checkerboard Artifacts"); `resize` is nearest-neighbour upsampling and a convolution;
    `pixelshuffle` makes four times the channels and rearranges them as pixels (Shi et al. 2016).
    """
    if upsample == "deconv":
        return ConvTranspose2d(before, after, kernel, 2, 1, kernel % 2, bias=bias)
    if upsample == "resize":
        return nn.Sequential(nn.Upsample(scale_factor=2), Conv2d(before, after, 3, 1, 1, bias=bias))
    return nn.Sequential(Conv2d(before, 4 * after, 3, 1, 1, bias=bias), nn.PixelShuffle(2))


def small_weights(network: nn.Module) -> None:
    """The papers' initial weights: kernels from N(0, 0.02), scales of norms from N(1, 0.02), biases zero.

    Only instance and batch norms, as in the papers' code; the four kernels of a pixel shuffle start equal.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.InstanceNorm2d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1, 0.02)
    for layer in network.modules():
        if isinstance(layer, nn.Sequential) and len(layer) == 2 and isinstance(layer[1], nn.PixelShuffle):
            convolution = layer[0]
            assert isinstance(convolution, nn.Conv2d)
            kernel = convolution.weight.data  # (4 C, ...): Aitken et al. 2017, no checkerboard at the start
            kernel.copy_(kernel[::4].repeat_interleave(4, 0))


def lay_out(network: nn.Module) -> None:
    """Put weights into the memory format of the CPU's convolutions: channels last.

    Except for transposed convolutions, whose gradients are contiguous: Adam would copy each of them. And except for
    the largest kernels, which matrix products take as they are.
    """
    network.to(memory_format=torch.channels_last)
    for layer in network.modules():
        if isinstance(layer, nn.ConvTranspose2d) or (isinstance(layer, nn.Conv2d) and layer.weight.numel() >= LARGE):
            layer.weight.data = layer.weight.data.contiguous()


# --- U-Net, and encoder-decoder -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layers:
    """What the layers of a U-Net are.

    Attributes:
        norm: in all levels but the first and last, and not at the bottom, whose feature map may be a single pixel.
        upsample: how feature maps are upsampled.
        dropout: dropout probability in the first three upsamplings.
        slope: negative slope of the encoder's activations.
        skip_slope: negative slope where the encoder's feature maps enter the decoder; 0 is a ReLU.
    """

    norm: Norm
    upsample: Upsample
    dropout: float = 0.0
    slope: float = 0.2
    skip_slope: float = 0.0


class UNet(nn.Module):
    """Downsamples the image level by level and upsamples it again; `skips` concatenate the encoder's feature maps.

    Isola et al. 2017, section 3.2.1 and 6.1.1. Without skips it is the paper's plain encoder-decoder.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        layers: Layers,
        *,
        widths: Sequence[int],
        skips: bool = True,
        norm_at_the_bottom: bool = False,
    ):
        """Make the layers.

        Args:
            channels: of the input image; `outputs` of the output image.
            layers: what they are.
            widths: channels after each downsampling.
            skips: a U-Net, otherwise an encoder-decoder.
            norm_at_the_bottom: norm there, too; for networks that do not go down to a pixel.
        """
        super().__init__()
        norm, bias = layers.norm, layers.norm == "none"
        self.skips, self.skip_slope, self.multiple = skips, layers.skip_slope, 2 ** len(widths)
        self.least = 2 if norm_at_the_bottom else 1  # a single pixel has no variance
        self.encoder = nn.ModuleList([Conv2d(channels, widths[0], 4, 2, 1)])
        for level, (before, after) in enumerate(pairwise(widths), 2):
            normed = level < len(widths) or norm_at_the_bottom
            down = [nn.LeakyReLU(layers.slope), Conv2d(before, after, 4, 2, 1, bias=bias or not normed)]
            self.encoder.append(nn.Sequential(*down, *([norm_of(norm, after)] if normed else [])))
        self.decoder = nn.ModuleList()
        backwards = list(reversed(widths))
        for level, (before, after) in enumerate(pairwise(backwards)):
            inputs = before * 2 if skips and level else before
            up = upsampling(inputs, after, upsample=layers.upsample, bias=bias)
            dropped = [Dropout(layers.dropout)] if layers.dropout and level < 3 else []
            after_all = [nn.ReLU()] if layers.skip_slope else []
            self.decoder.append(nn.Sequential(self._activation(), up, norm_of(norm, after), *dropped, *after_all))
        inputs = widths[0] * 2 if skips and len(widths) > 1 else widths[0]
        self.decoder.append(
            nn.Sequential(self._activation(), upsampling(inputs, outputs, upsample=layers.upsample), nn.Tanh())
        )
        small_weights(self)

    def _activation(self) -> nn.Module:
        """Before an upsampling; with `skip_slope`, feature maps are concatenated after their activations instead."""
        return nn.Identity() if self.skip_slope else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, channels, H, W) in -1..1 to (N, outputs, H, W) in -1..1."""
        height, width = x.shape[-2:]
        x = reflected(x, self.multiple, self.least)
        maps = []
        for halve in self.encoder:
            x = halve(x)  # (N, widths[i], H / 2^(i + 1), W / 2^(i + 1)), before its activation
            maps.append(x)
        if self.skip_slope:
            maps = [F.leaky_relu(encoded, self.skip_slope) for encoded in maps]
        x = maps.pop()
        for double in self.decoder:
            x = double(x)
            if self.skips and maps:
                x = side_by_side(maps.pop(), x)
        return x[..., :height, :width]


def unet_widths(width: int, levels: int) -> list[int]:
    """Channels after each of `levels` downsamplings: doubled each time, up to eight times the first."""
    return [width * min(8, 2**level) for level in range(levels)]


# --- residual -------------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """x + f(x), where f is two 3x3 convolutions."""

    def __init__(self, width: int, *, norm: Norm, dropout: float = 0.0):
        super().__init__()
        bias = norm == "none"
        self.change = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), norm_of(norm, width), nn.ReLU(),
            *([Dropout(dropout)] if dropout else []),
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), norm_of(norm, width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Feature maps (N, width, H, W) to feature maps of the same shape."""
        changed: Tensor = x + self.change(x)
        return changed


class ResNet(nn.Module):
    """Two downsamplings, residual blocks, two upsamplings; 7x7 convolutions at both ends.

    Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", section 7.2.
    """

    multiple = 4

    def __init__(
        self,
        channels: int,
        outputs: int,
        *,
        width: int,
        blocks: int,
        norm: Norm,
        upsample: Upsample,
        dropout: float = 0.0,
    ):
        """Make the layers; `width` channels at full size, twice and four times as many after the downsamplings."""
        super().__init__()
        bias = norm == "none"
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7, bias=bias), norm_of(norm, width), nn.ReLU()
        ]  # fmt: skip
        for before, after in pairwise([width, 2 * width, 4 * width]):
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=bias), norm_of(norm, after), nn.ReLU()]
        layers += [Residual(4 * width, norm=norm, dropout=dropout) for _ in range(blocks)]
        for before, after in pairwise([4 * width, 2 * width, width]):
            layers += [
                upsampling(before, after, upsample=upsample, kernel=3, bias=bias), norm_of(norm, after), nn.ReLU()
            ]  # fmt: skip
        self.layers = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), nn.Tanh())
        small_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, channels, H, W) in -1..1 to (N, outputs, H, W) in -1..1."""
        height, width = x.shape[-2:]
        made: Tensor = self.layers(reflected(x, self.multiple))
        return made[..., :height, :width]


# --- the discriminator ----------------------------------------------------------------------------------------------


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
