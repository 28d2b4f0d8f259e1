"""Work that goes on in threads beside the caller's own: what is read before it is asked for, and written after."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_THREADS = 4  # that write; more only wait for the disk

_END: Final = object()


def made_ahead(items: Iterable[Item], *, most: int) -> Iterator[Item]:
    """The same items, made in a thread while the caller works on those before; `most` wait for the caller at a time."""
    left = iter(items)
    with ThreadPoolExecutor(1) as pool:  # one thread, so the items are asked for one after the other
        under_way = deque(pool.submit(next, left, _END) for _ in range(most))
        while (item := under_way.popleft().result()) is not _END:
            under_way.append(pool.submit(next, left, _END))
            yield item  # type: ignore[misc]  # mypy does not see that it is not the end


def done_behind(
    function: Callable[[Item], Result], items: Iterable[Item], *, most: int, threads: int
) -> Iterator[Result]:
    """What the function gives for each item, in order; it runs in threads while the caller's iterator makes the next.

    At most `most` items wait or are under way. Interrupted, what is under way is finished, and given, before it stops.
    """
    under_way: deque[Future[Result]] = deque()

    def run(item: Item, given: Future[Result]) -> None:
        try:
            given.set_result(function(item))
        except BaseException as error:
            given.set_exception(error)

    def done(at_most: int) -> Iterator[Result]:
        while len(under_way) > at_most or (under_way and under_way[0].done()):
            result = under_way[0].result()
            under_way.popleft()
            yield result

    with ThreadPoolExecutor(min(threads, MOST_THREADS)) as pool:
        try:
            for item in items:
                under_way.append(Future())  # before the thread begins: an interrupt in between would lose its result
                pool.submit(run, item, under_way[-1])
                yield from done(most)
            yield from done(0)
        except KeyboardInterrupt:
            pool.shutdown()
            yield from (each.result() for each in under_way if each.done())
            raise
