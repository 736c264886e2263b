"""MIMIC-IV: the tables of PhysioNet's hospital database, `hosp/` and `icu/`, as `.csv` or `.csv.gz`.

Needs `hosp/patients` and `hosp/admissions`; every other table may be absent. What an event is called, when it
happened and when it became known is said beside each table below. The rules for time:

    codes given at discharge   diagnoses and DRGs happen, and are known, at discharge. ICD and HCPCS procedures
                               happen on their day but are known at discharge, when coders assign them.
    results                    happen when the specimen was taken or the value charted and are known when they
                               were stored; where no store time is given, when charted.
    dates without a time       stand for the last second of their day: what happened on a day is known when it
                               is over. A coded procedure on the day of discharge ends with the discharge.
    birth                      MIMIC gives an age in one year: 1 January of `anchor_year - anchor_age`.
    death                      the time of death in hospital, else the end of the day `dod`.

A row whose admission `hosp/admissions` does not have cannot be given a discharge time and is quarantined
("no such admission"); results, medications and movements have times of their own and are kept.
"""

from pathlib import Path

import polars as pl
from polars import col

from attending.config import Settings
from attending.ledger.events import coded, end_of_day, event, first_of
from attending.ledger.table import Context, Problem, Source, Table, day, integer, moment, number, text
from attending.ontology import naming
from attending.schema import (
    ADMISSION,
    BIRTH,
    DEATH,
    DIAGNOSIS,
    DISCHARGE,
    INSURANCE,
    LAB,
    MEDICATION,
    PROCEDURE,
    RACE,
    SEX,
    SUBJECT_ID,
)

PATIENTS, ADMISSIONS = "patients", "admissions"
KEY = [SUBJECT_ID, "hadm_id"]
SUBJECT = integer(SUBJECT_ID, required=True)
PERSON = (SUBJECT, integer("hadm_id"))
STAY = (SUBJECT, integer("hadm_id", required=True))
ICD = (text("icd_code", required=True), integer("icd_version", required=True))
ITEM = integer("itemid", required=True)
CHARTED = (moment("charttime", required=True), moment("storetime"))
MEASURED = (text("value"), number("valuenum"), text("valueuom"))
AMOUNT = (number("amount"), text("amountuom"))
INTERVAL = (moment("starttime", required=True), moment("endtime"), moment("storetime"))
NO_ADMISSION = "no such admission"
VISIT = col("hadm_id")
DISCHARGED = col("dischtime")


class Config(Settings):
    """Settings of the source: which optional tables to leave out, by name, such as `chartevents`."""

    leave_out: tuple[str, ...] = ()


def source(folder: Path, config: Config) -> Source:
    """Describe MIMIC-IV."""
    tables = tuple(table for table in TABLES if table.required or table.name not in config.leave_out)
    return Source(name="MIMIC-IV", tables=tables, subjects=PATIENTS, describe=describe)


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


PATIENT_TABLE = Table(
    name=PATIENTS,
    path="hosp/patients",
    columns=(SUBJECT, text("gender"), integer("anchor_age"), integer("anchor_year"), day("dod")),
    problems=patient_problems,
    events=patient_events,
    required=True,
    reference=True,
)


# hosp/admissions: HOSPITAL_ADMISSION//type//from, HOSPITAL_DISCHARGE//to, RACE//…, ED_REGISTRATION … -


