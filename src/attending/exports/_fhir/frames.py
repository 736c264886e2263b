"""Which event goes into which resource."""

from dataclasses import dataclass

import polars as pl
from polars import col

from attending.exports._fhir import resources
from attending.schema import (
    ADMISSION,
    AVAILABLE_TIME,
    BIRTH,
    CODE,
    DEATH,
    DIAGNOSIS,
    DISCHARGE,
    EVENTS,
    MEDICATION,
    NUMERIC_VALUE,
    PRIORITY,
    PROCEDURE,
    SEPARATOR,
    SEX,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)

ORDER, NUMBER = "_order", "_number"
GENDERS = {f"{SEX}//M": "male", f"{SEX}//F": "female", f"{SEX}//OTHER": "other"}
STARTS, ENDS = (ADMISSION, "ENCOUNTER"), (DISCHARGE, "ENCOUNTER_END")
_KINDS: dict[str, type[resources.Resource]] = {
    DIAGNOSIS: resources.Condition,
    "CONDITION": resources.Condition,
    PROCEDURE: resources.Procedure,
    "HCPCS": resources.Procedure,
    MEDICATION: resources.MedicationStatement,
    "IMMUNIZATION": resources.Immunization,
    "ALLERGY": resources.AllergyIntolerance,
    "REPORT": resources.DiagnosticReport,
    "NOTE": resources.DocumentReference,
    "IMAGING": resources.ImagingStudy,
}
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.fZ"
_IN_PERSON, _ROLE = [SUBJECT_ID], "_role"


@dataclass(frozen=True, kw_only=True)
class Divided:
    """The events of a shard: those that a Patient or an Encounter tells, the rest by kind of resource."""

    subjects: pl.Series
    visits: pl.DataFrame
    sex: pl.DataFrame
    birth: pl.DataFrame
    death: pl.DataFrame
    start: pl.DataFrame
    end: pl.DataFrame
    clinical: dict[type[resources.Resource], pl.DataFrame]


def prepared(events: pl.DataFrame, first: int) -> pl.DataFrame:
    """Return every column of events, with each event's place in its record, its number, and times as FHIR's text."""
    absent = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in EVENTS.columns.items()
        if name not in events.columns
    ]
    number = col(NUMERIC_VALUE).cast(pl.Float32)
    return events.with_columns(absent).with_columns(
        pl.int_range(pl.len()).over(SUBJECT_ID).alias(ORDER),
        (pl.int_range(pl.len()) + first).alias(NUMBER),
        col(CODE).str.split(SEPARATOR).list.first().alias(_ROLE),
        # The shortest decimal of the single-precision number, not of its double.
        pl.when(number.is_finite()).then(number).cast(pl.String).cast(pl.Float64).alias(NUMERIC_VALUE),
    )


def divided(events: pl.DataFrame) -> Divided:
    """Divide events: what a Patient or Encounter cannot tell exactly becomes a resource of its own."""
    bare = col(NUMERIC_VALUE).is_null() & col(TEXT_VALUE).is_null() & col(PRIORITY).is_null()
    timed = col(TIME).is_not_null()
    at_once = col(AVAILABLE_TIME).is_null() | (col(AVAILABLE_TIME) == col(TIME))
    alone = bare & col(VISIT_ID).is_null()
    in_visit = bare & timed & col(VISIT_ID).is_not_null()
    static = ~timed & col(AVAILABLE_TIME).is_null()
    sex = _first(events, alone & static & col(CODE).is_in(list(GENDERS)), [SUBJECT_ID])
    birth = _first(events, alone & timed & at_once & (col(CODE) == BIRTH), [SUBJECT_ID])
    death = _after(_first(events, bare & timed & (col(CODE) == DEATH), [SUBJECT_ID]), birth, [SUBJECT_ID])
    visit = [SUBJECT_ID, VISIT_ID]
    start = _first(events, in_visit & col(_ROLE).is_in(list(STARTS)), visit)
    end = _after(_first(events, in_visit & col(_ROLE).is_in(list(ENDS)), visit), start, visit)
    told = pl.concat([one[NUMBER] for one in (sex, birth, death, start, end)])
    rest = events.filter(~col(NUMBER).is_in(told.implode()))
    kind = pl.when(timed).then(col(_ROLE))
    rest = rest.with_columns(
        kind.replace_strict(
            {role: one.__name__ for role, one in _KINDS.items()},
            default=resources.Observation.__name__,
            return_dtype=pl.String,
        ).alias(_ROLE)
    )
    kinds: list[type[resources.Resource]] = list(dict.fromkeys(_KINDS.values()))
    kinds.append(resources.Observation)
    return Divided(
        subjects=events[SUBJECT_ID].unique(maintain_order=True),
        visits=events.select(visit).drop_nulls().unique(maintain_order=True),
        sex=sex,
        birth=birth,
        death=death,
        start=start,
        end=end,
        clinical={one: _spelled(rest.filter(col(_ROLE) == one.__name__)) for one in kinds},
    )


def _first(events: pl.DataFrame, which: pl.Expr, keys: list[str]) -> pl.DataFrame:
    return _spelled(events.filter(which.fill_null(False)).unique(keys, keep="first", maintain_order=True))


def _after(later: pl.DataFrame, earlier: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Keep those of `later` that do not come before `earlier`: an end before its start would be refused."""
    before = later.join(
        earlier.select(*keys, col("_at").alias("_earlier")), on=keys, how="left", maintain_order="left"
    )
    return before.filter((col("_at") >= col("_earlier")).fill_null(True)).drop("_earlier")


def _spelled(events: pl.DataFrame) -> pl.DataFrame:
    """Write times as FHIR does; `_at` keeps the moment, `_later` is when it became known, if that is not the same."""
    if "_at" in events.columns:
        return events
    known = col(AVAILABLE_TIME)
    later = pl.when((known != col(TIME)).fill_null(True)).then(known)
    return events.with_columns(
        col(TIME).alias("_at"),
        col(TIME).dt.strftime(_TIME_FORMAT),
        known.fill_null(col(TIME)).dt.strftime(_TIME_FORMAT),
        later.dt.strftime(_TIME_FORMAT).alias("_later"),
    )
