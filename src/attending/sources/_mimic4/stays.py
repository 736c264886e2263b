"""Who was where: patients, admissions, transfers between units, services."""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded, end_of_day, event, first_of
from attending.ledger.table import Problem, Table, day, integer, moment, text
from attending.schema import ADMISSION, BIRTH, DEATH, DISCHARGE, INSURANCE, RACE, SEX, SUBJECT_ID
from attending.sources._mimic4.rows import (
    ADMISSION_KEY,
    ADMISSIONS,
    DISCHARGED,
    PATIENTS,
    PERSON,
    SUBJECT,
    VISIT,
)

ARRIVAL = {RACE: "race", INSURANCE: "insurance", "MARITAL_STATUS": "marital_status", "LANGUAGE": "language"}


# hosp/patients: GENDER//F (static), MEDS_BIRTH, MEDS_DEATH -----------------------------------------


def patient_problems(patients: pl.DataFrame, context: Context) -> list[Problem]:
    """Find subjects given twice, years that cannot be, and deaths before birth."""
    born = patients.select(_birth()).to_series()
    impossible = patients.select(col("anchor_year").is_not_null() & _birth().is_null()).to_series()
    has_age = patients["anchor_age"].is_not_null()
    return [
        Problem(~patients[SUBJECT_ID].is_first_distinct(), "duplicated subject", SUBJECT_ID),
        Problem(impossible & has_age, "not a year of birth", "anchor_year", whole_line=False),
        Problem(patients["dod"] < born, "death before birth", "dod", whole_line=False),
    ]


def patient_events(patients: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give sex and birth; death comes with the admissions, which may know its hour."""
    return [
        event(patients, coded(SEX, col("gender")), time=None, when=col("gender").is_not_null()),
        event(patients, pl.lit(BIRTH), time=_birth()),
    ]


def _birth() -> pl.Expr:
    year = col("anchor_year") - col("anchor_age")
    return pl.date(pl.when(year.is_between(1, 9999)).then(year), 1, 1)


# hosp/admissions: HOSPITAL_ADMISSION//type//from, HOSPITAL_DISCHARGE//to, RACE//…, ED_REGISTRATION … -


def admission_problems(admissions: pl.DataFrame, context: Context) -> list[Problem]:
    """Find admissions given twice, and times in an order that cannot be."""
    patients = context[PATIENTS].select(SUBJECT_ID, _birth().alias("born"))
    born = admissions.join(patients, on=SUBJECT_ID, how="left", maintain_order="left")["born"]
    return [
        Problem(admissions["dischtime"] < admissions["admittime"], "discharge before admission", "dischtime"),
        Problem(
            ~admissions.select(pl.struct(ADMISSION_KEY).is_first_distinct()).to_series(),
            "duplicated admission",
            "hadm_id",
        ),
        Problem(admissions["deathtime"] < born, "death before birth", "deathtime", whole_line=False),
    ]


def admission_events(admissions: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give the stay, what was written down on arrival, and death."""
    at_admission = {"time": col("admittime"), "visit": VISIT}
    arrival = [
        event(admissions, coded(name, col(column)), when=col(column).is_not_null(), **at_admission)
        for name, column in ARRIVAL.items()
    ]
    return [
        event(admissions, pl.lit("ED_REGISTRATION"), time=col("edregtime"), visit=VISIT),
        event(
            admissions,
            coded(ADMISSION, col("admission_type"), col("admission_location")),
            **at_admission,
        ),
        *arrival,
        event(admissions, pl.lit("ED_OUT"), time=col("edouttime"), visit=VISIT),
        event(admissions, coded(DISCHARGE, col("discharge_location")), time=DISCHARGED, visit=VISIT),
        _deaths(admissions, context[PATIENTS]),
    ]


def _deaths(admissions: pl.DataFrame, patients: pl.DataFrame) -> pl.DataFrame:
    """One death a subject: the earliest time of death in hospital, else the end of the day of death."""
    in_hospital = admissions.drop_nulls("deathtime").sort("deathtime").unique(SUBJECT_ID, keep="first")
    hours = in_hospital.select(SUBJECT_ID, "deathtime", "hadm_id")
    deaths = patients.select(SUBJECT_ID, "dod").join(hours, on=SUBJECT_ID, how="left")
    return event(deaths, pl.lit(DEATH), time=first_of(col("deathtime"), end_of_day("dod")), visit=VISIT)


# hosp/transfers and services: TRANSFER_TO//kind//unit, SERVICE//name -------------------------------


def transfer_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give movements between units."""
    code = coded("TRANSFER_TO", col("eventtype"), col("careunit"))
    return [event(rows, code, time=col("intime"), visit=VISIT)]


def service_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give the service in charge from then on."""
    return [event(rows, coded("SERVICE", col("curr_service")), time=col("transfertime"), visit=VISIT)]


PEOPLE = (
    Table(
        name=PATIENTS,
        path="hosp/patients",
        columns=(SUBJECT, text("gender"), integer("anchor_age"), integer("anchor_year"), day("dod")),
        problems=patient_problems,
        events=patient_events,
        required=True,
        reference=True,
    ),
    Table(
        name=ADMISSIONS,
        path="hosp/admissions",
        columns=(
            SUBJECT,
            integer("hadm_id", required=True),
            moment("admittime", required=True),
            moment("dischtime", required=True),
            moment("deathtime"),
            moment("edregtime"),
            moment("edouttime"),
            text("admission_type"),
            text("admission_location"),
            text("discharge_location"),
            *(text(column) for column in ARRIVAL.values()),
        ),
        problems=admission_problems,
        events=admission_events,
        required=True,
        reference=True,
        unique="hadm_id",
    ),
)
MOVEMENTS = (
    Table(
        name="transfers",
        path="hosp/transfers",
        columns=(*PERSON, text("eventtype"), text("careunit"), moment("intime", required=True)),
        events=transfer_events,
    ),
    Table(
        name="services",
        path="hosp/services",
        columns=(*PERSON, moment("transfertime", required=True), text("curr_service", required=True)),
        events=service_events,
    ),
)
