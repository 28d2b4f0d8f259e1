"""Gradient accumulation: a training step is taken in parts of its batch, in the memory of one part."""

import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from ganvas.core import distributed

Result = TypeVar("Result")


@dataclass(frozen=True)
class Share:
    """A part of every batch: the `index`-th of `of` equal parts, in the order of the rows."""

    index: int = 0
    of: int = 1


def current() -> "Parts | None":
    """The state of the step that is being taken in parts; None if there is none."""
    return _PARTS.get()


def share() -> Share:
    """The part of the batch that is being computed: of this process, and within it of the current part."""
    parts = _PARTS.get()
    number, of = (parts.number, parts.of) if parts else (0, 1)
    return Share(distributed.rank() * of + number, distributed.count() * of)


class _NextPart(Exception):  # not an error: leaves a step whose gradients have been computed
    """This part of the batch has contributed to the current update."""


@dataclass
class Parts:
    """The state of a step that is taken in parts.

    Attributes:
        of: the number of parts.
        number: the index of the current part.
        turn: how many updates of the step are done.
        before: how many updates were done when this part began.
        met: how many calls of `update` this part has reached.
    """

    of: int
    number: int = 0
    turn: int = 0
    before: int = 0
    met: int = 0

    def begin(self, number: int) -> None:
        """Continue with the part of this number."""
        self.number, self.before, self.met = number, self.turn, 0

    def is_done(self) -> bool:
        """Whether this update is already done; leaves the part if it is the turn of a later update."""
        self.met += 1
        if self.met > self.before + 1:
            raise _NextPart
        return self.met <= self.before

    def finish(self) -> None:
        """The gradients of a part are computed: leave it, unless it is the last, which makes the update."""
        if self.number < self.of - 1:
            raise _NextPart
        self.turn += 1


_PARTS: ContextVar[Parts | None] = ContextVar("parts", default=None)


def in_parts(step: Callable[[int], Result], parts: int) -> Result:
    """Take a training step in `parts` parts of its batch, in the memory of one; `step` computes the part of a number.

    Each update of the step runs all parts: every part adds its gradients, and the last one makes the update with their
    mean. Then the step runs again for the next update and skips those already done. The result is that of the whole
    batch, unless something depends on the whole batch, as batch norm does. Until its last update a step may change
    state only by `update` (the running statistics of batch norm do move). Returns the result of the last part.
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
