"""The order of a set in shards: each lane of a batch reads shards of its own, one after the other."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ganvas.core.rng import Purpose, derive

MOST_LANES = 64
OPEN_BYTES = 4 * 2**30  # of shards that are read at the same time: remote ones lie in the temporary folder meanwhile

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Shards:
    """The shards that hold the rows of a set, one after the other.

    Attributes:
        counts: rows of each.
        largest: bytes of the largest.
        far: whether they are remote, and must be downloaded before a row can be read.
    """

    counts: tuple[int, ...]
    largest: int = 0
    far: bool = False

    def lanes(self, batch: int) -> list[int]:
        """The rows of a batch at which a lane begins, and the end of the last: they depend on the set alone.

        The number of processes and workers does not matter, and so does not change the batches.
        """
        held = sum(count > 0 for count in self.counts)
        n = max(1, min(batch, held, MOST_LANES, OPEN_BYTES // max(1, self.largest)))
        return [lane * batch // n for lane in range(n + 1)]

    def pieces(self, mine: slice, *, batch: int, most: int) -> list[slice]:
        """The rows `mine` of a batch in up to `most` pieces, for as many workers.

        Remote shards are split between lanes only: two workers in one lane would both download all of its shards.
        """
        cuts = self.lanes(batch) if self.far else range(batch)
        inner = [cut for cut in cuts if mine.start < cut < mine.stop]
        n = min(most, len(inner) + 1)
        chosen = [inner[piece * (len(inner) + 1) // n - 1] for piece in range(1, n)]
        return [slice(*ends) for ends in zip([mine.start, *chosen], [*chosen, mine.stop], strict=True)]


class Order:
    """The rows of batch k.

    An epoch is all shards in random order, each shuffled. Every lane reads one stretch of it, in proportion to its rows
    in the batch, whatever the sizes of the shards; so every row comes once an epoch. At the end of its stretch a lane
    continues with its stretch of the next epoch.
    """

    def __init__(self, shards: Shards, *, batch: int, seed: int):
        self.seed, self.of_each = seed, shards.counts
        self.counts = np.array(shards.counts, dtype=np.int64)
        self.starts = np.cumsum(self.counts) - self.counts
        n, edges = int(self.counts.sum()), np.array(shards.lanes(batch), dtype=np.int64)
        lane = np.repeat(np.arange(len(edges) - 1), np.diff(edges))  # (batch,), as all of the following
        self.width = np.diff(edges)[lane]
        self.place = np.arange(batch) - edges[lane]
        self.begin = n * edges[lane] // batch
        self.length = n * edges[lane + 1] // batch - self.begin
        assert self.length.min() > 0, "a batch is no larger than the set"

    def rows(self, k: int, mine: slice) -> list[int]:
        """The rows of batch k that are `mine`, as numbers in the set."""
        passed = k * self.width[mine] + self.place[mine]  # rows of the lane before this one
        epochs, positions = np.divmod(passed, self.length[mine])
        positions += self.begin[mine]
        rows = np.empty_like(positions)
        for epoch in np.unique(epochs).tolist():
            which = epochs == epoch
            rows[which] = self._rows_of(epoch, positions[which])
        numbers: list[int] = rows.tolist()
        return numbers

    def _rows_of(self, epoch: int, positions: Numbers) -> Numbers:
        order, ends = _epoch(self.of_each, self.seed, epoch)
        turns = np.searchsorted(ends, positions, side="right")
        shards = order[turns]
        places = positions - ends[turns] + self.counts[shards]
        inside = [
            _shuffled(int(self.counts[shard]), self.seed, epoch, shard)[place]
            for shard, place in zip(shards.tolist(), places.tolist(), strict=True)
        ]
        found: Numbers = self.starts[shards] + np.array(inside, dtype=np.int64)
        return found


@functools.lru_cache(maxsize=4)  # two lanes may be an epoch apart, and two sets read side by side
def _epoch(counts: Sequence[int], seed: int, epoch: int) -> tuple[Numbers, Numbers]:
    """The shards in the order of an epoch, and where in it each ends."""
    order = _permutation(len(counts), derive(seed, Purpose.ORDER, epoch))
    return order, np.cumsum(np.array(counts, dtype=np.int64)[order])


@functools.lru_cache(maxsize=4 * MOST_LANES)
def _shuffled(count: int, seed: int, epoch: int, shard: int) -> Numbers:
    return _permutation(count, derive(seed, Purpose.ORDER, epoch + (shard + 1) * 2**40))


def _permutation(n: int, seed: int) -> Numbers:
    drawn: Numbers = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).numpy()
    return drawn
