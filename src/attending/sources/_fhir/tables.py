"""The tables of FHIR: a table for each kind of resource, what is wrong with its rows, and their events."""

from collections.abc import Callable, Sequence
from functools import partial

import polars as pl
from polars import col

from attending.ledger import values
from attending.ledger.context import Context
from attending.ledger.events import coded, event, first_of
from attending.ledger.table import (
    Column,
    Problem,
    Table,
    key,
    moment,
    number,
    raw,
    text,
    value,
    words,
)
from attending.schema import ADMISSION, BIRTH, DEATH, DESCRIPTION, DISCHARGE, RACE, SEPARATOR, SEX, SUBJECT_ID
from attending.sources._fhir import resources
from attending.sources._fhir.codes import IMAGING
from attending.sources._fhir.reader import DELETED, SCHEMAS
from attending.sources._fhir.resources import Resource
from attending.sources._fhir.rows import MOMENTS

PATIENT, ENCOUNTER, MEDICATION, CODE_SYSTEM = "Patient", "Encounter", "Medication", "CodeSystem"
VISIT_START, VISIT_END = "ENCOUNTER", "ENCOUNTER_END"
IS_DELETED, OLDER, NO_CODE, NO_TIME, NO_RESULT = (
    "deleted",
    "an older version",
    "no code",
    "no time",
    "no result",
)
NO_MEDICATION = "no such medication"
NOT_SO = {
    "entered-in-error": "entered in error",
    "cancelled": "cancelled",
    "not-done": "not done",
    "not-taken": "not taken",
    "do-not-perform": "not to be done",
    "refuted": "refuted",
    "planned": "planned",
    "draft": "a draft",
    "declined": "declined",
    "preparation": "in preparation",
}
"""Statuses of what did not happen, or not yet, and how the ledger counts them."""
_SUFFIX = pl.when(col("unit").is_null()).then(pl.lit("")).otherwise(pl.lit(SEPARATOR) + col("unit"))
_ONE = pl.col(SUBJECT_ID).alias("_one")  # a literal alone has one row, whatever the height
_NO_ORDER = pl.lit(None, pl.Int64)
ORDER = "_order"
_LARGEST = 3.4028234663852886e38  # float32


def columns(name: str) -> tuple[Column, ...]:
    """Return the columns of a kind of resource."""
    return tuple(_column(column, dtype) for column, dtype in SCHEMAS[name].items())


def _column(name: str, dtype: pl.DataType) -> Column:
    if name == "subject":
        return key(name, required=True)
    if name in MOMENTS or name == "birth":
        return moment(name)
    if name == "value":
        return value(name, unless="number")
    if name == "number":
        return number(name)
    if name == "visit":
        return raw(name, pl.Int64())
    return text(name) if dtype == pl.String else raw(name, dtype)


# What is wrong with a row ---------------------------------------------------------------------------


def _versions(rows: pl.DataFrame, context: Context, name: str) -> list[Problem]:
    """Find resources that were deleted, and versions of one that a later one replaces."""
    urls = context[DELETED]["urls"].explode().drop_nulls()
    ids = urls.str.extract(rf"(?:^|/){name}/([^/?#]+)").drop_nulls()
    newest = (
        rows.select("id", SUBJECT_ID, "updated")
        .with_row_index("row")
        .drop_nulls("id")
        .sort("updated", nulls_last=False, maintain_order=True)
        .unique([SUBJECT_ID, "id"], keep="last")["row"]
    )
    row = pl.int_range(rows.height, eager=True, dtype=pl.UInt32)
    return [
        Problem(rows["id"].is_in(ids.implode()), IS_DELETED, "id"),
        Problem(rows["id"].is_not_null() & ~row.is_in(newest.implode()), OLDER, "id"),
    ]


def _statuses(rows: pl.DataFrame) -> list[Problem]:
    return [Problem(rows["status"] == status, reason, "status") for status, reason in NOT_SO.items()]


