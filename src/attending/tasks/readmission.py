"""Predict admission to hospital again within some days of a discharge alive.

A sample is a discharge alive. Codes of the stay that the discharge assigns are billed days later, so by default
the prediction stands one microsecond *before* the discharge and does not see them; `discharge_codes: true`
admits them. A death before the window ends is a competing event: such a sample stays, as one that is not
readmitted, or leaves the cohort with `death: exclude`.
"""

from typing import Literal

import polars as pl

from attending.cohort import Flow, Labelled, binary
from attending.config import Settings
from attending.schema import ADMISSION, CODE, DEATH, DISCHARGE, PREDICTION_TIME, SUBJECT_ID, TIME, VISIT_ID
from attending.visits import END, START, is_code, stays, with_visit_ids

OUTCOME = "readmission"


class Config(Settings):
    """Settings of the task: the window in `days`, and how discharge codes and death in the window count."""

    days: float = 30.0
    discharge_codes: bool = False
    death: Literal["not_readmitted", "exclude"] = "not_readmitted"
    min_train_subjects: int = 1


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    flow = Flow()
    events = flow.note("subjects in the data", with_visit_ids(events), samples=False)
    visits = flow.note("with at least one stay in hospital", _in_hospital(events))
    visits = flow.note(
        "discharged alive",
        visits.join(_ended_by_death(events, visits), on=[SUBJECT_ID, VISIT_ID], how="anti"),
    )
    window_end = pl.col(END) + pl.duration(seconds=round(config.days * 86400))
    visits = _with_next_start(visits, events).with_columns(window_end.alias("window_end"))
    readmitted = (pl.col("next_start") <= pl.col("window_end")).fill_null(False)
    if config.death == "exclude":
        died = (pl.col(DEATH) <= pl.col("window_end")).fill_null(False)
        visits = flow.note("readmitted or alive at the window's end", visits.filter(readmitted | ~died))
    delay = 0 if config.discharge_codes else 1
    samples = visits.with_columns((pl.col(END) - pl.duration(microseconds=delay)).alias(PREDICTION_TIME))
    return Labelled(frame=binary(samples, outcome=OUTCOME, happened=readmitted), flow=flow.steps)


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return nothing: no event of the input is an instance of this outcome."""
    return {}


def describe(outcome: str) -> str:
    """Return the outcome in words."""
    return "Readmission to hospital"


def _in_hospital(events: pl.DataFrame) -> pl.DataFrame:
    """Return the stays that an admission began: a visit to a clinic or an emergency department is none."""
    admitted = events.filter(is_code(ADMISSION)).select(SUBJECT_ID, VISIT_ID).unique()
    return stays(events).join(admitted, on=[SUBJECT_ID, VISIT_ID], how="semi", maintain_order="left")


def _with_next_start(visits: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    starts = (
        _in_hospital(events)
        .select(SUBJECT_ID, pl.col(START).alias("next_start"))
        .sort(SUBJECT_ID, "next_start")
    )
    deaths = events.filter(is_code(DEATH)).group_by(SUBJECT_ID).agg(pl.col(TIME).min().alias(DEATH))
    return (
        visits.sort(SUBJECT_ID, END)
        .join_asof(
            starts,
            left_on=END,
            right_on="next_start",
            by=SUBJECT_ID,
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .join(deaths, on=SUBJECT_ID, how="left")
    )


def _ended_by_death(events: pl.DataFrame, visits: pl.DataFrame) -> pl.DataFrame:
    died = is_code(DISCHARGE) & pl.col(CODE).str.contains("//DIED$|//EXPIRED$")
    by_discharge = events.filter(died).select(SUBJECT_ID, VISIT_ID)
    deaths = events.filter(is_code(DEATH)).group_by(SUBJECT_ID).agg(pl.col(TIME).min().alias(DEATH))
    by_time = (
        visits.join(deaths, on=SUBJECT_ID).filter(pl.col(DEATH) <= pl.col(END)).select(SUBJECT_ID, VISIT_ID)
    )
    return pl.concat([by_discharge, by_time]).unique()
