"""VGG-19, frozen: what its layers see in an image is its content, and how it goes together is its style.

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
SMALLEST_STYLE = 32  # pixels a side: two numbers of the deepest map; below that nothing goes together
WIDTH = 64  # channels of the first block, doubled at each downsampling up to eight times

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, of values 0 to 1


def require_style(painting: DecodedImage, *, name: str) -> None:
    """Raise DataError, with the name, for a painting in which there is no style to be seen."""
    height, width = painting.pixels.shape[-2:]
    if min(height, width) < SMALLEST_STYLE:
        raise DataError(
            f"{name}: {width}x{height} pixels, too few to show a style; expected {SMALLEST_STYLE} or more a side"
        )
    if painting.alpha is not None and not painting.alpha.any():
        raise DataError(f"{name}: transparent all over; give an image that can be seen")


class VGG19(nn.Module):
    """The convolutional part, up to its layer `deepest`.

    Its weights are no parameters but buffers: they move with the method that looks through it, and nothing trains them.

    Attributes:
        deepest: the last layer there is, such as `relu4_1`.
        pooling: how maps are halved: by the largest of four numbers, as it was trained, or by their average, which
            leaves smoother gradients (Gatys et al. 2016, section 2).
    """

    def __init__(self, *, deepest: str = LAYERS[-1], pooling: Pooling = "max", width: int = WIDTH, kept: bool = False):
        """Make the layers, with weights of chance; `take` puts in those that have learned.

        Args:
            deepest: where it ends; what lies behind is neither kept nor computed.
            pooling: `max` or `average`.
            width: channels of the first block; trained weights have 64.
            kept: whether the weights are part of what is saved.
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
        """How many pixels one number of the deepest map stands for, in height and width."""
        return int(2 ** (int(self.deepest[4]) - 1))

    def take(self, weights: Mapping[str, Tensor], *, where: str) -> None:
        """Copy trained weights by torchvision's names; those of layers that are not here are passed over.

        Raises:
            ModelError: if they are those of another network, or not finite; `where` names them.
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
                raise ModelError(f"{where}: damaged ({name} holds what is no number); fetch it anew")
            place.copy_(found)

    def _places(self) -> Iterator[tuple[str, Tensor]]:
        """The name that torchvision has for each weight, counting poolings and activations along, and its place."""
        number = 0
        for layer in LAYERS[: LAYERS.index(self.deepest) + 1]:
            if layer.endswith("_1") and layer != LAYERS[0]:
                number += 1  # the pooling before
            for kind in ("weight", "bias"):
                yield f"features.{number}.{kind}", getattr(self, f"{layer}_{kind}")
            number += 2

    def forward(self, images: Tensor, layers: Sequence[str], *, frugal: bool = False) -> dict[str, Tensor]:
        """What these layers see in images (N, 1 or 3, H, W) in -1..1: maps (N, C, H / 2^k, W / 2^k), rounded down.

        Only what they need is computed. Grey images are seen as colour without any. Each side must have
        `multiple` pixels or more. If `frugal`, each block is computed again for its gradients: a third more time, and
        little more memory than the largest block takes.
        """
        kernel = self.relu1_1_weight
        assert isinstance(kernel, Tensor)
        mean, deviation = (  # made on the device, which so need not wait for them
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
        """Through the convolutions of a block, after its downsampling; what comes out, and the maps of `layers`."""
        seen = {}
        for layer in asked:
            if layer.endswith("_1") and layer != LAYERS[0]:
                x = F.max_pool2d(x, 2) if self.pooling == "max" else F.avg_pool2d(x, 2)
            x = F.conv2d(x, getattr(self, f"{layer}_weight"), getattr(self, f"{layer}_bias"), padding=1).relu_()
            if layer in layers:
                seen[layer] = x
        return x, seen
