"""Random numbers as functions of a seed and a step number, whatever the process and the number of processes."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor

from ganvas.core import distributed
from ganvas.core.accumulation import share
from ganvas.core.device import sent

ALONE = threading.RLock()  # torch has one state of random numbers for all threads: who seeds it, holds this until done


@dataclass(frozen=True)
class Between:
    """A point of a latent interpolation from one seed's noise to another's; `way` runs from 0 to 1."""

    start: int
    end: int
    way: float


Seed = int | Between


class Purpose(IntEnum):
    """The purpose of a derived seed, so that no two uses of one seed share their random numbers."""

    WEIGHTS = 1
    STEP = 2
    ORDER = 3
    FLIP = 4
    WINDOW = 5
    AFRESH = 6
    TARGET = 7
    PATCHES = 8
    DIRECTIONS = 9


def derive(seed: int, purpose: Purpose, number: int = 0) -> int:
    """A seed of its own (63 bits) for each (seed, purpose, number): a function of these three alone."""
    return int(np.random.SeedSequence([seed, purpose, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_weights(seed: int) -> None:
    """Seed the initial weights of a network that is about to be created."""
    torch.manual_seed(derive(seed, Purpose.WEIGHTS))


def seed_step(seed: int, step: int) -> None:
    """Seed all random numbers of a training step, so that they depend on (seed, step) alone and no state is saved."""
    torch.manual_seed(derive(seed, Purpose.STEP, step))


def noise(seeds: Sequence[Seed], shape: Sequence[int], *, device: torch.device) -> Tensor:
    """Standard normal noise, (N, *shape), whose row i is a function of `seeds[i]` alone.

    Sampled on the CPU, so that a seed gives the same image on every device. A `Between` is taken along the great circle
    (Shoemake 1985): on a straight line the norm of the noise would be smaller than any in training.
    """
    return torch.stack([_draw(seed, shape) for seed in seeds]).to(device)


def _draw(seed: Seed, shape: Sequence[int]) -> Tensor:
    if isinstance(seed, Between):
        return slerp(_draw(seed.start, shape), _draw(seed.end, shape), seed.way)
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slerp(start: Tensor, end: Tensor, way: float) -> Tensor:
    """Spherical interpolation between two tensors of one shape; exact at both ends."""
    if way in (0, 1):
        return end if way else start
    cosine = torch.dot(start.flatten(), end.flatten()) / (start.norm() * end.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    if angle.sin() < 1e-4:  # (anti)parallel: the circle is a line, or any circle would do
        return torch.lerp(start, end, way)
    return (torch.sin((1 - way) * angle) * start + torch.sin(way * angle) * end) / torch.sin(angle)


def uniform(generator: torch.Generator, n: int, *shape: int, low: float, high: float, device: torch.device) -> Tensor:
    """Numbers uniform in low..high, (n, *shape), sampled on the CPU: the same on every device."""
    return sent(torch.rand(n, *shape, generator=generator) * (high - low) + low, device)


# --- for the rows of a batch ------------------------------------------------------------------------------------------


def own_rows(n: int, draw: Callable[[int], Tensor]) -> Tensor:
    """Random numbers for the `n` rows that are computed here: their rows of what `draw` samples for the whole batch.

    So an image of a batch gets the same random numbers however many processes share the batch.
    """
    mine = share()
    if mine.of == 1:
        return draw(n)
    return draw(n * mine.of)[n * mine.index : n * (mine.index + 1)].clone()  # a copy, so that the rest can be freed


def everyones_rows(n: int, draw: Callable[[int], Tensor]) -> Tensor:
    """As `own_rows`, for the rows that all processes compute at this time, `n` each, in the order of the processes."""
    mine, count = share(), distributed.count()
    parts, whole = mine.of // count, draw(n * mine.of)
    return whole.view(count, parts, n, *whole.shape[1:])[:, mine.index % parts].flatten(0, 1)


def randn(n: int, *shape: int, device: torch.device) -> Tensor:
    """Standard normal numbers for the rows of a batch that are computed here, (n, *shape)."""
    return own_rows(n, lambda rows: torch.randn(rows, *shape, device=device))


def rand(n: int, *shape: int, device: torch.device) -> Tensor:
    """Numbers uniform in 0..1 for the rows of a batch that are computed here, (n, *shape)."""
    return own_rows(n, lambda rows: torch.rand(rows, *shape, device=device))


def randint(low: int, high: int, n: int, *shape: int, device: torch.device) -> Tensor:
    """Whole numbers from `low` to below `high` for the rows of a batch that are computed here, (n, *shape)."""
    return own_rows(n, lambda rows: torch.randint(low, high, (rows, *shape), device=device))
