"""The rows of a mapped table: what is wrong with one, what it finds elsewhere, the events it becomes.

Everything here is sent to other processes, so it is plain data.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from attending.ledger.casts import NOT_A
from attending.ledger.context import Context
from attending.ledger.events import event
from attending.ledger.keys import keys
from attending.ledger.table import Problem, words
from attending.mapping.conditions import Condition
from attending.mapping.names import EACH, EACH_NAME, EACH_NUMBER
from attending.mapping.times import EVENT_TIME, Time
from attending.mapping.values import Field, Value
from attending.schema import SEPARATOR, SUBJECT_ID, TIME

NO_ROW = "no such row in {table}"
DUPLICATED = "duplicated row"
REVERSED = "end before start"
_AVAILABLE, _VISIT = "_available", "_visit"
_UNKNOWN = "UNK"


@dataclass(frozen=True, kw_only=True)
class Join:
    """Where a row finds more: its columns get the name of the join and a point before their own.

    own, theirs     the columns that both have in common, in this table and in the other
    take            the other's columns that are used
    """

    name: str
    table: str
    dictionary: bool
    own: tuple[str, ...]
    theirs: tuple[str, ...]
    take: tuple[str, ...]
    needed: bool

    def on(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        """Return `frame` with the columns of the first row that each row finds."""
        others = self._others(frame, context)
        taken = [pl.col(column).alias(f"{self.name}.{column}") for column in self.take]
        found = pl.lit(True).alias(self._found)
        keys = [pl.col(theirs).alias(f"_key{n}") for n, theirs in enumerate(self.theirs)]
        subject = [] if self.dictionary else [SUBJECT_ID]
        right = [*subject, *(f"_key{n}" for n in range(len(keys)))]
        others = others.select(*subject, *keys, *taken, found).drop_nulls(right)
        others = others.unique(right, keep="first", maintain_order=True)
        return frame.join(
            others, left_on=[*subject, *self.own], right_on=right, how="left", maintain_order="left"
        )

    def missing(self, frame: pl.DataFrame) -> pl.Series:
        """Say which rows of a joined frame found nothing."""
        return frame[self._found].is_null()

    @property
    def _found(self) -> str:
        return f"{self.name}._found"

    def _others(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        if self.dictionary:
            return context.lookup(self.table, self.theirs[0], frame[self.own[0]])
        return context[self.table]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event of a row.

    columns     what `$each` goes through
    split       or the text whose parts it goes through, and what they are cut at
    words_of    the column of a measurement whose words are the text
    """

    code: tuple[Value, ...]
    time: Time | None
    available: Time | None = None
    number: Value | None = None
    text: Value | None = None
    words_of: str | None = None
    visit: Value | None = None
    priority: Value | None = None
    origin: Value | None = None
    when: Condition | None = None
    columns: tuple[str, ...] = ()
    split: tuple[Value, str] | None = None
    once: bool = False
    description: Value | None = None

    def of(self, frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Yield the events of the rows."""
        made = [self._made(rows) for rows in self.each(frame)]
        if self.once and made:
            together = pl.concat(made)
            first = together.sort(TIME, maintain_order=True)
            made = [first.unique(SUBJECT_ID, keep="first", maintain_order=True)]
        yield from made

    def each(self, frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Yield the rows once for every column, or with every part of a text; all have a value there."""
        if self.split is not None:
            text, by = self.split
            parts = text.text(frame.schema).str.split(by).alias(EACH)
            number = pl.int_ranges(1, pl.col(EACH).list.len() + 1).alias(EACH_NUMBER)
            listed = frame.with_columns(parts).with_columns(number).filter(pl.col(EACH).list.len() > 0)
            long = listed.explode(EACH, EACH_NUMBER).with_columns(pl.lit("").alias(EACH_NAME))
            stripped = pl.col(EACH).str.strip_chars()
            yield long.with_columns(stripped).filter(pl.col(EACH) != "")
            return
        if not self.columns:
            yield frame
        for number_, column in enumerate(self.columns, start=1):
            rows = frame.filter(pl.col(column).is_not_null())
            if rows.height:
                yield rows.with_columns(
                    pl.col(column).alias(EACH),
                    pl.lit(column).alias(EACH_NAME),
                    pl.lit(number_, pl.Int64).alias(EACH_NUMBER),
                )

    def coded(self, frame: pl.DataFrame) -> pl.Expr:
        """Return the code of each row; a part that is missing is unknown."""
        parts = [part.text(frame.schema).fill_null(_UNKNOWN) for part in self.code]
        return pl.concat_str(parts, separator=SEPARATOR)

    def _made(self, frame: pl.DataFrame) -> pl.DataFrame:
        if self.time is not None:
            frame = frame.with_columns(self.time.on(frame).alias(EVENT_TIME))
        if self.available is not None:
            frame = frame.with_columns(self.available.on(frame).alias(_AVAILABLE))
        if self.when is not None:
            frame = frame.filter(self.when.holds(frame.schema))
        visit = None
        if self.visit is not None:
            frame, visit = frame.with_columns(_ids(frame, self.visit).alias(_VISIT)), pl.col(_VISIT)
        kinds = frame.schema
        text = self.text.text(kinds) if self.text else pl.col(words(self.words_of)) if self.words_of else None
        priority = self.priority.number(kinds).cast(pl.Int32, strict=False) if self.priority else None
        return event(
            frame,
            self.coded(frame),
            time=None if self.time is None else pl.col(EVENT_TIME),
            available=None if self.available is None else pl.col(_AVAILABLE),
            numeric=self.number.number(kinds) if self.number else None,
            text=text,
            visit=visit,
            priority=priority,
            origin=self.origin.text(kinds) if self.origin else None,
        )


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What becomes of the rows of a table."""

    joins: tuple[Join, ...] = ()
    needs: frozenset[str] = frozenset()
    unique: tuple[str, ...] = ()
    ordered: tuple[tuple[Time, Time], ...] = ()
    when: Condition | None = None
    events: tuple[Event, ...] = ()

    def make(self, frame: pl.DataFrame, context: Context) -> Sequence[pl.DataFrame]:
        """Return the events of a table's rows."""
        frame = self._joined(frame, context)
        if self.when is not None:
            frame = frame.filter(self.when.holds(frame.schema))
        frames = [made for one in self.events for made in one.of(frame)]
        return [made for made in frames if made.height]

    def wrong(self, frame: pl.DataFrame, context: Context) -> Sequence[Problem]:
        """Find rows without the row they need, given twice, or with times that are none or reversed."""
        joined = self._joined(frame, context)
        problems = [
            Problem(
                join.missing(joined), NO_ROW.format(table=join.table), join.own[0] if join.own else SUBJECT_ID
            )
            for join in self.joins
            if join.needed
        ]
        if self.unique:
            again = ~frame.select(pl.struct(self.unique).is_first_distinct()).to_series()
            problems.append(Problem(again, DUPLICATED, self.unique[0]))
        for start, end in self.ordered:
            stamp = next(iter(end.read_from()), None)
            reverse = end.on(joined) < start.on(joined)
            problems.append(Problem(reverse, REVERSED, (stamp and stamp.column) or SUBJECT_ID))
        return [*problems, *self._not_times(frame)]

    def _joined(self, frame: pl.DataFrame, context: Context) -> pl.DataFrame:
        for join in self.joins:
            frame = join.on(frame, context)
        return frame

    def _not_times(self, frame: pl.DataFrame) -> Iterator[Problem]:
        """Find text in the table's own columns that is no time, each column once."""
        times = [time for one in self.events for time in (one.time, one.available) if time is not None]
        stamps = {stamp: None for time in times for stamp in time.read_from()}
        for stamp in stamps:
            if stamp.column in frame.columns:
                wrong = stamp.wrong(frame)
                if wrong is not None and wrong.any():
                    yield Problem(wrong, NOT_A["moment"], str(stamp.column), stamp.column in self.needs)


def _ids(frame: pl.DataFrame, visit: Value) -> pl.Series:
    """Return the integers that stand for visits."""
    if isinstance(visit, Field) and frame.schema[visit.column].is_integer():
        return frame[visit.column].cast(pl.Int64)
    return keys(frame.select(pl.col(SUBJECT_ID), visit.text(frame.schema).alias(_VISIT))[_VISIT])
