"""Count who is in the study: how often each age, sex, number of stays … occurs, by split.

Map and reduce: each shard becomes a small table of how often each value occurs; the tables are added up. So
memory is set by one shard, and `table_one` takes medians, shares and differences from the same counts.
"""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from attending import schema as s

VARIABLE, VALUE, COUNT = "variable", "value", "count"
SUBJECTS, PREDICTIONS, AGE = "subjects", "predictions", "age"
VISITS, CODES_PER_VISIT, LABELS_PER_PREDICTION = "visits", "codes_per_visit", "labels_per_prediction"
UNKNOWN = "not recorded"
DAYS_A_YEAR = 365.25


def count_shard(events: Path, labels: Path, splits: Path) -> pl.DataFrame:
    """Return how often each value of each variable occurs in one shard, by split."""
    samples = pl.read_parquet(labels).join(pl.read_parquet(splits), on=s.SUBJECT_ID, how="inner")
    subjects = samples.group_by(s.SUBJECT_ID).agg(pl.first(s.SPLIT), pl.min(s.PREDICTION_TIME))
    facts = _facts(events, subjects)
    tables = [
        _tally(subjects, SUBJECTS, pl.lit("")),
        _tally(samples, PREDICTIONS, pl.lit("")),
        _tally(samples, LABELS_PER_PREDICTION, pl.col(s.LABEL_CODES).list.len()),
        _tally(_ages(facts), AGE, pl.col(AGE)),
        _tally(_groups(facts, s.SEX, subjects), s.SEX, pl.col(s.CODE)),
        _tally(_groups(facts, s.RACE, subjects), s.RACE, pl.col(s.CODE)),
        _tally(_visits(facts), VISITS, pl.len().over(s.SUBJECT_ID), once=s.SUBJECT_ID),
        _tally(_codes(facts), CODES_PER_VISIT, pl.col(COUNT)),
        _tally(_outcomes(samples), s.OUTCOME, pl.col(s.LABEL_CODES)),
    ]
    return pl.concat(tables)


def add_up(tables: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the counts of several shards as one table."""
    return (
        pl.concat(list(tables))
        .group_by(VARIABLE, s.SPLIT, VALUE)
        .agg(pl.sum(COUNT))
        .sort(VARIABLE, s.SPLIT, VALUE)
    )


def _facts(events: Path, subjects: pl.DataFrame) -> pl.DataFrame:
    """Read only the events that Table 1 counts, of only the subjects that have a prediction."""
    prefixes = (s.SEX, s.RACE, s.ADMISSION, s.DIAGNOSIS)
    wanted = pl.any_horizontal(
        pl.col(s.CODE) == s.BIRTH,
        *(pl.col(s.CODE).str.starts_with(prefix + s.SEPARATOR) for prefix in prefixes),
    )
    columns = pl.scan_parquet(events).collect_schema().names()
    visit = pl.col(s.VISIT_ID) if s.VISIT_ID in columns else pl.lit(None, pl.Int64).alias(s.VISIT_ID)
    return (
        pl.scan_parquet(events)
        .filter(wanted)
        .select(s.SUBJECT_ID, s.TIME, s.CODE, visit)
        .join(subjects.lazy(), on=s.SUBJECT_ID, how="inner")
        .collect()
    )


def _tally(frame: pl.DataFrame, variable: str, value: pl.Expr, once: str | None = None) -> pl.DataFrame:
    columns = frame.select(s.SPLIT, value.cast(pl.String).alias(VALUE), *([once] if once else []))
    if once:
        columns = columns.unique(once)
    return (
        columns.drop_nulls(VALUE)
        .group_by(s.SPLIT, VALUE)
        .agg(pl.len().cast(pl.Int64).alias(COUNT))
        .select(pl.lit(variable).alias(VARIABLE), s.SPLIT, VALUE, COUNT)
    )


def _ages(facts: pl.DataFrame) -> pl.DataFrame:
    """One row per subject whose birth is known: the age at the first prediction, in tenths of a year."""
    births = facts.filter(pl.col(s.CODE) == s.BIRTH).unique(s.SUBJECT_ID, keep="first", maintain_order=True)
    days = (pl.col(s.PREDICTION_TIME) - pl.col(s.TIME)).dt.total_days()
    return births.select(s.SPLIT, (days / DAYS_A_YEAR).round(1).alias(AGE))


def _groups(facts: pl.DataFrame, prefix: str, subjects: pl.DataFrame) -> pl.DataFrame:
    """One row per subject: the code of its first recorded sex or race."""
    first = (
        _with_prefix(facts, prefix)
        .sort(s.SUBJECT_ID, s.TIME, s.CODE)
        .unique(s.SUBJECT_ID, keep="first", maintain_order=True)
        .select(s.SUBJECT_ID, s.CODE)
    )
    return subjects.join(first, on=s.SUBJECT_ID, how="left").with_columns(pl.col(s.CODE).fill_null(UNKNOWN))


def _visits(facts: pl.DataFrame) -> pl.DataFrame:
    return _with_prefix(facts, s.ADMISSION).unique((s.SUBJECT_ID, s.TIME, s.VISIT_ID))


def _codes(facts: pl.DataFrame) -> pl.DataFrame:
    diagnoses = _with_prefix(facts, s.DIAGNOSIS).drop_nulls(s.VISIT_ID)
    return diagnoses.group_by(s.SUBJECT_ID, s.VISIT_ID).agg(
        pl.first(s.SPLIT), pl.col(s.CODE).n_unique().alias(COUNT)
    )


def _outcomes(samples: pl.DataFrame) -> pl.DataFrame:
    """One row per subject and outcome that happened after at least one of its predictions."""
    happened = samples.select(s.SUBJECT_ID, s.SPLIT, s.LABEL_CODES).explode(s.LABEL_CODES, empty_as_null=True)
    return happened.drop_nulls(s.LABEL_CODES).unique()


def _with_prefix(facts: pl.DataFrame, prefix: str) -> pl.DataFrame:
    return facts.filter(pl.col(s.CODE).str.starts_with(prefix + s.SEPARATOR))
