"""Sharpening of blurred images."""

import numpy as np
import torch
from torch import Tensor

from ganvas.data.batch import PairBatch
from ganvas.data.tasks._base import Task


class Deblur(Task):
    """Undoes a Gaussian blur of standard deviation `amount`, in pixels."""

    parameter = "SIGMA"
    meaning = "the blur's standard deviation in pixels"
    default, low, high = 2.0, 0.3, 16.0

    def pair(self, image: Tensor) -> PairBatch:
        """The image blurred, and sharp."""
        return PairBatch(blurred(image, self.amount)[None], image[None])


def blurred(image: Tensor, sigma: float) -> Tensor:
    """A uint8 image (C, H, W) after a Gaussian of standard deviation `sigma` pixels, with mirrored borders."""
    import cv2

    cv2.setNumThreads(1)
    planes = [cv2.GaussianBlur(plane, (0, 0), sigma) for plane in image.cpu().numpy()]
    return torch.from_numpy(np.stack(planes)).to(image.device)
