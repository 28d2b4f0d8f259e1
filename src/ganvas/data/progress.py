"""The progress of long work on data, whatever shows it."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Passes items through and shows how many of `total` went by."""

    def __call__(self, items: Iterable[T], *, total: int, description: str) -> Iterable[T]:
        """The same items; `description` says in a few words what is done to them."""
        ...


def silently(items: Iterable[T], *, total: int, description: str) -> Iterable[T]:
    """The `Track` that shows nothing."""
    return items
