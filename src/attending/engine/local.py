"""Run a pure function over shards in processes of this machine."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Protocol, TypeVar

from attending.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")


class Engine(Protocol):
    """Where table work runs: anything that maps a picklable function over items and keeps their order."""

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], label: str) -> list[Result]:
        """Return `[function(item) for item in items]`, run wherever the engine runs things."""
        ...


class Local:
    """A pool of processes; with one worker, or one item, the calling process itself.

    Processes are spawned, not forked: the table library keeps threads that a fork would break.
    """

    def __init__(self, n_workers: int | None = None) -> None:
        self.n_workers = n_workers or os.cpu_count() or 1

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], label: str) -> list[Result]:
        """Return `[function(item) for item in items]`; the first error cancels what has not started."""
        n_workers = min(self.n_workers, len(items))
        if n_workers <= 1:
            return [function(item) for item in track(items, label)]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(n_workers, mp_context=context) as pool:
            futures = {pool.submit(function, item): position for position, item in enumerate(items)}
            results: dict[int, Result] = {}
            try:
                for future in track(as_completed(futures), label, total=len(items)):
                    results[futures[future]] = future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return [results[position] for position in range(len(items))]
