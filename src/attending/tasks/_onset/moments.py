"""When a disease began, and at which moments a question may be asked."""

from typing import Literal

import polars as pl
from polars import col

from attending.schema import AVAILABLE_TIME, BIRTH, CODE, PREDICTION_TIME, SUBJECT_ID, TIME, VISIT_ID
from attending.tasks._onset.matching import CASE
from attending.visits import END, is_code, stays

Index = Literal["every_visit", "first", "yearly"]
ONSET, FIRST_SIGN, FIRST_SEEN = "onset", "first_sign", "first_seen"
KIND = "kind"


def signs(events: pl.DataFrame, kinds: dict[str, str]) -> pl.DataFrame:
    """Return the events that are a case of the disease, or say that somebody has had it: `kind`."""
    known = pl.DataFrame(
        {CODE: list(kinds), KIND: list(kinds.values())}, schema={CODE: pl.String, KIND: pl.String}
    )
    return events.join(known, on=CODE, maintain_order="left")


def first_signs(signs: pl.DataFrame) -> pl.DataFrame:
    """Return when each subject had the first sign of the disease, or it became known; at once where it has no date."""
    ever = pl.datetime(1, 1, 1, time_unit="us")
    first = pl.min_horizontal(TIME, AVAILABLE_TIME).fill_null(ever)
    return signs.group_by(SUBJECT_ID).agg(first.min().alias(FIRST_SIGN))


def onsets(signs: pl.DataFrame, n_codes: int, within_days: float | None) -> pl.DataFrame:
    """Return each subject's onset: its first case, or the first that a case on a later day confirms."""
    cases = signs.filter(col(KIND) == CASE, col(TIME).is_not_null())
    days = cases.group_by(SUBJECT_ID, col(TIME).dt.date().alias("day")).agg(col(TIME).min())
    if n_codes > 1:
        days = days.sort(SUBJECT_ID, "day")
        gap = (col("day").shift(-1).over(SUBJECT_ID) - col("day")).dt.total_days()
        confirmed = gap.is_not_null() if within_days is None else gap <= within_days
        days = days.filter(confirmed)
    return days.group_by(SUBJECT_ID).agg(col(TIME).min().alias(ONSET))


def moments(events: pl.DataFrame, index: Index) -> pl.DataFrame:
    """Return the moments to ask: the end of each visit, or of each calendar year that the record covers."""
    if index != "yearly":
        return stays(events).select(SUBJECT_ID, VISIT_ID, col(END).alias(PREDICTION_TIME))
    years = _spans(events).select(
        SUBJECT_ID, pl.int_ranges(col(FIRST_SEEN).dt.year(), col("last").dt.year() + 1).alias("year")
    )
    ends = pl.datetime(col("year"), 12, 31, 23, 59, 59, time_unit="us").alias(PREDICTION_TIME)
    return years.explode("year").drop_nulls().select(SUBJECT_ID, pl.lit(None, pl.Int64).alias(VISIT_ID), ends)


def with_first_seen(samples: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Add when each subject's record begins; a birth is no part of it."""
    return samples.join(_spans(events).drop("last"), on=SUBJECT_ID, how="left", maintain_order="left")


def _spans(events: pl.DataFrame) -> pl.DataFrame:
    recorded = events.filter(col(TIME).is_not_null() & ~is_code(BIRTH))
    return recorded.group_by(SUBJECT_ID).agg(col(TIME).min().alias(FIRST_SEEN), col(TIME).max().alias("last"))
