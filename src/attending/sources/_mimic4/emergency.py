"""The emergency department (MIMIC-IV-ED): stays, triage, vital signs, diagnoses, medication.

A stay that led to an admission belongs to that visit (`hadm_id`); any other is a visit of its own (`stay_id`; the
two never meet: MIMIC's stays begin with 3, its admissions with 2).

    edstays     ENCOUNTER//EMERGENCY//transport and ENCOUNTER_END//EMERGENCY//disposition; RACE//… where no admission
                gives it
    triage      VITAL//name//unit, VITAL//pain, TRIAGE//acuity, TRIAGE//chiefcomplaint (text). It has no time of its
                own and stands at the arrival, which MIMIC names as the closest
    vitalsign   VITAL//name//unit, VITAL//pain, VITAL//rhythm (text)
    diagnosis   DIAGNOSIS//ICD//…, when the patient left the department. They are billed afterwards: those of a stay
                that led to an admission are known when that ends
    medrecon    MEDICATION//HOME//name: what the patient takes; once, though it may be in several classes
    pyxis       MEDICATION//DISPENSED//name; once, though it may have several GSN
"""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded, event, first_of
from attending.ledger.table import Problem, Table, integer, moment, number, text, value, words
from attending.schema import DIAGNOSIS, MEDICATION, RACE, SUBJECT_ID
from attending.sources._mimic4.rows import (
    ADMISSION_KEY,
    ADMISSIONS,
    ICD,
    SUBJECT,
    beside,
    icd_code,
    missing,
)

STAYS = "edstays"
STAY_KEY = (SUBJECT_ID, "stay_id")
NO_STAY = "no such stay"
VISIT = first_of(col("hadm_id"), col("stay_id"))
VITALS = {
    "temperature": "F",
    "heartrate": "bpm",
    "resprate": "insp/min",
    "o2sat": "%",
    "sbp": "mmHg",
    "dbp": "mmHg",
}
STAY = (SUBJECT, integer("stay_id", required=True))
SIGNS = (*(number(name) for name in VITALS), value("pain"))


def stay_problems(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find stays given twice, and ends before the beginning."""
    repeated = ~rows.select(pl.struct(STAY_KEY).is_first_distinct()).to_series()
    return [
        Problem(rows["outtime"] < rows["intime"], "departure before arrival", "outtime"),
        Problem(repeated, "duplicated stay", "stay_id"),
    ]


def stay_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give arrival and departure."""
    arrived = {"time": col("intime"), "visit": VISIT}
    alone = col("hadm_id").is_null() & col("race").is_not_null()
    return [
        event(rows, coded("ENCOUNTER", "EMERGENCY", col("arrival_transport")), **arrived),
        event(rows, coded(RACE, col("race")), when=alone, **arrived),
        event(
            rows, coded("ENCOUNTER_END", "EMERGENCY", col("disposition")), time=col("outtime"), visit=VISIT
        ),
    ]


def needs_stay(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find rows of stays that are not there: nothing else says when they were."""
    return [Problem(missing(rows, context[STAYS], STAY_KEY), NO_STAY, "stay_id")]


def triage_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give what was found at triage."""
    found = beside(rows, context[STAYS], STAY_KEY, "intime", "hadm_id")
    acuity, complaint = col("acuity"), col("chiefcomplaint")
    known = {"time": col("intime"), "visit": VISIT}
    return [
        *_signs(found, "intime"),
        event(found, pl.lit("TRIAGE//acuity"), numeric=acuity, when=acuity.is_not_null(), **known),
        event(found, pl.lit("TRIAGE//chiefcomplaint"), text=complaint, when=complaint.is_not_null(), **known),
    ]


def vital_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give vital signs."""
    found = beside(rows, context[STAYS], STAY_KEY, "hadm_id")
    rhythm = col("rhythm")
    known = {"time": col("charttime"), "visit": VISIT}
    return [
        *_signs(found, "charttime"),
        event(found, pl.lit("VITAL//rhythm"), text=rhythm, when=rhythm.is_not_null(), **known),
    ]


def _signs(rows: pl.DataFrame, time: str) -> list[pl.DataFrame]:
    known = {"time": col(time), "visit": VISIT}
    measured = [
        event(
            rows, pl.lit(f"VITAL//{name}//{unit}"), numeric=col(name), when=col(name).is_not_null(), **known
        )
        for name, unit in VITALS.items()
    ]
    pain, said = col("pain"), col(words("pain"))
    has_pain = pain.is_not_null() | said.is_not_null()
    return [*measured, event(rows, pl.lit("VITAL//pain"), numeric=pain, text=said, when=has_pain, **known)]


def diagnosis_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give diagnoses in the order of their rank."""
    left = beside(rows, context[STAYS], STAY_KEY, "outtime", "hadm_id").sort("seq_num", maintain_order=True)
    found = beside(left, context[ADMISSIONS], ADMISSION_KEY, "dischtime")
    code = coded(DIAGNOSIS, "ICD", col("icd_version"), icd_code())
    known = {"time": col("outtime"), "available": col("dischtime"), "visit": VISIT}
    return [event(found, code, priority=col("seq_num"), **known)]


def home_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give each medication that the patient takes at home, whatever the number of its classes."""
    return [_taken(rows, context, "HOME", "etc_rn", ("charttime", "name", "gsn", "ndc"))]


def dispensed_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give each medication taken from the cabinet, whatever the number of its GSN."""
    return [_taken(rows, context, "DISPENSED", "gsn_rn", ("charttime", "name", "med_rn"))]


def _taken(
    rows: pl.DataFrame, context: Context, how: str, number_of: str, same: tuple[str, ...]
) -> pl.DataFrame:
    first = col(number_of) == col(number_of).min().over(*STAY_KEY, *same)
    once = rows.filter(first.fill_null(True))
    found = beside(once, context[STAYS], STAY_KEY, "hadm_id")
    return event(found, coded(MEDICATION, how, col("name")), time=col("charttime"), visit=VISIT)


EMERGENCY = (
    Table(
        name=STAYS,
        path="**/ed/edstays",
        columns=(
            *STAY,
            integer("hadm_id"),
            moment("intime", required=True),
            moment("outtime", required=True),
            text("race"),
            text("arrival_transport"),
            text("disposition"),
        ),
        problems=stay_problems,
        events=stay_events,
        reference=True,
    ),
    Table(
        name="triage",
        path="**/ed/triage",
        columns=(*STAY, *SIGNS, number("acuity"), text("chiefcomplaint")),
        problems=needs_stay,
        events=triage_events,
    ),
    Table(
        name="vitalsign",
        path="**/ed/vitalsign",
        columns=(*STAY, moment("charttime", required=True), *SIGNS, text("rhythm")),
        events=vital_events,
    ),
    Table(
        name="diagnosis",
        path="**/ed/diagnosis",
        columns=(*STAY, integer("seq_num"), *ICD, text("icd_title")),
        problems=needs_stay,
        events=diagnosis_events,
    ),
    Table(
        name="medrecon",
        path="**/ed/medrecon",
        columns=(
            *STAY,
            moment("charttime", required=True),
            text("name", required=True),
            text("gsn"),
            text("ndc"),
            integer("etc_rn"),
        ),
        events=home_events,
    ),
    Table(
        name="pyxis",
        path="**/ed/pyxis",
        columns=(
            *STAY,
            moment("charttime", required=True),
            integer("med_rn"),
            text("name", required=True),
            integer("gsn_rn"),
        ),
        events=dispensed_events,
    ),
)
