"""What the tables of MIMIC-IV share: columns, and how a row finds its admission."""

from collections.abc import Sequence

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.table import Problem, integer, moment, number, text, value
from attending.schema import SUBJECT_ID

PATIENTS, ADMISSIONS = "patients", "admissions"
ADMISSION_KEY = (SUBJECT_ID, "hadm_id")
NO_ADMISSION = "no such admission"

SUBJECT = integer(SUBJECT_ID, required=True)
PERSON = (SUBJECT, integer("hadm_id"))
STAY = (SUBJECT, integer("hadm_id", required=True))
ICD = (text("icd_code", required=True), integer("icd_version", required=True))
ITEM = integer("itemid", required=True)
CHARTED = (moment("charttime", required=True), moment("storetime"))
MEASURED = (number("valuenum"), value("value", unless="valuenum"), text("valueuom"))
VISIT = col("hadm_id")
DISCHARGED = col("dischtime")


def beside(rows: pl.DataFrame, others: pl.DataFrame, key: Sequence[str], *columns: str) -> pl.DataFrame:
    """Put `columns` of the row of `others` that has the same `key` beside each row, null where there is none."""
    known = others.select(*key, *columns).unique(key, keep="first", maintain_order=True)
    return rows.join(known, on=key, how="left", maintain_order="left")


def missing(rows: pl.DataFrame, others: pl.DataFrame, key: Sequence[str]) -> pl.Series:
    """Say which rows have no row in `others` with the same `key`."""
    return beside(rows, others.with_columns(known=pl.lit(True)), key, "known")["known"].is_null()


def needs_admission(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find rows of admissions that are not there."""
    return [Problem(missing(rows, context[ADMISSIONS], ADMISSION_KEY), NO_ADMISSION, "hadm_id")]


def discharged(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Put the time of discharge beside each row."""
    return beside(rows, context[ADMISSIONS], ADMISSION_KEY, "dischtime")


def icd_code() -> pl.Expr:
    """Return an ICD code without its dot and the blanks around it."""
    return col("icd_code").str.strip_chars().str.replace_all(".", "", literal=True)


def number_or_parsed() -> pl.Expr:
    """Return the number of a measurement: `valuenum`, else what `value` says of one."""
    return col("valuenum").fill_null(col("value"))
