"""Endless batches; batch k is a function of (seed, k) alone, so that resuming needs no saved position."""

import functools
import logging
import signal
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ganvas.data.batch import Images, Pictures, Source
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
    return torch.randperm(n, generator=torch.Generator().manual_seed(derive(seed, Purpose.ORDER, epoch)))


def _coins(k: int, *, batch: int, seed: int) -> Tensor:
    return torch.rand(batch, generator=torch.Generator().manual_seed(derive(seed, Purpose.FLIP, k))) < 0.5


def batches(
    source: Source, *, batch: int, seed: int, device: torch.device, first: int = 0, flip: bool = False
) -> Iterator[Images]:
    """Batches first, first + 1, ... of `source`, float in -1..1 on `device`; with `flip` half are mirrored.

    Raises:
        DataError: if too many files turn out broken on the way.
    """
    pictures = source.pictures
    if isinstance(pictures, Images):
        raw = _resident(pictures.over(lambda t: t.to(device)), batch=batch, seed=seed, first=first)
    else:
        raw = _streamed(pictures, source.name, batch=batch, seed=seed, first=first, pinned=device.type == "cuda")
    for k, rows in enumerate(raw, first):
        signed = rows.over(lambda t: t.to(device, non_blocking=device.type == "cuda")).signed()
        yield signed.mirrored(_coins(k, batch=batch, seed=seed).to(device)) if flip else signed


def _resident(pictures: Images, *, batch: int, seed: int, first: int) -> Iterator[Images]:
    n, k = len(pictures), first
    while True:
        rows = indices(k, n=n, batch=batch, seed=seed).to(pictures.images.device)
        yield pictures.over(lambda t, rows=rows: t[rows])  # type: ignore[misc]
        k += 1


class _Rows:
    """The rows of batches `first`, `first + 1`, ... as DataLoader's `batch_sampler`."""

    def __init__(self, *, n: int, batch: int, seed: int, first: int):
        self.n, self.batch, self.seed, self.first = n, batch, seed, first

    def __iter__(self) -> Iterator[list[int]]:
        k = self.first
        while True:
            yield indices(k, n=self.n, batch=self.batch, seed=self.seed).tolist()
            k += 1


def _streamed(pictures: Pictures, name: str, *, batch: int, seed: int, first: int, pinned: bool) -> Iterator[Images]:
    n, broken = len(pictures), set[str]()
    loader: DataLoader[Images] = DataLoader(
        pictures,  # type: ignore[arg-type]  # it is a map-style data set in all but name
        batch_sampler=_Rows(n=n, batch=batch, seed=seed, first=first),
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


def _collate(rows: list[tuple[Images, str | None]]) -> tuple[Images, list[str]]:
    images = torch.cat([row.images for row, _ in rows])
    labels = [row.labels for row, _ in rows if row.labels is not None]
    return Images(images, torch.cat(labels) if labels else None), [text for _, text in rows if text]


def refuse_if_many(broken: int, n: int, *, name: str, example: str) -> None:
    """Raise DataError where more than `MAX_BROKEN` of the files are broken; the first is named."""
    if broken > MAX_BROKEN * n:
        raise DataError(f"{name}: {broken} of {n} files cannot be read (such as {example}); mend or remove them")
