"""From a run and its data to the run, further on."""

from ganvas.training.loop import (
    Limit,
    Plan,
    Progress,
    limit_of,
    require_fit,
    require_same_data,
    require_shares,
    start,
    train,
)

__all__ = [
    "Limit",
    "Plan",
    "Progress",
    "limit_of",
    "require_fit",
    "require_same_data",
    "require_shares",
    "start",
    "train",
]
