"""What image-to-image networks are made of: norms, upsampling, padding, initial weights and their memory format."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.nets.cpu_ops import Conv2d, ConvTranspose2d

Norm = Literal["instance", "batch", "group", "none"]
Upsample = Literal["deconv", "resize", "pixelshuffle"]

GROUP = 16  # channels per group in group norm
LARGE = 2**22  # values of a kernel that is mostly larger than its feature maps: 512x512 of 4x4


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
