"""How long work shows itself: a bar in a terminal and in a notebook, lines in a file; and what Ctrl-C does to it."""

import contextlib
import importlib.util
import math
import os
import signal
import stat
import time
import types
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console

if TYPE_CHECKING:  # they load torch
    from rich.progress import Progress as Bar

    from ganvas.style import Progress as StyleProgress
    from ganvas.training.events import Event, Opened

T = TypeVar("T")

FORCE_SECONDS = 10  # after a first Ctrl-C; who presses it sooner is impatient, or his keyboard bounces
PLAIN_SECONDS = 30  # between the lines that a file gets in place of a bar

err = Console(stderr=True, highlight=False)  # all that is said on the way

Words = Callable[[str], str]
_WORDS: ContextVar[Words] = ContextVar("words", default=str)  # the command line writes parameters as flags


def said(text: str) -> str:
    """A sentence as its reader knows the parameters: as they are in Python, as flags on the command line."""
    return _WORDS.get()(text)


@contextlib.contextmanager
def speaking(words: Words) -> Iterator[None]:
    """Within the block sentences are said so."""
    token = _WORDS.set(words)
    try:
        yield
    finally:
        _WORDS.reset(token)


def say(text: str) -> None:
    """A line on the way, beside the results."""
    err.print(said(text), soft_wrap=True, markup=False)


def seen() -> bool:
    """Whether a bar is seen: in a terminal, or in a notebook that has ipywidgets."""
    return err.is_terminal or (err.is_jupyter and importlib.util.find_spec("ipywidgets") is not None)


def track(items: Iterable[T], *, total: int, description: str) -> Iterator[T]:
    """Pass the items through under a progress bar, where it is seen."""
    if not seen():
        yield from items
        return
    from rich.progress import Progress as Bar

    with Bar(console=err, transient=True) as bar:
        yield from bar.track(items, total=total, description=description)


def follow(events: "Iterable[Event]") -> "Generator[Event, None, None]":
    """Pass the events of a training through, and show them: what begins, a bar, and what there is to say."""
    from ganvas.training.events import Note, Opened, Progress

    opened: Opened | None = None
    warned: Sequence[object] = ()
    written = float(-PLAIN_SECONDS)
    bar, task = _bar(), None
    with contextlib.ExitStack() as shown:
        for event in events:
            if isinstance(event, Note):
                say(event.text)
            elif isinstance(event, Opened):
                opened = event
                say(_opening(event))
                shown.enter_context(bar)  # not sooner: the reading of data has a bar of its own
                task = bar.add_task("", total=1.0, numbers="")
            elif isinstance(event, Progress):
                for warning in event.warnings:
                    if warning not in warned:
                        say(f"watch, step {event.step:,}: {warning.kind}: {warning.sentence}")
                warned = event.warnings
                assert opened is not None
                assert task is not None
                epochs = event.step * opened.batch / opened.images
                numbers = f"epoch {epochs:,.1f}  {event.images_per_second:,.0f} images/s"
                losses = "  ".join(f"{name} {loss:.3f}" for name, loss in event.losses.items())
                if event.score:
                    losses = f"{event.score.name} {event.score.value:.3g}  {losses}"
                losses += "".join(f"  ! {warning.kind}" for warning in event.warnings)
                bar.update(task, completed=event.spent, description=losses, numbers=numbers)
                if not seen() and event.losses and event.seconds - written >= PLAIN_SECONDS:
                    written = event.seconds
                    say(f"{event.spent:4.0%}  step {event.step:,}  {numbers}  {losses}")
            yield event


def _bar() -> "Bar":
    """A bar of one line, whatever stands at its end: percentage, time left, numbers, and as many losses as fit."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    return Bar(
        BarColumn(bar_width=12), TaskProgressColumn(), TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[numbers]}", table_column=Column(no_wrap=True)),
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        console=err, disable=not seen(), expand=True,
    )  # fmt: skip


def _opening(event: "Opened") -> str:
    """The block before the first step: what is trained, on what, how long, and where it is written."""
    parameters = ", ".join(f"{name} {count:,}" for name, count in event.parameters.items())
    rows = {
        "data": f"{event.data}, {event.images:,} images of {event.size}x{event.size} pixels, {event.batch} a step",
        "parameters": parameters,
        "computed": f"on {event.device} in {event.precision}",
        "length": event.length + (f", from step {event.step:,} on" if event.step else ""),
        "written to": str(event.run),
    }
    return "\n".join([event.method, *(f"  {name:<11} {value}" for name, value in rows.items())])


def follow_style(events: "Iterable[StyleProgress]", *, title: str = "") -> "Iterator[StyleProgress]":
    """Pass the steps of a style transfer through under a bar with the losses, or lines in a file."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    told = time.monotonic()
    with Bar(*columns, console=err, transient=True, disable=not seen()) as bar:
        task = bar.add_task("starting", total=1.0)
        for event in events:
            height, width = event.made.shape[-2:]
            losses = "  ".join(f"{name} {loss:.3f}" for name, loss in event.losses.items())
            text = f"{title}step {event.step:,} of {event.steps:,} at {width}x{height}  {losses}"
            bar.update(task, completed=event.spent, description=text)
            if not seen() and time.monotonic() - told >= PLAIN_SECONDS:
                told = time.monotonic()
                say(f"{event.spent:4.0%}  {text}")
            yield event


@dataclass
class Stop:
    """True once a stop was asked for; the work looks at it between two steps."""

    signals: list[int] = field(default_factory=list)
    since: float = math.inf
    looked_at: bool = False

    def __bool__(self) -> bool:
        self.looked_at = True
        return bool(self.signals)


@contextlib.contextmanager
def stopping_gently(stop: Stop | None = None) -> Iterator[Stop]:
    """Within the block Ctrl-C, SIGTERM, a closed terminal (SIGHUP) or SIGUSR1 (SLURM's warning) ask for a stop.

    What comes more than once asks for the same. Only a Ctrl-C `FORCE_SECONDS` after the first one interrupts at once,
    and the first does, too, as long as no work has begun that looks whether to stop.
    """
    stop = Stop() if stop is None else stop

    def ask(number: int, frame: types.FrameType | None) -> None:
        # and no word: whoever is being interrupted may be in the middle of a line
        forced = number == signal.SIGINT and time.monotonic() - stop.since >= FORCE_SECONDS
        if number == getattr(signal, "SIGHUP", None):
            _speak_to_nobody()
        stop.since = min(stop.since, time.monotonic())
        stop.signals.append(number)
        if forced or not stop.looked_at:
            raise KeyboardInterrupt

    before: dict[int, Any] = {number: signal.signal(number, ask) for number in _asking()}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _asking() -> list[int]:
    """The signals that ask for a stop: not those that are ignored, as under nohup, or that others wait for."""
    others = [getattr(signal, name) for name in ("SIGHUP", "SIGUSR1") if hasattr(signal, name)]
    free = [number for number in others if signal.getsignal(number) is signal.SIG_DFL]
    return [signal.SIGINT, signal.SIGTERM, *free]


def _speak_to_nobody() -> None:
    """Send what is said to a terminal nowhere: it is closed, and writing there would be an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(nowhere, stream)
    os.close(nowhere)
