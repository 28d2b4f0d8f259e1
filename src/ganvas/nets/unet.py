"""U-Net and encoder-decoder.

Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks". Fully convolutional, for images
of any height and width: sides that the stride does not divide are padded by reflection, and the result is cropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from ganvas.nets.cpu_ops import Conv2d, Dropout, side_by_side
from ganvas.nets.layers import Norm, Upsample, norm_of, reflected, small_weights, upsampling


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
