"""Read a whole task in the ACES language, check that everything it names exists, and put its windows in order.

The language is that of ACES (Xu et al., "ACES: Automatic Cohort Extraction System for Event-Streams", ICLR 2025).
What is more here: `not(…)` and nested combinations; measures of a window (`measures.py`); several labels, in one
window or in many; `censor`; a window both of whose ends are counted from other points.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from attending.config import Settings
from attending.errors import nearest
from attending.mapping.place import Place
from attending.mapping.place import Plain as Yaml
from attending.tasks._aces import bounds, measures, predicates
from attending.tasks._aces.bounds import END, SPECIAL, START, Bound
from attending.tasks._aces.measures import COUNT, Label, Limits
from attending.tasks._aces.predicates import Derived, Plain, Predicate


class TaskKeys(Settings):
    """The keys of a task. `description` and `metadata` are for people."""

    trigger: str
    predicates: dict[str, Any] = Field(default_factory=dict)
    patient_demographics: dict[str, Any] = Field(default_factory=dict)
    windows: dict[str, Any] | None = None
    description: Any = None
    metadata: Any = None


class PredicatesKeys(Settings):
    """The keys of a file of predicates alone."""

    predicates: dict[str, Any] = Field(default_factory=dict)
    patient_demographics: dict[str, Any] = Field(default_factory=dict)
    description: Any = None
    metadata: Any = None


class WindowKeys(Settings):
    """The keys of a window; `censor`: no is not known where the record ends inside the window."""

    start: Any = None
    end: Any = None
    start_inclusive: bool
    end_inclusive: bool
    has: Any = None
    label: Any = None
    index_timestamp: Literal["start", "end"] | None = None
    censor: bool = False


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of a record; `order` says which end is found first, from which the other may be counted."""

    name: str
    start: Bound
    end: Bound
    start_inclusive: bool
    end_inclusive: bool
    limits: tuple[Limits, ...]
    censor: bool

    @property
    def order(self) -> tuple[str, str]:
        """The two ends, the one that refers to another point first."""
        return (END, START) if self.start.reference == f"{self.name}.{END}" else (START, END)

    def bound(self, end: str) -> Bound:
        """Return the bound of an end."""
        return self.start if end == START else self.end

    def same(self, end: str) -> bool:
        """Say whether an event at the very point that the end is counted from may be the end itself."""
        inner = self.bound(end).window == self.name
        return inner and (self.start_inclusive if end == START else self.end_inclusive)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task that can be run: its predicates by name, its windows in an order in which they can be found."""

    trigger: str
    predicates: dict[str, Predicate]
    demographics: tuple[str, ...]
    windows: tuple[Window, ...]
    labels: tuple[Label, ...]
    index: str | None

    @property
    def plain(self) -> list[Plain]:
        """The predicates that match rows."""
        return [one for one in self.predicates.values() if isinstance(one, Plain)]

    def window(self, name: str) -> Window:
        """Return a window by its name."""
        return next(one for one in self.windows if one.name == name)


def read(values: Yaml, place: Place, *, more: Yaml = None, more_place: Place | None = None) -> Task:
    """Return the task that `values` state; `more` holds predicates of another file, which replace those of a name.

    Raises:
        ConfigError: naming file, line and key of what does not fit, with the nearest that does.
    """
    keys = place.build(TaskKeys, values)
    known = {name: (one, place["predicates"][name]) for name, one in keys.predicates.items()}
    static = {
        name: (one, place["patient_demographics"][name]) for name, one in keys.patient_demographics.items()
    }
    if more_place is not None:
        extra = more_place.build(PredicatesKeys, more)
        known |= {name: (one, more_place["predicates"][name]) for name, one in extra.predicates.items()}
        beside = more_place["patient_demographics"]
        static |= {name: (one, beside[name]) for name, one in extra.patient_demographics.items()}
    windows = {
        name: (place["windows"][name].build(WindowKeys, one), place["windows"][name])
        for name, one in (keys.windows or {}).items()
    }
    read_windows = tuple(_window(name, one, where) for name, (one, where) in windows.items())
    labels = tuple(
        label
        for name, (one, where) in windows.items()
        if one.label is not None
        for label in measures.labels(one.label, name, where["label"])
    )
    _check_labels(labels, place)
    resolver = _Resolver(known, static)
    for name in static:
        resolver.need(name, static[name][1])
    resolver.need(keys.trigger, place["trigger"])
    for window, (_, where) in zip(read_windows, windows.values(), strict=True):
        _need_all(window, [one for one in labels if one.window == window.name], resolver, where)
    demographics = tuple(
        name for name, one in resolver.found.items() if isinstance(one, Plain) and one.static
    )
    return Task(
        trigger=keys.trigger,
        predicates=resolver.found,
        demographics=demographics,
        windows=tuple(_in_order(read_windows, place["windows"])),
        labels=labels,
        index=_index(windows, place),
    )


def _window(name: str, keys: WindowKeys, place: Place) -> Window:
    start = bounds.read(keys.start, window=name, end=START, place=place["start"])
    end = bounds.read(keys.end, window=name, end=END, place=place["end"])
    if start.window == name and end.window == name:
        raise place.error(
            f"neither end of the window '{name}' refers to the trigger or to another window; got "
            f"start: {keys.start}, end: {keys.end}"
        )
    return Window(
        name=name,
        start=start,
        end=end,
        start_inclusive=keys.start_inclusive,
        end_inclusive=keys.end_inclusive,
        limits=measures.limits(keys.has, place["has"]),
        censor=keys.censor,
    )


class _Resolver:
    """Finds predicates by name, and with each those that it combines."""

    def __init__(self, known: dict[str, tuple[Any, Place]], static: dict[str, tuple[Any, Place]]) -> None:
        self.known, self.static = known, static
        self.found: dict[str, Predicate] = {}

    def need(self, name: str, asked: Place, path: tuple[str, ...] = ()) -> None:
        """Read the predicate `name`, which `asked` refers to; those it combines come before it."""
        if name in self.found or name in SPECIAL:
            return
        if name in path:
            raise asked.error(f"the predicate '{name}' is defined by itself: {' → '.join([*path, name])}")
        either = self.static if name in self.static else self.known
        if name not in either:
            raise asked.error(f"no predicate '{name}'{nearest(name, [*self.known, *self.static, *SPECIAL])}")
        values, place = either[name]
        one = predicates.read(name, values, place, static=name in self.static)
        for below in one.names if isinstance(one, Derived) else ():
            self.need(below, place["expr"], (*path, name))
        self.found[name] = one

    def dated(self, name: str, asked: Place) -> None:
        """Fail if a predicate is one of the undated facts, which no window can hold."""
        one = self.found.get(name)
        if isinstance(one, Plain) and one.static:
            raise asked.error(f"'{name}' is a static fact: no window holds it")


def _need_all(window: Window, labels: Iterable[Label], resolver: _Resolver, place: Place) -> None:
    """Read the predicates that a window names."""
    for end in (START, END):
        predicate = window.bound(end).predicate
        if predicate is not None:
            resolver.need(predicate, place[end])
            resolver.dated(predicate, place[end])
    asked = [(one.measure, place["has"][str(one.measure)]) for one in window.limits]
    for measure, where in asked + [(one.measure, place["label"]) for one in labels]:
        resolver.need(measure.predicate, where)
        resolver.dated(measure.predicate, where)
        if measure.kind != COUNT and not isinstance(resolver.found.get(measure.predicate), Plain):
            raise where.error(f"'{measure}' needs a predicate with a code, whose rows carry numbers")


def _in_order(windows: tuple[Window, ...], place: Place) -> Iterable[Window]:
    """Yield each window after those that it refers to."""
    names = [one.name for one in windows]
    waiting = list(windows)
    done: set[str | None] = {None}
    while waiting:
        ready = next((one for one in waiting if {_outside(one, end) for end in (START, END)} <= done), None)
        if ready is None:
            break
        yield ready
        waiting.remove(ready)
        done.add(ready.name)
    for window in waiting:
        for end in (START, END):
            other = _outside(window, end)
            if other is not None and other not in names:
                raise place[window.name][end].error(f"no window '{other}'{nearest(other, names)}")
    if waiting:
        raise place.error(
            f"these windows refer to each other in a circle: {', '.join(one.name for one in waiting)}"
        )


def _outside(window: Window, end: str) -> str | None:
    """Return the other window that an end refers to, if any."""
    other = window.bound(end).window
    return None if other == window.name else other


def _check_labels(labels: tuple[Label, ...], place: Place) -> None:
    names = [one.name for one in labels]
    for one in labels:
        if names.count(one.name) > 1:
            raise place["windows"][one.window]["label"].error(
                f"the label '{one.name}' stands twice: give each a name, 'label: {{NAME: {one.name}}}'"
            )
        if one.is_number and len(labels) > 1:
            raise place["windows"][one.window]["label"].error(
                f"the label '{one.name}' is a number, and must be the only label: compare it, as in '{one.name} >= 1'"
            )


def _index(windows: dict[str, tuple[WindowKeys, Place]], place: Place) -> str | None:
    """Return the point at which the prediction is made."""
    found = [(name, one.index_timestamp) for name, (one, _) in windows.items() if one.index_timestamp]
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise place["windows"][found[1][0]]["index_timestamp"].error(f"several windows have one: {names}")
    return f"{found[0][0]}.{found[0][1]}" if found else None
