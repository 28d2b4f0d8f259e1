"""How the command line looks: progress bars, tables, and what Ctrl-C does."""

import contextlib
import json
import signal
import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console

if TYPE_CHECKING:
    from ganvas.training import Progress

T = TypeVar("T")

PLAIN_SECONDS = 30  # between the lines that a log file gets in place of a bar

out = Console(highlight=False)  # results
err = Console(stderr=True, highlight=False)  # all that is said on the way


def say(text: str) -> None:
    """A line on the way, beside the results."""
    err.print(text, soft_wrap=True, markup=False)


def tell(text: str) -> None:
    """A line of the result."""
    out.print(text, soft_wrap=True, markup=False)


def tell_left_out(lines: Sequence[str]) -> None:
    """The first few files that could not be used, and how many there are."""
    for line in lines[:5]:
        say(f"left out {line}")
    if len(lines) > 5:
        say(f"left out {len(lines)} files in all")


def track(items: Iterable[T], *, total: int, description: str) -> Iterator[T]:
    """Pass the items through under a progress bar, where somebody can see it."""
    if not err.is_terminal:
        yield from items
        return
    from rich.progress import Progress as Bar

    with Bar(console=err, transient=True) as bar:
        yield from bar.track(items, total=total, description=description)


def silence() -> None:
    """Say nothing more: of several processes one speaks for all."""
    out.quiet = err.quiet = True


def follow(events: "Iterable[Progress]") -> "Progress":
    """Show a training's progress until it ends; returns the last event."""
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    event, told = None, 0.0
    warned: Sequence[object] = ()
    with Bar(*columns, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("starting", total=1.0)
        for event in events:
            text = f"step {event.step:,}  " + "  ".join(f"{name} {loss:.3f}" for name, loss in event.losses.items())
            if event.score:
                text += f"  {event.score[0]} {event.score[1]:.3g}"
            text += f"  {event.images_per_second:,.0f} images/s"
            text += "".join(f"  ! {warning.kind}" for warning in event.warnings)
            for warning in event.warnings:
                if warning not in warned:
                    say(f"watch, step {event.step:,}: {warning.kind}: {warning.sentence}")
            warned = event.warnings
            bar.update(task, completed=event.spent, description=text)
            if not err.is_terminal and event.losses and event.seconds - told >= PLAIN_SECONDS:
                told = event.seconds
                say(f"{event.spent:4.0%}  {text}")
    assert event is not None
    return event


@dataclass
class Stop:
    """Set by the first Ctrl-C (or SIGTERM); true from then on."""

    signals: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.signals)


@contextlib.contextmanager
def stopping_gently() -> Iterator[Stop]:
    """Within the block the first Ctrl-C or SIGTERM asks for a stop, the second one stops at once."""
    stop = Stop()

    def ask(number: int, frame: types.FrameType | None) -> None:
        if stop:
            raise KeyboardInterrupt
        stop.signals.append(number)  # and no word: whoever is being interrupted may be in the middle of a line

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; numbers stand to the right."""
    from rich.table import Table
    from rich.text import Text  # so that a name is printed as it is, whatever signs it holds

    rows = [list(row) for row in rows]
    shown = Table(*columns, title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, column in enumerate(shown.columns):
        if rows and all(isinstance(row[i], int | float) for row in rows):
            column.justify = "right"
    for row in rows:
        shown.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else str(cell)) for cell in row))
    out.print(shown)


def print_json(value: Any) -> None:
    """Print for machines: JSON, unwrapped and uncoloured."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")
