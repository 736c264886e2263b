"""PhysioNet/CinC Challenge 2012: the first 48 hours of stays in intensive care, and their outcomes.

Reads `set-a.tar.gz` (or `.tar`), or the folder `set-a/` with a text file a stay; sets b and c alike; and
`Outcomes-a.txt`. An archive is one file in the ledger: its lines are numbered through all its records in their order,
and the header of each record counts as a line that no table reads. What becomes of them:

    RecordID            subject and visit: a stay is all that is known of a person. `HOSPITAL_ADMISSION//ICU`
    Gender, Age         `GENDER//F`, `MEDS_BIRTH`, counted back from the admission; of several ages the first counts,
                        and one above 120, which hides an age above 89, stands for 91
    ICUType             `ICU_ADMISSION//MEDICAL` …
    other parameters    `LAB//Creatinine//mg/dL`, `CHART//HR//bpm`: the number; -1 is a missing value
    outcomes            `HOSPITAL_DISCHARGE//DIED` or `//ALIVE`, `MEDS_DEATH`, `SCORE//SAPS_I`, `SCORE//SOFA`

The rules for time:

    pseudo-dates   a record gives hours and minutes since admission, no date: every stay is admitted at midnight of
                   1 January 2012
    measurements   are known when they were made; no time of storing is given
    discharge      lengths of stay and survival are whole days: they stand for the last second of that day, so that
                   nothing that was recorded follows it. A discharge of the dead is their death. A stay without a
                   length (-1) and without a death has no discharge
    death          as the days of survival say, in hospital or later, known when it happens
    scores         sum up the stay's first day or two: known 48 hours after admission
"""

from pathlib import Path

import polars as pl
from polars import col

from attending.config import Settings
from attending.ledger.context import Context
from attending.ledger.events import coded, event
from attending.ledger.files import text_bytes
from attending.ledger.table import Problem, Source, Table, integer, number, text
from attending.ledger.units import Unit, fingerprint_of
from attending.schema import ADMISSION, BIRTH, DEATH, DISCHARGE, LAB, MICROSECONDS, SEX, SUBJECT_ID
from attending.sources._physionet2012.records import (
    PARAMETER,
    RECORDS,
    STAY,
    TIME,
    VALUE,
    Records,
)

OUTCOMES = "outcomes"
ADMITTED = pl.datetime(2012, 1, 1, time_unit="us")
SCORED = pl.duration(hours=48)
_YEAR = 365.25  # days
_LONGEST = 150 * 366  # days
_OLDEST, _HIDDEN = 120, 91.0  # years; an age above the first hides one above 89
SEXES = {0.0: "F", 1.0: "M"}
UNITS = {1.0: "CORONARY_CARE", 2.0: "CARDIAC_SURGERY_RECOVERY", 3.0: "MEDICAL", 4.0: "SURGICAL"}
LABS = {
    "ALP": "IU/L",
    "ALT": "IU/L",
    "AST": "IU/L",
    "Albumin": "g/dL",
    "BUN": "mg/dL",
    "Bilirubin": "mg/dL",
    "Cholesterol": "mg/dL",
    "Creatinine": "mg/dL",
    "Glucose": "mg/dL",
    "HCO3": "mmol/L",
    "HCT": "%",
    "K": "mEq/L",
    "Lactate": "mmol/L",
    "Mg": "mmol/L",
    "Na": "mEq/L",
    "PaCO2": "mmHg",
    "PaO2": "mmHg",
    "Platelets": "cells/nL",
    "SaO2": "%",
    "TroponinI": "ug/L",
    "TroponinT": "ug/L",
    "TropI": "ug/L",
    "TropT": "ug/L",
    "WBC": "cells/nL",
    "pH": "pH",
}
CHARTED = {
    "DiasABP": "mmHg",
    "FiO2": "fraction",
    "GCS": "points",
    "HR": "bpm",
    "Height": "cm",
    "MAP": "mmHg",
    "MechVent": "yes",
    "NIDiasABP": "mmHg",
    "NIMAP": "mmHg",
    "NISysABP": "mmHg",
    "RespRate": "bpm",
    "SysABP": "mmHg",
    "Temp": "degC",
    "Urine": "mL",
    "Weight": "kg",
}
DESCRIPTORS = (STAY, "Gender", "Age", "ICUType")


class Config(Settings):
    """Settings of the source: none."""


def source(folder: Path, config: Config) -> Source:
    """Describe the challenge's files in `folder`."""
    return Source(
        name="PhysioNet/CinC Challenge 2012",
        tables=(RECORD_TABLE, OUTCOME_TABLE),
        units=_Units(folder),
    )


class _Units:
    """Finds the files; a class, so that it can be sent to other processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> list[Unit]:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return [unit for path in files if (unit := self._unit(path)) is not None]

    def _unit(self, path: Path) -> Unit | None:
        name, lower = path.relative_to(self.folder).as_posix(), path.name.lower()
        is_outcomes = lower.startswith("outcomes-") and lower.removesuffix(".gz").endswith(".txt")
        is_archive = lower.startswith("set-") and lower.endswith((".tar.gz", ".tgz", ".tar"))
        is_record = path.stem.isdigit() and lower.endswith(".txt")
        if not (is_outcomes or is_archive or is_record):
            return None
        return Unit(
            name=name,
            tables=(OUTCOMES if is_outcomes else RECORDS,),
            n_bytes=text_bytes(path),
            fingerprint=fingerprint_of(path),
            path=path,
            reader=None if is_outcomes else Records(path),
        )


# Records: one line a measurement -------------------------------------------------------------------


def record_problems(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find times that are none."""
    return [Problem(rows.select(_moment().is_null()).to_series(), "not hours and minutes", TIME)]


