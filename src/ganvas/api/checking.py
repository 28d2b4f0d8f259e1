"""Checking images before training."""

from pathlib import Path
from typing import Any

from ganvas import doctor
from ganvas import progress as bars
from ganvas.core import settings
from ganvas.core.options import Data, File
from ganvas.data.builtin import NAMES
from ganvas.data.progress import silently
from ganvas.errors import UsageError


def check(
    data: Any,
    *,
    unpaired: bool = False,
    held_out: File | None = None,
    progress: bool = False,
    **keywords: Any,
) -> doctor.Report:
    """Check images before training: what is broken, double, mismatched or too little, and what to do about it.

    Every file is decoded once; nothing is changed.

    Args:
        data: a folder, or a `Data` with `target`, `side`, `holdout` or `size`.
        unpaired: whether the folder and `target` hold different things, without partners.
        held_out: a folder of images that training must not see: none of them may be in the data.
        progress: whether to show a progress bar.
        **keywords: fields of `Data`.

    Returns:
        Findings by severity, tables, and `ready`, whether training may begin.
    """
    asked = settings.changed(Data.of(data), keywords)
    if not isinstance(asked.source, str | Path) or (asked.name in NAMES and not Path(asked.name).is_dir()):
        raise UsageError(f"{asked.name}: is a published data set; doctor checks folders of your own images")
    plan = doctor.Plan(
        Path(asked.source), target=Path(asked.target) if asked.target else None, side=asked.side, unpaired=unpaired,
        held_out=Path(held_out) if held_out else None, holdout=asked.holdout, size=asked.size,
    )  # fmt: skip
    return doctor.check(plan, track=bars.track if progress else silently)
