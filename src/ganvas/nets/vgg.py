"""VGG-19, frozen: its features are the content of an image, and their correlations its style.

Simonyan and Zisserman 2015, "Very Deep Convolutional Networks for Large-Scale Image Recognition", configuration E.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ganvas.errors import DataError, ModelError
from ganvas.imaging.images import DecodedImage

Pooling = Literal["max", "average"]

BLOCKS = (2, 2, 4, 4, 4)  # convolutions before each downsampling
LAYERS = tuple(f"relu{block}_{i}" for block, n in enumerate(BLOCKS, 1) for i in range(1, n + 1))
SMALLEST_STYLE = 32  # pixels a side: two positions of the deepest feature map; fewer have no correlations
WIDTH = 64  # channels of the first block, doubled at each downsampling up to eight times

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, of values 0 to 1


def require_style(painting: DecodedImage, *, name: str) -> None:
    """Raise DataError, with the name, for a painting that is too small or transparent."""
    height, width = painting.pixels.shape[-2:]
    if min(height, width) < SMALLEST_STYLE:
        raise DataError(
            f"{name}: {width}x{height} pixels, too few to show a style; expected {SMALLEST_STYLE} or more a side"
        )
    if painting.alpha is not None and not painting.alpha.any():
        raise DataError(f"{name}: transparent all over; give an image with visible pixels")


class VGG19(nn.Module):
    """The convolutional part, up to its layer `deepest`.

    Its weights are buffers, not parameters: they move with the method that uses it, and are not trained.

    Attributes:
        deepest: the last layer there is, such as `relu4_1`.
        pooling: how feature maps are downsampled: by max pooling, as in its training, or by average pooling, which
            gives smoother gradients (Gatys et al. 2016, section 2).
    """

    def __init__(self, *, deepest: str = LAYERS[-1], pooling: Pooling = "max", width: int = WIDTH, kept: bool = False):
        """Make the layers with random weights; `take` loads trained ones.

        Args:
            deepest: its last layer; later ones are neither kept nor computed.
            pooling: `max` or `average`.
            width: channels of the first block; trained weights have 64.
            kept: whether the weights are part of the state dict.
        """
        super().__init__()
        assert deepest in LAYERS, deepest
        self.deepest, self.pooling = deepest, pooling
        before = 3
        for layer in LAYERS[: LAYERS.index(deepest) + 1]:
            after = width * min(8, 2 ** (int(layer[4]) - 1))
            kernel = nn.init.kaiming_normal_(torch.empty(after, before, 3, 3), nonlinearity="relu")
            self.register_buffer(f"{layer}_weight", kernel, persistent=kept)
            self.register_buffer(f"{layer}_bias", torch.zeros(after), persistent=kept)
            before = after

    @property
    def multiple(self) -> int:
        """The total stride of its last layer in pixels."""
        return int(2 ** (int(self.deepest[4]) - 1))

    def take(self, weights: Mapping[str, Tensor], *, where: str) -> None:
        """Copy trained weights by torchvision's names; those of other layers are ignored.

        Raises:
            ModelError: if they are those of another network, or not finite; `where` is their name.
        """
        for name, place in self._places():
            found = weights.get(name)
            if found is None or found.shape != place.shape:
                is_there = "missing" if found is None else f"{tuple(found.shape)}"
                raise ModelError(
                    f"{where}: holds the weights of another network ({name} is {is_there}, expected "
                    f"{tuple(place.shape)}); expected those of torchvision's vgg19, without batch norm"
                )
            if not found.isfinite().all():
                raise ModelError(f"{where}: damaged ({name} is not finite); download it again")
            place.copy_(found)

    def _places(self) -> Iterator[tuple[str, Tensor]]:
        """Torchvision's name of each weight, which counts poolings and activations too, and the buffer."""
        number = 0
        for layer in LAYERS[: LAYERS.index(self.deepest) + 1]:
            if layer.endswith("_1") and layer != LAYERS[0]:
                number += 1  # the pooling before
            for kind in ("weight", "bias"):
                yield f"features.{number}.{kind}", getattr(self, f"{layer}_{kind}")
            number += 2

    def forward(self, images: Tensor, layers: Sequence[str], *, frugal: bool = False) -> dict[str, Tensor]:
        """Features of these layers for images (N, 1 or 3, H, W) in -1..1: (N, C, H / 2^k, W / 2^k), rounded down.

        Later layers are not computed. Grey images are taken as RGB. Each side must have `multiple` pixels or more. If
        `frugal`, each block is computed again for its gradients (checkpointing): a third more time, and little more
        memory than the largest block takes.
        """
        kernel = self.relu1_1_weight
        assert isinstance(kernel, Tensor)
        mean, deviation = (  # made on the device, so that it waits for no copy
            torch.stack([torch.full((1, 1), n, device=images.device) for n in numbers])
            for numbers in (_MEAN, _DEVIATION)
        )
        x = ((images + (1 - 2 * mean)) / (2 * deviation)).to(kernel.dtype)  # (N, 3, H, W)
        last = max(map(LAYERS.index, layers))
        assert last <= LAYERS.index(self.deepest), f"ends at {self.deepest}"
        seen: dict[str, Tensor] = {}
        for block in range(1, int(LAYERS[last][4]) + 1):
            asked = [layer for layer in LAYERS[: last + 1] if int(layer[4]) == block]
            if frugal:
                x, found = checkpoint(self._block, x, asked, layers, use_reentrant=False)
            else:
                x, found = self._block(x, asked, layers)
            seen |= found
        return seen

    def _block(self, x: Tensor, asked: Sequence[str], layers: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Apply a block, downsampling first; returns its output, and the features of `layers`."""
        seen = {}
        for layer in asked:
            if layer.endswith("_1") and layer != LAYERS[0]:
                x = F.max_pool2d(x, 2) if self.pooling == "max" else F.avg_pool2d(x, 2)
            x = F.conv2d(x, getattr(self, f"{layer}_weight"), getattr(self, f"{layer}_bias"), padding=1).relu_()
            if layer in layers:
                seen[layer] = x
        return x, seen
