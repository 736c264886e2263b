"""Predict which of 25 conditions a stay's own diagnoses will hold, from what is known some hours after its admission.

The 25 acute, chronic and mixed conditions of the MIMIC-III benchmark (Harutyunyan et al., Scientific Data 6 (2019) 96),
categories of CCS for ICD-9-CM. An ICD-10 code is read as what CMS's mapping says of it in ICD-9, and that by CCS: CCSR,
made for ICD-10, cuts other categories (its heart failure holds the hypertensive one). A code that stands for two ICD-9
codes together, as septic shock does, gives both.

A sample is a stay in hospital, or in intensive care, that still runs `hours` after its admission, its subject alive;
with `at: discharge` the prediction stands a microsecond before its end. The labels are the conditions among the
diagnoses of the visit that come after that time. A stay whose visit has no diagnosis after it is no sample: nothing
was coded. `history_codes` are the conditions known by then, of earlier visits or found early in this one.

Trap and guard: the diagnoses of a stay are assigned at its discharge; as inputs they *are* the answer. They become
known at discharge, after every prediction time here, so the leak rule keeps them out. Where a source records diagnoses
during the stay (eICU), those entered by then are inputs, and a label only if they are recorded again later.

Difference from the benchmark: that reads the whole stay, children left out, and only stays of one unit; here the
default is the first 24 hours, and an admission to the unit is a sample for each.
"""

from typing import Literal

import polars as pl
from polars import col
from pydantic import Field

from attending.cohort import Flow, Labelled, Target, tidy
from attending.config import Settings
from attending.ontology import icd9
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    DIAGNOSIS,
    HISTORY_CODES,
    LABEL_CODES,
    PREDICTION_TIME,
    SEPARATOR,
    SUBJECT_ID,
    TIME,
    VISIT_ID,
)
from attending.tasks._phenotyping.conditions import CONDITIONS
from attending.tasks._stays.places import NAMES, Place, check_place, hours_after, stays_in, still_there
from attending.visits import END, START, is_code, with_visit_ids

PREFIX = "CCS"
_CONDITION = "condition"
_KEYS = [SUBJECT_ID, VISIT_ID]


class Config(Settings):
    """Settings of the task.

    stay                  in `hospital`, or in intensive care (`icu`); the labels are those of the visit it lies in
    at                    predict some `hours` after the admission, or just before the `discharge`
    hours                 from admission to the prediction
    min_train_subjects    a condition is kept if at least this many training subjects have it
    """

    stay: Place = "hospital"
    at: Literal["hours", "discharge"] = "hours"
    hours: float = Field(default=24.0, ge=0)
    min_train_subjects: int = 1


def check(config: Config, codes: list[str]) -> None:
    """Fail where the data set has no stays of this kind.

    Raises:
        TaskError: naming the setting.
    """
    check_place(config.stay, codes)


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    flow = Flow()
    events = flow.note("subjects in the data", with_visit_ids(events), samples=False)
    found = stays_in(config.stay, events)
    flow.note(f"with at least one stay in {NAMES[config.stay]}", found)
    if config.at == "discharge":
        at = col(END) - pl.duration(microseconds=1)
        words = "at the end of a stay that lasted"
    else:
        at = hours_after(START, config.hours)
        words = f"alive and still there {config.hours:g} h after admission"
    there = found.with_columns(at.alias(PREDICTION_TIME)).filter(
        still_there(PREDICTION_TIME), at >= col(START)
    )
    there = flow.note(words, there)
    diagnoses = events.filter(is_code(DIAGNOSIS)).select(*_KEYS, TIME, AVAILABLE_TIME, CODE)
    ours = there.join(diagnoses, on=_KEYS).filter(col(TIME) > col(PREDICTION_TIME))
    labels = (
        ours.join(_conditions(diagnoses), on=CODE, how="left")
        .group_by(*_KEYS, PREDICTION_TIME)
        .agg(col(_CONDITION).explode().drop_nulls().unique().sort().alias(LABEL_CODES))
    )
    flow.note("with a diagnosis after it", labels)
    frame = tidy(_with_history(labels, diagnoses))
    flow.note("at distinct times", frame)
    return Labelled(frame=frame, flow=flow.steps)


def target(config: Config) -> Target:
    """Say what is predicted: a set of conditions."""
    return "multilabel"


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """Return the condition that each diagnosis is an instance of; of two, the first."""
    found = {code: _of(code) for code in codes if code.split(SEPARATOR)[0] == DIAGNOSIS}
    return {code: conditions[0] for code, conditions in found.items() if conditions}


def describe(outcome: str, config: Config) -> str:
    """Return the condition in words, and whether it is acute, chronic or mixed."""
    title, course = CONDITIONS[outcome.removeprefix(PREFIX + SEPARATOR)]
    return f"{title} ({course})"


def _of(code: str) -> list[str]:
    return [SEPARATOR.join((PREFIX, group)) for group in icd9.ccs_of(code) if group in CONDITIONS]


def _conditions(diagnoses: pl.DataFrame) -> pl.DataFrame:
    """Return the conditions of each code: none, one, or two."""
    codes = diagnoses[CODE].unique().to_list()
    return pl.DataFrame(
        {CODE: codes, _CONDITION: [_of(code) for code in codes]},
        schema={CODE: pl.String, _CONDITION: pl.List(pl.String)},
    )


def _with_history(labels: pl.DataFrame, diagnoses: pl.DataFrame) -> pl.DataFrame:
    known = diagnoses.join(_conditions(diagnoses), on=CODE).explode(_CONDITION).drop_nulls(_CONDITION)
    first = known.group_by(SUBJECT_ID, _CONDITION).agg(col(AVAILABLE_TIME).min())
    keys = [SUBJECT_ID, PREDICTION_TIME]
    history = (
        labels.select(keys)
        .unique()
        .join(first, on=SUBJECT_ID)
        .filter(col(AVAILABLE_TIME) <= col(PREDICTION_TIME))
        .group_by(keys)
        .agg(col(_CONDITION).sort().alias(HISTORY_CODES))
    )
    return labels.join(history, on=keys, how="left").with_columns(col(HISTORY_CODES).fill_null([]))
