"""Other futures of the same past: what is known at a prediction time stays as it is, everything later is changed.

What lies within a second of the prediction counts as now: a prediction that stands a microsecond before a discharge
stands at it.
"""

import numpy as np
import polars as pl
from polars import col

from attending.audit.evidence import Chosen
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    DEATH,
    DIAGNOSIS,
    DISCHARGE,
    NUMERIC_VALUE,
    PREDICTION_TIME,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)
from attending.visits import is_code

_NOW = pl.duration(seconds=1)
_ROW, _ALIVE = "row", "HOME"
MICROSECONDS_A_DAY = 86_400_000_000


def none(chosen: Chosen) -> pl.DataFrame:
    """Return the events that were known at each subject's prediction time, and nothing else."""
    events = _with_prediction(chosen)
    return events.filter(~_is_later(pl.duration(seconds=0))).select(chosen.events.columns)


def stretched(chosen: Chosen) -> pl.DataFrame:
    """Return events of which all that happens later happens later still: twice as far away, and a day."""
    events = _with_prediction(chosen)
    edge = col(PREDICTION_TIME) + _NOW
    columns = [TIME] + [AVAILABLE_TIME] * (AVAILABLE_TIME in events.columns)
    further = [
        pl.when(col(name) > edge)
        .then(edge + 2 * (col(name) - edge) + pl.duration(days=1))
        .otherwise(col(name))
        for name in columns
    ]
    return _tidy(
        events.with_columns(one.alias(name) for one, name in zip(further, columns, strict=True)), chosen
    )


def dealt(chosen: Chosen, seed: int) -> pl.DataFrame:
    """Return events whose later diagnoses and values are dealt out anew, and in which nobody dies later."""
    events = _with_prediction(chosen).with_row_index(_ROW)
    later = _is_later(_NOW) & (col(TIME) > col(PREDICTION_TIME) + _NOW)
    events = events.filter(~(later & is_code(DEATH)))
    home = pl.when(later & is_code(DISCHARGE)).then(pl.lit(f"{DISCHARGE}//{_ALIVE}")).otherwise(CODE)
    events = events.with_columns(home.alias(CODE))
    for what, column in ((is_code(DIAGNOSIS), CODE), (col(NUMERIC_VALUE).is_not_null(), NUMERIC_VALUE)):
        some = events.filter(later & what).select(_ROW, column)
        by = some[column].sample(fraction=1, shuffle=True, seed=seed)
        events = events.update(some.with_columns(by.alias(column)), on=_ROW)
    return _tidy(events, chosen)


def noise(chosen: Chosen, codes: list[str], seed: int) -> pl.DataFrame:
    """Return events of which all that became known later is noise: any code, any value, any later time."""
    events = _with_prediction(chosen)
    later = events.select(_is_later(pl.duration(seconds=0)).fill_null(value=False)).to_series()
    past, future = events.filter(~later), events.filter(later)
    generator = np.random.default_rng(seed)
    days = generator.integers(1_000_001, 4000 * MICROSECONDS_A_DAY, future.height)
    time = future[PREDICTION_TIME] + pl.Series(days).cast(pl.Duration("us"))
    drawn = {
        TIME: time,
        CODE: pl.Series(generator.choice(codes, future.height)) if future.height else future[CODE],
        NUMERIC_VALUE: pl.Series(generator.normal(0, 100, future.height)).cast(pl.Float32),
        AVAILABLE_TIME: time,
        TEXT_VALUE: pl.Series([None] * future.height, dtype=pl.String),
    }
    noisy = future.with_columns(value.alias(name) for name, value in drawn.items() if name in future.columns)
    if VISIT_ID in noisy.columns:
        shuffled = noisy[VISIT_ID].gather(generator.permutation(noisy.height))
        same = pl.int_range(pl.len()) % 2 == 0
        noisy = noisy.with_columns(pl.when(same).then(VISIT_ID).otherwise(shuffled).alias(VISIT_ID))
    return _tidy(pl.concat([past, noisy]), chosen)


def renumbered(chosen: Chosen, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return events whose visits have other numbers, in no order, and the table of `visit_id` and `renumbered`."""
    visits = chosen.events[VISIT_ID].drop_nulls().unique().sort()
    other = np.random.default_rng(seed).permutation(visits.len()) + 1
    names = pl.DataFrame(
        {VISIT_ID: visits, "renumbered": other}, schema={VISIT_ID: pl.Int64, "renumbered": pl.Int64}
    )
    events = chosen.events.join(names, on=VISIT_ID, how="left", maintain_order="left")
    return events.with_columns(col("renumbered").alias(VISIT_ID)).select(chosen.events.columns), names


def _with_prediction(chosen: Chosen) -> pl.DataFrame:
    times = chosen.samples.select(SUBJECT_ID, PREDICTION_TIME)
    return chosen.events.join(times, on=SUBJECT_ID, maintain_order="left")


def _is_later(after: pl.Expr) -> pl.Expr:
    """Say whether an event became known later than `after` the prediction; a static fact never does."""
    return (pl.coalesce(AVAILABLE_TIME, TIME) > col(PREDICTION_TIME) + after).fill_null(value=False)


def _tidy(events: pl.DataFrame, chosen: Chosen) -> pl.DataFrame:
    ordered = events.sort(SUBJECT_ID, TIME, nulls_last=False, maintain_order=True)
    return ordered.select(chosen.events.columns)
