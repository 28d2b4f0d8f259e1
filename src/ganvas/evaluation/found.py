"""What an evaluation leaves behind: numbers with how they were found, and pictures to look at."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ganvas import images
from ganvas.files import write_whole

NUMBERS = "metrics.json"


@dataclass(kw_only=True)
class Found:
    """What was found, and how; each kind of evaluation adds its own scores.

    Attributes:
        model: the method that was judged, and `step` after how many steps.
        protocol: how, by aspect.
    """

    model: str
    step: int
    protocol: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All but the pictures, as JSON values."""
        return {"model": self.model, "step": self.step, "protocol": self.protocol}

    def sheets(self) -> dict[str, Tensor]:
        """Pictures to look at, uint8 (C, H, W), by the name that they go by."""
        return {}

    def tables(self) -> dict[str, str]:
        """What else is worth keeping, as CSV, by the name that it goes by."""
        return {}


def write(folder: Path, found: Found) -> Mapping[str, Path]:
    """Write metrics.json, the tables and the sheets into an existing folder; where, by name."""
    paths = {"numbers": folder / NUMBERS}
    write_whole(paths["numbers"], json.dumps(found.to_json(), indent=1).encode())
    for name, table in found.tables().items():
        paths[name] = folder / f"{name}.csv"
        write_whole(paths[name], table.encode())
    for name, sheet in found.sheets().items():
        paths[name] = folder / f"{name}.png"
        images.write(paths[name], sheet)
    return paths
