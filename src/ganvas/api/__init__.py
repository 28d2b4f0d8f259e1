"""What a person can ask for: train, load, generate, translate, evaluate, compare, stylize, check.

The command line, the studio and notebooks call these functions, and nothing below them. Each is loaded with what it
needs when it is first used: a model that generates one image waits for nothing that trains or evaluates.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganvas.api.checking import check
    from ganvas.api.evaluating import Report, compare, evaluate
    from ganvas.api.models import Images, Model, load, plan_files
    from ganvas.api.studying import study
    from ganvas.api.styling import make_stylizer, stylize
    from ganvas.api.training import iter_train, job, train, train_job, with_config

HOMES = {
    "checking": ("check",),
    "evaluating": ("Report", "compare", "evaluate"),
    "models": ("Images", "Model", "load", "plan_files"),
    "studying": ("study",),
    "styling": ("make_stylizer", "stylize"),
    "training": ("iter_train", "job", "train", "train_job", "with_config"),
}

__all__ = [
    "Images",
    "Model",
    "Report",
    "check",
    "compare",
    "evaluate",
    "iter_train",
    "job",
    "load",
    "make_stylizer",
    "plan_files",
    "study",
    "stylize",
    "train",
    "train_job",
    "with_config",
]


def __getattr__(name: str) -> Any:
    home = next((module for module, names in HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'ganvas.api' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ganvas.api.{home}"), name)
