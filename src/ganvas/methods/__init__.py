"""The folder is the registry: a method is a file here, and its name is the file's."""

import ast
import importlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING

from ganvas.core.settings import nearest
from ganvas.errors import SettingError

if TYPE_CHECKING:
    from ganvas.methods._base import BaseConfig, Method


def names() -> list[str]:
    """The methods there are; imports none of them."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def summary(name: str) -> str:
    """The first sentence of a method's file; does not import it."""
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").split("\n")[0]


def get(name: str) -> "type[Method]":
    """The method of that name; imports its file alone.

    Raises:
        SettingError: if there is none.
    """
    from ganvas.methods._base import Method

    name = name.lower().replace("-", "_")  # as they are also written: DCGAN, WGAN-GP
    if name not in names():
        raise SettingError(f"{name}: no such method; {nearest(name, names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    own = [
        cls
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, Method) and cls.__module__ == module.__name__
    ]
    assert len(own) == 1, f"{module.__name__} must hold one Method, not {own}"
    return own[0]


def config(name: str, preset: str | None = None) -> "BaseConfig":
    """The default settings of a method, or those of one of its presets.

    Raises:
        SettingError: if there is no such method or preset.
    """
    method = get(name)
    if preset is None:
        return method.Config()
    if preset not in method.presets:
        known = nearest(preset, method.presets) if method.presets else "there are none"
        raise SettingError(f"`preset` {preset}: {name} has no such preset; {known}")
    return method.presets[preset]
