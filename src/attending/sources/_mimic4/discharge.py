"""Codes that the discharge assigns: DIAGNOSIS//ICD//10//I509, PROCEDURE//ICD//…, DRG//…, HCPCS//…."""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded, end_of_day, event
from attending.ledger.table import Table, day, integer, text
from attending.schema import DIAGNOSIS, PROCEDURE
from attending.sources._mimic4.rows import (
    DISCHARGED,
    ICD,
    STAY,
    VISIT,
    discharged,
    icd_code,
    needs_admission,
)


def diagnosis_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give diagnoses at discharge, in the order of their rank."""
    ranked = discharged(rows, context).sort("seq_num", maintain_order=True)
    code = coded(DIAGNOSIS, "ICD", col("icd_version"), icd_code())
    return [event(ranked, code, time=DISCHARGED, visit=VISIT, priority=col("seq_num"))]


def procedure_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give ICD procedures on their day, known at discharge."""
    code = coded(PROCEDURE, "ICD", col("icd_version"), icd_code())
    return [_coded_on_day(discharged(rows, context), code)]


def hcpcs_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give billed HCPCS procedures on their day, known at discharge."""
    return [_coded_on_day(discharged(rows, context), coded("HCPCS", col("hcpcs_cd").str.strip_chars()))]


def _coded_on_day(rows: pl.DataFrame, code: pl.Expr) -> pl.DataFrame:
    over = end_of_day("chartdate")
    on_last_day = col("chartdate") == DISCHARGED.dt.date()
    time = pl.when(on_last_day).then(pl.min_horizontal(over, DISCHARGED)).otherwise(over)
    return event(rows, code, time=time, available=DISCHARGED, visit=VISIT, priority=col("seq_num"))


def drg_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give diagnosis-related groups; a number's meaning changes with the years, so its words are in the code."""
    code = coded("DRG", col("drg_type"), col("drg_code"), col("description"))
    return [event(discharged(rows, context), code, time=DISCHARGED, visit=VISIT)]


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
