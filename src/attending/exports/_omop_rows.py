"""Which table of the CDM an event goes into, and the row that it becomes there.

Some events have a place of their own: birth, sex and race in `person`, the start and the end of a visit in
`visit_occurrence`, death in `death`. They go there only if that place can hold all that they say; an event with a
number, a rank, or another of its kind before it goes the way of all others, as a row of `observation`.
"""

import polars as pl
from polars import col

from attending.exports import _omop_cdm as cdm
from attending.schema import (
    ADMISSION,
    AVAILABLE_TIME,
    BIRTH,
    CODE,
    DEATH,
    DIAGNOSIS,
    DISCHARGE,
    LAB,
    MEDICATION,
    NUMERIC_VALUE,
    ORIGIN,
    PRIORITY,
    PROCEDURE,
    RACE,
    SEPARATOR,
    SEX,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)

ENCOUNTER = "ENCOUNTER"
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
UNKNOWN = "UNK"
_EHR = 32817
_SEXES = {f"{SEX}//M": 8507, f"{SEX}//F": 8532}
_INPATIENT, _OUTPATIENT, _NO_CONCEPT = 9201, 9202, 0
_PRIMARY_DIAGNOSIS = 32902
_BELOW, _ABOVE = 4171756, 4172704
_UTF8, _ENGLISH = 32678, 4180186
_REQUIRED_OF_PERSONS = ("gender_concept_id", "year_of_birth", "race_concept_id", "ethnicity_concept_id")
_LONGEST, _LONGEST_STRING, _LONGEST_TITLE = 50, 60, 250
_TABLE, _ROW, _PLACE = "_table", "_row", "_place"


def tables(coded: pl.DataFrame, first_event: int, *, extensions: bool) -> dict[str, pl.DataFrame]:
    """Return the rows of every table of persons; `coded` is a shard with the `concept_id` of each event."""
    places = pl.int_range(pl.len(), dtype=cdm.ID)
    events = coded.with_columns(
        places.over(SUBJECT_ID).alias(cdm.ORDER), (places + first_event + 1).alias(_ROW)
    ).with_columns(_place())
    persons = _persons(events)
    visits = _visits(events)
    taken = [_orders(persons, (cdm.BIRTH, cdm.GENDER, cdm.RACE)), _orders(visits, (cdm.START, cdm.END))]
    deaths = _first(events.filter(col(_PLACE) == DEATH))
    taken.append(deaths.select(SUBJECT_ID, cdm.ORDER))
    others = events.join(pl.concat(taken), on=[SUBJECT_ID, cdm.ORDER], how="anti", maintain_order="left")
    if not extensions:
        others = others.filter(col(TIME).is_not_null())
    others = others.with_columns(_table())
    made = {
        "person": persons,
        "observation_period": _periods(events),
        "visit_occurrence": visits,
        "death": _deaths(deaths),
    }
    for name, make in _ROWS.items():
        made[name] = make(others.filter(col(_TABLE) == name).with_columns(_common()))
    return made


def persons_without_events(subjects: pl.Series) -> pl.DataFrame:
    """Return the rows of subjects of whom nothing is known."""
    nothing = [pl.lit(0).alias(name) for name in _REQUIRED_OF_PERSONS]
    return pl.DataFrame({"person_id": subjects}, schema={"person_id": cdm.ID}).with_columns(nothing)


def domain() -> pl.Expr:
    """Return the domain of a code."""
    found = pl.lit("Observation")
    for table, prefixes in FOLLOWS.items():
        found = pl.when(_below(*prefixes)).then(pl.lit(DOMAINS[table])).otherwise(found)
    return found


def _below(*prefixes: str) -> pl.Expr:
    return pl.any_horizontal(col(CODE).str.starts_with(prefix + SEPARATOR) for prefix in prefixes)


def _place() -> pl.Expr:
    """Name the place of its own that an event may have: its code says all that there is to say."""
    silent = pl.all_horizontal(col(name).is_null() for name in (NUMERIC_VALUE, TEXT_VALUE, PRIORITY))
    dated, alone = col(TIME).is_not_null(), col(VISIT_ID).is_null()
    at_once = dated & (col(AVAILABLE_TIME) == col(TIME))
    rest = col(CODE).str.len_chars() - len(DISCHARGE + SEPARATOR)
    ends = _below(DISCHARGE) & rest.is_between(1, _LONGEST)
    return (
        pl.when(~silent)
        .then(None)
        .when((col(CODE) == DEATH) & dated)
        .then(pl.lit(DEATH))
        .when((col(CODE) == BIRTH) & at_once & alone)
        .then(pl.lit(BIRTH))
        .when(_below(SEX) & ~dated & alone)
        .then(pl.lit(SEX))
        .when(_below(RACE) & ~dated & alone)
        .then(pl.lit(RACE))
        .when(_below(ADMISSION, ENCOUNTER) & at_once & ~alone)
        .then(pl.lit(ADMISSION))
        .when(ends & at_once & ~alone)
        .then(pl.lit(DISCHARGE))
        .alias(_PLACE)
    )


