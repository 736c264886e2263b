"""Run one step in a process of its own and account for it: wall and CPU seconds, peak memory of the largest process."""

import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing.connection import Connection

from attending.artifact import code_version


@dataclass(frozen=True)
class Cost:
    """What a step took; `value` is what it returned."""

    wall: float
    cpu: float
    peak_mb: float
    value: object


def measure(step: Callable[..., object], *arguments: object) -> Cost:
    """Run `step` in a fresh process and return what it took, its own children included."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(there, step, arguments))
    process.start()
    cost = here.recv()
    process.join()
    if isinstance(cost, BaseException):
        raise cost
    return cost


def machine(made_by: str = "") -> str:
    """Return the date, hardware and versions in one line; `made_by` is the code's version where it is not this one."""
    model = platform.processor() or platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a kernel file
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "polars", "numpy"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {names[0] if names else model}, "
        f"Python {platform.python_version()}, {packages}, attending {made_by or code_version()}"
    )


def _run(there: Connection, step: Callable[..., object], arguments: tuple[object, ...]) -> None:
    try:
        started, before = time.perf_counter(), _cpu()
        value = step(*arguments)
        wall, cpu = time.perf_counter() - started, _cpu() - before
        peak = max(
            resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        there.send(Cost(wall=wall, cpu=cpu, peak_mb=peak / 1024, value=value))
    except BaseException as error:
        there.send(error)


def _cpu() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )
