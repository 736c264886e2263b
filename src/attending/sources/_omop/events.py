"""OMOP's tables of events: what a row is about, when it was, when it became known, how much."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded, event, first_of
from attending.ledger.table import Problem, words
from attending.schema import (
    CODE,
    DIAGNOSIS,
    LAB,
    MEDICATION,
    PROCEDURE,
    SEPARATOR,
)
from attending.sources._omop import exact
from attending.sources._omop.concepts import (
    HCPCS,
    MEDS,
    NUMBERED,
    Coding,
    concepts,
    unit,
    with_codes,
    with_names,
)
from attending.sources._omop.rules import AT, VISIT, VISIT_END, Rules, at, with_times

NO_DATE = "no date"
_NO_CONCEPT = "_no_concept"
_BILLED = (f"{DIAGNOSIS}//ICD", f"{PROCEDURE}//ICD", HCPCS)
_AT_ADMISSION = (32890, 32901, 32907, 4203942)
"""Statuses of a condition that are given at admission: (primary, secondary) admission diagnosis."""
_PRIMARY = (32901, 32902, 32903)
_SIGNS = {4171756: "<", 4171754: "<=", 4172704: ">", 4171755: ">="}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A table of events: what its moment is called, how its rows are coded, what an exact event says beside it."""

    moment: str
    coding: Coding
    events: Callable[[pl.DataFrame, Context, Rules], list[pl.DataFrame]]
    numeric: str = "attending_numeric_value"
    text: str = "attending_text_value"


def problems(rows: pl.DataFrame, context: Context, rules: Rules, kind: Kind) -> list[Problem]:
    """Find rows that have neither a date nor a time."""
    undated = rows.select(at(kind.moment, rules).is_null()).to_series()
    return [Problem(undated, NO_DATE, f"{kind.moment}_date")]


def events(rows: pl.DataFrame, context: Context, rules: Rules, kind: Kind) -> list[pl.DataFrame]:
    """Give the events of a table."""
    timed = with_times(_whole(rows), kind.moment, context, rules)
    return kind.events(with_codes(timed, context, rules, kind.coding), context, rules)


def exact_events(rows: pl.DataFrame, context: Context, rules: Rules, kind: Kind) -> list[pl.DataFrame]:
    """Give back the events of a table that our export wrote."""
    coded_rows = with_codes(_whole(rows), context, rules, kind.coding)
    is_static = (col("attending_static") == "true").fill_null(False)
    common = {
        "numeric": col(kind.numeric),
        "text": col(kind.text),
        "visit": col(VISIT),
        "priority": col("attending_priority"),
        "order": col(exact.ORDER),
    }
    dated = {"time": col(f"{kind.moment}_datetime"), "available": col("attending_available_time")}
    return [
        exact.as_it_was(coded_rows.filter(is_static), col(CODE), time=None, **common),
        exact.as_it_was(coded_rows.filter(~is_static), col(CODE), **dated, **common),
    ]


def _whole(rows: pl.DataFrame) -> pl.DataFrame:
    """Add what a table does not have: `note` has no standard concept; `specimen` no other, and no visit."""
    visit = [] if VISIT in rows.columns else [pl.lit(None, pl.Int64).alias(VISIT)]
    return rows.with_columns(pl.lit(0, pl.Int64).alias(_NO_CONCEPT), *visit)


def _with_visit_end() -> pl.Expr:
    """Say that a row is known when its visit is over."""
    return first_of(col(VISIT_END), col(AT))


def _is_billed() -> pl.Expr:
    return pl.any_horizontal(col(CODE).str.starts_with(prefix + SEPARATOR) for prefix in _BILLED)


