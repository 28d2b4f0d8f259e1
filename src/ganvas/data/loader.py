"""Endless batches; batch k is a function of (seed, k) alone, so that resuming needs no saved position."""

import functools
import itertools
import logging
import signal
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from ganvas.core.accumulation import Share
from ganvas.core.device import cores, sent
from ganvas.core.rng import Purpose, derive
from ganvas.data.batch import Batch, Kind, LazyImages, Rows, Source
from ganvas.data.unpaired import TwoSets
from ganvas.data.webdataset.shard_order import Order
from ganvas.errors import DataError, GanvasError

DRAWN_TOGETHER = 32  # rows whose noise comes from one generator: a process samples for every block that its rows lie in
MAX_BROKEN = 0.1  # the fraction of broken files above which something is wrong with the data, not with a file

_log = logging.getLogger("ganvas")


def indices(k: int, *, n: int, batch: int, seed: int) -> Tensor:
    """The rows (batch,) of batch k: consecutive pieces of one shuffled epoch after the other.

    Every image comes exactly once an epoch, and a batch may span two epochs.
    """
    positions = torch.arange(k * batch, (k + 1) * batch)
    epochs, places = positions // n, positions % n
    first, last = int(epochs[0]), int(epochs[-1])
    return torch.cat([_order(n, seed, epoch)[places[epochs == epoch]] for epoch in range(first, last + 1)])


@functools.lru_cache(maxsize=2)
def _order(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=_rng(seed, Purpose.ORDER, epoch))


def _rng(seed: int, purpose: Purpose, k: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive(seed, purpose, k))


def _coins(k: int, *, batch: int, seed: int) -> Tensor:
    return torch.rand(batch, generator=_rng(seed, Purpose.FLIP, k)) < 0.5


def _corners(k: int, *, batch: int, seed: int, margin: int) -> tuple[Tensor, Tensor]:
    """The upper left corners (batch,) of random crops, `margin` pixels at most from those of the images."""
    top, left = torch.randint(0, margin + 1, (2, batch), generator=_rng(seed, Purpose.WINDOW, k))
    return top, left


