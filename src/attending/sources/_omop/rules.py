"""The rules of the OMOP source that its tables share: what a date without a time means, and when a row is known."""

from dataclasses import dataclass

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import end_of_day
from attending.schema import MICROSECONDS, SUBJECT_ID

PERSONS, VISITS = "person", "visit_occurrence"
VISIT = "visit_occurrence_id"
AT = "_at"
VISIT_END = "_visit_end"
_DAY = "_day"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the settings of the source say, for every table of it.

    stays           visit concepts that are stays in hospital
    known_at_once   type concepts of conditions that are known when they are recorded, not when the visit ends
    midnight        whether a time of 00:00:00 is the hour, or only says the day
    guess           whether a source value that no concept explains may be read as an ICD or HCPCS code
    flags           whether a number outside the range beside it gets the words `low` or `high`
    named           whether there are concepts at all
    extended        whether the tables have our own columns, and so give back events exactly
    """

    stays: frozenset[int]
    known_at_once: frozenset[int]
    midnight: bool
    guess: bool
    flags: bool
    named: bool
    extended: bool


def at(name: str, rules: Rules) -> pl.Expr:
    """Return when something of `name_date` and `name_datetime` was: a day alone stands for its last second."""
    return pl.when(_only_a_day(name, rules)).then(_end_of(name)).otherwise(col(f"{name}_datetime"))


def with_times(rows: pl.DataFrame, name: str, context: Context, rules: Rules) -> pl.DataFrame:
    """Add when each row was (`_at`) and when its visit ended; what is only a day ends with a visit that ends on it."""
    joined = rows.join(ends(context, rules), on=[SUBJECT_ID, VISIT], how="left", maintain_order="left")
    on_last_day = _only_a_day(name, rules) & (_day(name) == col(VISIT_END).dt.date())
    earlier = pl.min_horizontal(at(name, rules), col(VISIT_END))
    return joined.with_columns(pl.when(on_last_day).then(earlier).otherwise(at(name, rules)).alias(AT))


def ends(context: Context, rules: Rules) -> pl.DataFrame:
    """Return when each visit ended, or is known to have started where nobody wrote down its end."""
    visits = context[VISITS]
    end = at("visit_end", rules).fill_null(at("visit_start", rules))
    return visits.select(SUBJECT_ID, VISIT, end.alias(VISIT_END)).unique([SUBJECT_ID, VISIT], keep="first")


def _only_a_day(name: str, rules: Rules) -> pl.Expr:
    moment = col(f"{name}_datetime")
    return moment.is_null() if rules.midnight else moment.is_null() | (moment == moment.dt.truncate("1d"))


def _day(name: str) -> pl.Expr:
    return pl.coalesce(col(f"{name}_datetime").dt.date(), col(f"{name}_date"))


def _end_of(name: str) -> pl.Expr:
    return end_of_day(f"{name}_date").fill_null(
        col(f"{name}_datetime").dt.date().cast(MICROSECONDS) + pl.duration(hours=23, minutes=59, seconds=59)
    )
