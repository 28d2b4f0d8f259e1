"""Colour for grey images, as red, green and blue: the network predicts lightness, too."""

from torch import Tensor

from ganvas.data.batch import PairBatch
from ganvas.data.tasks._base import Task
from ganvas.imaging.images import in_channels

COLORLESS = 3  # of 255, between the channels: not visible as a colour


class ColorizeRgb(Task):
    """Grey to red, green and blue; the network predicts lightness, too."""

    channels = 1
    target_channels = 3

    def read_channels(self, grey: bool) -> int:
        """Always in colour."""
        return 3

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """The image in grey."""
        return in_channels(image, 1)

    def colorless(self, pairs: PairBatch) -> int:
        """How many targets are grey."""
        return int(((pairs.target.amax(1).int() - pairs.target.amin(1)).amax((1, 2)) <= COLORLESS).sum())
