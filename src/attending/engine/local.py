"""Run a pure function over shards in processes of this machine."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import Protocol, TypeVar

from attending.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """Where table work runs: anything that maps a picklable function over items and keeps their order."""

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], label: str) -> list[Result]:
        """Return `[function(item) for item in items]`, run wherever the engine runs things."""
        ...

    def close(self) -> None:
        """Give back what the engine holds between maps; the next one takes it again."""
        ...


class Local:
    """The calling process, and `n_workers - 1` others if there is work for them.

    Processes are spawned, not forked: the table library keeps threads that a fork would break. Each costs half a
    second of imports, so they stay for the next map until `close`, or until nobody holds the engine.
    """

    def __init__(self, n_workers: int | None = None) -> None:
        self.n_workers = n_workers or os.cpu_count() or 1
        self._pool: ProcessPoolExecutor | None = None
        self._n_others = 0

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], label: str) -> list[Result]:
        """Return `[function(item) for item in items]`; the first error cancels what has not started."""
        n_others = min(self.n_workers, len(items)) - 1
        if n_others < 1:
            return [function(item) for item in track(items, label)]
        pool = self._with(n_others)
        results: dict[int, Result] = {}
        futures = [pool.submit(function, item) for item in items]
        try:
            for position, result in track(_results(function, items, futures), label, total=len(items)):
                results[position] = result
        except BaseException:
            pool.shutdown(cancel_futures=True)
            self._pool = None
            raise
        return [results[position] for position in range(len(items))]

    def close(self) -> None:
        """End the processes; the next map starts others."""
        if self._pool is not None:
            self._pool.shutdown()
        self._pool = None

    def _with(self, n_others: int) -> ProcessPoolExecutor:
        """Return a pool of at least so many processes."""
        if self._pool is None or self._n_others < n_others:
            self.close()
            self._n_others = n_others
            self._pool = ProcessPoolExecutor(
                n_others,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_share_cores,
                initargs=(n_others + 1,),
            )
        return self._pool


def _share_cores(n_workers: int) -> None:
    """Let the table library start no more threads than this process's share of the cores: others cost time."""
    os.environ.setdefault("POLARS_MAX_THREADS", str(max(1, (os.cpu_count() or 1) // n_workers)))


def _results(
    function: Callable[[Item], Result], items: Sequence[Item], futures: Sequence[Future[Result]]
) -> Iterator[tuple[int, Result]]:
    """Yield positions and results: here, from the end, those that no other process has begun, then the others'."""
    others = {future: position for position, future in enumerate(futures)}
    for future, position in reversed(list(others.items())):
        if any(one.done() and one.exception() for one in others):
            break
        if future.cancel():
            del others[future]
            yield position, function(items[position])
    for future in as_completed(others):
        yield others[future], future.result()
