"""Notes (MIMIC-IV-Note): the text of discharge summaries and radiology reports, NOTE//kind//type.

The type is MIMIC's: `DS` a summary, `RR` a report, `AD` and `AR` their addenda. A note is known when it was stored.
The time of a discharge summary is a date at midnight, so it stands for the last second of that day; one that was
never marked as stored is known then, or at the discharge if that is later. Details give RADIOLOGY//field//value,
the examination and its codes, known with the report; links between notes and names of authors have no event.
"""

from functools import partial

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded, event, first_of
from attending.ledger.table import Problem, Table, moment, text
from attending.schema import MICROSECONDS, SUBJECT_ID
from attending.sources._mimic4.rows import PERSON, SUBJECT, VISIT, beside, discharged, missing

DISCHARGE, RADIOLOGY = "discharge", "radiology"
NOTE_KEY = (SUBJECT_ID, "note_id")
NO_NOTE = "no such note"
_LAST_SECOND = pl.duration(hours=23, minutes=59, seconds=59)


def summary_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give discharge summaries."""
    written = discharged(_dated(rows, dates=True), context)
    known = first_of(col("storetime"), col("dischtime"))
    return [_note(written, DISCHARGE, known)]


def report_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give radiology reports."""
    return [_note(rows, RADIOLOGY, col("storetime"))]


def _note(rows: pl.DataFrame, kind: str, known: pl.Expr) -> pl.DataFrame:
    code = coded("NOTE", kind, col("note_type"))
    return event(rows, code, time=col("charttime"), available=known, text=col("text"), visit=VISIT)


def _dated(rows: pl.DataFrame, *, dates: bool) -> pl.DataFrame:
    """Let a time at midnight stand for the end of its day, where times are `dates`."""
    at = col("charttime").cast(MICROSECONDS)
    is_date = (at == at.dt.truncate("1d")) & dates
    return rows.with_columns(pl.when(is_date).then(at + _LAST_SECOND).otherwise(at).alias("charttime"))


def detail_problems(note: str, rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find details of notes that are not there: nothing else says when they were."""
    return [Problem(missing(rows, context[note], NOTE_KEY), NO_NOTE, "note_id")]


def detail_events(note: str, rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give what the details say of the examination."""
    noted = beside(rows, context[note], NOTE_KEY, "charttime", "storetime", "hadm_id")
    noted = _dated(noted, dates=note == DISCHARGE)
    field = col("field_name")
    tells = (field != "author") & ~field.str.ends_with("note_id") & col("field_value").is_not_null()
    code = coded(note.upper(), field, col("field_value"))
    known = {"time": col("charttime"), "available": col("storetime"), "visit": VISIT}
    return [event(noted, code, when=tells, **known)]


NOTE = (
    *PERSON,
    text("note_id"),
    text("note_type"),
    moment("charttime", required=True),
    moment("storetime"),
    text("text", required=True),
)
DETAIL = (SUBJECT, text("note_id", required=True), text("field_name", required=True), text("field_value"))
NOTES = (
    Table(
        name=DISCHARGE,
        path="**/note/discharge",
        columns=NOTE,
        events=summary_events,
        reference=True,
    ),
    Table(
        name="discharge_detail",
        path="**/note/discharge_detail",
        columns=DETAIL,
        problems=partial(detail_problems, DISCHARGE),
        events=partial(detail_events, DISCHARGE),
    ),
    Table(
        name=RADIOLOGY,
        path="**/note/radiology",
        columns=NOTE,
        events=report_events,
        reference=True,
    ),
    Table(
        name="radiology_detail",
        path="**/note/radiology_detail",
        columns=DETAIL,
        problems=partial(detail_problems, RADIOLOGY),
        events=partial(detail_events, RADIOLOGY),
    ),
)
