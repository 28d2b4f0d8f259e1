"""Settings as dataclass fields: default, help sentence, bounds and JSON all come from one line."""

import dataclasses
import functools
import inspect
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ganvas.core import schema, words
from ganvas.errors import SettingError

T = TypeVar("T")


_DEFAULT: Any = object()
MOST_NAMED = 16  # names in a message


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    absent: Any = _DEFAULT,
    flag: str = "",
    env: str = "",
    group: str = "",
) -> Any:
    """A dataclass field with its help sentence, and its bounds, both inclusive, for `check`.

    Files written before a setting existed lack it: they mean `absent`, or the default if that is not given. On the
    command line its name is the field's name, or `flag`; `env` is an environment variable that gives its default there.
    """
    metadata = {"help": help, "low": low, "high": high, "flag": flag, "env": env, "group": group}
    metadata |= {} if absent is _DEFAULT else {"absent": absent}
    return dataclasses.field(default=default, metadata=metadata)


def with_default(cls: type, name: str, default: Any, *, absent: Any = _DEFAULT) -> Any:
    """The field `name` of the dataclass `cls` with another default: the same sentence and bounds."""
    (field,) = (field for field in dataclasses.fields(cls) if field.name == name)
    return setting(default, **{**field.metadata, **({} if absent is _DEFAULT else {"absent": absent})})


def check(settings: Any) -> None:
    """Check the type and the bounds of every field of a dataclass instance.

    Raises:
        SettingError: naming the field, the value given and the allowed values.
    """
    hints = get_type_hints(type(settings))
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if not schema.fits(value, hints[field.name]):
            raise SettingError(f"`{field.name}` is {_short(value)}; expected {_words(hints[field.name])}")
        low, high = field.metadata.get("low"), field.metadata.get("high")
        for number in value if isinstance(value, tuple) else () if value is None else (value,):
            if low is not None and number < low:
                raise SettingError(f"`{field.name}` is {value}; the smallest is {low}")
            if high is not None and number > high:
                raise SettingError(f"`{field.name}` is {value}; the largest is {high}")


def _short(value: Any) -> str:
    """A value as an error shows it."""
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number of many digits"
    words = repr(value)
    return words if len(words) <= schema.LONGEST else f"{words[: schema.LONGEST]}..."


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a wrong name: what another tool's name is here, or the known names nearest to it, or all of them."""
    known = list(known)
    if (ours := words.OURS.get(name)) in known:
        return f"did you mean {ours}?"
    near = get_close_matches(name.lower(), known, n=2, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are {', '.join(known[:MOST_NAMED])}{', ...' if len(known) > MOST_NAMED else ''}"


def names_of(value: Any) -> set[str]:
    """The names of the fields of a dataclass, or of an instance of one."""
    return {field.name for field in dataclasses.fields(value)}


def require_known(given: Iterable[str], known: Collection[str], *, owner: str) -> None:
    """Raise SettingError for a name that is not known, with the nearest one or what to do without it."""
    for name in given:
        if name not in known:
            hint = words.NOT_NEEDED.get(name) or nearest(name, sorted(known))
            raise SettingError(f"`{name}`: {owner} has no such setting; {hint}")


def options(cls: type[T]) -> type[T]:
    """Decorates a dataclass that people write: a wrong keyword is a SettingError, and what is shown is what was set."""
    build: Any = cls.__init__
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]

    @functools.wraps(build)
    def checked(self: T, *values: Any, **given: Any) -> None:
        require_known(given, {field.name for field in fields}, owner=cls.__name__)
        build(self, *values, **given)

    def shown(self: T) -> str:
        values = ((field, getattr(self, field.name)) for field in fields)
        given = [f"{field.name}={value!r}" for field, value in values if not _same(value, field.default)]
        return f"{cls.__name__}({', '.join(given)})"

    cls.__init__, cls.__repr__ = checked, shown  # type: ignore[assignment]
    return cls


def _same(value: Any, default: Any) -> bool:
    """Whether a value is the default; an array, which would be compared number by number, never is."""
    return type(value) is type(default) and bool(value == default)


def with_tuples(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the fields of a dataclass hold them: a list is a tuple."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


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


def help_of(cls: type, *, bounds: bool = True) -> dict[str, str]:
    """The help sentence of every field of a dataclass, with its bounds."""
    return {f.name: _sentence(f) if bounds else str(f.metadata["help"]) for f in dataclasses.fields(cls)}


def to_json(settings: Any) -> dict[str, Any]:
    """The fields of a dataclass instance as JSON values: tuples become lists."""
    return {
        field.name: list(value) if isinstance(value := getattr(settings, field.name), tuple) else value
        for field in dataclasses.fields(settings)
    }


def from_json(cls: type[T], manifest: Any) -> T:
    """The inverse of `to_json`; a missing setting is newer than the file, and gets its `absent` value or its default.

    Raises:
        SettingError: for an unknown field or a value that does not fit.
    """
    assert dataclasses.is_dataclass(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if not isinstance(manifest, Mapping) or not set(manifest) <= set(fields):
        found = sorted(map(str, manifest)) if isinstance(manifest, Mapping) else type(manifest).__name__
        raise SettingError(f"settings are {found}; expected {sorted(fields)}")
    absent = {
        name: field.metadata["absent"]
        for name, field in fields.items()
        if "absent" in field.metadata and name not in manifest
    }
    try:
        settings = schema.fit({**absent, **manifest}, cls)
    except schema.Misfit as error:
        raise SettingError(str(error)) from error
    check(settings)
    return settings


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """The names under which two mappings disagree, in the order of the first."""
    missing = object()
    return [name for name in {**ours, **theirs} if ours.get(name, missing) != theirs.get(name, missing)]


def _words(hint: Any) -> str:
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(dict.fromkeys(_words(part) for part in get_args(hint) if part is not type(None)))
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"a list, each {_words(get_args(hint)[0])}"
    known = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Path: "a path"}
    return known.get(hint, str(hint))


def _sentence(field: "dataclasses.Field[Any]") -> str:
    low, high = field.metadata.get("low"), field.metadata.get("high")
    bounds = {
        (False, False): "",
        (True, False): f" (at least {low})",
        (False, True): f" (at most {high})",
        (True, True): f" ({low} to {high})",
    }[low is not None, high is not None]
    return str(field.metadata["help"]) + bounds
