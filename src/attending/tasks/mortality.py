"""Predict death in hospital from what is known some hours after admission.

A sample is a stay that lasts longer than `hours`; its prediction time is that many hours after admission. The
outcome is a death at or before the discharge, or a discharge to "DIED" or "EXPIRED". Codes that the discharge
assigns become known at discharge, so the leak rule keeps this stay's own diagnoses out of the input.
"""

import polars as pl

from attending.cohort import Flow, Labelled, binary
from attending.config import Settings
from attending.schema import CODE, DEATH, DISCHARGE, PREDICTION_TIME, SUBJECT_ID, TIME, VISIT_ID
from attending.visits import END, START, is_code, stays, with_visit_ids

OUTCOME = "in_hospital_death"


class Config(Settings):
    """Settings of the task: `hours` from admission to the prediction, and how many training subjects must have it."""

    hours: float = 24.0
    min_train_subjects: int = 1


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    flow = Flow()
    events = flow.note("subjects in the data", with_visit_ids(events), samples=False)
    visits = flow.note("with at least one visit", stays(events))
    at = pl.col(START) + pl.duration(seconds=round(config.hours * 3600))
    visits = visits.with_columns(at.alias(PREDICTION_TIME)).join(_deaths(events), on=SUBJECT_ID, how="left")
    present = (pl.col(END) > pl.col(PREDICTION_TIME)) & (
        pl.col(DEATH).is_null() | (pl.col(DEATH) > pl.col(PREDICTION_TIME))
    )
    visits = flow.note(f"alive and in hospital {config.hours:g} h after admission", visits.filter(present))
    visits = visits.join(_discharged_dead(events), on=[SUBJECT_ID, VISIT_ID], how="left")
    died = pl.col("discharged_dead").fill_null(False) | (pl.col(DEATH) <= pl.col(END)).fill_null(False)
    return Labelled(frame=binary(visits, outcome=OUTCOME, happened=died), flow=flow.steps)


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return nothing: no event of the input is an instance of this outcome."""
    return {}


def describe(outcome: str) -> str:
    """Return the outcome in words."""
    return "Death in hospital"


def _deaths(events: pl.DataFrame) -> pl.DataFrame:
    return events.filter(is_code(DEATH)).group_by(SUBJECT_ID).agg(pl.col(TIME).min().alias(DEATH))


def _discharged_dead(events: pl.DataFrame) -> pl.DataFrame:
    dead = pl.col(CODE).str.contains("//DIED$|//EXPIRED$").any().alias("discharged_dead")
    return events.filter(is_code(DISCHARGE)).group_by(SUBJECT_ID, VISIT_ID).agg(dead)
