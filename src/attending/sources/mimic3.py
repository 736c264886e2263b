"""MIMIC-III 1.4: the tables of PhysioNet's intensive care database, as `.csv` or `.csv.gz`, in letters of any case.

Needs `PATIENTS` and `ADMISSIONS`; every other table may be absent, `CHARTEVENTS`, the largest, too. Codes are those
of `mimic4` wherever the tables say the same; all ICD codes are ICD-9. What is recorded during a stay is said in
`_mimic3/stay`, what the units chart in `_mimic3/units`. The rules for time:

    codes given at discharge   diagnoses, DRGs and ICD procedures, which have no date, happen, and are known, at
                               discharge. CPT procedures happen on their day, where it is given; known at discharge.
    results                    happen, and are known, when the specimen was taken: MIMIC-III has no time of result. A
                               culture is known at discharge.
    charts and infusions       happen when charted and are known when they were stored.
    dates without a time       stand for the last second of their day, or for the discharge on that day.
    birth                      `DOB`. Of patients older than 89 it is moved 300 years before their first admission;
                               it is moved back by 209 years, so that they are 91 then, about their true median.
    death                      the time of death in hospital, else the end of the day `DOD`.

`HOSPITAL_EXPIRE_FLAG` and `EXPIRE_FLAG`, which tell the end from the beginning, are not read. A row whose admission
`ADMISSIONS` does not have cannot be given a discharge time and is quarantined ("no such admission"); results, drugs
and movements have times of their own and are kept.
"""

from pathlib import Path

import polars as pl
from polars import col

from attending.config import Settings
from attending.ledger.context import Context
from attending.ledger.events import coded, end_of_day, event, first_of
from attending.ledger.table import Problem, Source, Table, day, integer, moment, text
from attending.ontology import naming
from attending.schema import (
    ADMISSION,
    BIRTH,
    DEATH,
    DIAGNOSIS_ICD9,
    DISCHARGE,
    INSURANCE,
    LAB,
    PROCEDURE_ICD9,
    RACE,
    SEX,
    SUBJECT_ID,
)
from attending.sources._mimic3.rows import (
    ADMISSIONS,
    DISCHARGED,
    ITEM,
    KEY,
    SUBJECT,
    VISIT,
    discharged,
    in_stay,
)
from attending.sources._mimic3.stay import CARE, RESULTS
from attending.sources._mimic3.units import INTENSIVE_CARE

PATIENTS = "patients"
STAY = (SUBJECT, integer("hadm_id", required=True))
ICD = text("icd9_code", required=True)
NO_ADMISSION = "no such admission"
CPT = "HCPCS"  # which begins with CPT, and is what MIMIC-IV calls them
DIED = {"DEAD/EXPIRED": "DIED"}  # as MIMIC-IV spells it
FIRST_TRUE_YEAR = 2000
"""Dates lie in the years 2100 to 2200: true births after 2010, those moved by 300 years before 1900."""


class Config(Settings):
    """Settings of the source: which optional tables to leave out, by name, such as `chartevents`."""

    leave_out: tuple[str, ...] = ()


def source(folder: Path, config: Config) -> Source:
    """Describe MIMIC-III."""
    tables = tuple(table for table in TABLES if table.required or table.name not in config.leave_out)
    return Source(name="MIMIC-III", tables=tables, subjects=PATIENTS, describe=describe)


# PATIENTS: GENDER//F (static), MEDS_BIRTH, MEDS_DEATH ----------------------------------------------


def patient_problems(patients: pl.DataFrame, context: Context) -> list[Problem]:
    """Find subjects given twice, and deaths before birth."""
    born = patients.select(_birth()).to_series()
    return [
        Problem(~patients[SUBJECT_ID].is_first_distinct(), "duplicated subject", SUBJECT_ID),
        Problem(patients["dod"] < born, "death before birth", "dod", whole_line=False),
    ]