def person_problems(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find patients that were deleted, and deaths before birth."""
    return [
        *_versions(rows, context, PATIENT),
        Problem(rows["death"] < rows["birth"], "death before birth", "death", whole_line=False),
    ]


def visit_problems(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find encounters that did not take place, and those that end before they begin."""
    return [
        *_versions(rows, context, ENCOUNTER),
        *_statuses(rows),
        Problem(rows["end"] < rows["start"], "end before start", "end", whole_line=False),
    ]


def _clinical_problems(
    name: str, complete: "_Complete", rows: pl.DataFrame, context: Context
) -> list[Problem]:
    """Find what was deleted or replaced, did not happen, has no result, no code or no time."""
    known = complete(rows, context)
    static = rows["static"].fill_null(False)
    found = [*_versions(rows, context, name), *_statuses(rows)]
    if "failed" in rows.columns:
        found.append(Problem(rows["failed"], NO_RESULT, "value"))
    if "medication" in rows.columns:
        lost = known["code"].is_null() & rows["medication"].is_not_null()
        found.append(Problem(lost, NO_MEDICATION, "medication"))
    if "modalities" not in rows.columns:
        found.append(Problem(known["code"].is_null(), NO_CODE, "code"))
    return [*found, Problem(known["time"].is_null() & ~static, NO_TIME, "time")]


# The events of a row --------------------------------------------------------------------------------


def _event(
    rows: pl.DataFrame,
    code: pl.Expr,
    *,
    time: pl.Expr | None,
    order: pl.Expr,
    description: pl.Expr | None = None,
    when: pl.Expr | None = None,
    **what: pl.Expr,
) -> pl.DataFrame:
    """Make an event of each row, with its place among the events of one moment and the name of its code."""
    chosen = rows if when is None else rows.filter(when)
    chosen = chosen if time is None else chosen.filter(time.is_not_null())
    beside = [order.cast(pl.Int64).alias(ORDER)]
    beside += [] if description is None else [description.alias(DESCRIPTION)]
    return event(chosen, code, time=time, **what).hstack(chosen.select(_ONE, *beside).drop("_one"))


def person_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give sex, race and ethnicity (static), birth and death."""
    facts = ((SEX, "sex", col("sex_order")), (RACE, "race", _NO_ORDER), ("ETHNICITY", "ethnicity", _NO_ORDER))
    born = _event(rows, pl.lit(BIRTH), time=col("birth"), order=col("birth_order"))
    died = _event(
        rows,
        pl.lit(DEATH),
        time=col("death"),
        available=col("death_known"),
        visit=col("visit"),
        order=col("death_order"),
    )
    static = [
        _event(rows, coded(name, col(column)), time=None, when=col(column).is_not_null(), order=order)
        for name, column, order in facts
    ]
    return [*static, born, died]


def visit_events(inpatient: Sequence[str], rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give the start and end of a visit, as a stay in hospital where its class is one of `inpatient`."""
    stays = col("class").is_in(list(inpatient)).fill_null(False)
    start = pl.when(stays).then(coded(ADMISSION, col("class"))).otherwise(coded(VISIT_START, col("class")))
    left = coded(DISCHARGE, col("disposition"))
    end = pl.when(stays).then(left).otherwise(coded(VISIT_END, col("class")))
    return [
        _event(
            rows,
            first_of(col(f"{which}_code"), code),
            time=col(which),
            available=col(f"{which}_known"),
            visit=col("visit"),
            order=col(f"{which}_order"),
        )
        for which, code in (("start", start), ("end", end))
    ]


def clinical_events(complete: "_Complete", rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give one event of each row."""
    return _events(complete(rows, context))


def imaging_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give one event for each modality of a study."""
    exploded = rows.explode("modalities")
    return _events(
        exploded.with_columns(first_of(col("code"), coded(IMAGING, col("modalities"))).alias("code"))
    )


def observation_events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give what was observed, and each part of it; a panel without a value of its own gives its parts only."""
    whole = rows.with_columns(
        col("code") + _SUFFIX,
        first_of(col("number"), col("value")).alias("number"),
        first_of(col("text"), col(words("value"))).alias("text"),
    )
    panel = col("number").is_null() & col("text").is_null() & (col("components").list.len() > 0)
    return [*_events(whole.filter(~panel.fill_null(False))), *_events(_parts(rows))]


def _parts(rows: pl.DataFrame) -> pl.DataFrame:
    beside = ["code", "description", "number", "text", "unit", "value", words("value")]
    parts = (
        rows.filter(col("components").list.len() > 0).drop(beside).explode("components").unnest("components")
    )
    numbers, said, _ = values.parse(parts["value"])
    return parts.with_columns(numbers.alias("_number"), said.alias("_said")).with_columns(
        col("code") + _SUFFIX,
        first_of(col("number"), col("_number")).alias("number"),
        first_of(col("words"), col("_said")).alias("text"),
    )


def _events(rows: pl.DataFrame) -> list[pl.DataFrame]:
    static = rows["static"].fill_null(False)
    size = col("number").abs() <= _LARGEST
    return [
        _event(
            part,
            col("code"),
            time=time,
            available=col("known"),
            numeric=pl.when(size).then(col("number")),
            text=col("text"),
            visit=col("visit"),
            priority=col("priority"),
            order=col("order"),
            description=col("description"),
        )
        for part, time in ((rows.filter(static), None), (rows.filter(~static), col("time")))
        if part.height
    ]


# What other resources know of a row -----------------------------------------------------------------


def _as_it_is(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    return rows


def _with_drug(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Name the drug that a row refers to."""
    wanted = rows["medication"].drop_nulls()
    known = context.lookup(MEDICATION, "id", wanted).unique("id", keep="last", maintain_order=True)
    named = rows.join(
        known.select(
            col("id").alias("medication"), col("code").alias("_code"), col("description").alias("_name")
        ),
        on="medication",
        how="left",
        maintain_order="left",
    )
    filled = [first_of(col("code"), col("_code")).alias("code")]
    filled.append(first_of(col("description"), col("_name")).alias("description"))
    return named.with_columns(filled).drop("_code", "_name")


def _diagnosed(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Date a diagnosis by its visit: one that was not dated when it was recorded is known when the visit ends."""
    dated = _with_visit(rows, context)
    return dated.with_columns(
        first_of(col("time"), col("known"), _VISIT_OVER).alias("time"),
        first_of(col("known"), _VISIT_OVER).alias("known"),
    )


def _performed(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Date a procedure by its visit: a code that coders assign is known when the visit ends."""
    dated = _with_visit(rows, context)
    known = pl.when(col("coded")).then(pl.max_horizontal("known", "_end")).otherwise(col("known"))
    return dated.with_columns(first_of(col("time"), _VISIT_OVER).alias("time"), known.alias("known"))


_VISIT_OVER = first_of(col("_end"), col("_start"))


def _with_visit(rows: pl.DataFrame, context: Context) -> pl.DataFrame:
    visits = context[ENCOUNTER].select(
        SUBJECT_ID, "visit", col("start").alias("_start"), col("end").alias("_end")
    )
    visits = visits.drop_nulls("visit").unique([SUBJECT_ID, "visit"], keep="last", maintain_order=True)
    return rows.join(visits, on=[SUBJECT_ID, "visit"], how="left", maintain_order="left")


_Complete = Callable[[pl.DataFrame, Context], pl.DataFrame]
_COMPLETE: dict[type[Resource], _Complete] = {
    resources.Condition: _diagnosed,
    resources.AllergyIntolerance: _diagnosed,
    resources.Observation: _as_it_is,
    resources.MedicationRequest: _with_drug,
    resources.MedicationAdministration: _with_drug,
    resources.MedicationStatement: _with_drug,
    resources.MedicationDispense: _with_drug,
    resources.Procedure: _performed,
    resources.Immunization: _as_it_is,
    resources.DiagnosticReport: _as_it_is,
    resources.DocumentReference: _as_it_is,
    resources.ImagingStudy: _as_it_is,
}
_EVENTS = {
    resources.Observation: observation_events,
    resources.ImagingStudy: imaging_events,
}


def tables(inpatient: Sequence[str]) -> tuple[Table, ...]:
    """Return a table for each kind of resource, those that others refer to first."""
    return (
        Table(
            name=PATIENT,
            columns=columns(PATIENT),
            problems=person_problems,
            events=person_events,
            required=True,
            reference=True,
            subject="subject",
        ),
        Table(
            name=ENCOUNTER,
            columns=columns(ENCOUNTER),
            problems=visit_problems,
            events=partial(visit_events, inpatient),
            reference=True,
            subject="subject",
        ),
        *(
            Table(name=name, columns=columns(name), dictionary=True)
            for name in (MEDICATION, CODE_SYSTEM, DELETED)
        ),
        *(_clinical(kind, complete) for kind, complete in _COMPLETE.items()),
    )


def _clinical(kind: type[Resource], complete: _Complete) -> Table:
    return Table(
        name=kind.__name__,
        columns=columns(kind.__name__),
        problems=partial(_clinical_problems, kind.__name__, complete),
        events=_EVENTS.get(kind, partial(clinical_events, complete)),
        subject="subject",
    )
