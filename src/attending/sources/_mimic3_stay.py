"""What MIMIC-III records during a stay: results, notes, drugs, movements, and what the units chart.

    labevents              LAB//itemid//unit; the number, and as text `abnormal` or `delta` where the laboratory flagged
                           it; else the words. No time of result is recorded: known when taken
    microbiologyevents     MICROBIOLOGY//specimen//organism when taken. A culture takes days and no time of result is
                           recorded: known at the discharge, or five days later where there is no admission
    noteevents             NOTE//category, the text as `text_value`; without a time, at the end of `chartdate`;
                           a discharge summary never before the discharge
    prescriptions          MEDICATION//drug in the last second of `startdate`, or at the discharge on that day
    inputevents_cv         INFUSION//itemid//unit, the rate or the amount when charted
    inputevents_mv         INFUSION_START//itemid//unit and INFUSION_END//itemid
    procedureevents_mv     PROCEDURE//START//itemid and PROCEDURE//END//itemid
    chartevents            CHART//itemid//unit; datetimeevents DATETIME//itemid
    outputevents           SUBJECT_FLUID_OUTPUT//itemid//unit
    icustays               ICU_ADMISSION//unit … ICU_DISCHARGE//unit
    transfers, services    TRANSFER_TO//kind//unit, SERVICE//name
    callout                CALLOUT//unit//service and, when it is decided, CALLOUT_OUTCOME//what

Whatever has a `storetime` is known then. A row that was marked as an error, or rewritten, is quarantined as such.
"""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded, end_of_day, event, first_of
from attending.ledger.table import (
    Column,
    Problem,
    Table,
    day,
    integer,
    moment,
    number,
    text,
    value,
    words,
)
from attending.schema import LAB, MEDICATION, PROCEDURE, SUBJECT_ID

ADMISSIONS = "admissions"
KEY = [SUBJECT_ID, "hadm_id"]
SUBJECT = integer(SUBJECT_ID, required=True)
PERSON = (SUBJECT, integer("hadm_id"))
ITEM = integer("itemid", required=True)
CHARTED = (moment("charttime", required=True), moment("storetime"))
INTERVAL = (moment("starttime", required=True), moment("endtime"), moment("storetime"))
QUANTITY = (number("amount"), text("amountuom"), number("rate"), text("rateuom"))
VISIT = col("hadm_id")
DISCHARGED = col("dischtime")
ERROR, REWRITTEN = "marked as an error", "rewritten"
CULTURE = pl.duration(days=5)


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


def rewritten(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find orders that another row replaces."""
    status = rows["statusdescription"].str.strip_chars()
    return [Problem((status == "Rewritten").fill_null(False), REWRITTEN, "statusdescription")]


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


# Intensive care ------------------------------------------------------------------------------------


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
