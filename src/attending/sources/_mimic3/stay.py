"""What MIMIC-III records during a stay: results, notes, drugs, movements.

    labevents              LAB//itemid//unit; the number, and as text `abnormal` or `delta` where the laboratory flagged
                           it; else the words. No time of result is recorded: known when taken
    microbiologyevents     MICROBIOLOGY//specimen//organism when taken. A culture takes days and no time of result is
                           recorded: known at the discharge, or five days later where there is no admission
    noteevents             NOTE//category, the text as `text_value`; without a time, at the end of `chartdate`;
                           a discharge summary never before the discharge
    prescriptions          MEDICATION//drug in the last second of `startdate`, or at the discharge on that day
    transfers, services    TRANSFER_TO//kind//unit, SERVICE//name
    callout                CALLOUT//unit//service and, when it is decided, CALLOUT_OUTCOME//what

A note that was marked as an error is quarantined as such.
"""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded, end_of_day, event, first_of
from attending.ledger.table import Table, day, integer, moment, number, text, value, words
from attending.schema import LAB, MEDICATION
from attending.sources._mimic3.rows import (
    DISCHARGED,
    ITEM,
    PERSON,
    VISIT,
    discharged,
    in_stay,
    marked_as_error,
)

CULTURE = pl.duration(days=5)


# Results and notes ---------------------------------------------------------------------------------


def lab_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give laboratory results."""
    numeric = first_of(col("valuenum"), col("value"))
    said = first_of(col(words("value")), col("flag"))
    code = coded(LAB, col("itemid"), col("valueuom"))
    return [event(rows, code, time=col("charttime"), numeric=numeric, text=said, visit=VISIT)]


def microbiology_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give cultures: a row for each organism and antibiotic; the antibiotic and its verdict are the text."""
    taken = first_of(col("charttime"), end_of_day("chartdate"))
    return [
        event(
            discharged(rows, context),
            coded("MICROBIOLOGY", col("spec_type_desc"), col("org_name").fill_null("NEGATIVE")),
            time=taken,
            available=first_of(DISCHARGED, taken + CULTURE),
            text=col("ab_name") + pl.lit("//") + col("interpretation").fill_null("UNK"),
            visit=VISIT,
        )
    ]


def note_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give notes with their text; a discharge summary is not known before the discharge, whatever its date."""
    category = col("category").str.strip_chars()
    time = first_of(col("charttime"), end_of_day("chartdate"))
    at_discharge = pl.when(category == "Discharge summary").then(DISCHARGED)
    return [
        event(
            discharged(rows, context),
            coded("NOTE", category),
            time=time,
            available=pl.max_horizontal(col("storetime"), at_discharge),
            text=col("text"),
            visit=VISIT,
        )
    ]


RESULTS = (
    Table(
        name="labevents",
        path="labevents",
        columns=(
            *PERSON,
            ITEM,
            moment("charttime", required=True),
            value("value", unless="valuenum"),
            number("valuenum"),
            text("valueuom"),
            text("flag"),
        ),
        events=lab_events,
    ),
    Table(
        name="microbiologyevents",
        path="microbiologyevents",
        columns=(
            *PERSON,
            day("chartdate", required=True),
            moment("charttime"),
            *(text(name) for name in ("spec_type_desc", "org_name", "ab_name", "interpretation")),
        ),
        events=microbiology_events,
    ),
    Table(
        name="noteevents",
        path="noteevents",
        columns=(
            *PERSON,
            day("chartdate", required=True),
            moment("charttime"),
            moment("storetime"),
            text("category"),
            integer("iserror"),
            text("text"),
        ),
        problems=marked_as_error,
        events=note_events,
    ),
)


# Care ----------------------------------------------------------------------------------------------


def prescription_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give prescriptions on the day they start; the dose and its unit are the text."""
    dose = pl.concat_str(col("dose_val_rx"), col("dose_unit_rx"), separator=" ", ignore_nulls=True)
    said = pl.when(col("dose_val_rx").is_not_null()).then(dose)
    prescribed = discharged(rows, context)
    return [
        event(prescribed, coded(MEDICATION, col("drug")), time=in_stay("startdate"), text=said, visit=VISIT)
    ]


def transfer_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give movements between units."""
    code = coded("TRANSFER_TO", col("eventtype"), col("curr_careunit"))
    return [event(rows, code, time=col("intime"), visit=VISIT)]


def service_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give the service in charge from then on."""
    return [event(rows, coded("SERVICE", col("curr_service")), time=col("transfertime"), visit=VISIT)]


def callout_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give the request to leave intensive care, and what became of it."""
    request = coded("CALLOUT", col("curr_careunit"), col("callout_service"))
    outcome = coded("CALLOUT_OUTCOME", col("callout_outcome"))
    return [
        event(rows, request, time=col("createtime"), visit=VISIT),
        event(rows, outcome, time=col("outcometime"), visit=VISIT),
    ]


CARE = (
    Table(
        name="prescriptions",
        path="prescriptions",
        columns=(
            *PERSON,
            day("startdate", required=True),
            text("drug", required=True),
            text("dose_val_rx"),
            text("dose_unit_rx"),
        ),
        events=prescription_events,
    ),
    Table(
        name="transfers",
        path="transfers",
        columns=(*PERSON, text("eventtype"), text("curr_careunit"), moment("intime", required=True)),
        events=transfer_events,
    ),
    Table(
        name="services",
        path="services",
        columns=(*PERSON, moment("transfertime", required=True), text("curr_service", required=True)),
        events=service_events,
    ),
    Table(
        name="callout",
        path="callout",
        columns=(
            *PERSON,
            text("curr_careunit"),
            text("callout_service"),
            text("callout_outcome"),
            moment("createtime", required=True),
            moment("outcometime"),
        ),
        events=callout_events,
    ),
)
