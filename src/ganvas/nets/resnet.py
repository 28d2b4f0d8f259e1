"""The residual generator.

Johnson et al. 2016, "Perceptual Losses for Real-Time Style Transfer", and Zhu et al. 2017, CycleGAN. Fully
convolutional, for images of any height and width: sides that the stride does not divide are padded by reflection, and
the result is cropped.
"""

from itertools import pairwise

from torch import Tensor, nn

from ganvas.nets.cpu_ops import Dropout
from ganvas.nets.layers import Norm, Upsample, norm_of, reflected, small_weights, upsampling


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
