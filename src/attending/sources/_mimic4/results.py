"""Results: LAB//itemid//unit, MICROBIOLOGY//specimen//test//organism, OMR//name."""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import UNKNOWN, coded, end_of_day, event, first_of
from attending.ledger.table import Table, day, integer, moment, text, value, words
from attending.schema import LAB, SEPARATOR
from attending.sources._mimic4.rows import CHARTED, ITEM, MEASURED, PERSON, SUBJECT, VISIT, number_or_parsed

_PAIR = r"^\s*(\d+(?:\.\d+)?)\s*/\s*(\d+(?:\.\d+)?)\s*$"


def lab_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give laboratory results: the number, and the words (`NEG`, `>500`), which may stand in the comments."""
    nothing = col("valuenum").is_null() & col("value").is_null()
    said = pl.when(nothing).then(first_of(col(words("value")), col("comments")))
    return [
        event(
            rows,
            coded(LAB, col("itemid"), col("valueuom")),
            time=col("charttime"),
            available=col("storetime"),
            numeric=number_or_parsed(),
            text=said.otherwise(col(words("value"))),
            visit=VISIT,
        )
    ]


def microbiology_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give cultures, a row for each organism and antibiotic; the verdict, or else the comment, is the text."""
    organism = col("org_name").fill_null("NEGATIVE")
    verdict = col("ab_name") + pl.lit(SEPARATOR) + col("interpretation").fill_null(UNKNOWN)
    return [
        event(
            rows,
            coded("MICROBIOLOGY", col("spec_type_desc"), col("test_name"), organism),
            time=first_of(col("charttime"), end_of_day("chartdate")),
            available=first_of(col("storetime"), end_of_day("storedate")),
            text=first_of(verdict, col("comments")),
            visit=VISIT,
        )
    ]


def omr_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give measurements outside the hospital stay: a number, or two for a blood pressure such as 120/80."""
    said = col(words("result_value"))
    pair = said.str.extract_groups(_PAIR)
    systolic, diastolic = (pair.struct.field(which).cast(pl.Float64) for which in ("1", "2"))
    known = {"time": end_of_day("chartdate"), "priority": col("seq_num")}
    is_pair = systolic.is_not_null()
    name = col("result_name")
    return [
        event(
            rows,
            coded("OMR", name),
            numeric=col("result_value"),
            text=said,
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
            text("spec_type_desc"),
            text("test_name"),
            text("org_name"),
            text("ab_name"),
            text("interpretation"),
            text("comments"),
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
            value("result_value"),
        ),
        events=omr_events,
    ),
)
