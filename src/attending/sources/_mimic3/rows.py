"""What the tables of MIMIC-III share: whose a row is, when its stay ends, how a date stands in it, errors."""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import end_of_day
from attending.ledger.table import Problem, integer
from attending.schema import SUBJECT_ID

ADMISSIONS = "admissions"
KEY = [SUBJECT_ID, "hadm_id"]
SUBJECT = integer(SUBJECT_ID, required=True)
PERSON = (SUBJECT, integer("hadm_id"))
ITEM = integer("itemid", required=True)
VISIT = col("hadm_id")
DISCHARGED = col("dischtime")
ERROR = "marked as an error"


def discharged(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Give rows the time of discharge of their admission."""
    discharges = context[ADMISSIONS].select(*KEY, "dischtime")
    return rows.join(discharges, on=KEY, how="left", maintain_order="left")


def in_stay(date: str) -> pl.Expr:
    """Return the last second of a date, or the discharge where that is on the same day."""
    over = end_of_day(date)
    on_last_day = (col(date) == DISCHARGED.dt.date()).fill_null(False)
    return pl.when(on_last_day).then(pl.min_horizontal(over, DISCHARGED)).otherwise(over)


def marked_as_error(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find rows that were marked as an error."""
    column = "iserror" if "iserror" in rows.columns else "error"
    return [Problem((rows[column] == 1).fill_null(False), ERROR, column)]
