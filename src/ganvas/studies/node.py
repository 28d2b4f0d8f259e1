"""A mapping in a study's file that knows its position, so that an error can name it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ganvas.core.settings import nearest
from ganvas.errors import SettingError

LONGEST = 60  # letters of a value that an error repeats


@dataclass(frozen=True)
class Node:
    """Keys and values; every method returns a value of the right type, or raises a SettingError.

    Attributes:
        values: as read from YAML.
        where: the file, and the keys that lead here.
    """

    values: Mapping[str, Any]
    where: str

    def error(self, key: object, why: str) -> SettingError:
        """An error about the value of a key."""
        return SettingError(f"{self.below(key)}: {why}")

    def below(self, key: object) -> str:
        """The position of the value of a key."""
        return f"{self.where}{'' if self.where.endswith(': ') else '.'}{str(key)[:LONGEST]}"

    def only(self, known: Iterable[str]) -> None:
        """Raise SettingError for an unknown key, with the nearest known one."""
        names = list(known)
        for key in self.values:
            if key not in names:
                raise self.error(key, f"unknown; {nearest(str(key), names)}")

    def at(self, key: str) -> "Node":
        """The mapping under a key; an empty one if there is none."""
        found = self.values.get(key)
        if found is not None and not isinstance(found, dict):
            raise self.error(key, f"is {shown(found)}; expected keys and values below it")
        for name in found or {}:
            if not isinstance(name, str):
                raise self.error(key, f"has the key {shown(name)}; expected a word")
        return Node(found or {}, self.below(key))

    def has(self, key: str) -> bool:
        """Whether there is a value."""
        return self.values.get(key) is not None

    def text(self, key: str, usual: str = "") -> str:
        """A text; a number counts as one, since `task: 3` may be a folder."""
        found = self.values.get(key)
        if found is None:
            return usual
        if isinstance(found, bool | dict | list) or not str(found).strip():
            raise self.error(key, f"is {shown(found)}; expected words")
        return str(found).strip()

    def flag(self, key: str, usual: bool = False) -> bool:
        """True or false."""
        found = self.values.get(key, usual)
        if not isinstance(found, bool):
            raise self.error(key, f"is {shown(found)}; expected true or false")
        return found

    def number(self, key: str) -> float | None:
        """A finite number; None if there is none."""
        found = self.values.get(key)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or too_long(found) or not math.isfinite(found):
            raise self.error(key, f"is {shown(found)}; expected a number")
        return found

    def whole(self, key: str) -> int | None:
        """An integer, which may be written as 1e4; None if there is none."""
        found = self.number(key)
        if found is not None and found != int(found):
            raise self.error(key, f"is {shown(found)}; expected a whole number")
        return None if found is None else int(found)


def too_long(value: Any) -> bool:
    """Whether a number has too many digits to be meant; Python refuses to print the longest."""
    return isinstance(value, int) and value.bit_length() > 64


def shown(value: Any) -> str:
    """A value as an error shows it: shortened."""
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list):
        return "a list"
    if too_long(value):
        return "a number of many digits"
    words = repr(value)
    return words if len(words) <= LONGEST else words[:LONGEST] + "..."
