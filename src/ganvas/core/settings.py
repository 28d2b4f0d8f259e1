"""A setting is one dataclass field with a sentence: default, help, bounds and JSON all come from that one line."""

import dataclasses
import inspect
import math
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ganvas.errors import SettingError

T = TypeVar("T")


_DEFAULT: Any = object()


def setting(
    default: Any, help: str, *, low: float | None = None, high: float | None = None, absent: Any = _DEFAULT
) -> Any:
    """A dataclass field with the sentence that `--help` prints and the bounds, both inclusive, for `check`.

    Files that were written before a setting was there lack it: they mean `absent`, or the default where none is given.
    """
    metadata = {"help": help, "low": low, "high": high} | ({} if absent is _DEFAULT else {"absent": absent})
    return dataclasses.field(default=default, metadata=metadata)


def with_default(cls: type, name: str, default: Any, *, absent: Any = _DEFAULT) -> Any:
    """The field `name` of the dataclass `cls` with another default: the same sentence and bounds."""
    (field,) = (field for field in dataclasses.fields(cls) if field.name == name)
    return setting(default, **{**field.metadata, **({} if absent is _DEFAULT else {"absent": absent})})


def check(settings: Any) -> None:
    """Hold every field of a dataclass instance to its type and bounds.

    Raises:
        SettingError: naming the flag, the value given and the values there are.
    """
    hints = get_type_hints(type(settings))
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if not _fits(value, hints[field.name]):
            raise SettingError(f"{flag(field.name)} is {value!r}; expected {_words(hints[field.name])}")
        low, high = field.metadata.get("low"), field.metadata.get("high")
        for number in value if isinstance(value, tuple) else (value,):
            if low is not None and number < low:
                raise SettingError(f"{flag(field.name)} is {value}; the smallest is {low}")
            if high is not None and number > high:
                raise SettingError(f"{flag(field.name)} is {value}; the largest is {high}")


def flag(name: str) -> str:
    """The command-line flag of a field: `learning_rate` is `--learning-rate`."""
    return "--" + name.replace("_", "-")


def parameters(defaults: Any) -> list[inspect.Parameter]:
    """The fields of a dataclass instance as keyword parameters, with the instance's own values as defaults."""
    hints = get_type_hints(type(defaults))
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=getattr(defaults, field.name),
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(defaults)
    ]


def help_of(cls: type) -> dict[str, str]:
    """The sentence of every field of a dataclass, its bounds included."""
    return {field.name: _sentence(field) for field in dataclasses.fields(cls)}


def to_json(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass instance as JSON values: tuples become lists."""
    return {
        field.name: list(value) if isinstance(value := getattr(settings, field.name), tuple) else value
        for field in dataclasses.fields(settings)
    }


def from_json(cls: type[T], facts: Any) -> T:
    """The inverse of `to_json`; a setting that is not there is one that came later, and is what it was before.

    Raises:
        SettingError: for an unknown field or a value that does not fit.
    """
    assert dataclasses.is_dataclass(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if not isinstance(facts, Mapping) or not set(facts) <= set(fields):
        found = sorted(map(str, facts)) if isinstance(facts, Mapping) else type(facts).__name__
        raise SettingError(f"settings are {found}; expected {sorted(fields)}")
    absent = {
        name: field.metadata["absent"]
        for name, field in fields.items()
        if "absent" in field.metadata and name not in facts
    }
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
    settings = cls(**absent, **given)
    check(settings)
    return settings


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """The names under which two mappings disagree, in the order of the first."""
    missing = object()
    return [name for name in {**ours, **theirs} if ours.get(name, missing) != theirs.get(name, missing)]


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:  # tuple[int, ...]
        return isinstance(value, tuple) and all(_fits(item, get_args(hint)[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint in (int, bool, str):
        return type(value) is hint  # True is an int to Python, not to a person
    return isinstance(value, get_origin(hint) or hint)


def _words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"a list, each {_words(get_args(hint)[0])}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}.get(hint, str(hint))


def _sentence(field: "dataclasses.Field[Any]") -> str:
    low, high = field.metadata.get("low"), field.metadata.get("high")
    bounds = {
        (False, False): "",
        (True, False): f" (at least {low})",
        (False, True): f" (at most {high})",
        (True, True): f" ({low} to {high})",
    }[low is not None, high is not None]
    return str(field.metadata["help"]) + bounds
