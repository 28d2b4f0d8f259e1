"""From a trained model to pictures, an iterator in bounded memory."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ganvas.checkpoint import Model
from ganvas.errors import ModelError
from ganvas.images import to_bytes
from ganvas.methods._base import Generates
from ganvas.runtime import Between, Seed

_PIXELS_AT_ONCE = 2**20  # a million keep a processor busy; twice as many only take memory


def draw(model: Model, seeds: Sequence[Seed]) -> Iterator[Tensor]:
    """A uint8 picture (C, H, W) for each seed, in order.

    A picture depends on its own seed alone: the last, shorter batch is filled up, for even the order in
    which a matrix product adds its terms may depend on how many rows it has.

    Raises:
        ModelError: for a model that does not draw from noise.
    """
    method = model.method
    if not isinstance(method, Generates):
        raise ModelError(f"a {model.facts.method} model does not draw from noise; give one of a method that generates")
    spec = model.facts.spec
    at_once = max(1, min(64, _PIXELS_AT_ONCE // (spec.channels * spec.size**2)))
    for first in range(0, len(seeds), at_once):
        part = list(seeds[first : first + at_once])
        with torch.inference_mode():
            pictures = method.generate(part + [part[-1]] * (at_once - len(part)))
        yield from to_bytes(pictures[: len(part)]).cpu()


def walk(seeds: Sequence[int], *, frames: int) -> list[Seed]:
    """A closed walk over the seeds: `frames` points on the sphere from each to the next, and back to the first."""
    return [
        Between(start, end, frame / frames)
        for start, end in zip(seeds, [*seeds[1:], seeds[0]], strict=True)
        for frame in range(frames)
    ]
