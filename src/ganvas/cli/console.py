"""Output of the command line: results, tables, and JSON."""

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console

from ganvas import progress
from ganvas.progress import said, say, stopping_gently, track

__all__ = ["loading", "out", "print_json", "say", "silence", "stopping_gently", "table", "tell", "track"]

out = Console(highlight=False)  # results


def tell(text: str) -> None:
    """Print a line of the result."""
    out.print(said(text), soft_wrap=True, markup=False)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Say in a terminal that PyTorch is being loaded, which takes seconds, and erase it then."""
    if progress.err.is_terminal and "torch" not in sys.modules:
        with progress.err.status("loading PyTorch ..."):
            yield
    else:
        yield


def silence() -> None:
    """Print nothing more: of several processes, only one prints."""
    out.quiet = progress.err.quiet = True


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; numbers are aligned right."""
    from rich.table import Table
    from rich.text import Text  # prints a name unchanged, also with markup signs

    rows = [list(row) for row in rows]
    shown = Table(*columns, title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for i, column in enumerate(shown.columns):
        if rows and all(isinstance(row[i], int | float) for row in rows):
            column.justify = "right"
    for row in rows:
        shown.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) else said(str(cell))) for cell in row))
    out.print(shown)


def print_json(value: Any) -> None:
    """Print JSON, unwrapped and uncoloured."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")