def _table() -> pl.Expr:
    dated = col(TIME).is_not_null()
    found = pl.lit("observation")
    for table, prefixes in FOLLOWS.items():
        fits = dated & _below(*prefixes)
        if table == "note":
            fits &= col(TEXT_VALUE).is_not_null()
        found = pl.when(fits).then(pl.lit(table)).otherwise(found)
    return found.alias(_TABLE)


def _first(events: pl.DataFrame, *keys: str) -> pl.DataFrame:
    return events.unique([SUBJECT_ID, *keys], keep="first", maintain_order=True)


def _rest(column: str = CODE) -> pl.Expr:
    """Return a code without its first part."""
    return (
        col(column)
        .str.split_exact(SEPARATOR, 1)
        .struct.field("field_0")
        .str.len_chars()
        .pipe(lambda n: col(column).str.slice(n + len(SEPARATOR)))
    )


# person -------------------------------------------------------------------------------------------


def _persons(events: pl.DataFrame) -> pl.DataFrame:
    """Give one row a subject; a fact whose origin is not that of the first one stays an observation."""
    facts = _first(events.filter(col(_PLACE).is_in([BIRTH, SEX, RACE])), _PLACE)
    origin = facts.group_by(SUBJECT_ID, maintain_order=True).agg(col(ORIGIN).first().alias(cdm.FROM))
    facts = facts.join(origin, on=SUBJECT_ID, how="left", maintain_order="left")
    facts = facts.filter(col(ORIGIN).eq_missing(col(cdm.FROM)))
    persons = events.select(col(SUBJECT_ID).unique(maintain_order=True)).join(
        origin, on=SUBJECT_ID, how="left"
    )
    for place, order, columns in (
        (BIRTH, cdm.BIRTH, {TIME: "birth_datetime"}),
        (SEX, cdm.GENDER, {CODE: "_sex", "concept_id": "gender_source_concept_id"}),
        (RACE, cdm.RACE, {CODE: "_race", "concept_id": "race_source_concept_id"}),
    ):
        columns = {cdm.ORDER: order} | columns
        found = facts.filter(col(_PLACE) == place).select(SUBJECT_ID, *columns).rename(columns)
        persons = persons.join(found, on=SUBJECT_ID, how="left", maintain_order="left")
    told = _first(events.filter(_below(RACE))).select(SUBJECT_ID, _rest().alias("_told"))
    persons = persons.join(told, on=SUBJECT_ID, how="left", maintain_order="left")
    born = col("birth_datetime")
    return persons.with_columns(
        col(SUBJECT_ID).alias("person_id"),
        col("_sex")
        .replace_strict(_SEXES, default=_NO_CONCEPT, return_dtype=cdm.CONCEPT)
        .fill_null(_NO_CONCEPT)
        .alias("gender_concept_id"),
        _rest("_sex").str.slice(0, _LONGEST).alias("gender_source_value"),
        born.dt.year().fill_null(0).alias("year_of_birth"),
        born.dt.month().alias("month_of_birth"),
        born.dt.day().alias("day_of_birth"),
        col("_told").str.slice(0, _LONGEST).alias("race_source_value"),
        pl.lit(_NO_CONCEPT).alias("race_concept_id"),
        pl.lit(_NO_CONCEPT).alias("ethnicity_concept_id"),
    )


def _periods(events: pl.DataFrame) -> pl.DataFrame:
    """Give one row a subject, from the first to the last event after birth."""
    time = col(TIME).filter(col(CODE) != BIRTH)
    first, last = (edge.dt.date().fill_null(pl.date(1970, 1, 1)) for edge in (time.min(), time.max()))
    return events.group_by(SUBJECT_ID, maintain_order=True).agg(
        col(_ROW).first().alias("observation_period_id"),
        col(SUBJECT_ID).first().alias("person_id"),
        first.alias("observation_period_start_date"),
        last.alias("observation_period_end_date"),
        pl.lit(_EHR).first().alias("period_type_concept_id"),
    )


def _deaths(deaths: pl.DataFrame) -> pl.DataFrame:
    return deaths.select(
        col(SUBJECT_ID).alias("person_id"),
        col(TIME).dt.date().alias("death_date"),
        col(TIME).alias("death_datetime"),
        pl.lit(_EHR).alias("death_type_concept_id"),
        cdm.ORDER,
        col(AVAILABLE_TIME).alias(cdm.AVAILABLE),
        col(VISIT_ID).alias(cdm.VISIT),
        col(ORIGIN).alias(cdm.FROM),
    )


# visit_occurrence ---------------------------------------------------------------------------------


