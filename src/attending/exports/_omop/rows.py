"""Which table of the CDM an event goes into, and the row that it becomes there."""

import polars as pl
from polars import col

from attending.exports._omop import cdm
from attending.exports._omop.places import (
    EHR,
    LONGEST,
    NO_CONCEPT,
    PLACE,
    ROW,
    UNKNOWN,
    below,
    deaths_of,
    first_of_each,
    periods_of,
    persons_of,
    place,
    visits_of,
)
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    DEATH,
    DIAGNOSIS,
    LAB,
    MEDICATION,
    NUMERIC_VALUE,
    ORIGIN,
    PRIORITY,
    PROCEDURE,
    SEPARATOR,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)

FOLLOWS = {
    "condition_occurrence": (DIAGNOSIS, "CONDITION"),
    "procedure_occurrence": (PROCEDURE, "HCPCS"),
    "drug_exposure": (MEDICATION, "INFUSION_START", "IMMUNIZATION"),
    "measurement": (LAB, "CHART", "VITAL", "OMR"),
    "note": ("NOTE",),
}
DOMAINS = {
    "condition_occurrence": "Condition",
    "procedure_occurrence": "Procedure",
    "drug_exposure": "Drug",
    "measurement": "Measurement",
    "note": "Note",
}
_PRIMARY_DIAGNOSIS = 32902
_BELOW, _ABOVE = 4171756, 4172704
_UTF8, _ENGLISH = 32678, 4180186
_LONGEST_STRING, _LONGEST_TITLE = 60, 250
_TABLE = "_table"


def tables(coded: pl.DataFrame, first_event: int, *, extensions: bool) -> dict[str, pl.DataFrame]:
    """Return the rows of every table of persons; `coded` is a shard with the `concept_id` of each event."""
    places = pl.int_range(pl.len(), dtype=cdm.ID)
    events = coded.with_columns(
        places.over(SUBJECT_ID).alias(cdm.ORDER), (places + first_event + 1).alias(ROW)
    ).with_columns(place())
    persons = persons_of(events)
    visits = visits_of(events)
    taken = [_orders(persons, (cdm.BIRTH, cdm.GENDER, cdm.RACE)), _orders(visits, (cdm.START, cdm.END))]
    deaths = first_of_each(events.filter(col(PLACE) == DEATH))
    taken.append(deaths.select(SUBJECT_ID, cdm.ORDER))
    others = events.join(pl.concat(taken), on=[SUBJECT_ID, cdm.ORDER], how="anti", maintain_order="left")
    if not extensions:
        others = others.filter(col(TIME).is_not_null())
    others = others.with_columns(_table())
    made = {
        "person": persons,
        "observation_period": periods_of(events),
        "visit_occurrence": visits,
        "death": deaths_of(deaths),
    }
    for name, make in _ROWS.items():
        made[name] = make(others.filter(col(_TABLE) == name).with_columns(_common()))
    return made


def domain() -> pl.Expr:
    """Return the domain of a code."""
    found = pl.lit("Observation")
    for table, prefixes in FOLLOWS.items():
        found = pl.when(below(*prefixes)).then(pl.lit(DOMAINS[table])).otherwise(found)
    return found


def _table() -> pl.Expr:
    dated = col(TIME).is_not_null()
    found = pl.lit("observation")
    for table, prefixes in FOLLOWS.items():
        fits = dated & below(*prefixes)
        if table == "note":
            fits &= col(TEXT_VALUE).is_not_null()
        found = pl.when(fits).then(pl.lit(table)).otherwise(found)
    return found.alias(_TABLE)


