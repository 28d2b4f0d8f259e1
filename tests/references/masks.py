"""Dropout with given masks (Srivastava et al. 2014): a test puts those that a method drew into the queue, in order."""

from torch import Tensor

QUEUE: list[Tensor] = []


def dropout(x: Tensor, p: float) -> Tensor:
    """Multiply by the next mask, which holds 0 or 1 / (1 - p)."""
    return x * QUEUE.pop(0)
