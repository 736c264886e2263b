"""What a task says of its own outcomes beside their names: the unit of a number, the horizon of an event.

A task may have `unit(config) -> str`, what its number is counted in, and `horizon(outcome, config) -> float | None`,
the days within which an outcome happens. One that says neither is asked nothing more.
"""

from collections.abc import Mapping
from typing import Any

from attending import registry
from attending.config import Component
from attending.errors import UnknownComponent


def unit(task: Mapping[str, Any]) -> str:
    """Return what the task's number is counted in, such as `days`; nothing where it does not say."""
    return str(_asked(task, "unit") or "")


def horizon(task: Mapping[str, Any], outcome: str) -> float | None:
    """Return the days within which an outcome happens, None where it has no horizon."""
    found = _asked(task, "horizon", outcome)
    return None if found is None else float(found)


def _asked(task: Mapping[str, Any], name: str, *about: str) -> Any:  # noqa: ANN401 - whatever the task answers
    try:
        module = registry.load("tasks", str(task.get("name", "")))
    except UnknownComponent:
        return None
    if not hasattr(module, name):
        return None
    return getattr(module, name)(*about, Component.model_validate(dict(task)).config("tasks"))
