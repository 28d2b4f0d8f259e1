"""Negatives: each colour is replaced by its opposite."""

from torch import Tensor

from ganvas.data.batch import PairBatch
from ganvas.data.tasks._base import Task


class Negative(Task):
    """A negative, to the image."""

    def pair(self, image: Tensor) -> PairBatch:
        """The negative, and the image."""
        return PairBatch(255 - image[None], image[None])
