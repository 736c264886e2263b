"""What the units of MIMIC-III chart: stays, infusions, procedures, observations, fluids.

    icustays               ICU_ADMISSION//unit … ICU_DISCHARGE//unit
    inputevents_cv         INFUSION//itemid//unit, the rate or the amount when charted
    inputevents_mv         INFUSION_START//itemid//unit and INFUSION_END//itemid
    procedureevents_mv     PROCEDURE//START//itemid and PROCEDURE//END//itemid
    chartevents            CHART//itemid//unit; datetimeevents DATETIME//itemid
    outputevents           SUBJECT_FLUID_OUTPUT//itemid//unit

Whatever has a `storetime` is known then. A row that was marked as an error, or rewritten, is quarantined as such.
"""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded, event, first_of
from attending.ledger.table import Column, Problem, Table, integer, moment, number, text, value, words
from attending.schema import PROCEDURE
from attending.sources._mimic3.rows import (
    ITEM,
    PERSON,
    VISIT,
    marked_as_error,
)

CHARTED = (moment("charttime", required=True), moment("storetime"))
INTERVAL = (moment("starttime", required=True), moment("endtime"), moment("storetime"))
QUANTITY = (number("amount"), text("amountuom"), number("rate"), text("rateuom"))
REWRITTEN = "rewritten"


def rewritten(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find orders that another row replaces."""
    status = rows["statusdescription"].str.strip_chars()
    return [Problem((status == "Rewritten").fill_null(False), REWRITTEN, "statusdescription")]


def icu_stay_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
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


def infusion_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give what MetaVision recorded: the rate, or the amount where there is no rate, at the start; the end."""
    start = coded("INFUSION_START", col("itemid"), _unit())
    known = {"available": col("storetime"), "visit": VISIT}
    return [
        event(rows, start, time=col("starttime"), numeric=_quantity(), **known),
        event(rows, coded("INFUSION_END", col("itemid")), time=col("endtime"), **known),
    ]


def charted_infusion_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give what CareVue recorded, which charts rates and amounts from time to time; `stopped` is the text."""
    code = coded("INFUSION", col("itemid"), _unit())
    known = {"time": col("charttime"), "available": col("storetime"), "visit": VISIT}
    return [event(rows, code, numeric=_quantity(), text=col("stopped"), **known)]


def _unit() -> pl.Expr:
    return pl.when(col("rate").is_not_null()).then(col("rateuom")).otherwise(col("amountuom"))


def _quantity() -> pl.Expr:
    return first_of(col("rate"), col("amount"))


def output_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give fluids that left the body."""
    code = coded("SUBJECT_FLUID_OUTPUT", col("itemid"), col("valueuom"))
    known = {"time": col("charttime"), "available": col("storetime"), "visit": VISIT}
    return [event(rows, code, numeric=col("value"), **known)]


def chart_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give what nurses chart: the number, or the words where there is none."""
    code = coded("CHART", col("itemid"), col("valueuom"))
    numeric = first_of(col("valuenum"), col("value"))
    known = {"time": col("charttime"), "available": col("storetime"), "visit": VISIT}
    return [event(rows, code, numeric=numeric, text=col(words("value")), **known)]


def date_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give dates that were charted, such as that of a line: the date is the text."""
    known = {"time": col("charttime"), "available": col("storetime"), "visit": VISIT}
    return [event(rows, coded("DATETIME", col("itemid")), text=col("value"), **known)]


def _unit_table(name: str, *columns: Column, **how: object) -> Table:
    return Table(name=name, path=name, columns=(*PERSON, *columns), **how)  # type: ignore[arg-type]


INTENSIVE_CARE = (
    _unit_table(
        "icustays",
        text("first_careunit"),
        text("last_careunit"),
        moment("intime", required=True),
        moment("outtime"),
        events=icu_stay_events,
    ),
    _unit_table(
        "procedureevents_mv",
        *INTERVAL,
        ITEM,
        text("statusdescription"),
        problems=rewritten,
        events=procedure_events,
    ),
    _unit_table(
        "inputevents_mv",
        *INTERVAL,
        ITEM,
        *QUANTITY,
        text("statusdescription"),
        problems=rewritten,
        events=infusion_events,
    ),
    _unit_table("inputevents_cv", *CHARTED, ITEM, *QUANTITY, text("stopped"), events=charted_infusion_events),
    _unit_table(
        "outputevents",
        *CHARTED,
        ITEM,
        number("value"),
        text("valueuom"),
        integer("iserror"),
        problems=marked_as_error,
        events=output_events,
    ),
    _unit_table(
        "chartevents",
        *CHARTED,
        ITEM,
        value("value", unless="valuenum"),
        number("valuenum"),
        text("valueuom"),
        integer("error"),
        problems=marked_as_error,
        events=chart_events,
    ),
    _unit_table(
        "datetimeevents",
        *CHARTED,
        ITEM,
        text("value"),
        integer("error"),
        problems=marked_as_error,
        events=date_events,
    ),
)
