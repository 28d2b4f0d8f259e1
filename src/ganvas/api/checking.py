"""Checking images before training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ganvas import doctor
from ganvas import progress as bars
from ganvas.core import settings
from ganvas.core.options import Data, File
from ganvas.data.builtin import NAMES
from ganvas.data.progress import silently
from ganvas.errors import SettingError, UsageError

OF_USE = frozenset({"target", "side", "holdout", "size"})  # of the fields of `Data`


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
        data: a folder, or the `Data` for a training; what it says about training itself is not looked at.
        unpaired: whether the folder and `target` hold different things, without partners.
        held_out: a folder of images that training must not see: none of them may be in the data.
        progress: whether to show a progress bar.
        **keywords: the fields `target`, `side`, `holdout` and `size` of `Data`.

    Returns:
        `findings` by severity, `tables`, and `ready`, whether training may begin.

    Raises:
        DataError: for a folder that is not there, or holds no images.
        SettingError: for a keyword that changes nothing about the files.
        UsageError: for a published data set, or options that contradict each other.

    Example:
        >>> import ganvas, numpy as np
        >>> from PIL import Image
        >>> from pathlib import Path
        >>> Path("gradients").mkdir()
        >>> for i in range(4):
        ...     Image.fromarray(np.full((64, 64), 60 * i, np.uint8)).save(f"gradients/{i}.png")
        >>> ganvas.check("gradients", size=64).ready
        True
    """
    if useless := sorted((keywords.keys() & settings.names_of(Data)) - OF_USE):
        raise SettingError(f"`{useless[0]}`: check looks at the files as they are; leave it out")
    settings.require_known(keywords, OF_USE, owner="check")
    asked = replace(Data.of(data), **keywords)
    if not isinstance(asked.source, str | Path):
        raise UsageError(f"`data`: check looks at folders of image files, not at a {asked.name} in memory")
    if asked.name in NAMES and not Path(asked.name).is_dir():
        why = f"{asked.name}: is a published data set; doctor checks folders of your own images"
        raise UsageError(why, field="data")
    plan = doctor.Plan(
        Path(asked.source), target=Path(asked.target) if asked.target else None, side=asked.side, unpaired=unpaired,
        held_out=Path(held_out) if held_out else None, holdout=asked.holdout, size=asked.size,
    )  # fmt: skip
    return doctor.check(plan, track=bars.track if progress else silently)
