"""Train a method on data: the loop, its checkpoints, samples, logs and diagnostics."""

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
