"""Write an event as an expression over a table's rows: what, when, when it became known, how much."""

from functools import reduce

import polars as pl

from attending.ledger.typed import all_in_range, in_range
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    DESCRIPTION,
    EVENTS,
    MICROSECONDS,
    NUMERIC_VALUE,
    ORIGIN,
    PRIORITY,
    SEPARATOR,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)

UNKNOWN = "UNK"
COLUMNS = tuple(EVENTS.columns)
ORDER = "_order"
BESIDE = (ORDER, DESCRIPTION)
"""What events may have besides: their place among those of one moment, and what their code is called."""
_LAST_SECOND = pl.duration(hours=23, minutes=59, seconds=59)


def event(
    frame: pl.DataFrame,
    code: pl.Expr,
    *,
    time: pl.Expr | None,
    available: pl.Expr | None = None,
    numeric: pl.Expr | None = None,
    text: pl.Expr | None = None,
    visit: pl.Expr | None = None,
    priority: pl.Expr | None = None,
    origin: pl.Expr | None = None,
    order: pl.Expr | None = None,
    description: pl.Expr | None = None,
    when: pl.Expr | None = None,
) -> pl.DataFrame:
    """Make one event of every row that has the time (and fulfils `when`); without `time`, a static fact.

    A time that was computed and left the years 1 to 9999 is none.
    An event is never known before it happens: `available` counts only where it is later than `time`.
    Where no `origin` is given, it is the name of the table. `order` is the place among the events of one moment
    where tables and lines do not say it; `description` names the code where the source has no dictionary.
    """
    if when is not None:
        frame = frame.filter(when)
    if time is not None:
        frame = frame.filter(time.is_not_null())
    happened = _typed(time, TIME)
    known = (
        happened
        if available is None
        else pl.max_horizontal(happened, available.cast(MICROSECONDS, strict=False))
    )
    made = frame.select(
        pl.col(SUBJECT_ID),
        happened.alias(TIME),
        code.cast(pl.String).alias(CODE),
        _typed(numeric, NUMERIC_VALUE).alias(NUMERIC_VALUE),
        _typed(text, TEXT_VALUE).alias(TEXT_VALUE),
        known.alias(AVAILABLE_TIME),
        _typed(visit, VISIT_ID).alias(VISIT_ID),
        _typed(priority, PRIORITY).alias(PRIORITY),
        *([] if origin is None else [origin.alias(ORIGIN)]),
        *([] if order is None else [order.cast(pl.Int64).alias(ORDER)]),
        *([] if description is None else [description.cast(pl.String).alias(DESCRIPTION)]),
    )
    if all_in_range(made[TIME]):
        return made
    return made.filter(pl.col(TIME).is_null() | in_range(pl.col(TIME), MICROSECONDS).is_not_null())


def coded(*parts: str | pl.Expr) -> pl.Expr:
    """Join the parts of a code with `//`: names of columns are given as `pl.col`, fixed parts as text."""
    pieces = [
        pl.lit(part) if isinstance(part, str) else part.cast(pl.String).fill_null(UNKNOWN) for part in parts
    ]
    return pl.concat_str(pieces, separator=SEPARATOR)


def end_of_day(column: str) -> pl.Expr:
    """Give a date the last second of its day: what is known of a day is known when it is over."""
    return pl.col(column).cast(MICROSECONDS) + _LAST_SECOND


def first_of(*moments: pl.Expr) -> pl.Expr:
    """Return the first of `moments` that there is."""
    return reduce(lambda earlier, later: earlier.fill_null(later), moments)


def _typed(value: pl.Expr | None, column: str) -> pl.Expr:
    dtype = EVENTS.columns[column]
    if value is None:
        return pl.lit(None, dtype)
    typed = value.cast(dtype, strict=False)
    return pl.when(typed.is_finite()).then(typed) if column == NUMERIC_VALUE else typed
