"""Events that have a place of their own in the CDM: in `person`, `visit_occurrence` and `death`.

Birth, sex and race, the start and the end of a visit, and death go there only if that place can hold all that they
say. One with a number, a rank, or another of its kind before it goes the way of all others (`_omop/rows`).
"""

import polars as pl
from polars import col

from attending.exports._omop import cdm
from attending.schema import (
    ADMISSION,
    AVAILABLE_TIME,
    BIRTH,
    CODE,
    DEATH,
    DISCHARGE,
    NUMERIC_VALUE,
    ORIGIN,
    PRIORITY,
    RACE,
    SEPARATOR,
    SEX,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)

ENCOUNTER = "ENCOUNTER"
UNKNOWN = "UNK"
PLACE, ROW = "_place", "_row"
EHR = 32817
LONGEST = 50
"""How many characters a source value may have."""
NO_CONCEPT = 0
_SEXES = {f"{SEX}//M": 8507, f"{SEX}//F": 8532}
_INPATIENT, _OUTPATIENT = 9201, 9202
_REQUIRED_OF_PERSONS = ("gender_concept_id", "year_of_birth", "race_concept_id", "ethnicity_concept_id")


def place() -> pl.Expr:
    """Name the place of its own that an event may have: its code says all that there is to say."""
    silent = pl.all_horizontal(col(name).is_null() for name in (NUMERIC_VALUE, TEXT_VALUE, PRIORITY))
    dated, alone = col(TIME).is_not_null(), col(VISIT_ID).is_null()
    at_once = dated & (col(AVAILABLE_TIME) == col(TIME))
    rest = col(CODE).str.len_chars() - len(DISCHARGE + SEPARATOR)
    ends = below(DISCHARGE) & rest.is_between(1, LONGEST)
    return (
        pl.when(~silent)
        .then(None)
        .when((col(CODE) == DEATH) & dated)
        .then(pl.lit(DEATH))
        .when((col(CODE) == BIRTH) & at_once & alone)
        .then(pl.lit(BIRTH))
        .when(below(SEX) & ~dated & alone)
        .then(pl.lit(SEX))
        .when(below(RACE) & ~dated & alone)
        .then(pl.lit(RACE))
        .when(below(ADMISSION, ENCOUNTER) & at_once & ~alone)
        .then(pl.lit(ADMISSION))
        .when(ends & at_once & ~alone)
        .then(pl.lit(DISCHARGE))
        .alias(PLACE)
    )


def below(*prefixes: str) -> pl.Expr:
    return pl.any_horizontal(col(CODE).str.starts_with(prefix + SEPARATOR) for prefix in prefixes)


def first_of_each(events: pl.DataFrame, *keys: str) -> pl.DataFrame:
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


def persons_without_events(subjects: pl.Series) -> pl.DataFrame:
    """Return the rows of subjects of whom nothing is known."""
    nothing = [pl.lit(0).alias(name) for name in _REQUIRED_OF_PERSONS]
    return pl.DataFrame({"person_id": subjects}, schema={"person_id": cdm.ID}).with_columns(nothing)


# person -------------------------------------------------------------------------------------------


def persons_of(events: pl.DataFrame) -> pl.DataFrame:
    """Give one row a subject; a fact whose origin is not that of the first one stays an observation."""
    facts = first_of_each(events.filter(col(PLACE).is_in([BIRTH, SEX, RACE])), PLACE)
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
        found = facts.filter(col(PLACE) == place).select(SUBJECT_ID, *columns).rename(columns)
        persons = persons.join(found, on=SUBJECT_ID, how="left", maintain_order="left")
    told = first_of_each(events.filter(below(RACE))).select(SUBJECT_ID, _rest().alias("_told"))
    persons = persons.join(told, on=SUBJECT_ID, how="left", maintain_order="left")
    born = col("birth_datetime")
    return persons.with_columns(
        col(SUBJECT_ID).alias("person_id"),
        col("_sex")
        .replace_strict(_SEXES, default=NO_CONCEPT, return_dtype=cdm.CONCEPT)
        .fill_null(NO_CONCEPT)
        .alias("gender_concept_id"),
        _rest("_sex").str.slice(0, LONGEST).alias("gender_source_value"),
        born.dt.year().fill_null(0).alias("year_of_birth"),
        born.dt.month().alias("month_of_birth"),
        born.dt.day().alias("day_of_birth"),
        col("_told").str.slice(0, LONGEST).alias("race_source_value"),
        pl.lit(NO_CONCEPT).alias("race_concept_id"),
        pl.lit(NO_CONCEPT).alias("ethnicity_concept_id"),
    )


def periods_of(events: pl.DataFrame) -> pl.DataFrame:
    """Give one row a subject, from the first to the last event after birth."""
    time = col(TIME).filter(col(CODE) != BIRTH)
    first, last = (edge.dt.date().fill_null(pl.date(1970, 1, 1)) for edge in (time.min(), time.max()))
    return events.group_by(SUBJECT_ID, maintain_order=True).agg(
        col(ROW).first().alias("observation_period_id"),
        col(SUBJECT_ID).first().alias("person_id"),
        first.alias("observation_period_start_date"),
        last.alias("observation_period_end_date"),
        pl.lit(EHR).first().alias("period_type_concept_id"),
    )


def deaths_of(deaths: pl.DataFrame) -> pl.DataFrame:
    return deaths.select(
        col(SUBJECT_ID).alias("person_id"),
        col(TIME).dt.date().alias("death_date"),
        col(TIME).alias("death_datetime"),
        pl.lit(EHR).alias("death_type_concept_id"),
        cdm.ORDER,
        col(AVAILABLE_TIME).alias(cdm.AVAILABLE),
        col(VISIT_ID).alias(cdm.VISIT),
        col(ORIGIN).alias(cdm.FROM),
    )


# visit_occurrence ---------------------------------------------------------------------------------


def visits_of(events: pl.DataFrame) -> pl.DataFrame:
    """Give one row a visit; an end before its start, or of another origin, stays an observation."""
    key = [SUBJECT_ID, VISIT_ID]
    inside = events.filter(col(VISIT_ID).is_not_null() & col(TIME).is_not_null())
    spans = inside.group_by(key, maintain_order=True).agg(
        col(TIME).min().alias("_first"), col(TIME).max().alias("_last")
    )
    starts = inside.filter(col(PLACE) == ADMISSION).unique(key, keep="first", maintain_order=True)
    ends = inside.filter(col(PLACE) == DISCHARGE).unique(key, keep="last", maintain_order=True)
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
        .otherwise(NO_CONCEPT)
        .alias("visit_concept_id"),
        col("visit_start_datetime").dt.date().alias("visit_start_date"),
        col("visit_end_datetime").dt.date().alias("visit_end_date"),
        pl.lit(EHR).alias("visit_type_concept_id"),
        starts_as.str.slice(0, LONGEST).alias("visit_source_value"),
        pl.when(came_from != UNKNOWN)
        .then(came_from.str.slice(0, LONGEST))
        .alias("admitted_from_source_value"),
        pl.when(col("_to") != UNKNOWN).then(col("_to")).alias("discharged_to_source_value"),
        col(VISIT_ID).shift(1).over(SUBJECT_ID).alias("preceding_visit_occurrence_id"),
    )