def batches(
    source: Source[Kind],
    *,
    batch: int,
    seed: int,
    device: torch.device,
    first: int = 0,
    flip: bool = False,
    share: Share = Share(),  # frozen
) -> Iterator[Kind]:
    """Batches first, first + 1, ... of `source`, float in -1..1 on `device`; with `flip` half are mirrored.

    Both sides of a pair are cropped and mirrored alike; two unpaired sets have each an order and random numbers of
    their own.

    Args:
        source: the images or pairs.
        batch: how many rows a batch has.
        seed: of the order, and of all random numbers.
        device: the device of the batches.
        first: the number of the first batch.
        flip: whether half are mirrored.
        share: which part of every batch to return; the parts of all shares, one after the other, are the whole batch,
            to the bit.

    Raises:
        DataError: if too many files turn out to be broken.
        GanvasError: if a shard has disappeared.
    """
    images: Any = source.images
    if isinstance(images, TwoSets):
        sides = (
            batches(side, batch=batch, seed=side_seed, device=device, first=first, flip=flip, share=share)
            for side, side_seed in zip(images.sides, (seed, derive(seed, Purpose.TARGET)), strict=True)
        )
        yield from map(images.joined, *sides)
        return
    mine = slice(share.index * batch // share.of, (share.index + 1) * batch // share.of)
    if isinstance(images, Batch):
        raw = _resident(images.over(lambda t: t.to(device)), batch=batch, seed=seed, first=first, mine=mine)
    else:
        raw = _streamed(source, batch=batch, seed=seed, first=first, mine=mine, pinned=device.type == "cuda")
    for k, kept in enumerate(raw, first):
        rows = kept.over(lambda t: t.to(device, non_blocking=device.type == "cuda"))  # `_streamed` has pinned them
        if source.margin:
            top, left = _corners(k, batch=batch, seed=seed, margin=source.margin)
            rows = rows.windows(sent(top[mine], device), sent(left[mine], device), source.spec.size)
        if flip:
            rows = rows.mirrored(sent(_coins(k, batch=batch, seed=seed)[mine], device))
        if source.afresh is not None:
            rows = _afresh(source.afresh, rows, k, batch=batch, seed=seed, mine=mine)
        yield rows.signed()  # type: ignore[misc]  # of the type of `images`


def _afresh(
    change: Callable[[Any, torch.Generator], Any], rows: Rows, k: int, *, batch: int, seed: int, mine: slice
) -> Rows:
    """The rows with their random change, which does not depend on the other rows that are here.

    The random numbers of a row depend on its place in its block, so a block is always sampled as a whole; the rows of
    other processes are blank here, and dropped.
    """
    parts = []
    for start in range(mine.start - mine.start % DRAWN_TOGETHER, mine.stop, DRAWN_TOGETHER):
        end = min(start + DRAWN_TOGETHER, batch)
        low, high = max(start, mine.start), min(end, mine.stop)
        here, blank = slice(low - mine.start, high - mine.start), (low - start, end - high)
        whole = rows.over(lambda t, here=here, blank=blank: F.pad(t[here], (0, 0) * (t.dim() - 1) + blank))  # type: ignore[misc]
        rng = _rng(seed, Purpose.AFRESH, k + start // DRAWN_TOGETHER * 2**48)
        parts.append(change(whole, rng).over(lambda t, low=low, high=high, start=start: t[low - start : high - start]))
    return parts[0].together(parts) if len(parts) > 1 else parts[0]  # type: ignore[no-any-return]


def _resident(images: Rows, *, batch: int, seed: int, first: int, mine: slice) -> Iterator[Rows]:
    n, k = len(images), first
    while True:
        rows = sent(indices(k, n=n, batch=batch, seed=seed)[mine], images.images.device)
        yield images.over(lambda t, rows=rows: t[rows])  # type: ignore[misc]
        k += 1


def _shuffled(k: int, piece: slice, *, n: int, batch: int, seed: int) -> list[int]:
    return indices(k, n=n, batch=batch, seed=seed)[piece].tolist()


class _Numbers:
    """The rows of batches `first`, `first + 1`, ..., each in the same pieces, as DataLoader's `batch_sampler`."""

    def __init__(self, rows: Callable[[int, slice], list[int]], pieces: list[slice], *, first: int):
        self.rows, self.pieces, self.first = rows, pieces, first

    def __iter__(self) -> Iterator[list[int]]:
        for k in itertools.count(self.first):
            for piece in self.pieces:
                yield self.rows(k, piece)


class _Told:
    """Rows, or the error as a value: if a worker raised it, it would arrive with its whole traceback as its text."""

    def __init__(self, images: LazyImages[Any]):
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Batch, str | None] | GanvasError:
        try:
            return self.images[index]
        except GanvasError as error:
            return error


def _streamed(source: Source[Kind], *, batch: int, seed: int, first: int, mine: slice, pinned: bool) -> Iterator[Kind]:
    """The rows `mine` of every batch, read by worker processes: whole batches in turn, or lanes of shards."""
    images: Any = source.images
    n, broken, workers = len(images), set[str](), min(8, cores())
    rows: Callable[[int, slice], list[int]]
    if source.shards:
        rows = Order(source.shards, batch=batch, seed=seed).rows
        pieces = source.shards.pieces(mine, batch=batch, most=workers)
        workers = len(pieces)  # DataLoader gives piece i of every batch to worker i
    else:
        rows, pieces = functools.partial(_shuffled, n=n, batch=batch, seed=seed), [mine]
    loader: DataLoader[Any] = DataLoader(
        _Told(images),  # type: ignore[arg-type]  # it is a map-style data set in all but name
        batch_sampler=_Numbers(rows, pieces, first=first),
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_leave_stopping_to_the_main_process,
        pin_memory=pinned,
    )
    read = iter(loader)
    try:
        while True:
            parts = []
            for _ in pieces:
                part, complaints = next(read)
                if isinstance(part, GanvasError):
                    raise part
                parts.append(part)
                for complaint in complaints:
                    if complaint not in broken:
                        broken.add(complaint)
                        _log.warning("left out %s", complaint)
                refuse_if_many(
                    len(broken), n, name=source.name, example=next(iter(broken), ""), least=batch if n >= batch else 0
                )
            yield parts[0].together(parts) if len(parts) > 1 else parts[0]
    finally:
        del read  # ends the workers now, even if the caller keeps the error, and with it this frame


def _leave_stopping_to_the_main_process(_: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # terminals and schedulers send them to every process
        signal.signal(number, signal.SIG_IGN)  # the main one finishes its step, with what the workers have, and saves


def _collate(rows: list[tuple[Batch, str | None] | GanvasError]) -> tuple[Batch | GanvasError, list[str]]:
    batches, complaints = list[Batch](), list[str]()
    for row in rows:
        if isinstance(row, GanvasError):
            return row, []
        batches.append(row[0])
        complaints += [row[1]] if row[1] else []
    return type(batches[0]).together(batches), complaints


def refuse_if_many(broken: int, n: int, *, name: str, example: str, least: int = 0) -> None:
    """Raise DataError where more than `MAX_BROKEN` of the files are broken, or too few are left; the first is named."""
    if broken > MAX_BROKEN * n or (broken and n - broken < least):
        raise DataError(f"{name}: {broken} of {n} files cannot be read (such as {example}); mend or remove them")