def _visits(events: pl.DataFrame) -> pl.DataFrame:
    """Give one row a visit; an end before its start, or of another origin, stays an observation."""
    key = [SUBJECT_ID, VISIT_ID]
    inside = events.filter(col(VISIT_ID).is_not_null() & col(TIME).is_not_null())
    spans = inside.group_by(key, maintain_order=True).agg(
        col(TIME).min().alias("_first"), col(TIME).max().alias("_last")
    )
    starts = inside.filter(col(_PLACE) == ADMISSION).unique(key, keep="first", maintain_order=True)
    ends = inside.filter(col(_PLACE) == DISCHARGE).unique(key, keep="last", maintain_order=True)
    starts = starts.select(
        *key,
        col(TIME).alias("_start"),
        col(CODE).alias("_starts_as"),
        col("concept_id").alias("visit_source_concept_id"),
        col(cdm.ORDER).alias(cdm.START),
        col(ORIGIN).alias(cdm.FROM),
    )
    ends = ends.select(
        *key,
        col(TIME).alias("_end"),
        _rest().alias("_to"),
        col(cdm.ORDER).alias(cdm.END),
        col(ORIGIN).alias("_end_from"),
    )
    visits = spans.join(starts, on=key, how="left", maintain_order="left")
    visits = visits.join(ends, on=key, how="left", maintain_order="left")
    fits = (col("_start") <= col("_end")) & col(cdm.FROM).eq_missing(col("_end_from"))
    visits = visits.with_columns(
        pl.when(fits).then(col(name)).alias(name) for name in ("_end", "_to", cdm.END)
    )
    return _visit_columns(visits)


def _visit_columns(visits: pl.DataFrame) -> pl.DataFrame:
    start = col("_start").fill_null(col("_first"))
    end = pl.max_horizontal(start, col("_end").fill_null(col("_last")))
    starts_as = col("_starts_as")
    came_from = starts_as.str.splitn(SEPARATOR, 3).struct.field("field_2")
    named = visits.with_columns(start.alias("visit_start_datetime"), end.alias("visit_end_datetime"))
    named = named.sort(SUBJECT_ID, "visit_start_datetime", maintain_order=True)
    return named.with_columns(
        col(VISIT_ID).alias("visit_occurrence_id"),
        col(SUBJECT_ID).alias("person_id"),
        pl.when(starts_as.str.starts_with(ADMISSION))
        .then(_INPATIENT)
        .when(starts_as.str.starts_with(ENCOUNTER))
        .then(_OUTPATIENT)
        .otherwise(_NO_CONCEPT)
        .alias("visit_concept_id"),
        col("visit_start_datetime").dt.date().alias("visit_start_date"),
        col("visit_end_datetime").dt.date().alias("visit_end_date"),
        pl.lit(_EHR).alias("visit_type_concept_id"),
        starts_as.str.slice(0, _LONGEST).alias("visit_source_value"),
        pl.when(came_from != UNKNOWN)
        .then(came_from.str.slice(0, _LONGEST))
        .alias("admitted_from_source_value"),
        pl.when(col("_to") != UNKNOWN).then(col("_to")).alias("discharged_to_source_value"),
        col(VISIT_ID).shift(1).over(SUBJECT_ID).alias("preceding_visit_occurrence_id"),
    )


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
        col(CODE).str.slice(0, _LONGEST).alias("_code"),
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
        pl.lit(_NO_CONCEPT).alias(f"{name}_concept_id"),
        col("concept_id").alias(f"{name}_source_concept_id"),
        col("_code").alias(f"{name}_source_value"),
        col("_at").dt.date().alias(f"{moment}_date"),
        col("_at").alias(f"{moment}_datetime"),
        pl.lit(_EHR).alias(f"{name}_type_concept_id"),
    ]


def _decimal() -> pl.Expr:
    """Write a 32-bit number with no more digits than it has."""
    return col(NUMERIC_VALUE).cast(pl.String).cast(pl.Float64)


def _conditions(events: pl.DataFrame) -> pl.DataFrame:
    status = pl.when(col(PRIORITY) == 1).then(_PRIMARY_DIAGNOSIS)
    return events.with_columns(
        *_named("condition", "condition_start"),
        col(_ROW).alias("condition_occurrence_id"),
        status.alias("condition_status_concept_id"),
    )


def _procedures(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(*_named("procedure"), col(_ROW).alias("procedure_occurrence_id"))


def _drugs(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(
        *_named("drug", "drug_exposure_start"),
        col(_ROW).alias("drug_exposure_id"),
        col("_at").dt.date().alias("drug_exposure_end_date"),
        col(TEXT_VALUE).alias("sig"),
    )


def _measurements(events: pl.DataFrame) -> pl.DataFrame:
    words = col(TEXT_VALUE)
    unit = col(CODE).str.split(SEPARATOR).list.get(2, null_on_oob=True)
    says = pl.when(words.str.starts_with("<")).then(_BELOW).when(words.str.starts_with(">")).then(_ABOVE)
    return events.with_columns(
        *_named("measurement"),
        col(_ROW).alias("measurement_id"),
        _decimal().alias("value_as_number"),
        says.alias("operator_concept_id"),
        pl.when(unit != UNKNOWN).then(unit.str.slice(0, _LONGEST)).alias("unit_source_value"),
        words.str.slice(0, _LONGEST).alias("value_source_value"),
    )


def _observations(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(
        *_named("observation"),
        col(_ROW).alias("observation_id"),
        _decimal().alias("value_as_number"),
        col(TEXT_VALUE).str.slice(0, _LONGEST_STRING).alias("value_as_string"),
    )


def _notes(events: pl.DataFrame) -> pl.DataFrame:
    return events.with_columns(
        *_named("note"),
        col(_ROW).alias("note_id"),
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