def _orders(rows: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    """Return which events have found their own place."""
    found = [rows.select(SUBJECT_ID, col(name).alias(cdm.ORDER)).drop_nulls(cdm.ORDER) for name in columns]
    return pl.concat(found)


# Rows of events -----------------------------------------------------------------------------------


def _common() -> list[pl.Expr]:
    """Return what a row of every table of events has; a fact without a time stands on the first day of 1970."""
    return [
        col(SUBJECT_ID).alias("person_id"),
        col(VISIT_ID).alias("visit_occurrence_id"),
        col(TIME).is_null().alias(cdm.STATIC),
        col(TIME).fill_null(pl.lit(0).cast(cdm.DATETIME)).alias("_at"),
        col(CODE).str.slice(0, LONGEST).alias("_code"),
        col(AVAILABLE_TIME).alias(cdm.AVAILABLE),
        col(PRIORITY).alias(cdm.RANK),
        col(NUMERIC_VALUE).alias(cdm.NUMBER),
        col(TEXT_VALUE).alias(cdm.WORDS),
        col(ORIGIN).alias(cdm.FROM),
    ]


def _named(name: str, moment: str | None = None) -> list[pl.Expr]:
    """Return what every table of events has under names of its own."""
    moment = moment or name
    return [
        pl.lit(NO_CONCEPT).alias(f"{name}_concept_id"),
        col("concept_id").alias(f"{name}_source_concept_id"),
        col("_code").alias(f"{name}_source_value"),
        col("_at").dt.date().alias(f"{moment}_date"),
        col("_at").alias(f"{moment}_datetime"),
        pl.lit(EHR).alias(f"{name}_type_concept_id"),
    ]


def _decimal() -> pl.Expr:
    """Write a 32-bit number with no more digits than it has."""
    return col(NUMERIC_VALUE).cast(pl.String).cast(pl.Float64)


def _conditions(events: pl.DataFrame) -> pl.DataFrame:
    status = pl.when(col(PRIORITY) == 1).then(_PRIMARY_DIAGNOSIS)
    return events.with_columns(
        *_named("condition", "condition_start"),
        col(ROW).alias("condition_occurrence_id"),
        status.alias("condition_status_concept_id"),
    )


def _procedures(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(*_named("procedure"), col(ROW).alias("procedure_occurrence_id"))


def _drugs(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(
        *_named("drug", "drug_exposure_start"),
        col(ROW).alias("drug_exposure_id"),
        col("_at").dt.date().alias("drug_exposure_end_date"),
        col(TEXT_VALUE).alias("sig"),
    )


def _measurements(events: pl.DataFrame) -> pl.DataFrame:
    words = col(TEXT_VALUE)
    unit = col(CODE).str.split(SEPARATOR).list.get(2, null_on_oob=True)
    says = pl.when(words.str.starts_with("<")).then(_BELOW).when(words.str.starts_with(">")).then(_ABOVE)
    return events.with_columns(
        *_named("measurement"),
        col(ROW).alias("measurement_id"),
        _decimal().alias("value_as_number"),
        says.alias("operator_concept_id"),
        pl.when(unit != UNKNOWN).then(unit.str.slice(0, LONGEST)).alias("unit_source_value"),
        words.str.slice(0, LONGEST).alias("value_source_value"),
    )


def _observations(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(
        *_named("observation"),
        col(ROW).alias("observation_id"),
        _decimal().alias("value_as_number"),
        col(TEXT_VALUE).str.slice(0, _LONGEST_STRING).alias("value_as_string"),
    )


def _notes(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(
        *_named("note"),
        col(ROW).alias("note_id"),
        col("concept_id").alias("note_class_concept_id"),
        col(CODE).str.slice(0, _LONGEST_TITLE).alias("note_title"),
        col(TEXT_VALUE).alias("note_text"),
        pl.lit(_UTF8).alias("encoding_concept_id"),
        pl.lit(_ENGLISH).alias("language_concept_id"),
    )


_ROWS = {
    "condition_occurrence": _conditions,
    "procedure_occurrence": _procedures,
    "drug_exposure": _drugs,
    "measurement": _measurements,
    "observation": _observations,
    "note": _notes,
}
