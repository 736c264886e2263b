"""Run a command and account for its whole tree of processes: wall and CPU seconds, peak memory of all together."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_EVERY = 0.1


@dataclass(frozen=True)
class Tree:
    """What a command took. Memory is that of all its processes at one moment, pages that they share counted once."""

    wall: float
    cpu: float
    peak_mb: float
    output: str


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Tree:
    """Run `command` to its end.

    CPU seconds are user and system of every process that was waited for, start-up included. Memory is sampled ten times
    a second as proportional set size (PSS).

    Raises:
        RuntimeError: with the end of its output, if it fails.
    """
    started = time.perf_counter()
    peak = [0.0]
    with subprocess.Popen(
        list(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=os.environ | dict(environment or {}),
    ) as process:
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, done, peak))
        watcher.start()
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - started
        done.set()
        watcher.join()
    if process.returncode:
        raise RuntimeError(f"{command[0]} … failed ({process.returncode}):\n{output[-3000:]}")
    return Tree(wall=wall, cpu=usage.ru_utime + usage.ru_stime, peak_mb=peak[0], output=output)


def _watch(root: int, done: threading.Event, peak: list[float]) -> None:
    while not done.wait(_EVERY):
        peak[0] = max(peak[0], sum(map(_megabytes, _tree(root))))


def _tree(process: int) -> Iterator[int]:
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            text = children.read_text()
        except OSError:
            continue
        for child in text.split():
            yield from _tree(int(child))


def _megabytes(process: int) -> float:
    try:
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    sizes = [line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")]
    return int(sizes[0]) / 1024 if sizes else 0.0
