"""Medication in the ward: prescribed, filled by the pharmacy, given at the bedside.

prescriptions   MEDICATION//drug at its start; the dose is the text
pharmacy        MEDICATION//START//drug and MEDICATION//STOP//drug, known when the pharmacy entered the order; an
                order without a drug has its kind instead, such as `IV Large Volume`
emar            MEDICATION//drug//what was done, such as `Administered` or `Not Given`, known when stored
emar_detail     MEDICATION_DOSE//drug//unit and MEDICATION_RATE//drug//unit, at the time of the administration
                that they belong to; a row that only says what was due has no event
"""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded, event, first_of
from attending.ledger.table import Problem, Table, integer, moment, text, value, words
from attending.schema import MEDICATION, SUBJECT_ID
from attending.sources._mimic4.rows import PERSON, SUBJECT, VISIT, beside, missing

EMAR = "emar"
EMAR_KEY = (SUBJECT_ID, "emar_seq")
NO_ADMINISTRATION = "no such administration"


def prescription_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give prescriptions at their start; the dose and its unit are the text."""
    dose = pl.concat_str(col("dose_val_rx"), col("dose_unit_rx"), separator=" ", ignore_nulls=True)
    text_value = pl.when(col("dose_val_rx").is_not_null()).then(dose)
    return [event(rows, coded(MEDICATION, col("drug")), time=col("starttime"), text=text_value, visit=VISIT)]


def pharmacy_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give the start and the stop of what the pharmacy filled; how often it is due is the text."""
    drug = first_of(col("medication"), col("proc_type"))
    known = {"available": col("entertime"), "visit": VISIT}
    return [
        event(rows, coded(MEDICATION, "START", drug), time=col("starttime"), text=col("frequency"), **known),
        event(rows, coded(MEDICATION, "STOP", drug), time=col("stoptime"), **known),
    ]


def emar_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give what nurses recorded of each dose that was due."""
    code = coded(MEDICATION, col("medication"), col("event_txt"))
    return [event(rows, code, time=col("charttime"), available=col("storetime"), visit=VISIT)]


def emar_detail_problems(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find details of administrations that are not there: nothing else says when they were."""
    return [Problem(missing(rows, context[EMAR], EMAR_KEY), NO_ADMINISTRATION, "emar_seq")]


def emar_detail_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give the doses and the rates that were given."""
    columns = ("charttime", "storetime", "medication", "hadm_id")
    given = beside(rows, context[EMAR], EMAR_KEY, *columns)
    drug = first_of(col("medication"), col("product_description"))
    return [
        _amount(given, coded("MEDICATION_DOSE", drug, col("dose_given_unit")), "dose_given"),
        _amount(given, coded("MEDICATION_RATE", drug, col("infusion_rate_unit")), "infusion_rate"),
    ]


def _amount(given: pl.DataFrame, code: pl.Expr, column: str) -> pl.DataFrame:
    return event(
        given,
        code,
        time=col("charttime"),
        available=col("storetime"),
        numeric=col(column),
        text=col(words(column)),
        visit=VISIT,
        when=col(column).is_not_null() | col(words(column)).is_not_null(),
    )


MEDICATIONS = (
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
        name="pharmacy",
        path="hosp/pharmacy",
        columns=(
            *PERSON,
            moment("starttime", required=True),
            moment("stoptime"),
            moment("entertime"),
            text("medication"),
            text("proc_type"),
            text("frequency"),
        ),
        events=pharmacy_events,
    ),
    Table(
        name=EMAR,
        path="hosp/emar",
        columns=(
            *PERSON,
            integer("emar_seq", required=True),
            moment("charttime", required=True),
            moment("storetime"),
            text("medication"),
            text("event_txt"),
        ),
        events=emar_events,
        reference=True,
    ),
    Table(
        name="emar_detail",
        path="hosp/emar_detail",
        columns=(
            SUBJECT,
            integer("emar_seq", required=True),
            value("dose_given"),
            text("dose_given_unit"),
            text("product_description"),
            value("infusion_rate"),
            text("infusion_rate_unit"),
        ),
        problems=emar_detail_problems,
        events=emar_detail_events,
    ),
)