def record_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give admission, sex and birth, and every measurement that is not missing."""
    parameter, value, visit = col(PARAMETER), col(VALUE), col(SUBJECT_ID)
    rows = rows.with_columns(_moment().alias("moment"))
    first = rows.unique([SUBJECT_ID, PARAMETER], keep="first", maintain_order=True)
    sex = value.replace_strict(SEXES, default=None, return_dtype=pl.String)
    unit = value.replace_strict(UNITS, default=None, return_dtype=pl.String)
    given = pl.when((parameter == "Age") & (value >= 0)).then(value)
    age = pl.when(given > _OLDEST).then(_HIDDEN).otherwise(given)
    born = ADMITTED - pl.duration(microseconds=(age * (_YEAR * 86_400e6)).round().cast(pl.Int64))
    measured = ~parameter.is_in(DESCRIPTORS) & value.is_not_null() & (value != -1)
    known = {"time": col("moment"), "visit": visit}
    return [
        event(first, coded(SEX, sex), time=None, when=(parameter == "Gender") & sex.is_not_null()),
        event(first, pl.lit(BIRTH), time=born),
        event(first, coded(ADMISSION, "ICU"), when=parameter == STAY, time=ADMITTED, visit=visit),
        event(
            first, coded("ICU_ADMISSION", unit), when=(parameter == "ICUType") & unit.is_not_null(), **known
        ),
        event(rows, _measurement(parameter), numeric=value, when=measured, **known),
    ]


def _moment() -> pl.Expr:
    """Return when a line was recorded, from hours and minutes since admission."""
    parts = col(TIME).str.extract_groups(r"^(\d{1,4}):([0-5]\d)$")
    hours, minutes = (parts.struct.field(which).cast(pl.Int64, strict=False) for which in ("1", "2"))
    return ADMITTED + pl.duration(hours=hours, minutes=minutes, time_unit="us")


def _measurement(parameter: pl.Expr) -> pl.Expr:
    kind = pl.when(parameter.is_in(list(LABS))).then(pl.lit(LAB)).otherwise(pl.lit("CHART"))
    return coded(
        kind, parameter, parameter.replace_strict(LABS | CHARTED, default=None, return_dtype=pl.String)
    )


RECORD_TABLE = Table(
    name=RECORDS,
    path="set-a.tar.gz, or the folder set-a",
    columns=(
        integer(STAY, required=True),
        text(TIME, required=True),
        text(PARAMETER, required=True),
        number(VALUE),
    ),
    problems=record_problems,
    events=record_events,
    required=True,
    reference=True,
    subject=STAY,
)


# Outcomes: one line a stay -------------------------------------------------------------------------


def outcome_problems(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find stays given twice."""
    return [Problem(~rows[SUBJECT_ID].is_first_distinct(), "duplicated stay", STAY)]


def outcome_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give the scores, the discharge and the death; the admission too, where there is no record."""
    visit, died = col(SUBJECT_ID), col("In-hospital_death") == 1
    recorded = context[RECORDS].filter(col(PARAMETER) == STAY)[SUBJECT_ID].implode()
    death, end = _end_of("Survival"), _end_of("Length_of_stay")
    discharge = pl.when(died).then(pl.coalesce(death, end)).otherwise(end)
    how = pl.when(died).then(pl.lit("DIED")).otherwise(pl.lit("ALIVE"))
    in_hospital = pl.when(died).then(visit)
    return [
        event(rows, coded(ADMISSION, "ICU"), time=ADMITTED, visit=visit, when=~visit.is_in(recorded)),
        *(
            event(
                rows,
                coded("SCORE", name),
                time=ADMITTED + SCORED,
                numeric=col(column),
                visit=visit,
                when=col(column) >= 0,
            )
            for name, column in (("SAPS_I", "SAPS-I"), ("SOFA", "SOFA"))
        ),
        event(rows, coded(DISCHARGE, how), time=discharge, visit=visit),
        event(rows, pl.lit(DEATH), time=pl.coalesce(death, pl.when(died).then(end)), visit=in_hospital),
    ]


def _end_of(days: str) -> pl.Expr:
    """Return the last second of the day that lies so many days after the admission."""
    there = pl.when(col(days).is_between(0, _LONGEST)).then(col(days))
    return (ADMITTED + pl.duration(days=there + 1, seconds=-1)).cast(MICROSECONDS)


OUTCOME_TABLE = Table(
    name=OUTCOMES,
    columns=(
        integer(STAY, required=True),
        *(integer(name) for name in ("SAPS-I", "SOFA", "Length_of_stay", "Survival", "In-hospital_death")),
    ),
    problems=outcome_problems,
    events=outcome_events,
    subject=STAY,
)
