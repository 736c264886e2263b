"""Orders of providers: ORDER//type//subtype//transaction when it was made, ORDER_DETAIL//field//value with it."""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded, event
from attending.ledger.table import Problem, Table, integer, moment, text
from attending.schema import SUBJECT_ID
from attending.sources._mimic4.rows import PERSON, SUBJECT, VISIT, beside, missing

POE = "poe"
POE_KEY = (SUBJECT_ID, "poe_seq")
NO_ORDER = "no such order"
_TIME_FIELD = "Consult Status Time"


def order_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give orders."""
    code = coded("ORDER", col("order_type"), col("order_subtype"), col("transaction_type"))
    return [event(rows, code, time=col("ordertime"), visit=VISIT)]


def detail_problems(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find details of orders that are not there: nothing else says when they were made."""
    return [Problem(missing(rows, context[POE], POE_KEY), NO_ORDER, "poe_seq")]


def detail_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give details, such as the code status; a time is the text, and all else is of few values and in the code."""
    ordered = beside(rows, context[POE], POE_KEY, "ordertime", "hadm_id")
    field, said = col("field_name"), col("field_value").str.strip_chars()
    known = {"time": col("ordertime"), "visit": VISIT}
    is_time = field == _TIME_FIELD
    return [
        event(ordered, coded("ORDER_DETAIL", field, said), when=~is_time, **known),
        event(ordered, coded("ORDER_DETAIL", field), text=said, when=is_time, **known),
    ]


ORDERS = (
    Table(
        name=POE,
        path="hosp/poe",
        columns=(
            *PERSON,
            integer("poe_seq", required=True),
            moment("ordertime", required=True),
            text("order_type", required=True),
            text("order_subtype"),
            text("transaction_type"),
        ),
        events=order_events,
        reference=True,
    ),
    Table(
        name="poe_detail",
        path="hosp/poe_detail",
        columns=(
            SUBJECT,
            integer("poe_seq", required=True),
            text("field_name", required=True),
            text("field_value"),
        ),
        problems=detail_problems,
        events=detail_events,
    ),
)
