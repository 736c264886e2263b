"""eICU-CRD 2.0: the tables of PhysioNet's multi-centre intensive care database, as `.csv` or `.csv.gz`.

Needs `patient`; every other table may be absent, `vitalPeriodic` and `nurseCharting`, the largest, too. A subject is
a `uniquepid`. `patient` has a row for each stay in a unit; all other tables name the unit stay and count minutes
from its admission. Which table becomes which code, and when it is known, is said in `_eicu/care` and
`_eicu/measured`; how offsets become dates, which are made up, in `_eicu/clock`.

Visits: a visit is a stay in *hospital* (`patienthealthsystemstayid`), from HOSPITAL_ADMISSION to HOSPITAL_DISCHARGE,
with its unit stays in it as ICU_ADMISSION … ICU_DISCHARGE. What the tasks ask, death in hospital and readmission to
hospital, are facts of that stay, and it is what MIMIC calls a visit. With `visits: unit` each unit stay is a visit of
its own (`patientunitstayid`), from its admission to its discharge; events before, after or of the whole hospital stay
then have no visit.

The rules for time:

    within a hospital stay     every interval is exact; the dates themselves, and the time between a patient's stays
                               in hospital, are made up. Do not ask for readmission to hospital.
    an event                   happens at its offset and is known when it was entered, if that is later
    what came of it            statuses and places of discharge, and APACHE's actual outcomes, at the discharge
    birth                      1 January of the year of the first admission less the age; 90 stands for `> 89`
    death                      at the discharge, from the unit where the patient died there, of the last stay in
                               hospital; the linkage of patients makes a few live on after a death, which then counts as
                               a place of discharge only

A row of a unit stay that `patient` does not have is quarantined.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
from polars import col

from attending.config import Settings
from attending.ledger.context import Context
from attending.ledger.events import coded, event
from attending.ledger.table import Source, Table, integer, key, number, text
from attending.ontology import naming
from attending.schema import ADMISSION, BIRTH, DEATH, DISCHARGE, RACE, SEX, SUBJECT_ID
from attending.sources._eicu.care import CARE
from attending.sources._eicu.clock import (
    EXPIRED,
    HOSPITAL_END,
    HOSPITAL_START,
    OLDEST,
    PATIENT,
    STAY,
    UNIT,
    UNIT_END,
    UNIT_START,
    Placed,
    Visits,
    age,
    happening,
    stay_problems,
)
from attending.sources._eicu.measured import MEASURED
from attending.sources._eicu.rows import stripped

HOSPITAL = "hospital"


class Config(Settings):
    """Settings of the source: what a visit is, and which optional tables to leave out, such as `nursecharting`."""

    visits: Visits = "hospital"
    leave_out: tuple[str, ...] = ()


def source(folder: Path, config: Config) -> Source:
    """Describe eICU."""
    tables = tuple(
        _with_visits(table, config.visits)
        for table in TABLES
        if table.required or table.name not in config.leave_out
    )
    return Source(name="eICU", tables=tables, subjects=PATIENT, describe=describe)


def _with_visits(table: Table, visits: Visits) -> Table:
    if isinstance(table.events, Placed):
        return replace(table, events=replace(table.events, visits=visits))
    return table


# hospital: HOSPITAL//number, HOSPITAL_REGION//…, HOSPITAL_BEDS//…, HOSPITAL_TEACHING//t, at the admission --

HOSPITAL_TABLE = Table(
    name=HOSPITAL,
    path="hospital",
    columns=(
        integer("hospitalid", required=True),
        text("numbedscategory"),
        text("teachingstatus"),
        text("region"),
    ),
    dictionary=True,
)
FACTS = {"region": "REGION", "numbedscategory": "BEDS", "teachingstatus": "TEACHING"}


# patient: GENDER//F, MEDS_BIRTH, MEDS_DEATH, HOSPITAL_ADMISSION//from, ICU_ADMISSION//unit//from, WEIGHT//kg … --


def patient_events(units: pl.DataFrame, context: Context) -> Sequence[pl.DataFrame]:
    """Give the person, the stays in hospital, and the stays in a unit."""
    units = units.sort(SUBJECT_ID, "rank", "unit_start", UNIT)
    stays = units.unique([SUBJECT_ID, STAY], keep="first", maintain_order=True)
    return [*_person(units), *_hospital_stays(stays, context[HOSPITAL]), *_unit_stays(units), _deaths(units)]


def _person(units: pl.DataFrame) -> list[pl.DataFrame]:
    sexes = units.filter(col("gender").is_not_null()).unique(SUBJECT_ID, keep="first", maintain_order=True)
    aged = units.filter(age().is_not_null()).unique(SUBJECT_ID, keep="first", maintain_order=True)
    sex = col("gender").replace({"Female": "F", "Male": "M"})
    first = pl.min_horizontal(HOSPITAL_START, UNIT_START)
    return [
        event(sexes, coded(SEX, sex), time=None),
        event(aged, pl.lit(BIRTH), time=pl.date(first.dt.year() - age(), 1, 1)),
    ]


def _hospital_stays(stays: pl.DataFrame, hospitals: pl.DataFrame) -> list[pl.DataFrame]:
    stays = stays.join(hospitals.unique("hospitalid", keep="first"), on="hospitalid", how="left")
    facts = [
        happening(
            stays, coded(f"{HOSPITAL.upper()}_{kind}", col(column)), time=HOSPITAL_START, when=_has(column)
        )
        for column, kind in FACTS.items()
    ]
    return [
        happening(stays, coded(ADMISSION, stripped("hospitaladmitsource")), time=HOSPITAL_START),
        happening(
            stays, coded(HOSPITAL.upper(), col("hospitalid")), time=HOSPITAL_START, when=_has("hospitalid")
        ),
        *facts,
        happening(stays, coded(RACE, stripped("ethnicity")), time=HOSPITAL_START, when=_has("ethnicity")),
        happening(stays, coded("AGE", OLDEST), time=HOSPITAL_START, when=stripped("age") == OLDEST),
        happening(
            stays,
            coded(DISCHARGE, stripped("hospitaldischargelocation"), _status("hospitaldischargestatus")),
            time=HOSPITAL_END,
        ),
    ]


def _unit_stays(units: pl.DataFrame) -> list[pl.DataFrame]:
    return [
        happening(
            units,
            coded("ICU_ADMISSION", stripped("unittype"), stripped("unitadmitsource")),
            time=UNIT_START,
            text=col("unitstaytype"),
        ),
        _measure(units, "HEIGHT//cm", "admissionheight", UNIT_START),
        _measure(units, "WEIGHT//kg", "admissionweight", UNIT_START),
        _measure(units, "WEIGHT//kg", "dischargeweight", UNIT_END),
        happening(
            units,
            coded("ICU_DISCHARGE", stripped("unitdischargelocation"), _status("unitdischargestatus")),
            time=UNIT_END,
        ),
    ]


def _measure(units: pl.DataFrame, code: str, column: str, time: pl.Expr) -> pl.DataFrame:
    return happening(units, pl.lit(code), time=time, numeric=col(column), when=col(column) > 0)


def _deaths(units: pl.DataFrame) -> pl.DataFrame:
    """One death a subject, of the last stay in hospital: at the end of the unit stay that says so, else of it all."""
    last = units.filter(col("rank") == col("rank").max().over(SUBJECT_ID))
    in_unit = (col("unitdischargestatus") == EXPIRED).fill_null(False)
    in_hospital = (col("hospitaldischargestatus") == EXPIRED).fill_null(False)
    died = last.filter(in_unit | in_hospital).sort(SUBJECT_ID, in_unit, "unit_start", maintain_order=True)
    died = died.unique(SUBJECT_ID, keep="last", maintain_order=True)
    earlier = pl.min_horizontal(UNIT_END, HOSPITAL_END)
    return happening(died, pl.lit(DEATH), time=pl.when(in_unit).then(earlier).otherwise(HOSPITAL_END))


def _status(column: str) -> pl.Expr:
    return stripped(column).str.to_uppercase()


def _has(column: str) -> pl.Expr:
    return col(column).is_not_null()


PATIENT_TABLE = Table(
    name=PATIENT,
    path="patient",
    columns=(
        key("uniquepid", required=True),
        integer(UNIT, required=True),
        integer(STAY, required=True),
        text("gender"),
        text("age"),
        text("ethnicity"),
        integer("hospitalid"),
        number("admissionheight"),
        integer("hospitaladmitoffset", required=True),
        text("hospitaladmitsource"),
        integer("hospitaldischargeyear", required=True),
        text("hospitaldischargetime24"),
        integer("hospitaldischargeoffset", required=True),
        text("hospitaldischargelocation"),
        text("hospitaldischargestatus"),
        text("unittype"),
        text("unitadmitsource"),
        integer("unitvisitnumber"),
        text("unitstaytype"),
        number("admissionweight"),
        number("dischargeweight"),
        integer("unitdischargeoffset", required=True),
        text("unitdischargelocation"),
        text("unitdischargestatus"),
    ),
    subject="uniquepid",
    problems=stay_problems,
    events=Placed(patient_events),
    required=True,
    reference=True,
)


def describe(codes: pl.Series, dictionaries: Context) -> pl.DataFrame:
    """Name codes: ICD titles, else the words of the code."""
    return naming.describe(codes, {})


TABLES: tuple[Table, ...] = (HOSPITAL_TABLE, PATIENT_TABLE, *CARE, *MEASURED)
