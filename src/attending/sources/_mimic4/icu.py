"""Intensive care: ICU_ADMISSION//unit, PROCEDURE//START//item, INFUSION_START//item//unit, CHART//item//unit …."""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded, event, first_of
from attending.ledger.table import Table, moment, number, text, words
from attending.schema import PROCEDURE
from attending.sources._mimic4.rows import CHARTED, ITEM, MEASURED, PERSON, VISIT, number_or_parsed

AMOUNT = (number("amount"), text("amountuom"))
INTERVAL = (moment("starttime", required=True), moment("endtime"), moment("storetime"))
ITEMS = (
    "PROCEDURE//START",
    "PROCEDURE//END",
    "INFUSION_START",
    "INFUSION_END",
    "INGREDIENT",
    "CHART",
    "DATETIME",
    "SUBJECT_FLUID_OUTPUT",
)
"""The codes that an item of `d_items` follows."""


def stay_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give stays in intensive care."""
    return [
        event(rows, coded("ICU_ADMISSION", col("first_careunit")), time=col("intime"), visit=VISIT),
        event(rows, coded("ICU_DISCHARGE", col("last_careunit")), time=col("outtime"), visit=VISIT),
    ]


def procedure_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
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
    return [event(rows, code, numeric=col("value"), **_charted())]


def chart_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give what nurses chart: the number, and the words where there are some."""
    code = coded("CHART", col("itemid"), col("valueuom"))
    return [event(rows, code, numeric=number_or_parsed(), text=col(words("value")), **_charted())]


def date_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give dates that were charted, such as that of a line: the date is the text."""
    return [event(rows, coded("DATETIME", col("itemid")), text=col("value"), **_charted())]


def _charted() -> dict[str, pl.Expr]:
    return {"time": col("charttime"), "available": col("storetime"), "visit": VISIT}


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
        events=stay_events,
    ),
    Table(
        name="procedureevents",
        path="icu/procedureevents",
        columns=(*PERSON, *INTERVAL, ITEM),
        events=procedure_events,
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
