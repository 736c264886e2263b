"""What tasks share: the labelled frame, its cohort flow, how samples are laid out, how long a subject is followed."""

from dataclasses import dataclass, field

import polars as pl

from attending.schema import (
    CENSORED_CODES,
    CODE,
    DEATH,
    HISTORY_CODES,
    LABEL_CODES,
    LABELS,
    PREDICTION_TIME,
    SEPARATOR,
    SUBJECT_ID,
    TIME,
    VALUE,
    VISIT_ID,
)
from attending.schema import Target as Target

LAST_SEEN = "last_seen"


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """The samples of one shard (`schema.LABELS`) and how each criterion narrowed them down."""

    frame: pl.DataFrame
    flow: list[dict[str, str | int]] = field(default_factory=list)


class Flow:
    """Counts subjects and samples after each criterion of a cohort."""

    def __init__(self) -> None:
        self.steps: list[dict[str, str | int]] = []

    def note(self, step: str, frame: pl.DataFrame, *, samples: bool = True) -> pl.DataFrame:
        """Record how many subjects and samples `frame` holds, and return it unchanged."""
        n_samples = frame.height if samples else 0
        self.steps.append({"step": step, "n_subjects": frame[SUBJECT_ID].n_unique(), "n_samples": n_samples})
        return frame


def binary(
    samples: pl.DataFrame, *, outcome: str, happened: pl.Expr, known: pl.Expr | None = None
) -> pl.DataFrame:
    """Return samples as labels of one outcome: a list that names it, or an empty list.

    Where `known` is false, and the outcome was not seen to happen, it is censored: neither yes nor no.
    """
    nothing = pl.lit([], dtype=pl.List(pl.String))
    it = pl.concat_list(pl.lit(outcome))
    columns = [
        pl.when(happened).then(it).otherwise(nothing).alias(LABEL_CODES),
        nothing.alias(HISTORY_CODES),
    ]
    if known is not None:
        columns.append(pl.when(happened | known).then(nothing).otherwise(it).alias(CENSORED_CODES))
    return tidy(samples.with_columns(columns))


def measured(samples: pl.DataFrame, *, outcome: str, value: pl.Expr) -> pl.DataFrame:
    """Return samples as labels of one number, which `outcome` names; a sample without it is no sample."""
    nothing = pl.lit([], dtype=pl.List(pl.String))
    named = samples.with_columns(
        value.cast(pl.Float64).alias(VALUE),
        pl.concat_list(pl.lit(outcome)).alias(LABEL_CODES),
        nothing.alias(HISTORY_CODES),
    )
    return tidy(named.filter(pl.col(VALUE).is_finite()))


def tidy(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the label columns in their order, sorted, one row for each subject and prediction time."""
    if VISIT_ID not in frame.columns:
        frame = frame.with_columns(pl.lit(None, pl.Int64).alias(VISIT_ID))
    kinds = {
        name: kind
        for name, kind in LABELS.columns.items()
        if name in LABELS.required or name in frame.columns
    }
    ordered = frame.select(pl.col(name).cast(kind) for name, kind in kinds.items())
    ordered = ordered.sort(SUBJECT_ID, PREDICTION_TIME, VISIT_ID)
    return ordered.unique([SUBJECT_ID, PREDICTION_TIME], keep="first", maintain_order=True)


def follow_up(events: pl.DataFrame) -> pl.DataFrame:
    """Return `subject_id, last_seen`: when each subject's record ends, its last dated event."""
    dated = events.filter(pl.col(TIME).is_not_null())
    return dated.group_by(SUBJECT_ID).agg(pl.col(TIME).max().alias(LAST_SEEN))


def deaths(events: pl.DataFrame) -> pl.DataFrame:
    """Return `subject_id, MEDS_DEATH`: when each subject died, of those who are known to have."""
    died = (pl.col(CODE) == DEATH) | pl.col(CODE).str.starts_with(DEATH + SEPARATOR)
    return events.filter(died).group_by(SUBJECT_ID).agg(pl.col(TIME).min().alias(DEATH))
