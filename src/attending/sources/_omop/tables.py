"""The tables of OMOP CDM 5.3 and 5.4 that are read, with the columns of either version.

Columns whose name differs between the versions are all named; whichever a table has is used.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

import polars as pl

from attending.ledger.context import Context
from attending.ledger.table import Column, Problem, Table, day, integer, moment, number, text, value
from attending.sources._omop import events, exact, visits
from attending.sources._omop.concepts import CONCEPT, WHOLE_CODE
from attending.sources._omop.events import KINDS, Kind
from attending.sources._omop.files import Header
from attending.sources._omop.names import ANCESTORS, RELATIONSHIPS
from attending.sources._omop.rules import PERSONS, VISIT, VISITS, Rules

DEATHS, PERIODS, DETAILS = "death", "observation_period", "visit_detail"
EXTENSION = "attending_"
PERSON = integer("person_id", required=True)


def _moment(name: str) -> tuple[Column, ...]:
    return day(f"{name}_date"), moment(f"{name}_datetime")


def _coded(name: str, *, source_concept: bool = True) -> tuple[Column, ...]:
    own = (integer(f"{name}_source_concept_id"),) if source_concept else ()
    return integer(f"{name}_concept_id"), text(f"{name}_source_value"), *own


def _texts(*names: str) -> tuple[Column, ...]:
    return tuple(text(name) for name in names)


def _integers(*names: str) -> tuple[Column, ...]:
    return tuple(integer(name) for name in names)


_ORIGIN = text("attending_origin")
_EVENT = (
    integer("attending_order"),
    text("attending_static"),
    moment("attending_available_time"),
    integer("attending_priority"),
    number("attending_numeric_value"),
    text("attending_text_value"),
    _ORIGIN,
)
_ANSWER = (number("value_as_number"), integer("value_as_concept_id"), integer("unit_concept_id"))

COLUMNS: dict[str, tuple[Column, ...]] = {
    PERSONS: (
        PERSON,
        *_integers("gender_concept_id", "year_of_birth", "month_of_birth", "day_of_birth"),
        moment("birth_datetime"),
        *_integers("race_concept_id", "ethnicity_concept_id"),
        *_texts("gender_source_value", "race_source_value", "ethnicity_source_value"),
        *_integers("gender_source_concept_id", "race_source_concept_id"),
        *_integers("attending_birth_order", "attending_gender_order", "attending_race_order"),
        _ORIGIN,
    ),
    VISITS: (
        PERSON,
        integer(VISIT, required=True),
        *_coded("visit"),
        *_moment("visit_start"),
        *_moment("visit_end"),
        *_integers("admitted_from_concept_id", "admitting_source_concept_id"),
        *_texts("admitted_from_source_value", "admitting_source_value"),
        *_integers("discharged_to_concept_id", "discharge_to_concept_id"),
        *_texts("discharged_to_source_value", "discharge_to_source_value"),
        *_integers("attending_start_order", "attending_end_order"),
        _ORIGIN,
    ),
    DETAILS: (
        PERSON,
        integer(VISIT),
        *_coded("visit_detail"),
        *_moment("visit_detail_start"),
        integer("care_site_id"),
    ),
    "condition_occurrence": (
        PERSON,
        integer(VISIT),
        *_coded("condition"),
        *_moment("condition_start"),
        *_integers("condition_type_concept_id", "condition_status_concept_id"),
        *_EVENT,
    ),
    "procedure_occurrence": (PERSON, integer(VISIT), *_coded("procedure"), *_moment("procedure"), *_EVENT),
    "drug_exposure": (
        PERSON,
        integer(VISIT),
        *_coded("drug"),
        *_moment("drug_exposure_start"),
        number("quantity"),
        text("sig"),
        *_EVENT,
    ),
    "device_exposure": (
        PERSON,
        integer(VISIT),
        *_coded("device"),
        *_moment("device_exposure_start"),
        number("quantity"),
    ),
    "measurement": (
        PERSON,
        integer(VISIT),
        *_coded("measurement"),
        *_moment("measurement"),
        *_ANSWER,
        text("unit_source_value"),
        integer("operator_concept_id"),
        value("value_source_value", unless="value_as_number"),
        number("range_low"),
        number("range_high"),
        *_EVENT,
    ),
    "observation": (
        PERSON,
        integer(VISIT),
        *_coded("observation"),
        *_moment("observation"),
        *_ANSWER,
        *_texts("unit_source_value", "value_as_string", "value_source_value"),
        *_EVENT,
    ),
    "note": (
        PERSON,
        integer(VISIT),
        integer("note_class_concept_id"),
        *_texts("note_source_value", "note_text"),
        *_moment("note"),
        *(column for column in _EVENT if column.name != "attending_text_value"),
    ),
    "specimen": (
        PERSON,
        *_coded("specimen", source_concept=False),
        *_moment("specimen"),
        number("quantity"),
    ),
    DEATHS: (
        PERSON,
        *_moment("death"),
        integer("attending_order"),
        moment("attending_available_time"),
        integer("attending_visit_occurrence_id"),
        _ORIGIN,
    ),
    PERIODS: (PERSON, day("observation_period_start_date"), day("observation_period_end_date")),
    CONCEPT: (
        integer("concept_id", required=True),
        *_texts("concept_name", "vocabulary_id", "concept_code", WHOLE_CODE),
    ),
    ANCESTORS: tuple(
        integer(name, required=True)
        for name in ("ancestor_concept_id", "descendant_concept_id", "min_levels_of_separation")
    ),
    RELATIONSHIPS: (
        integer("concept_id_1", required=True),
        integer("concept_id_2", required=True),
        text("relationship_id", required=True),
    ),
    "care_site": (integer("care_site_id", required=True), text("care_site_name")),
}
DICTIONARIES = (CONCEPT, ANCESTORS, RELATIONSHIPS, "care_site")
IDS = {name: f"{name}_id" for name in COLUMNS if name not in (DEATHS, *DICTIONARIES)}
"""What numbers the rows of a table, so that a database can give them in an order."""


OF_ONE_VERSION = frozenset(
    (
        *("admitted_from_concept_id", "admitting_source_concept_id"),
        *("admitted_from_source_value", "admitting_source_value"),
        *("discharged_to_concept_id", "discharge_to_concept_id"),
        *("discharged_to_source_value", "discharge_to_source_value"),
    )
)
"""Columns that only CDM 5.3 or only 5.4 has: a table need not have them all."""


def tables(
    rules: Rules, headers: Mapping[str, Header], visits: Collection[str], leave_out: Collection[str]
) -> tuple[Table, ...]:
    """Return the tables of a source; `headers` are those of files, `visits` the columns of the table of visits."""
    unused = OF_ONE_VERSION.difference(visits)
    chosen = [name for name in COLUMNS if name not in leave_out]
    return tuple(_table(name, rules, headers.get(name, Header(path=name)), unused) for name in chosen)


def _table(name: str, rules: Rules, header: Header, unused: Collection[str]) -> Table:
    columns = tuple(column for column in COLUMNS[name] if column.name not in unused)
    if not rules.extended:
        columns = tuple(column for column in columns if not column.name.startswith(EXTENSION))
    if name in DICTIONARIES:
        return Table(
            name=name,
            path=header.path,
            columns=columns,
            dictionary=True,
            separator=header.separator,
            quoted=header.quoted,
        )
    return Table(
        name=name,
        path=header.path,
        columns=columns,
        separator=header.separator,
        quoted=header.quoted,
        subject="person_id",
        required=name == PERSONS,
        reference=name in (PERSONS, VISITS),
        problems=partial(_problems, name, rules),
        events=partial(_exact_events if rules.extended else _events, name, rules),
    )


def _problems(name: str, rules: Rules, rows: pl.DataFrame, context: Context) -> Sequence[Problem]:
    rows = complete(rows, name)
    match name:
        case "person":
            return visits.person_problems(rows, context, rules)
        case "visit_occurrence":
            return visits.visit_problems(rows, context, rules)
        case "death":
            return visits.death_problems(rows, context, rules)
        case "visit_detail":
            undated = rows.select(
                pl.coalesce("visit_detail_start_date", "visit_detail_start_datetime").is_null()
            )
            return [Problem(undated.to_series(), events.NO_DATE, "visit_detail_start_date")]
        case "observation_period":
            return []
        case _:
            return events.problems(rows, context, rules, KINDS[name])


def _events(name: str, rules: Rules, rows: pl.DataFrame, context: Context) -> Sequence[pl.DataFrame]:
    make = _PLAIN.get(name)
    if make is not None:
        return make(complete(rows, name), context, rules)
    return events.events(complete(rows, name), context, rules, KINDS[name])


def _exact_events(name: str, rules: Rules, rows: pl.DataFrame, context: Context) -> Sequence[pl.DataFrame]:
    """Give the events of a table that our export wrote, each with the place that it had among all."""
    make = _EXACT.get(name)
    return make(complete(rows, name), context, rules) if make is not None else ()


def complete(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """Add the columns of a table that are never read where the tables are not our export's, as null."""
    typed = {
        key: dtype for column in COLUMNS[name] for key, dtype in column.typed.items() if key != "person_id"
    }
    absent = [pl.lit(None, dtype).alias(key) for key, dtype in typed.items() if key not in rows.columns]
    return rows.with_columns(absent)


def _exactly(kind: Kind) -> Callable[[pl.DataFrame, Context, Rules], list[pl.DataFrame]]:
    return partial(events.exact_events, kind=kind)


_PLAIN = {
    PERSONS: visits.person_events,
    VISITS: visits.visit_events,
    DETAILS: visits.detail_events,
    PERIODS: visits.period_events,
    DEATHS: visits.death_events,
}
_EXACT = {
    PERSONS: visits.exact_persons,
    VISITS: visits.exact_visits,
    DEATHS: visits.exact_deaths,
    **{
        name: _exactly(KINDS[name])
        for name in COLUMNS
        if name in KINDS and any(column.name == exact.ORDER for column in COLUMNS[name])
    },
}
