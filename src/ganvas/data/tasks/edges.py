"""Line drawings to images: black lines on white, to an image with these edges."""

import numpy as np
import torch
from torch import Tensor

from ganvas.data.batch import PairBatch
from ganvas.data.tasks._base import Task
from ganvas.imaging.images import in_channels

LINES_WITHIN = 32  # grey levels from black or white
LINES_SHARE = 0.95  # the smallest fraction of such pixels in a drawing


class Edges(Task):
    """Black lines on white to an image with these edges."""

    channels = 1

    def pair(self, image: Tensor) -> PairBatch:
        """The edge map, and the image."""
        return PairBatch(edge_map(in_channels(image, 1))[None], image[None])

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """A drawing as it is, in grey; of any other image the edge map."""
        grey = in_channels(image, 1)
        return grey if is_drawing(grey) else edge_map(grey)


def edge_map(grey: Tensor) -> Tensor:
    """Black lines of one pixel on white, (1, H, W), along the edges of a grey uint8 image (1, H, W).

    Canny 1986, "A Computational Approach to Edge Detection"; its thresholds are two thirds and four thirds of the
    image's median, so that dark images have lines too.
    """
    import cv2  # 0.1 s to import, needed here only

    cv2.setNumThreads(1)  # images are already processed in parallel; more threads would compete
    smooth = cv2.GaussianBlur(grey[0].cpu().numpy(), (0, 0), 1.0)
    median = float(np.clip(np.median(smooth), 32, 192))
    edges = cv2.Canny(smooth, median * 2 / 3, median * 4 / 3, L2gradient=True)
    return torch.from_numpy(255 - edges)[None].to(grey.device)


def is_drawing(grey: Tensor) -> bool:
    """Whether a grey uint8 image (1, H, W) is lines on white: nearly all of it black or white, and most white."""
    dark, bright = grey <= LINES_WITHIN, grey >= 255 - LINES_WITHIN
    drawn = float((dark | bright).float().mean()) >= LINES_SHARE
    return drawn and bool(bright.sum() > dark.sum())
