"""ganvas trains, runs and compares image generators and image translators.

    import ganvas
    model = ganvas.train("cgan", "digits", steps=200)
    model.generate(10, label="3")

Importing it is quick: torch is loaded with the first name that is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0.dev0"

if TYPE_CHECKING:
    from ganvas.api import Images, Model, Report, check, compare, evaluate, iter_train, load, study, stylize, train
    from ganvas.core.options import Budget, Data, EvaluateOptions, TrainOptions
    from ganvas.errors import DataError, GanvasError, Interrupted, ModelError, SettingError, UsageError
    from ganvas.training.callbacks import TensorBoard
    from ganvas.training.events import Event, Finished, Note, Opened, Progress, Sampled, Saved, Scored

__all__ = [
    "Budget",
    "Data",
    "DataError",
    "EvaluateOptions",
    "Event",
    "Finished",
    "GanvasError",
    "Images",
    "Interrupted",
    "Model",
    "ModelError",
    "Note",
    "Opened",
    "Progress",
    "Report",
    "Sampled",
    "Saved",
    "Scored",
    "SettingError",
    "TensorBoard",
    "TrainOptions",
    "UsageError",
    "check",
    "compare",
    "evaluate",
    "iter_train",
    "load",
    "study",
    "stylize",
    "train",
]

_HOMES = {
    "ganvas.core.options": ("Budget", "Data", "EvaluateOptions", "TrainOptions"),
    "ganvas.errors": ("DataError", "GanvasError", "Interrupted", "ModelError", "SettingError", "UsageError"),
    "ganvas.training.callbacks": ("TensorBoard",),
    "ganvas.training.events": ("Event", "Finished", "Note", "Opened", "Progress", "Sampled", "Saved", "Scored"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ganvas' has no attribute {name!r}")
    home = next((module for module, names in _HOMES.items() if name in names), "ganvas.api")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