def patient_events(patients: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give sex and birth; death comes with the admissions, which may know its hour."""
    return [
        event(patients, coded(SEX, col("gender")), time=None, when=col("gender").is_not_null()),
        event(patients, pl.lit(BIRTH), time=_birth()),
    ]


def _birth() -> pl.Expr:
    moved = (col("dob").dt.year() < FIRST_TRUE_YEAR) & (col("dob").dt.year() > 0)
    return pl.when(moved).then(col("dob").dt.offset_by("209y")).otherwise(col("dob"))


PATIENT_TABLE = Table(
    name=PATIENTS,
    path=PATIENTS,
    columns=(SUBJECT, text("gender"), day("dob"), day("dod")),
    problems=patient_problems,
    events=patient_events,
    required=True,
    reference=True,
)


# ADMISSIONS: HOSPITAL_ADMISSION//type//from, HOSPITAL_DISCHARGE//to, RACE//…, ED_REGISTRATION … -----


def admission_problems(admissions: pl.DataFrame, context: Context) -> list[Problem]:
    """Find admissions given twice, and times in an order that cannot be."""
    patients = context[PATIENTS].select(SUBJECT_ID, _birth().alias("born"))
    born = admissions.join(patients, on=SUBJECT_ID, how="left", maintain_order="left")["born"]
    once = admissions.select(pl.struct(KEY).is_first_distinct()).to_series()
    return [
        Problem(admissions["dischtime"] < admissions["admittime"], "discharge before admission", "dischtime"),
        Problem(~once, "duplicated admission", "hadm_id"),
        Problem(admissions["deathtime"] < born, "death before birth", "deathtime", whole_line=False),
    ]


def admission_events(admissions: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give the stay, what was written down on arrival, and death."""
    at_admission = {"time": col("admittime"), "visit": VISIT}
    admitted = coded(ADMISSION, col("admission_type"), col("admission_location"))
    left = coded(DISCHARGE, col("discharge_location").replace(DIED))
    complaint = col("diagnosis")
    return [
        event(admissions, pl.lit("ED_REGISTRATION"), time=col("edregtime"), visit=VISIT),
        event(admissions, admitted, **at_admission),
        *(
            event(admissions, coded(name, col(column)), when=col(column).is_not_null(), **at_admission)
            for name, column in ARRIVAL.items()
        ),
        event(
            admissions,
            pl.lit("ADMISSION_DIAGNOSIS"),
            text=complaint,
            when=complaint.is_not_null(),
            **at_admission,
        ),
        event(admissions, pl.lit("ED_OUT"), time=col("edouttime"), visit=VISIT),
        event(admissions, left, time=DISCHARGED, visit=VISIT),
        _deaths(admissions, context[PATIENTS]),
    ]


ARRIVAL = {
    RACE: "ethnicity",
    INSURANCE: "insurance",
    "MARITAL_STATUS": "marital_status",
    "LANGUAGE": "language",
    "RELIGION": "religion",
}


def _deaths(admissions: pl.DataFrame, patients: pl.DataFrame) -> pl.DataFrame:
    """One death a subject: the earliest time of death in hospital, else the end of the day of death."""
    in_hospital = admissions.drop_nulls("deathtime").sort("deathtime").unique(SUBJECT_ID, keep="first")
    hours = in_hospital.select(SUBJECT_ID, "deathtime", "hadm_id")
    deaths = patients.select(SUBJECT_ID, "dod").join(hours, on=SUBJECT_ID, how="left")
    return event(deaths, pl.lit(DEATH), time=first_of(col("deathtime"), end_of_day("dod")), visit=VISIT)


ADMISSION_TABLE = Table(
    name=ADMISSIONS,
    path=ADMISSIONS,
    columns=(
        *STAY,
        moment("admittime", required=True),
        moment("dischtime", required=True),
        moment("deathtime"),
        moment("edregtime"),
        moment("edouttime"),
        text("admission_type"),
        text("admission_location"),
        text("discharge_location"),
        text("diagnosis"),
        *(text(column) for column in ARRIVAL.values()),
    ),
    problems=admission_problems,
    events=admission_events,
    required=True,
    reference=True,
    unique="hadm_id",
)


# Codes given at discharge: DIAGNOSIS//ICD//9//4280, PROCEDURE//ICD//9//…, HCPCS//…, DRG//… ------------


def needs_admission(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find rows of admissions that are not there."""
    known = context[ADMISSIONS].select(*KEY, known=pl.lit(True))
    joined = rows.join(known, on=KEY, how="left", maintain_order="left")
    return [Problem(joined["known"].is_null(), NO_ADMISSION, "hadm_id")]


def diagnosis_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give diagnoses at discharge, in the order of their rank."""
    return [_ranked(rows, context, DIAGNOSIS_ICD9)]


def procedure_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give ICD procedures, whose day is not told, at discharge, in the order of their rank."""
    return [_ranked(rows, context, PROCEDURE_ICD9)]


def _ranked(rows: pl.DataFrame, context: Context, system: str) -> pl.DataFrame:
    ranked = discharged(rows, context).sort("seq_num", maintain_order=True)
    bare = col("icd9_code").str.strip_chars().str.replace_all(".", "", literal=True)
    return event(ranked, coded(system, bare), time=DISCHARGED, visit=VISIT, priority=col("seq_num"))


def cpt_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give billed CPT procedures on their day, or else at discharge; known at discharge."""
    code = coded(CPT, col("cpt_cd").str.strip_chars())
    time = first_of(in_stay("chartdate"), DISCHARGED)
    known = {"available": DISCHARGED, "priority": col("ticket_id_seq"), "visit": VISIT}
    return [event(discharged(rows, context), code, time=time, **known)]


def drg_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give diagnosis-related groups; a number's meaning changes with the years, so its words are in the code."""
    code = coded("DRG", col("drg_type").str.strip_chars(), col("drg_code"), col("description"))
    return [event(discharged(rows, context), code, time=DISCHARGED, visit=VISIT)]


CODED_AT_DISCHARGE = (
    Table(
        name="diagnoses_icd",
        path="diagnoses_icd",
        columns=(*STAY, integer("seq_num"), ICD),
        problems=needs_admission,
        events=diagnosis_events,
    ),
    Table(
        name="procedures_icd",
        path="procedures_icd",
        columns=(*STAY, integer("seq_num"), ICD),
        problems=needs_admission,
        events=procedure_events,
    ),
    Table(
        name="cptevents",
        path="cptevents",
        columns=(*STAY, day("chartdate"), text("cpt_cd", required=True), integer("ticket_id_seq")),
        problems=needs_admission,
        events=cpt_events,
    ),
    Table(
        name="drgcodes",
        path="drgcodes",
        columns=(*STAY, text("drg_type"), text("drg_code", required=True), text("description")),
        problems=needs_admission,
        events=drg_events,
    ),
)


# Names of codes -----------------------------------------------------------------------------------

DICTIONARIES = (
    Table(name="d_labitems", path="d_labitems", columns=(ITEM, text("label")), dictionary=True),
    Table(name="d_items", path="d_items", columns=(ITEM, text("label")), dictionary=True),
    Table(name="d_icd_diagnoses", path="d_icd_diagnoses", columns=(ICD, text("long_title")), dictionary=True),
    Table(
        name="d_icd_procedures", path="d_icd_procedures", columns=(ICD, text("long_title")), dictionary=True
    ),
    Table(
        name="d_cpt",
        path="d_cpt",
        columns=(
            integer("mincodeinsubsection", required=True),
            integer("maxcodeinsubsection", required=True),
            text("codesuffix"),
            text("subsectionheader"),
        ),
        dictionary=True,
    ),
)
ITEMS = (
    "PROCEDURE//START",
    "PROCEDURE//END",
    "INFUSION",
    "INFUSION_START",
    "INFUSION_END",
    "CHART",
    "DATETIME",
    "SUBJECT_FLUID_OUTPUT",
)


def describe(codes: pl.Series, dictionaries: Context) -> pl.DataFrame:
    """Name codes: ICD titles (public tables first), the labels of items, the sections of CPT."""
    labels = dict.fromkeys(ITEMS, _labels(dictionaries["d_items"], "itemid", "label")) | {
        LAB: _labels(dictionaries["d_labitems"], "itemid", "label"),
        DIAGNOSIS_ICD9: _labels(dictionaries["d_icd_diagnoses"], "icd9_code", "long_title"),
        PROCEDURE_ICD9: _labels(dictionaries["d_icd_procedures"], "icd9_code", "long_title"),
        CPT: _sections(codes, dictionaries["d_cpt"]),
    }
    return naming.describe(codes, labels)


def _labels(dictionary: pl.DataFrame, key: str, label: str) -> dict[str, str]:
    named = dictionary.drop_nulls([key, label])
    keys = named[key].cast(pl.String).str.strip_chars()
    return dict(zip(keys.to_list(), named[label].to_list(), strict=True))


def _sections(codes: pl.Series, dictionary: pl.DataFrame) -> dict[str, str]:
    """Return the section, and the number, of each CPT code of digits only: MIMIC-III names no single code."""
    billed = codes.to_frame("code").select(col("code").str.strip_prefix(f"{CPT}//").alias("cpt"))
    numbered = billed.with_columns(number=col("cpt").cast(pl.Int64, strict=False)).drop_nulls("number")
    plain = dictionary.filter(col("codesuffix").is_null()).drop_nulls("subsectionheader")
    found = numbered.join_where(
        plain, col("number") >= col("mincodeinsubsection"), col("number") <= col("maxcodeinsubsection")
    ).sort("cpt", col("maxcodeinsubsection") - col("mincodeinsubsection"), descending=[False, True])
    name = pl.concat_str(col("subsectionheader"), pl.lit(" ("), col("cpt"), pl.lit(")"))
    return dict(found.select("cpt", name.alias("name")).iter_rows())


TABLES: tuple[Table, ...] = (
    PATIENT_TABLE,
    ADMISSION_TABLE,
    *CARE,
    *RESULTS,
    *INTENSIVE_CARE,
    *CODED_AT_DISCHARGE,
    *DICTIONARIES,
)
