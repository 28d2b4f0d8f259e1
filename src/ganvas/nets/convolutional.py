"""Generators of transposed convolutions and discriminators of strided ones: ours, and those of two textbooks.

Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", and TensorFlow's DCGAN tutorial.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ganvas.data.batch import Spec
from ganvas.nets.cpu_ops import Conv2d, ConvTranspose2d, Dropout, Flatten, Unflatten

# --- ours: scaled to the image ------------------------------------------------------------------------------------


def _widths(size: int, width: int, max_width: int) -> list[int]:
    """Channels from the smallest feature map (7x7 for 28 pixels, else 4x4) to half the image size."""
    downsamplings = {28: 2}.get(size, size.bit_length() - 3)
    return [min(max_width, width << i) for i in reversed(range(downsamplings))]


def scaled_generator(inputs: int, spec: Spec, *, width: int, max_width: int, hidden: int) -> nn.Sequential:
    """Noise (N, inputs), two dense layers, then a transposed convolution per upsampling, to (N, C, H, W) in -1..1.

    Unlike DCGAN it has a dense hidden layer: it sets the content before the convolutions make the image, and it
    costs little on a CPU.
    """
    widths = _widths(spec.size, width, max_width)
    start = spec.size >> len(widths)
    layers: list[nn.Module] = [
        nn.Linear(inputs, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, widths[0] * start**2, bias=False),
        Unflatten(1, (widths[0], start, start)),
        nn.BatchNorm2d(widths[0]),
        nn.LeakyReLU(0.2),
    ]
    for before, after in pairwise(widths):
        layers += [ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, ConvTranspose2d(widths[-1], spec.outputs, 4, 2, 1), nn.Tanh())


def scaled_discriminator(spec: Spec, *, width: int, max_width: int, hidden: int, outputs: int = 1) -> nn.Sequential:
    """A strided convolution for each downsampling, then two dense layers; (N, C, H, W) to logits (N, outputs)."""
    widths = [spec.channels, *reversed(_widths(spec.size, width, max_width))]
    end = spec.size >> (len(widths) - 1)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2)]
    layers += [Flatten(), nn.Linear(widths[-1] * end**2, hidden), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(hidden, outputs))


# --- textbook: 28x28 ------------------------------------------------------------------------------------------------


def mnist28_generator(latent: int, channels: int) -> nn.Sequential:
    """Noise z (N, latent) to (N, C, 28, 28) in -1..1."""
    return nn.Sequential(  # the constants of batch norm are Keras's
        nn.Linear(latent, 7 * 7 * 256, bias=False),
        nn.BatchNorm1d(7 * 7 * 256, eps=1e-3, momentum=0.01), nn.LeakyReLU(0.3),
        Unflatten(1, (256, 7, 7)),
        ConvTranspose2d(256, 128, 5, 1, 2, bias=False),  # (N, 128, 7, 7)
        nn.BatchNorm2d(128, eps=1e-3, momentum=0.01), nn.LeakyReLU(0.3),
        ConvTranspose2d(128, 64, 5, 2, 1, bias=False), _cropped(),  # (N, 64, 14, 14)
        nn.BatchNorm2d(64, eps=1e-3, momentum=0.01), nn.LeakyReLU(0.3),
        ConvTranspose2d(64, channels, 5, 2, 1, bias=False), _cropped(), nn.Tanh(),  # (N, C, 28, 28)
    ).apply(glorot)  # fmt: skip


def mnist28_discriminator(channels: int, *, dropout: float = 0.3) -> nn.Sequential:
    """The strided mirror image: (N, C, 28, 28) to a logit (N, 1)."""
    return nn.Sequential(
        _padded(), Conv2d(channels, 64, 5, 2), nn.LeakyReLU(0.3), Dropout(dropout),  # (N, 64, 14, 14)
        _padded(), Conv2d(64, 128, 5, 2), nn.LeakyReLU(0.3), Dropout(dropout),  # (N, 128, 7, 7)
        Flatten(), nn.Linear(128 * 7 * 7, 1),
    ).apply(glorot)  # fmt: skip


def _padded() -> nn.Module:
    """Keras's padding `same` for 5x5 kernels of stride 2: one zero before and two after."""
    return nn.ZeroPad2d((1, 2, 1, 2))


def _cropped() -> nn.Module:
    """The same for a transposed convolution padded by one: the last row and column are cropped."""
    return nn.ZeroPad2d((0, -1, 0, -1))


def glorot(layer: nn.Module) -> None:
    """Keras's initial weights: uniform, as Glorot and Bengio 2010 propose, and biases zero."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


# --- the paper: 64x64 -----------------------------------------------------------------------------------------------


class ToUniform(nn.Module):
    """Turns standard normal noise into the paper's, uniform in -1..1, by the cumulative distribution function."""

    def forward(self, z: Tensor) -> Tensor:
        """Noise (N, latent) to noise of the same shape."""
        return torch.erf(z / math.sqrt(2))


PAPER64 = (1024, 512, 256, 128)  # channels of feature maps of 4, 8, 16 and 32 pixels a side


def paper64_generator(latent: int, channels: int) -> nn.Sequential:
    """Figure 1 of the paper: noise z (N, latent) to (N, C, 64, 64) in -1..1."""
    first, last = PAPER64[0], PAPER64[-1]
    layers: list[nn.Module] = [
        ToUniform(),
        nn.Linear(latent, first * 4 * 4, bias=False), Unflatten(1, (first, 4, 4)), nn.BatchNorm2d(first), nn.ReLU(),
    ]  # fmt: skip
    for before, after in pairwise(PAPER64):
        layers += [ConvTranspose2d(before, after, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, ConvTranspose2d(last, channels, 5, 2, 2, 1), nn.Tanh()).apply(_small)


def paper64_discriminator(channels: int, *, batch_norm: bool = True) -> nn.Sequential:
    """Strided convolutions, batch norm except at the input: (N, C, 64, 64) to a logit (N, 1)."""
    widths = PAPER64[::-1]
    layers: list[nn.Module] = [Conv2d(channels, widths[0], 5, 2, 2), nn.LeakyReLU(0.2)]
    for before, after in pairwise(widths):
        layers.append(Conv2d(before, after, 5, 2, 2, bias=not batch_norm))
        layers += [nn.BatchNorm2d(after), nn.LeakyReLU(0.2)] if batch_norm else [nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, Flatten(), nn.Linear(widths[-1] * 4 * 4, 1)).apply(_small)


def _small(layer: nn.Module) -> None:
    """The paper's initial weights (section 4): from N(0, 0.02)."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, 0, 0.02)
