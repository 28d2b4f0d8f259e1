"""Endless batches; batch k is a function of (seed, k) alone, so that resuming needs no saved position."""

import functools
import logging
import signal
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ganvas.data.batch import Batch, Kind, Pictures, Rows, Source
from ganvas.data.unpaired import TwoSets
from ganvas.errors import DataError
from ganvas.runtime import Purpose, cores, derive

MAX_BROKEN = 0.01  # the share of broken files above which something is wrong with the data, not with a file

_log = logging.getLogger("ganvas")


def indices(k: int, *, n: int, batch: int, seed: int) -> Tensor:
    """The rows (batch,) of batch k: consecutive pieces of one shuffled epoch after the other.

    Every picture comes exactly once an epoch, and a batch may span the seam of two epochs.
    """
    positions = torch.arange(k * batch, (k + 1) * batch)
    epochs, places = positions // n, positions % n
    first, last = int(epochs[0]), int(epochs[-1])
    return torch.cat([_order(n, seed, epoch)[places[epochs == epoch]] for epoch in range(first, last + 1)])


@functools.lru_cache(maxsize=2)
def _order(n: int, seed: int, epoch: int) -> Tensor:
    return torch.randperm(n, generator=_chance(seed, Purpose.ORDER, epoch))


def _chance(seed: int, purpose: Purpose, k: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive(seed, purpose, k))


def _coins(k: int, *, batch: int, seed: int) -> Tensor:
    return torch.rand(batch, generator=_chance(seed, Purpose.FLIP, k)) < 0.5


def _corners(k: int, *, batch: int, seed: int, margin: int) -> tuple[Tensor, Tensor]:
    """The upper left corners (batch,) of the windows, `margin` pixels at most from those of the pictures."""
    top, left = torch.randint(0, margin + 1, (2, batch), generator=_chance(seed, Purpose.WINDOW, k))
    return top, left


def batches(
    source: Source[Kind], *, batch: int, seed: int, device: torch.device, first: int = 0, flip: bool = False
) -> Iterator[Kind]:
    """Batches first, first + 1, ... of `source`, float in -1..1 on `device`; with `flip` half are mirrored.

    Both sides of a pair are cut and mirrored alike; of two unpaired sets each has an order and a chance of its own.

    Raises:
        DataError: if too many files turn out broken on the way.
    """
    pictures: Any = source.pictures
    if isinstance(pictures, TwoSets):
        sides = (
            batches(side, batch=batch, seed=side_seed, device=device, first=first, flip=flip)
            for side, side_seed in zip(pictures.sides, (seed, derive(seed, Purpose.TARGET)), strict=True)
        )
        yield from map(pictures.joined, *sides)
        return
    if isinstance(pictures, Batch):
        raw = _resident(pictures.over(lambda t: t.to(device)), batch=batch, seed=seed, first=first)
    else:
        raw = _streamed(pictures, source.name, batch=batch, seed=seed, first=first, pinned=device.type == "cuda")
    for k, kept in enumerate(raw, first):
        rows = kept.over(lambda t: t.to(device, non_blocking=device.type == "cuda"))
        if source.margin:
            corners = _corners(k, batch=batch, seed=seed, margin=source.margin)
            rows = rows.windows(*corners, source.spec.size)
        if flip:
            rows = rows.mirrored(_coins(k, batch=batch, seed=seed).to(device))
        if source.afresh is not None:
            rows = source.afresh(rows, _chance(seed, Purpose.AFRESH, k))
        yield rows.signed()  # type: ignore[misc]  # of the kind that `pictures` were


def _resident(pictures: Rows, *, batch: int, seed: int, first: int) -> Iterator[Rows]:
    n, k = len(pictures), first
    while True:
        rows = indices(k, n=n, batch=batch, seed=seed).to(pictures.pictures.device)
        yield pictures.over(lambda t, rows=rows: t[rows])  # type: ignore[misc]
        k += 1


class _Numbers:
    """The rows of batches `first`, `first + 1`, ... as DataLoader's `batch_sampler`."""

    def __init__(self, *, n: int, batch: int, seed: int, first: int):
        self.n, self.batch, self.seed, self.first = n, batch, seed, first

    def __iter__(self) -> Iterator[list[int]]:
        k = self.first
        while True:
            yield indices(k, n=self.n, batch=self.batch, seed=self.seed).tolist()
            k += 1


def _streamed(
    pictures: Pictures[Kind], name: str, *, batch: int, seed: int, first: int, pinned: bool
) -> Iterator[Kind]:
    n, broken = len(pictures), set[str]()
    loader: DataLoader[Kind] = DataLoader(
        pictures,  # type: ignore[arg-type]  # it is a map-style data set in all but name
        batch_sampler=_Numbers(n=n, batch=batch, seed=seed, first=first),
        num_workers=min(8, cores()),
        collate_fn=_collate,
        worker_init_fn=_leave_stopping_to_the_main_process,
        pin_memory=pinned,
    )
    for rows, complaints in loader:
        for complaint in complaints:
            if complaint not in broken:
                broken.add(complaint)
                _log.warning("left out %s", complaint)
        refuse_if_many(len(broken), n, name=name, example=next(iter(broken), ""))
        yield rows


def _leave_stopping_to_the_main_process(_: int) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # terminals and schedulers send them to every process
        signal.signal(number, signal.SIG_IGN)  # the main one finishes its step, with what the workers have, and saves


def _collate(rows: list[tuple[Batch, str | None]]) -> tuple[Batch, list[str]]:
    batches = [row for row, _ in rows]
    return type(batches[0]).together(batches), [text for _, text in rows if text]


def refuse_if_many(broken: int, n: int, *, name: str, example: str) -> None:
    """Raise DataError where more than `MAX_BROKEN` of the files are broken; the first is named."""
    if broken > MAX_BROKEN * n:
        raise DataError(f"{name}: {broken} of {n} files cannot be read (such as {example}); mend or remove them")
