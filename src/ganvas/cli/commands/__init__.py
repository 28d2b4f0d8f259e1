"""The registry of commands: each file in this folder is a command, named after it; `import_` is `import`."""

import importlib
from pathlib import Path

from ganvas.cli.commands._base import Command


def names() -> list[str]:
    """The names of all commands; imports none of them."""
    return sorted(path.stem.removesuffix("_") for path in Path(__file__).parent.glob("[!_]*.py"))


def get(name: str) -> Command:
    """The command of that name; imports only its file."""
    file = next(path for path in Path(__file__).parent.glob("[!_]*.py") if path.stem.removesuffix("_") == name)
    module = importlib.import_module(f"{__name__}.{file.stem}")
    command = module.COMMAND
    assert isinstance(command, Command), f"{module.__name__}.COMMAND must be a Command, not {command!r}"
    return command
