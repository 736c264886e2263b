"""Progress on stderr for everything that takes more than two seconds; nothing for what is faster."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import TypeVar

T = TypeVar("T")

QUIET_SECONDS = 2.0
LINE_SECONDS = 10.0


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """Yield `items`; after two seconds show a bar on a terminal, or a line now and then in a log."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    return _bar(items, label, total) if sys.stderr.isatty() else _lines(items, label, total)


def in_words(counts: Mapping[str, object]) -> str:
    """Say the counts of a manifest: `12,345 events, 100 subjects`."""
    return ", ".join(
        f"{value:,} {name.removeprefix('n_').replace('_', ' ')}"
        for name, value in counts.items()
        if isinstance(value, int)
    )


def say(message: str) -> None:
    """Print one line for a person, on stderr."""
    print(message, file=sys.stderr, flush=True)


def _bar(items: Iterable[T], label: str, total: int | None) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    started = time.monotonic()
    columns = TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total, visible=False)
        for item in items:
            yield item
            progress.update(task, advance=1, visible=time.monotonic() - started > QUIET_SECONDS)


def _lines(items: Iterable[T], label: str, total: int | None) -> Iterator[T]:
    next_line = time.monotonic() + LINE_SECONDS
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + LINE_SECONDS
            say(f"  {label}: {done}{f' of {total}' if total else ''}")
