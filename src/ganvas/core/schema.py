"""What files hold, checked by msgspec against dataclasses; an error is one line that names the entry."""

import dataclasses
import functools
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin

import msgspec

T = TypeVar("T")

MOST_BITS = 63  # of a whole number; longer ones are mistakes, and Python takes minutes to print the longest
_LONE = re.compile("[\ud800-\udfff]")  # a surrogate without its other half, which nothing can write
LONGEST = 60  # letters of a value that an error repeats

_WORDS = {
    "array": "a list", "bool": "true or false", "float": "a number", "int": "a whole number", "null": "nothing",
    "object": "keys and values", "str": "text", "int | float | str": "words",
}  # fmt: skip


class Misfit(ValueError):
    """The content of a file does not fit; the message is one line."""


def parse(content: bytes | str) -> Any:
    """The values of a JSON file.

    Raises:
        Misfit: if it is not JSON, which has neither NaN nor Infinity; for a whole number of more than 63 bits; or if it
            is nested too deeply.
    """
    try:
        found = json.loads(content, parse_constant=_refuse)
    except RecursionError as error:
        raise Misfit("nested too deeply") from error
    except ValueError as error:  # not UTF-8, too
        raise Misfit(f"not JSON ({' '.join(str(error).split())[: 2 * LONGEST]})") from error
    _check_numbers(found)
    return found


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def read(path: Path, shape: type[T]) -> T:
    """The values of a JSON file as a dataclass; unknown entries are ignored.

    Raises:
        Misfit: if the content does not fit.
        OSError: if it cannot be read.
    """
    return _converted(parse(path.read_bytes()), shape)


def fit(values: Any, shape: type[T]) -> T:
    """Values as a dataclass: lists become tuples, and nothing else is converted; unknown entries are ignored.

    Raises:
        Misfit: if something is missing, or has another type.
    """
    _check_numbers(values)
    return _converted(values, shape)


def fits(value: Any, hint: Any) -> bool:
    """Whether a value has the type of a hint, as it is; a whole number is a number, too."""
    if dataclasses.is_dataclass(hint):
        return isinstance(value, hint)  # type: ignore[arg-type]  # a class
    try:
        converted = msgspec.convert(_as_text(value), _as_text_hint(hint))
        _check_numbers(converted)
    except (msgspec.ValidationError, Misfit):
        return False
    return isinstance(value, tuple) or not isinstance(converted, tuple)


def _converted(values: Any, shape: type[T]) -> T:
    try:
        return msgspec.convert(values, shape)
    except msgspec.ValidationError as error:
        raise Misfit(_sentence(str(error), values)) from error


def _check_numbers(values: Any) -> None:
    """Raise Misfit for a number that is not finite, or of too many digits, and for a text that is no Unicode."""
    waiting = [("", values)]
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise Misfit(f"{where or 'it'} is {value}, expected a finite number")
        if isinstance(value, int) and value.bit_length() > MOST_BITS:
            raise Misfit(f"{where or 'it'} is a number of too many digits")
        if isinstance(value, str) and _LONE.search(value):
            raise Misfit(f"{where or 'it'} is a text with half a character")
        waiting += _inside(value, where)


def _inside(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((where, key) for key in value)
        yield from ((f"{where}.{key}" if where else str(key), item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"{where}[{number}]", item) for number, item in enumerate(value))


def _sentence(error: str, values: Any) -> str:
    """The error of msgspec in our words: the entry, what it is, and what was expected."""
    problem, _, place = error.partition(" - at `$")
    place = place.rstrip("`").removeprefix(".")
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", problem):
        return f"{place}.{missing[1]} is missing" if place else f"{missing[1]} is missing"
    if wrong := re.fullmatch(r"Expected `(.+)`, got `(.+)`", problem):
        kinds = wrong[1].removesuffix(" | null")
        expected = _WORDS.get(kinds) or " or ".join(_WORDS.get(kind, kind) for kind in kinds.split(" | "))
        return f"{place or 'it'} is {shown(_at(values, place, _WORDS.get(wrong[2], wrong[2])))}, expected {expected}"
    return f"{place}: {problem}" if place else problem


def _at(values: Any, place: str, unknown: str) -> Any:
    """The value at a place such as `scores[3].name`; its kind where keys of mappings are left out of the place."""
    try:
        for name, number in re.findall(r"(\w+)|\[(\d+|\.\.\.)\]", place):
            values = values[name] if name else values[int(number)]
    except (ValueError, KeyError, TypeError, IndexError):
        return _Kind(unknown)
    return values


class _Kind(str):
    """The kind of a value in words, in place of the value."""


def shown(value: Any) -> str:
    """A value as an error shows it: shortened."""
    if isinstance(value, _Kind):
        return str(value)
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list):
        return "a list"
    try:
        words = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):  # such as a date of YAML, or a number of too many digits
        words = str(value) if not isinstance(value, int) else "a number of many digits"
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}..."


@functools.cache
def _as_text_hint(hint: Any) -> Any:
    """The hint with text in place of paths, which msgspec does not take beside text."""
    inner = get_args(hint)
    if hint is Path:
        return str
    if get_origin(hint) in (Union, UnionType):
        return Union[tuple(map(_as_text_hint, inner))]  # noqa: UP007  # of a tuple of hints
    if get_origin(hint) is tuple:
        return tuple[(_as_text_hint(inner[0]), ...)]  # type: ignore[misc]  # known when it runs
    return hint


def _as_text(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_as_text, value))
    if isinstance(value, str | Path):
        return str(value).encode("utf-8", "replace").decode()  # a name on the disk may hold any bytes
    return value
