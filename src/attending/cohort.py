"""What tasks share: the labelled frame, its cohort flow, and how samples are laid out."""

from dataclasses import dataclass, field

import polars as pl

from attending.schema import HISTORY_CODES, LABEL_CODES, LABELS, PREDICTION_TIME, SUBJECT_ID, VISIT_ID


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


def binary(samples: pl.DataFrame, *, outcome: str, happened: pl.Expr) -> pl.DataFrame:
    """Return samples as labels of one outcome: a list that names it, or an empty list."""
    nothing = pl.lit([], dtype=pl.List(pl.String))
    labels = pl.when(happened).then(pl.concat_list(pl.lit(outcome))).otherwise(nothing)
    return tidy(samples.with_columns(labels.alias(LABEL_CODES), nothing.alias(HISTORY_CODES)))


def tidy(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the label columns in their order, sorted, one row for each subject and prediction time."""
    columns = [pl.col(name).cast(kind) for name, kind in LABELS.columns.items()]
    ordered = frame.select(columns).sort(SUBJECT_ID, PREDICTION_TIME, VISIT_ID)
    return ordered.unique([SUBJECT_ID, PREDICTION_TIME], keep="first", maintain_order=True)
