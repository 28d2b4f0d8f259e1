"""Super-resolution: larger images, with added detail."""

import torch
from torch import Tensor
from torch.nn import functional as F

from ganvas.data.batch import PairBatch
from ganvas.data.tasks._base import Task
from ganvas.imaging.images import to_bytes


class Superres(Task):
    """Super-resolution: an image `amount` times as large in each direction, with added detail."""

    parameter = "FACTOR"
    meaning = "how many times as large"
    default = 4.0
    choices = (2, 4)

    def pair(self, image: Tensor) -> PairBatch:
        """The image downsampled and upsampled again, and the image."""
        height, width = image.shape[-2:]
        times = int(self.amount)
        whole = F.pad(image[None].float(), (0, -width % times, 0, -height % times), mode="replicate")
        small = _scaled(whole, 1 / times)
        return PairBatch(_scaled(small, times)[..., :height, :width].contiguous(), image[None])

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """The image enlarged."""
        return _scaled(image[None], self.amount)[0]

    def leave(self, image: Tensor, alpha: Tensor | None, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """The large image; its alpha is enlarged to fit."""
        return to_bytes(output), None if alpha is None else _scaled(alpha[None, None], self.amount)[0, 0]


def _scaled(images: Tensor, times: float) -> Tensor:
    """(N, C, H, W) scaled to uint8, bicubic with antialiasing."""
    height, width = (round(side * times) for side in images.shape[-2:])
    scaled = F.interpolate(images.float(), (height, width), mode="bicubic", antialias=True)
    return scaled.round_().clamp_(0, 255).to(torch.uint8)
