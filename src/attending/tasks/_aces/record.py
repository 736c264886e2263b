"""The records of a shard as sorted arrays: every subject's distinct times once, and where each predicate holds.

A *place* is the number of a distinct (subject, time) in a shard, counted in the order of subject and time; a subject's
places lie together, from `first[s]` up to `first[s + 1]`. A predicate is the sorted places where it holds and how
often up to there, so what a window holds is the difference of two found numbers. Memory grows with the distinct
times, and with the matching rows of each predicate: no predicate has a column of its own.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from attending.errors import TaskError, nearest
from attending.schema import CODE, NUMERIC_VALUE, SUBJECT_ID, TIME
from attending.tasks._aces.bounds import ANY_EVENT, RECORD_END, RECORD_START, SPECIAL
from attending.tasks._aces.language import Task
from attending.tasks._aces.predicates import Derived

Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True)
class Marks:
    """Where a predicate holds: sorted `places`, and `total[i]`, how often before `places[i]`."""

    places: Integers
    total: Integers

    @classmethod
    def once(cls, places: Integers) -> "Marks":
        """Return marks of a predicate that holds once at each place."""
        return cls(places, np.arange(len(places) + 1))

    def before(self, places: Integers) -> Integers:
        """Return how often the predicate holds at smaller places."""
        return self.total[np.searchsorted(self.places, places)]


@dataclass(frozen=True)
class Values:
    """The numbers beside a predicate's rows, in the order of the record; `places` are not always distinct."""

    places: Integers
    numbers: Numbers


@dataclass(frozen=True)
class Record:
    """The distinct times of all subjects of a shard, and the marks of the task's predicates."""

    subjects: Integers
    first: Integers
    times: Integers
    marks: dict[str, Marks]
    values: dict[str, Values]
    eligible: dict[str, Truths]
    """Whether each subject has a demographic, by its name."""

    def subject_of(self, places: Integers) -> Integers:
        """Return the number of the subject that each place belongs to."""
        return np.searchsorted(self.first, places, side="right") - 1

    def find(self, subjects: Integers, times: Integers) -> Integers:
        """Return the first place of each subject at or after each time: bisection, all at once."""
        low, high = self.first[subjects], self.first[subjects + 1]
        while True:
            searching = low < high
            if not searching.any():
                return low
            middle = (low + high) // 2
            earlier = searching & (self.times[np.minimum(middle, len(self.times) - 1)] < times)
            low = np.where(earlier, middle + 1, low)
            high = np.where(searching & ~earlier, middle, high)


def read(events: pl.DataFrame, task: Task) -> Record:
    """Return the record of a shard for what `task` asks of it.

    Raises:
        TaskError: if a predicate asks for a column that the events do not have.
    """
    columns = [SUBJECT_ID, TIME, CODE, NUMERIC_VALUE]
    for one in task.plain:
        for column, _ in one.columns:
            if column not in events.columns:
                known = nearest(column, events.columns)
                raise TaskError(
                    f"the predicate '{one.name}' asks for a column '{column}' ({one.place}){known}"
                )
            columns += [] if column in columns else [column]
    events = events.select(column for column in columns if column in events.columns)
    static = events.filter(pl.col(TIME).is_null()) if events[TIME].null_count() else events.clear()
    dated = events.filter(pl.col(TIME).is_not_null()) if not static.is_empty() else events
    owner, moment = dated[SUBJECT_ID].to_numpy(), dated[TIME].to_physical().to_numpy()
    if not _sorted(owner, moment):
        return read(events.sort(SUBJECT_ID, TIME, maintain_order=True), task)
    new = np.ones(len(owner), dtype=bool)
    new[1:] = (owner[1:] != owner[:-1]) | (moment[1:] != moment[:-1])
    place = np.cumsum(new) - 1
    times, owners = moment[new], owner[new]
    subjects, first = np.unique(owners, return_index=True)
    first = np.append(first, len(times)).astype(np.int64)
    record = Record(subjects, first, times, {}, {}, {})
    codes, static_codes = dated[CODE].unique(), static[CODE].unique()
    measured = _measured(task)
    for name, predicate in task.predicates.items():
        if isinstance(predicate, Derived):
            record.marks[name] = Marks.once(_combined(predicate, record))
        elif predicate.static:
            has = static.filter(predicate.rows(static_codes))[SUBJECT_ID].unique().to_numpy()
            record.eligible[name] = np.isin(subjects, has)
            record.marks[name] = Marks.once(
                np.flatnonzero(record.eligible[name][record.subject_of(np.arange(len(times)))])
            )
        else:
            rows = dated.select(predicate.rows(codes)).to_series().to_numpy()
            record.marks[name] = _counted(place[rows])
            if name in measured:
                record.values[name] = _valued(dated, rows, place)
    for name in _special(task):
        record.marks[name] = Marks.once(_special_places(name, record))
    return record


def _sorted(owner: Integers, moment: Integers) -> bool:
    same = owner[1:] == owner[:-1]
    return bool(np.all((owner[1:] > owner[:-1]) | (same & (moment[1:] >= moment[:-1]))))


def _counted(places: Integers) -> Marks:
    """Return the marks of rows at sorted places."""
    distinct, starts = np.unique(places, return_index=True)
    return Marks(distinct, np.append(starts, len(places)))


def _valued(dated: pl.DataFrame, rows: Truths, place: Integers) -> Values:
    """Return the numbers of the rows that have one."""
    if NUMERIC_VALUE not in dated.columns:
        return Values(np.empty(0, np.int64), np.empty(0))
    numbers = dated[NUMERIC_VALUE].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    known = rows & ~np.isnan(numbers)
    return Values(place[known], numbers[known])


def _combined(derived: Derived, record: Record) -> Integers:
    """Return the places where a combination holds."""
    inputs = [
        _combined(one, record) if isinstance(one, Derived) else _places(one, record) for one in derived.inputs
    ]
    if derived.operator == "not":
        return np.setdiff1d(np.arange(len(record.times)), inputs[0], assume_unique=True)
    result = inputs[0]
    for one in inputs[1:]:
        both = derived.operator == "and"
        result = np.intersect1d(result, one, assume_unique=True) if both else np.union1d(result, one)
    return result


def _places(name: str, record: Record) -> Integers:
    return _special_places(name, record) if name in SPECIAL else record.marks[name].places


def _special_places(name: str, record: Record) -> Integers:
    if name == RECORD_START:
        return record.first[:-1]
    return record.first[1:] - 1 if name == RECORD_END else np.arange(len(record.times))


def _special(task: Task) -> set[str]:
    """Return the special predicates that the task uses outside combinations."""
    bounds = {window.bound(end).predicate for window in task.windows for end in window.order}
    measured = {one.measure.predicate for window in task.windows for one in window.limits}
    named = bounds | measured | {one.measure.predicate for one in task.labels} | {task.trigger}
    return {name for name in (RECORD_START, RECORD_END, ANY_EVENT) if name in named}


def _measured(task: Task) -> set[str]:
    """Return the predicates whose numbers are asked for."""
    asked = [one.measure for window in task.windows for one in window.limits]
    asked += [one.measure for one in task.labels]
    return {one.predicate for one in asked if one.kind != "count"}