def admission_problems(admissions: pl.DataFrame, context: Context) -> list[Problem]:
    """Find admissions given twice, and times in an order that cannot be."""
    patients = context[PATIENTS].select(SUBJECT_ID, _birth().alias("born"))
    born = admissions.join(patients, on=SUBJECT_ID, how="left", maintain_order="left")["born"]
    return [
        Problem(admissions["dischtime"] < admissions["admittime"], "discharge before admission", "dischtime"),
        Problem(
            ~admissions.select(pl.struct(KEY).is_first_distinct()).to_series(),
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


ARRIVAL = {RACE: "race", INSURANCE: "insurance", "MARITAL_STATUS": "marital_status", "LANGUAGE": "language"}


def _deaths(admissions: pl.DataFrame, patients: pl.DataFrame) -> pl.DataFrame:
    """One death a subject: the earliest time of death in hospital, else the end of the day of death."""
    in_hospital = admissions.drop_nulls("deathtime").sort("deathtime").unique(SUBJECT_ID, keep="first")
    hours = in_hospital.select(SUBJECT_ID, "deathtime", "hadm_id")
    deaths = patients.select(SUBJECT_ID, "dod").join(hours, on=SUBJECT_ID, how="left")
    return event(deaths, pl.lit(DEATH), time=first_of(col("deathtime"), end_of_day("dod")), visit=VISIT)


ADMISSION_TABLE = Table(
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
)


# Codes given at discharge: DIAGNOSIS//ICD//10//I509, PROCEDURE//ICD//…, DRG//…, HCPCS//… --------------


def needs_admission(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find rows of admissions that are not there."""
    known = context[ADMISSIONS].select(*KEY, known=pl.lit(True))
    joined = rows.join(known, on=KEY, how="left", maintain_order="left")
    return [Problem(joined["known"].is_null(), NO_ADMISSION, "hadm_id")]


def _discharged(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    discharges = context[ADMISSIONS].select(*KEY, "dischtime")
    return rows.join(discharges, on=KEY, how="left", maintain_order="left")


def _icd() -> pl.Expr:
    return col("icd_code").str.strip_chars().str.replace_all(".", "", literal=True)


def diagnosis_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give diagnoses at discharge, in the order of their rank."""
    ranked = _discharged(rows, context).sort("seq_num", maintain_order=True)
    code = coded(DIAGNOSIS, "ICD", col("icd_version"), _icd())
    return [event(ranked, code, time=DISCHARGED, visit=VISIT, priority=col("seq_num"))]


def procedure_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give ICD procedures on their day, known at discharge."""
    code = coded(PROCEDURE, "ICD", col("icd_version"), _icd())
    return [_coded_on_day(_discharged(rows, context), code)]


def hcpcs_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give billed HCPCS procedures on their day, known at discharge."""
    return [_coded_on_day(_discharged(rows, context), coded("HCPCS", col("hcpcs_cd").str.strip_chars()))]


def _coded_on_day(rows: pl.DataFrame, code: pl.Expr) -> pl.DataFrame:
    over = end_of_day("chartdate")
    on_last_day = col("chartdate") == DISCHARGED.dt.date()
    time = pl.when(on_last_day).then(pl.min_horizontal(over, DISCHARGED)).otherwise(over)
    return event(rows, code, time=time, available=DISCHARGED, visit=VISIT, priority=col("seq_num"))


def drg_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give diagnosis-related groups; a number's meaning changes with the years, so its words are in the code."""
    code = coded("DRG", col("drg_type"), col("drg_code"), col("description"))
    return [event(_discharged(rows, context), code, time=DISCHARGED, visit=VISIT)]


CODED_AT_DISCHARGE = (
    Table(
        name="diagnoses_icd",
        path="hosp/diagnoses_icd",
        columns=(*STAY, integer("seq_num"), *ICD),
        problems=needs_admission,
        events=diagnosis_events,
    ),
    Table(
        name="procedures_icd",
        path="hosp/procedures_icd",
        columns=(*STAY, integer("seq_num"), day("chartdate", required=True), *ICD),
        problems=needs_admission,
        events=procedure_events,
    ),
    Table(
        name="drgcodes",
        path="hosp/drgcodes",
        columns=(*STAY, text("drg_type"), text("drg_code", required=True), text("description")),
        problems=needs_admission,
        events=drg_events,
    ),
    Table(
        name="hcpcsevents",
        path="hosp/hcpcsevents",
        columns=(*STAY, day("chartdate", required=True), text("hcpcs_cd", required=True), integer("seq_num")),
        problems=needs_admission,
        events=hcpcs_events,
    ),
)


# Results: LAB//itemid//unit, MICROBIOLOGY//specimen//test//organism, OMR//name -------------------------


def _unless_numeric(words: str, value: str) -> pl.Expr:
    return pl.when(col(value).is_null()).then(col(words))


def lab_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give laboratory results: the number, else the words (`NEG`, `>500`), which may stand in the comments."""
    return [
        event(
            rows,
            coded(LAB, col("itemid"), col("valueuom")),
            time=col("charttime"),
            available=col("storetime"),
            numeric=col("valuenum"),
            text=pl.when(col("valuenum").is_null()).then(first_of(col("value"), col("comments"))),
            visit=VISIT,
        )
    ]


def microbiology_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give cultures: a row for each organism and antibiotic; the antibiotic and its verdict are the text."""
    organism = col("org_name").fill_null("NEGATIVE")
    return [
        event(
            rows,
            coded("MICROBIOLOGY", col("spec_type_desc"), col("test_name"), organism),
            time=first_of(col("charttime"), end_of_day("chartdate")),
            available=first_of(col("storetime"), end_of_day("storedate")),
            text=col("ab_name") + pl.lit("//") + col("interpretation").fill_null("UNK"),
            visit=VISIT,
        )
    ]


def omr_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give measurements outside the hospital stay: a number, or two for a blood pressure such as 120/80."""
    pair = col("result_value").str.extract_groups(r"^\s*(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)\s*$")
    systolic, diastolic = (pair.struct.field(which).cast(pl.Float64) for which in ("1", "2"))
    number_or_null = col("result_value").str.strip_chars().cast(pl.Float64, strict=False)
    value = pl.when(number_or_null.is_finite()).then(number_or_null)
    known = {"time": end_of_day("chartdate"), "priority": col("seq_num")}
    is_pair = systolic.is_not_null()
    name = col("result_name")
    return [
        event(
            rows,
            coded("OMR", name),
            numeric=value,
            text=pl.when(value.is_null()).then(col("result_value")),
            when=~is_pair.fill_null(False),
            **known,
        ),
        event(rows, coded("OMR", name, "SYSTOLIC"), numeric=systolic, when=is_pair, **known),
        event(rows, coded("OMR", name, "DIASTOLIC"), numeric=diastolic, when=is_pair, **known),
    ]


RESULTS = (
    Table(
        name="labevents",
        path="hosp/labevents",
        columns=(*PERSON, ITEM, *CHARTED, *MEASURED, text("comments")),
        events=lab_events,
    ),
    Table(
        name="microbiologyevents",
        path="hosp/microbiologyevents",
        columns=(
            *PERSON,
            day("chartdate", required=True),
            moment("charttime"),
            day("storedate"),
            moment("storetime"),
            *(
                text(name)
                for name in ("spec_type_desc", "test_name", "org_name", "ab_name", "interpretation")
            ),
        ),
        events=microbiology_events,
    ),
    Table(
        name="omr",
        path="hosp/omr",
        columns=(
            SUBJECT,
            day("chartdate", required=True),
            integer("seq_num"),
            text("result_name", required=True),
            text("result_value"),
        ),
        events=omr_events,
    ),
)


# Care: MEDICATION//drug, TRANSFER_TO//kind//unit, SERVICE//name ----------------------------------------


def prescription_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give prescriptions at their start; the dose and its unit are the text."""
    dose = pl.concat_str(col("dose_val_rx"), col("dose_unit_rx"), separator=" ", ignore_nulls=True)
    text_value = pl.when(col("dose_val_rx").is_not_null()).then(dose)
    return [event(rows, coded(MEDICATION, col("drug")), time=col("starttime"), text=text_value, visit=VISIT)]


def transfer_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give movements between units."""
    code = coded("TRANSFER_TO", col("eventtype"), col("careunit"))
    return [event(rows, code, time=col("intime"), visit=VISIT)]


def service_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give the service in charge from then on."""
    return [event(rows, coded("SERVICE", col("curr_service")), time=col("transfertime"), visit=VISIT)]


CARE = (
    Table(
        name="prescriptions",
        path="hosp/prescriptions",
        columns=(
            *PERSON,
            moment("starttime", required=True),
            text("drug", required=True),
            text("dose_val_rx"),
            text("dose_unit_rx"),
        ),
        events=prescription_events,
    ),
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


# icu/: ICU_ADMISSION//unit, PROCEDURE//START//item, INFUSION_START//item//unit, CHART//item//unit … ------


def icu_stay_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give stays in intensive care."""
    return [
        event(rows, coded("ICU_ADMISSION", col("first_careunit")), time=col("intime"), visit=VISIT),
        event(rows, coded("ICU_DISCHARGE", col("last_careunit")), time=col("outtime"), visit=VISIT),
    ]


def icu_procedure_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give procedures at the bedside, their start and end."""
    known = {"available": col("storetime"), "visit": VISIT}
    return [
        event(rows, coded(PROCEDURE, "START", col("itemid")), time=col("starttime"), **known),
        event(rows, coded(PROCEDURE, "END", col("itemid")), time=col("endtime"), **known),
    ]


def input_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give infusions: the rate, or the amount where there is no rate, at the start; the end."""
    unit = first_of(col("rateuom"), col("amountuom"))
    known = {"available": col("storetime"), "visit": VISIT}
    value = first_of(col("rate"), col("amount"))
    start = coded("INFUSION_START", col("itemid"), unit)
    return [
        event(rows, start, time=col("starttime"), numeric=value, **known),
        event(rows, coded("INFUSION_END", col("itemid")), time=col("endtime"), **known),
    ]


def ingredient_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give what infusions contained: the amount from start to end, so at the end."""
    code = coded("INGREDIENT", col("itemid"), col("amountuom"))
    time = first_of(col("endtime"), col("starttime"))
    return [event(rows, code, time=time, available=col("storetime"), numeric=col("amount"), visit=VISIT)]


def output_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give fluids that left the body."""
    code = coded("SUBJECT_FLUID_OUTPUT", col("itemid"), col("valueuom"))
    known = {"time": col("charttime"), "available": col("storetime"), "visit": VISIT}
    return [event(rows, code, numeric=col("value"), **known)]


def chart_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give what nurses chart: the number, or the words where there is none."""
    code = coded("CHART", col("itemid"), col("valueuom"))
    words = _unless_numeric("value", "valuenum")
    known = {"time": col("charttime"), "available": col("storetime"), "visit": VISIT}
    return [event(rows, code, numeric=col("valuenum"), text=words, **known)]


def date_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give dates that were charted, such as that of a line: the date is the text."""
    code = coded("DATETIME", col("itemid"))
    known = {"time": col("charttime"), "available": col("storetime"), "visit": VISIT}
    return [event(rows, code, text=col("value"), **known)]


INTENSIVE_CARE = (
    Table(
        name="icustays",
        path="icu/icustays",
        columns=(
            *PERSON,
            text("first_careunit"),
            text("last_careunit"),
            moment("intime", required=True),
            moment("outtime"),
        ),
        events=icu_stay_events,
    ),
    Table(
        name="procedureevents",
        path="icu/procedureevents",
        columns=(*PERSON, *INTERVAL, ITEM),
        events=icu_procedure_events,
    ),
    Table(
        name="inputevents",
        path="icu/inputevents",
        columns=(*PERSON, *INTERVAL, ITEM, *AMOUNT, number("rate"), text("rateuom")),
        events=input_events,
    ),
    Table(
        name="ingredientevents",
        path="icu/ingredientevents",
        columns=(*PERSON, *INTERVAL, ITEM, *AMOUNT),
        events=ingredient_events,
    ),
    Table(
        name="outputevents",
        path="icu/outputevents",
        columns=(*PERSON, *CHARTED, ITEM, number("value"), text("valueuom")),
        events=output_events,
    ),
    Table(
        name="chartevents",
        path="icu/chartevents",
        columns=(*PERSON, *CHARTED, ITEM, *MEASURED),
        events=chart_events,
    ),
    Table(
        name="datetimeevents",
        path="icu/datetimeevents",
        columns=(*PERSON, *CHARTED, ITEM, text("value")),
        events=date_events,
    ),
)


# Names of codes -----------------------------------------------------------------------------------

DICTIONARIES = (
    Table(name="d_labitems", path="hosp/d_labitems", columns=(ITEM, text("label")), dictionary=True),
    Table(name="d_items", path="icu/d_items", columns=(ITEM, text("label")), dictionary=True),
    Table(
        name="d_hcpcs",
        path="hosp/d_hcpcs",
        columns=(text("code", required=True), text("short_description")),
        dictionary=True,
    ),
    Table(
        name="d_icd_diagnoses",
        path="hosp/d_icd_diagnoses",
        columns=(*ICD, text("long_title")),
        dictionary=True,
    ),
    Table(
        name="d_icd_procedures",
        path="hosp/d_icd_procedures",
        columns=(*ICD, text("long_title")),
        dictionary=True,
    ),
)
ITEMS = (
    "PROCEDURE//START",
    "PROCEDURE//END",
    "INFUSION_START",
    "INFUSION_END",
    "INGREDIENT",
    "CHART",
    "DATETIME",
)


def describe(codes: pl.Series, dictionaries: Context) -> pl.DataFrame:
    """Name codes: ICD titles (public tables first), the labels of items, short words for HCPCS."""
    items = _labels(dictionaries["d_items"], "itemid", "label")
    labels = dict.fromkeys((*ITEMS, "SUBJECT_FLUID_OUTPUT"), items) | {
        LAB: _labels(dictionaries["d_labitems"], "itemid", "label"),
        "HCPCS": _labels(dictionaries["d_hcpcs"], "code", "short_description"),
    }
    for kind, name in ((DIAGNOSIS, "d_icd_diagnoses"), (PROCEDURE, "d_icd_procedures")):
        for version in (9, 10):
            titles = dictionaries[name].filter(col("icd_version") == version)
            labels[f"{kind}//ICD//{version}"] = _labels(titles, "icd_code", "long_title")
    return naming.describe(codes, labels)


def _labels(dictionary: pl.DataFrame, key: str, label: str) -> dict[str, str]:
    named = dictionary.drop_nulls([key, label])
    keys = named[key].cast(pl.String).str.strip_chars()
    return dict(zip(keys.to_list(), named[label].to_list(), strict=True))


TABLES: tuple[Table, ...] = (
    PATIENT_TABLE,
    ADMISSION_TABLE,
    *CARE,
    *RESULTS,
    *INTENSIVE_CARE,
    *CODED_AT_DISCHARGE,
    *DICTIONARIES,
)
