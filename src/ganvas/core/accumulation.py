"""A training step taken in parts of its batch, in the memory of one: which part it is, and when weights may move."""

import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from torch import Tensor

from ganvas.core import distributed

Result = TypeVar("Result")


@dataclass(frozen=True)
class Share:
    """Which part of every batch is computed: the `index`-th of `of` equal ones, in the order of the rows."""

    index: int = 0
    of: int = 1


def current() -> "Parts | None":
    """Where the step is that is taken in parts; None where none is."""
    return _PARTS.get()


def share() -> Share:
    """The one that is being computed: of this process and, while gradients are accumulated, of this part of it."""
    parts = _PARTS.get()
    number, of = (parts.number, parts.of) if parts else (0, 1)
    return Share(distributed.rank() * of + number, distributed.count() * of)


class _NextPart(Exception):  # no error: it leaves a step whose gradients have been taken
    """What this part of the batch can give to the update at hand, it has given."""


@dataclass
class Parts:
    """Where a step is that is taken in parts.

    Attributes:
        of: how many parts there are.
        number: of the one that is computed.
        turn: how many updates of the step are done.
        before: how many were done when this part was begun.
        met: how many `update`s this part has come by.
        made: by each part, what `as_first_made` keeps; `asked` counts how often this part has asked.
    """

    of: int
    number: int = 0
    turn: int = 0
    before: int = 0
    met: int = 0
    asked: int = 0
    made: dict[tuple[int, int], Tensor] = field(default_factory=dict)

    def begin(self, number: int) -> None:
        """Go on with the part of this number."""
        self.number, self.before, self.met, self.asked = number, self.turn, 0, 0

    def first(self, x: Tensor) -> Tensor:
        """What this part gave when it was first computed."""
        self.asked += 1
        return self.made.setdefault((self.number, self.asked), x)

    def is_done(self) -> bool:
        """Whether the update that a part comes by is done already; leaves the part where its turn has not come."""
        self.met += 1
        if self.met > self.before + 1:
            raise _NextPart
        return self.met <= self.before

    def finish(self) -> None:
        """The gradients of a part are taken: leave it, unless it is the last one, with which the update is made."""
        if self.number < self.of - 1:
            raise _NextPart
        self.turn += 1


_PARTS: ContextVar[Parts | None] = ContextVar("parts", default=None)


def as_first_made(x: Tensor) -> Tensor:
    """Detached `x`, as the networks made it before the step's first update.

    For a step whose later losses look at what networks made that have moved since: where it is taken in parts, it is
    gone through again, and they would make something else.
    """
    parts = _PARTS.get()
    return parts.first(x.detach()) if parts else x.detach()


def in_parts(step: Callable[[int], Result], parts: int) -> Result:
    """Take a training step in so many parts of its batch, in the memory of one; `step` computes the part of a number.

    For each update of the step all parts are gone through: those before the last leave their gradients, and the last
    makes the update with the mean of all. Then it begins again, for the next update, from which everything before is
    done already: what the whole batch would do, where nothing looks at the whole batch. So a step may change nothing
    but by `update` before its last one (the running statistics of batch norm do move). Returns what the last part did.
    """
    if parts == 1:
        return step(0)
    state = Parts(of=parts)
    token = _PARTS.set(state)
    try:
        while True:
            for number in range(parts):
                state.begin(number)
                with contextlib.suppress(_NextPart):
                    return step(number)
    finally:
        _PARTS.reset(token)
