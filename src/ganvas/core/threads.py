"""Background threads: items are prefetched for the caller, and results are written behind it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_THREADS = 4  # for writing; more would only wait for the disk

_END: Final = object()


def made_ahead(items: Iterable[Item], *, most: int) -> Iterator[Item]:
    """The same items, prefetched in a thread while the caller works; at most `most` wait for the caller."""
    left = iter(items)
    with ThreadPoolExecutor(1) as pool:  # one thread, so the items are requested in order
        under_way = deque(pool.submit(next, left, _END) for _ in range(most))
        while (item := under_way.popleft().result()) is not _END:
            under_way.append(pool.submit(next, left, _END))
            yield item  # type: ignore[misc]  # mypy does not see that it is not the end


def done_behind(
    function: Callable[[Item], Result], items: Iterable[Item], *, most: int, threads: int
) -> Iterator[Result]:
    """The function's result for each item, in order; it runs in threads while the caller's iterator makes the next.

    At most `most` items wait or are under way. On an interrupt, items under way are finished and yielded before it
    stops.
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
