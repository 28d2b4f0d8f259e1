"""Folders whose files are what they register: a method, a task."""

import importlib
import inspect
from typing import TypeVar

T = TypeVar("T")


def class_in(module: str, base: type[T]) -> type[T]:
    """The one class in the module of that name that is of the kind `base`; imports it."""
    imported = importlib.import_module(module)
    own = [
        cls
        for _, cls in inspect.getmembers(imported, inspect.isclass)
        if issubclass(cls, base) and cls.__module__ == imported.__name__
    ]
    assert len(own) == 1, f"{module} must hold one {base.__name__}, not {own}"
    return own[0]
