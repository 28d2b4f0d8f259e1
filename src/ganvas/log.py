"""runs/NAME/log.jsonl: a line of numbers for each report of a training."""

import json
from collections.abc import Mapping
from pathlib import Path

from ganvas.files import add_line, write_whole

LOG = "log.jsonl"


def append(run: Path, record: Mapping[str, float]) -> None:
    """Add a line.

    Raises:
        SaveError: if it cannot be written.
    """
    add_line(run / LOG, json.dumps(record))


def read(run: Path) -> list[dict[str, float]]:
    """The lines that hold a step and numbers; what a kill or the disk damaged is passed over."""
    if not (run / LOG).exists():
        return []
    records = []
    for line in (run / LOG).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "step" in record and all(isinstance(x, int | float) for x in record.values()):
            records.append(record)
    return records


def rewind(run: Path, *, step: int) -> None:
    """Take back the lines after `step`, which a run that goes on from there will write again.

    Raises:
        SaveError: if it cannot be written.
    """
    lines = [json.dumps(record) + "\n" for record in read(run) if record["step"] <= step]
    write_whole(run / LOG, "".join(lines).encode())
