"""runs/NAME/log.jsonl: a line of numbers for each report of a training, and a line of text for each warning."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganvas.core import schema
from ganvas.core.atomic_io import add_line, write_whole

LOG = "log.jsonl"
LONGEST = 2**16  # bytes of a line; what is longer was not written by a training
SCORE = "score"  # the prefix of the name of a score in a record


def append(run: Path, record: Mapping[str, float | str]) -> None:
    """Add a line.

    Raises:
        SaveError: if it cannot be written.
    """
    add_line(run / LOG, json.dumps(record))


def read(run: Path) -> list[dict[str, float]]:
    """The lines of numbers; lines of text, and lines damaged by a kill or the disk, are skipped."""
    return [record for record in _read(run) if all(isinstance(x, int | float) for x in record.values())]


def _read(run: Path) -> list[dict[str, Any]]:
    """The lines that hold a step."""
    if not (run / LOG).exists():
        return []
    with (run / LOG).open("rb") as file:
        return [record for line in iter(lambda: file.readline(LONGEST), b"") if (record := _record(line)) is not None]


def _record(line: bytes) -> dict[str, Any] | None:
    """What a line holds; None if it is damaged."""
    try:
        record = schema.parse(line)
    except schema.Misfit:
        return None
    return record if isinstance(record, dict) and type(record.get("step")) is int else None


def rewind(run: Path, *, step: int) -> None:
    """Remove the lines after `step`, which a run that continues from there will write again.

    Raises:
        SaveError: if it cannot be written.
    """
    lines = [json.dumps(record) + "\n" for record in _read(run) if record["step"] <= step]
    write_whole(run / LOG, "".join(lines).encode())


def warned(run: Path) -> dict[str, int]:
    """The kinds of warnings, each with the step at which it was last logged."""
    said = [(str(record["warning"]).partition(":")[0], record["step"]) for record in _read(run) if "warning" in record]
    return dict(said)
