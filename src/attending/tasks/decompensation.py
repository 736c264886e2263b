"""Predict, hour after hour of a stay, whether its subject dies within the next day.

A sample is a moment of a stay: `first_hours` after its admission, and every `every_hours` from then on, as long as the
stay runs and its subject lives (up to `last_hours`, if that is given). The moment is the prediction time. The outcome
is a death after it and not later than `horizon_hours`, in the stay or beyond its end. The stay may be one in
intensive care (`stay: icu`), as in the public benchmark on MIMIC-III, from which hours and horizon are (Harutyunyan
2019, doi:10.1038/s41597-019-0103-9), or one in hospital. A stay without a recorded end has samples up to its last
event; whether its subject died within a horizon that reaches beyond is not known: censored.

Trap and guard: what is done for the dying, and what is coded after a death, must not be seen before: the leak rule sees
to it, by when each event became known. Trap: samples of a stay are alike, and long stays have many, so splits and
intervals are by subject. A discharge alive within the horizon counts as no: a death at home soon after may be missed.
"""

import polars as pl
from polars import col
from pydantic import Field

from attending.cohort import Flow, Labelled, Target, binary
from attending.config import Settings
from attending.schema import DEATH, PREDICTION_TIME
from attending.tasks._stays.places import (
    DIED,
    ENDED,
    NAMES,
    Place,
    check_place,
    hours_after,
    stays_in,
    still_there,
)
from attending.visits import END, START, with_visit_ids

OUTCOME = "death_within_horizon"
_HOUR = 3_600_000_000  # microseconds


class Config(Settings):
    """Settings of the task.

    stay                  in `hospital`, or in intensive care: `icu`
    first_hours           from admission to the first prediction
    every_hours           from one prediction to the next
    last_hours            from admission to the last prediction, at most; to the end of the stay if not given
    horizon_hours         how far ahead a death counts
    min_train_subjects    an outcome is kept if at least this many training subjects have it
    """

    stay: Place = "hospital"
    first_hours: float = Field(default=4.0, ge=0)
    every_hours: float = Field(default=1.0, gt=0)
    last_hours: float | None = Field(default=None, ge=0)
    horizon_hours: float = Field(default=24.0, gt=0)
    min_train_subjects: int = 1


def check(config: Config, codes: list[str]) -> None:
    """Fail where the data set has no such stays.

    Raises:
        TaskError: saying which setting helps.
    """
    check_place(config.stay, codes)


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    flow, place = Flow(), NAMES[config.stay]
    events = flow.note("subjects in the data", with_visit_ids(events), samples=False)
    found = flow.note(f"stays in {place}", stays_in(config.stay, events))
    found = found.with_columns(hours_after(START, config.first_hours).alias(PREDICTION_TIME))
    there = found.filter(still_there(PREDICTION_TIME))
    there = flow.note(f"stays that run {config.first_hours:g} h after admission, the subject alive", there)
    samples = flow.note("moments of these stays, the subject alive", _moments(there, config))
    by = hours_after(PREDICTION_TIME, config.horizon_hours)
    dies = (col(DEATH) <= by).fill_null(value=False)
    frame = binary(samples, outcome=OUTCOME, happened=dies, known=col(ENDED) | col(DIED) | (col(END) >= by))
    return Labelled(frame=flow.note("distinct moments of a subject", frame), flow=flow.steps)


def target(config: Config) -> Target:
    """Say what is predicted: one outcome."""
    return "binary"


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return nothing: no event of the input is an instance of this outcome."""
    return {}


def describe(outcome: str, config: Config) -> str:
    """Return the outcome in words."""
    return "Death within the horizon"


def _moments(there: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Return a row for each prediction: from the first on, as many steps as fit before the end or the death."""
    step = round(config.every_hours * _HOUR)
    room = (pl.min_horizontal(END, DEATH) - col(PREDICTION_TIME)).dt.total_microseconds()
    n_steps = (room - 1) // step + 1  # the end itself is none
    if config.last_hours is not None:
        most = int((config.last_hours - config.first_hours) * _HOUR // step) + 1
        n_steps = pl.min_horizontal(n_steps, pl.lit(max(most, 0)))
    moments = there.with_columns(pl.int_ranges(n_steps).alias("step")).explode("step", empty_as_null=False)
    return moments.with_columns(col(PREDICTION_TIME) + pl.duration(microseconds=col("step") * step)).drop(
        "step"
    )
