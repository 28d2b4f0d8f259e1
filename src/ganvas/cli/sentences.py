"""Sentences as the command line says them: their parameters are written as flags."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Iterable
from pathlib import Path

from ganvas import methods
from ganvas.cli.flag_types import Later, Typed
from ganvas.core.options import Budget, Data, EvaluateOptions, TrainOptions

VALUES = (Data, Budget, TrainOptions, EvaluateOptions)  # whose fields are flags

_ELSEWHERE = {"root": "data-root", "source": "data"}  # fields whose flag has another name
_SETTING = re.compile(r"^    (\w+): (.*?) *= *(?:setting|with_default)\(", re.MULTILINE)


def with_flags(text: str) -> str:
    """A sentence with its parameters written as flags: `learning_rate` becomes --learning-rate."""

    def flag(found: re.Match[str]) -> str:
        name = found[1]
        return f"--{_ELSEWHERE.get(name, name.replace('_', '-'))}" if name in _parameters() else found[0]

    return re.sub(r"`([a-z][a-z0-9_]*)`", flag, text)


def settings_in(files: Iterable[Path]) -> dict[str, str]:
    """The settings that these files define, and their types as they are written; imports none, so no torch."""
    return {name: kind for file in files for name, kind in _SETTING.findall(file.read_text("utf-8"))}


@functools.cache
def _parameters() -> frozenset[str]:
    """The names of all that a command may be given."""
    from ganvas.cli import commands  # whose help consists of such sentences

    fields = {field.name for value in VALUES for field in dataclasses.fields(value)}
    flags = {
        name
        for command in map(commands.get, commands.names())
        for name, parameter in inspect.signature(command.run).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.annotation not in (*VALUES, Later, Typed)
    }
    folder = Path(methods.__file__).parent
    return frozenset({*fields, *flags, *settings_in([*folder.glob("*.py"), folder.parent / "style/config.py"])})