def condition_events(rows: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give conditions at their start, known when the visit is over, unless they are known at once."""
    status = col("condition_status_concept_id")
    at_once = col("condition_type_concept_id").is_in(sorted(rules.known_at_once)) | status.is_in(
        _AT_ADMISSION
    )
    known = pl.when(at_once.fill_null(False)).then(col(AT)).otherwise(_with_visit_end())
    rank = pl.when(status.is_in(_PRIMARY)).then(1)
    return [event(rows, col(CODE), time=col(AT), available=known, visit=col(VISIT), priority=rank)]


def procedure_events(rows: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give procedures when they were done; those that coders bill are known when the visit is over."""
    known = pl.when(_is_billed()).then(_with_visit_end()).otherwise(col(AT))
    return [event(rows, col(CODE), time=col(AT), available=known, visit=col(VISIT))]


def drug_events(rows: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give drugs at their start: the quantity is the number, the instructions are the text."""
    return [event(rows, col(CODE), time=col(AT), numeric=col("quantity"), text=col("sig"), visit=col(VISIT))]


def device_events(rows: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give devices at their start."""
    return [event(rows, col(CODE), time=col(AT), numeric=col("quantity"), visit=col(VISIT))]


def specimen_events(rows: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give specimens when they were taken; OMOP does not say in which visit."""
    return [event(rows, col(CODE), time=col(AT), numeric=col("quantity"))]


def measurement_events(rows: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give measurements: the number and which side of it (`<`), else the concept or the words; the unit in the code."""
    named = with_names(rows, context, {"value_as_concept_id": "_answer"}).with_columns(
        unit(rows, context).alias("_measured_in")
    )
    number = first_of(col("value_as_number"), col("value_source_value"))
    sign = col("operator_concept_id").replace_strict(_SIGNS, default=None, return_dtype=pl.String)
    limit = sign + _written(col("value_as_number"))
    low, high = number < col("range_low"), number > col("range_high")
    flag = pl.when(low).then(pl.lit("low")).when(high).then(pl.lit("high")) if rules.flags else pl.lit(None)
    text = first_of(limit, col("_answer"), _numbered_answer(), col(words("value_source_value")), flag)
    return [
        event(
            named,
            _with_unit(named, context, always=True),
            time=col(AT),
            available=_known(),
            numeric=number,
            text=text,
            visit=col(VISIT),
        )
    ]


def observation_events(rows: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give observations: the number, the words or the concept."""
    named = with_names(rows, context, {"value_as_concept_id": "_answer"}).with_columns(
        unit(rows, context).alias("_measured_in")
    )
    text = first_of(col("value_as_string"), col("_answer"), _numbered_answer(), col("value_source_value"))
    return [
        event(
            named,
            _with_unit(named, context, always=False),
            time=col(AT),
            available=_known(),
            numeric=col("value_as_number"),
            text=text,
            visit=col(VISIT),
        )
    ]


def note_events(rows: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give notes when they were written; the class is the code, the note is the text."""
    known = concepts(context, rows["note_class_concept_id"]).filter(col("vocabulary_id") != MEDS)
    known = known.select(
        col("concept_id").alias("note_class_concept_id"), col("concept_name").alias("_class")
    )
    named = rows.join(known, on="note_class_concept_id", how="left", maintain_order="left")
    code = pl.when(col("_class").is_not_null()).then(coded("NOTE", col("_class"))).otherwise(col(CODE))
    return [event(named, code, time=col(AT), text=col("note_text"), visit=col(VISIT))]


def _known() -> pl.Expr:
    """Say when a row is known: an ICD or HCPCS code that OMOP keeps in another table is billed all the same."""
    return pl.when(_is_billed()).then(_with_visit_end()).otherwise(col(AT))


def _with_unit(rows: pl.DataFrame, context: Context, *, always: bool) -> pl.Expr:
    """Add the unit to a code; codes that are whole (ICD, HCPCS, MEDS) take none."""
    plain = col(CODE).str.starts_with(LAB) | col(CODE).str.starts_with("OBSERVATION")
    own = concepts(context, rows[_source_of(rows)]).filter(col("vocabulary_id") == MEDS)["concept_id"]
    takes = plain & ~col(_source_of(rows)).is_in(own.implode()).fill_null(False)
    if not always:
        takes &= col("_measured_in").is_not_null()
    return pl.when(takes).then(coded(col(CODE), col("_measured_in"))).otherwise(col(CODE))


def _source_of(rows: pl.DataFrame) -> str:
    return next(
        name for name in ("measurement_source_concept_id", "observation_source_concept_id") if name in rows
    )


def _numbered_answer() -> pl.Expr:
    answer = col("value_as_concept_id")
    return pl.when(answer != 0).then(pl.lit(NUMBERED + SEPARATOR) + answer.cast(pl.String))


def _written(number: pl.Expr) -> pl.Expr:
    return number.cast(pl.String).str.replace(r"\.0$", "")


def _coding(prefix: str, name: str, guess: str = "") -> Coding:
    return Coding(
        prefix=prefix,
        source=f"{name}_source_concept_id",
        standard=f"{name}_concept_id",
        value=f"{name}_source_value",
        guess=guess,  # type: ignore[arg-type]
    )


KINDS = {
    "condition_occurrence": Kind(
        moment="condition_start",
        coding=_coding("CONDITION", "condition", "diagnosis"),
        events=condition_events,
    ),
    "procedure_occurrence": Kind(
        moment="procedure", coding=_coding(PROCEDURE, "procedure", "procedure"), events=procedure_events
    ),
    "drug_exposure": Kind(
        moment="drug_exposure_start", coding=_coding(MEDICATION, "drug"), events=drug_events
    ),
    "device_exposure": Kind(
        moment="device_exposure_start", coding=_coding("DEVICE", "device"), events=device_events
    ),
    "measurement": Kind(
        moment="measurement",
        coding=_coding(LAB, "measurement"),
        events=measurement_events,
        numeric="value_as_number",
    ),
    "observation": Kind(
        moment="observation",
        coding=_coding("OBSERVATION", "observation"),
        events=observation_events,
        numeric="value_as_number",
    ),
    "note": Kind(
        moment="note",
        coding=Coding(
            prefix="NOTE", source="note_class_concept_id", standard=_NO_CONCEPT, value="note_source_value"
        ),
        events=note_events,
        text="note_text",
    ),
    "specimen": Kind(
        moment="specimen",
        coding=Coding(
            prefix="SPECIMEN",
            source=_NO_CONCEPT,
            standard="specimen_concept_id",
            value="specimen_source_value",
        ),
        events=specimen_events,
    ),
}
