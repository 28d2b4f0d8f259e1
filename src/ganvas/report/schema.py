"""Parse JSON into frozen dataclasses by their type hints; errors are one line that names the entry."""

import dataclasses
import json
import math
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from ganvas.errors import DataError

T = TypeVar("T")


def read_json(path: Path, shape: type[T]) -> T:
    """Read the file as `shape`, a dataclass; unknown entries are ignored.

    Raises:
        DataError: if the file is missing, is not JSON, or does not fit; the message says where.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); run the command that made it again") from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: is not complete JSON ({_one_line(error)}); run the command that made it again"
        ) from error
    fitted: T = _fit(content, shape, f"{path}: ")
    return fitted


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "nested too deeply"


def _fit(value: Any, hint: Any, where: str) -> Any:
    """Convert the value to the type of the hint."""
    if dataclasses.is_dataclass(hint):
        return _fit_fields(value, hint, where)
    kind, inner = get_origin(hint), get_args(hint)
    if kind is types.UnionType:
        return None if value is None else _fit(value, inner[0], where)
    if kind is tuple and isinstance(value, list):
        return tuple(_fit(item, inner[0], f"{where}[{number}]") for number, item in enumerate(value))
    if kind is Mapping and isinstance(value, dict):
        return {key: _fit(item, inner[1], _inside(where, key)) for key, item in value.items()}
    if hint is object:
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if hint in (str, int, bool) and type(value) is hint:
        return value
    words = {tuple: "a list", Mapping: "an object", str: "text", int: "a whole number", float: "a number"}
    expected = words.get(kind or hint, "true or false")
    raise DataError(f"{where} is {_short(value)}, expected {expected}; run the command that made it again")


def _fit_fields(value: Any, shape: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise DataError(f"{where} is {_short(value)}, expected an object; run the command that made it again")
    hints, given = get_type_hints(shape), dict[str, Any]()
    for field in dataclasses.fields(shape):
        if field.name in value:
            given[field.name] = _fit(value[field.name], hints[field.name], _inside(where, field.name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise DataError(f"{_inside(where, field.name)} is missing; run the command that made it again")
    return shape(**given)


def _inside(where: str, name: str) -> str:
    return f"{where}{'' if where.endswith(': ') else '.'}{name}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}..."
