"""Find every realisation of a task in a shard: its triggers, the points of each window, what lies between them.

A trigger is a distinct time of a subject at which the trigger's predicate holds. From it every point follows: a bound
that moves in time adds a span, one that moves to an event takes the next or the last place where its predicate holds,
within the record of the subject. A window is there if both its ends are, and if its measures lie within their limits.

A point is a time and two places: the first at or after it, and the first after it. Two points then enclose the places
from one of the first's to one of the second's, which of the two each end's inclusivity says.

Triggers are worked through in blocks of whole subjects, so memory does not grow with their number.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from attending.tasks._aces.bounds import END, START, TRIGGER, Bound
from attending.tasks._aces.language import Task, Window
from attending.tasks._aces.measures import COUNT, LAST, MIN, Label, Measure
from attending.tasks._aces.record import Integers, Numbers, Record, Truths

BLOCK = 2**17
"""Triggers at a time: some hundred bytes each."""


@dataclass(frozen=True)
class Point:
    """A point of time of each sample: `time`, the first place `at` or after it, and the first `after` it."""

    time: Integers
    at: Integers
    after: Integers

    def take(self, which: Truths | Integers) -> "Point":
        """Return the points of some samples."""
        return Point(self.time[which], self.at[which], self.after[which])


@dataclass
class Steps:
    """How many subjects and samples are left after each criterion."""

    names: list[str] = field(default_factory=list)
    n_subjects: list[int] = field(default_factory=list)
    n_samples: list[int] = field(default_factory=list)

    def note(self, name: str, subjects: Integers) -> None:
        """Record what is left: `subjects` has one entry a sample, sorted."""
        self.names.append(name)
        self.n_subjects.append(int(np.count_nonzero(np.diff(subjects, prepend=-1))))
        self.n_samples.append(len(subjects))

    def add(self, other: "Steps") -> None:
        """Add the steps of another block, whose subjects are others."""
        if not self.names:
            self.names, self.n_subjects, self.n_samples = other.names, other.n_subjects, other.n_samples
            return
        self.n_subjects = [a + b for a, b in zip(self.n_subjects, other.n_subjects, strict=True)]
        self.n_samples = [a + b for a, b in zip(self.n_samples, other.n_samples, strict=True)]


@dataclass(frozen=True)
class Samples:
    """Realisations, in the order of subject and trigger; times in microseconds.

    subjects    the number of each one's subject in the record
    index       the time of the prediction; none where the task has none
    measures    each label's measure, by its name: NaN where the window holds no number
    ends        when the window of each label ends
    opens       whether some label's window opens at or before the prediction
    """

    subjects: Integers
    trigger: Integers
    index: Integers | None
    measures: dict[str, Numbers]
    ends: dict[str, Integers]
    opens: Truths


def realize(record: Record, task: Task) -> tuple[Samples, Steps]:
    """Return every realisation of `task`, and how each criterion narrowed the triggers down."""
    steps, parts = Steps(), []
    for places in _blocks(record, record.marks[task.trigger].places):
        samples, block_steps = _Block(record, task, places).run()
        parts.append(samples)
        steps.add(block_steps)
    return _joined(parts, task), steps


def _blocks(record: Record, places: Integers) -> Iterator[Integers]:
    """Yield the triggers of whole subjects, about `BLOCK` at a time; one empty block if there is none."""
    ends = np.searchsorted(places, record.first)  # how many triggers the subjects before each one have
    start = 0
    while start < len(places) or start == 0:
        last = np.searchsorted(ends, start + BLOCK, side="right") - 1
        next_one = np.searchsorted(ends, start, side="right")
        end = int(ends[max(last, next_one)]) if len(places) else 0
        yield places[start:end]
        start = end or 1


class _Block:
    """The triggers of some subjects, narrowed down window by window."""

    def __init__(self, record: Record, task: Task, places: Integers) -> None:
        self.record, self.task, self.steps = record, task, Steps()
        self.subjects = record.subject_of(places)
        self.points = {TRIGGER: Point(record.times[places], places, places + 1)}

    def run(self) -> tuple[Samples, Steps]:
        self.steps.note(f"trigger '{self.task.trigger}'", self.subjects)
        for name in self.task.demographics:
            self._keep(self.record.eligible[name][self.subjects], f"of a subject with '{name}'")
        for window in self.task.windows:
            self._add(window)
        return self._samples(), self.steps

    def _add(self, window: Window) -> None:
        """Find both ends of a window, and keep the samples that have it."""
        there = np.ones(len(self.subjects), dtype=bool)
        for end in window.order:
            point, found = self._move(window.bound(end), same=window.same(end))
            self.points[f"{window.name}.{end}"] = point
            there &= found
        there &= self.points[f"{window.name}.{START}"].time <= self.points[f"{window.name}.{END}"].time
        self._keep(there, f"with a window '{window.name}'")
        for limits in window.limits:
            measured = self._measure(limits.measure, window)
            fits = ~np.isnan(measured)
            fits &= (measured >= limits.low) if limits.low is not None else fits
            fits &= (measured <= limits.high) if limits.high is not None else fits
            self._keep(fits, f"'{window.name}' has {limits}")

    def _keep(self, which: Truths, step: str) -> None:
        if not which.all():
            self.subjects = self.subjects[which]
            self.points = {name: point.take(which) for name, point in self.points.items()}
        self.steps.note(step, self.subjects)

    def _move(self, bound: Bound, *, same: bool) -> tuple[Point, Truths]:
        """Return the point that a bound leads to, and whether there is one."""
        origin = self.points[bound.reference]
        if bound.predicate is not None:
            return self._nearest(bound, origin, same)
        if bound.shift:
            time = origin.time + bound.shift
            at = self.record.find(self.subjects, time)
            hit = at < self.record.first[self.subjects + 1]
            hit[hit] = self.record.times[at[hit]] == time[hit]
            origin = Point(time, at, at + hit)
        return origin, np.ones(len(self.subjects), dtype=bool)

    def _nearest(self, bound: Bound, origin: Point, same: bool) -> tuple[Point, Truths]:
        """Return the nearest place of a predicate after the origin, or before it; at it, if `same`."""
        assert bound.predicate is not None
        places, first = self.record.marks[bound.predicate].places, self.record.first
        if bound.forward:
            number = np.searchsorted(places, origin.at if same else origin.after)
        else:
            number = np.searchsorted(places, origin.after if same else origin.at) - 1
        found = (number >= 0) & (number < len(places))
        place = np.zeros_like(number)
        place[found] = places[number[found]]
        found &= (place >= first[self.subjects]) & (place < first[self.subjects + 1])
        time = self.record.times[place] if len(self.record.times) else np.zeros_like(place)
        return Point(time, place, place + 1), found

    def _measure(self, measure: Measure, window: Window) -> Numbers:
        """Return a measure of a window of each sample; NaN where it holds no number."""
        start, end = (self.points[f"{window.name}.{one}"] for one in (START, END))
        low = start.at if window.start_inclusive else start.after
        high = np.maximum(low, end.after if window.end_inclusive else end.at)
        if measure.kind == COUNT:
            marks = self.record.marks[measure.predicate]
            return (marks.before(high) - marks.before(low)).astype(float)
        values = self.record.values[measure.predicate]
        return _reduced(values.numbers, *np.searchsorted(values.places, (low, high)), kind=measure.kind)

    def _samples(self) -> Samples:
        index = self.points[self.task.index].time if self.task.index else None
        windows = {label.name: self.task.window(label.window) for label in self.task.labels}
        opens = np.zeros(len(self.subjects), dtype=bool)
        for window in windows.values():
            if index is None:
                break
            start = self.points[f"{window.name}.{START}"].time
            opens |= (start <= index) if window.start_inclusive else (start < index)
        return Samples(
            self.subjects,
            self.points[TRIGGER].time,
            index,
            {one.name: self._measure(one.measure, windows[one.name]) for one in self.task.labels},
            {name: self.points[f"{window.name}.{END}"].time for name, window in windows.items()},
            opens,
        )


def happened(label: Label, measured: Numbers) -> Truths:
    """Return whether a label holds, of its measure; false where there is no number."""
    if label.comparison is None:
        return measured > 0
    compare = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}[label.comparison]
    return np.asarray(compare(measured, label.than), dtype=bool)


def _reduced(numbers: Numbers, low: Integers, high: Integers, *, kind: str) -> Numbers:
    """Return the least, greatest or last of `numbers[low:high]` of each sample."""
    result = np.full(len(low), np.nan)
    filled = high > low
    if not filled.any():
        return result
    if kind == LAST:
        result[filled] = numbers[high[filled] - 1]
        return result
    reduce = np.minimum if kind == MIN else np.maximum
    pairs = np.stack([low[filled], high[filled]], axis=1).ravel()
    result[filled] = reduce.reduceat(np.append(numbers, np.nan), pairs)[::2]
    return result


def _joined(parts: list[Samples], task: Task) -> Samples:
    return Samples(
        np.concatenate([one.subjects for one in parts]),
        np.concatenate([one.trigger for one in parts]),
        np.concatenate([one.index for one in parts if one.index is not None]) if task.index else None,
        {label.name: np.concatenate([one.measures[label.name] for one in parts]) for label in task.labels},
        {label.name: np.concatenate([one.ends[label.name] for one in parts]) for label in task.labels},
        np.concatenate([one.opens for one in parts]),
    )
