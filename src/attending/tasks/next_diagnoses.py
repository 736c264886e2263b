"""Predict which diagnoses the next visit will bring, at the end of each visit (or of the last but one).

A sample is a visit that a later visit follows. Its prediction time is the visit's end (inclusive: the codes that
the discharge assigns are known). Its labels are the diagnoses of the first visit that *starts after* that end,
so an overlapping stay is never a target. `history_codes` are the diagnoses known by then: a label among them is
a recurrence, any other is a new onset.

A next visit without any recorded diagnosis is not a sample: nothing was recorded, which is not "nothing happened".
"""

from typing import Literal

import polars as pl

from attending.cohort import Flow, Labelled, tidy
from attending.config import Settings
from attending.ontology import icd
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    DIAGNOSIS,
    HISTORY_CODES,
    LABEL_CODES,
    PREDICTION_TIME,
    SUBJECT_ID,
    VISIT_ID,
)
from attending.visits import END, START, is_code, stays, with_visit_ids

TARGET = "target_visit"


class Config(Settings):
    """Settings of the task.

    visits                `every` visit that a later one follows, or only the `last` of them (as CGL and Chet do)
    vocabulary            what is predicted: `full` ICD codes, their `three_character` category, or the `ccs` group
                          (CCSR for ICD-10-CM, CCS for ICD-9-CM)
    min_train_subjects    an outcome is kept if at least this many training subjects have it
    """

    visits: Literal["every", "last"] = "every"
    vocabulary: Literal["full", "three_character", "ccs"] = "ccs"
    min_train_subjects: int = 11


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    flow = Flow()
    events = flow.note("subjects in the data", with_visit_ids(events), samples=False)
    visits = flow.note("with at least one visit", stays(events))
    pairs = flow.note("visits that a later visit follows", _with_next(visits))
    diagnoses = _diagnoses(events, config)
    targets = diagnoses.select(SUBJECT_ID, VISIT_ID, CODE).unique()
    labels = (
        pairs.join(targets, left_on=[SUBJECT_ID, TARGET], right_on=[SUBJECT_ID, VISIT_ID])
        .group_by(SUBJECT_ID, VISIT_ID, PREDICTION_TIME)
        .agg(pl.col(CODE).sort().alias(LABEL_CODES))
    )
    flow.note("whose next visit has a diagnosis", labels)
    if config.visits == "last":
        latest = pl.col(PREDICTION_TIME) == pl.col(PREDICTION_TIME).max().over(SUBJECT_ID)
        labels = flow.note("the last of each subject", labels.filter(latest))
    return Labelled(frame=tidy(_with_history(labels, diagnoses)), flow=flow.steps)


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return the outcome that each diagnosis code is an instance of; other codes are left out."""
    return icd.group([code for code in codes if code.startswith(DIAGNOSIS)], config.vocabulary)


def describe(outcome: str) -> str:
    """Return the outcome in words."""
    return icd.description(outcome) or outcome


def _with_next(visits: pl.DataFrame) -> pl.DataFrame:
    following = visits.select(SUBJECT_ID, pl.col(START).alias("next_start"), pl.col(VISIT_ID).alias(TARGET))
    return (
        visits.sort(SUBJECT_ID, END)
        .join_asof(
            following.sort(SUBJECT_ID, "next_start", TARGET),
            left_on=END,
            right_on="next_start",
            by=SUBJECT_ID,
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .filter(pl.col(TARGET).is_not_null())
        .rename({END: PREDICTION_TIME})
    )


def _diagnoses(events: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Return each diagnosis with the outcome that it is, as an `Enum`: numbers in the order of the names."""
    diagnoses = events.filter(is_code(DIAGNOSIS)).select(SUBJECT_ID, VISIT_ID, CODE, AVAILABLE_TIME)
    outcomes = outcome_of_code(diagnoses[CODE].unique().to_list(), config)
    names = pl.Enum(sorted(set(outcomes.values())))
    grouping = pl.DataFrame(
        {CODE: list(outcomes), "outcome": list(outcomes.values())},
        schema={CODE: pl.String, "outcome": names},
    )
    return diagnoses.join(grouping, on=CODE).drop(CODE).rename({"outcome": CODE})


def _with_history(labels: pl.DataFrame, diagnoses: pl.DataFrame) -> pl.DataFrame:
    first_known = diagnoses.group_by(SUBJECT_ID, CODE).agg(pl.col(AVAILABLE_TIME).min())
    keys = [SUBJECT_ID, PREDICTION_TIME]
    history = (
        labels.lazy()
        .select(keys)
        .unique()
        .join(first_known.lazy(), on=SUBJECT_ID)
        .filter(pl.col(AVAILABLE_TIME) <= pl.col(PREDICTION_TIME))
        .group_by(keys)
        .agg(pl.col(CODE).sort().alias(HISTORY_CODES))
        .collect()
    )
    return labels.join(history, on=keys, how="left").with_columns(pl.col(HISTORY_CODES).fill_null([]))
