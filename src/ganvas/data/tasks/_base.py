"""The base class of the tasks.

A task has three sides: `pair` and `afresh` make the pairs for training, `enter` prepares a user's image in the same
way, and `leave` turns the network's output back into an image.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ganvas.data.batch import PairBatch
from ganvas.imaging.images import to_bytes


@dataclass(frozen=True)
class Task:
    """Makes a source and a target of one image; as it stands, both are the image.

    Attributes:
        name: as stored in a run's manifest, with its amount: `colorize`, `denoise:0.1`.
        amount: a number that the user may choose; 0 for a task that has none.
        parameter: the name of that number in messages, `meaning` what it is, and `default` its usual value; it is
            between `low` and `high`, or one of `choices`. Empty for a task that has none.
        channels: of the source: 1, 3, or 0 for those of the images.
        target_channels: of the target: 1, 2 (a and b of Lab), 3, or 0 for those of the images.
        fresh: whether `afresh` does anything.
    """

    name: str
    amount: float = 0.0
    parameter: ClassVar[str] = ""
    meaning: ClassVar[str] = ""
    default: ClassVar[float] = 0.0
    low: ClassVar[float] = 0.0
    high: ClassVar[float] = 0.0
    choices: ClassVar[tuple[float, ...]] = ()
    channels: ClassVar[int] = 0
    target_channels: ClassVar[int] = 0
    fresh: ClassVar[bool] = False

    def read_channels(self, grey: bool) -> int:
        """The number of channels to read images with; `grey` says whether they are grey."""
        return 1 if grey else 3

    def pair(self, image: Tensor) -> PairBatch:
        """The pair (a batch of one) of a uint8 image (C, H, W); made once, when the image is read."""
        return PairBatch(self.enter(image, None)[None], image[None])

    def afresh(self, pairs: PairBatch, generator: torch.Generator) -> PairBatch:
        """The uint8 pairs with new random changes, sampled from `generator` on the CPU."""
        return pairs

    def enter(self, image: Tensor, alpha: Tensor | None) -> Tensor:
        """The network's input for a user's uint8 image (1 or 3, H, W) with its alpha (H, W).

        Returns:
            uint8 (channels, H', W'); where `channels` is 0, as many as the image has.

        Raises:
            DataError: for an image that lacks what the task needs.
        """
        return image

    def leave(self, image: Tensor, alpha: Tensor | None, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """The result for the user: the image and its alpha.

        Args:
            image: the user's, as passed to `enter`.
            alpha: the same.
            output: the network's output for it, float (target_channels, H', W') in -1..1.
        """
        return to_bytes(output), alpha

    def show(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """A pair, both uint8 (C, H, W), as two images for display."""
        return source, target

    def colorless(self, pairs: PairBatch) -> int:
        """How many of the pairs teach no colour, for a task that does."""
        return 0

    @classmethod
    def amount_in(cls, text: str) -> float | None:
        """The amount that a text gives; None if it is not valid."""
        try:
            value = float(text)
        except ValueError:
            return None
        allowed = value in cls.choices if cls.choices else cls.low <= value <= cls.high
        return value if allowed else None

    @classmethod
    def amounts(cls) -> str:
        """The valid amounts, in words."""
        if cls.choices:
            return " or ".join(f"{choice:g}" for choice in cls.choices)
        return f"{cls.low:g} to {cls.high:g}"
