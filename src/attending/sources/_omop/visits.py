"""OMOP's tables of persons and visits: person, visit_occurrence, visit_detail, observation_period, death."""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded, end_of_day, event, first_of
from attending.ledger.table import Problem
from attending.schema import (
    ADMISSION,
    BIRTH,
    DEATH,
    DISCHARGE,
    MICROSECONDS,
    RACE,
    SEPARATOR,
    SEX,
    SUBJECT_ID,
)
from attending.sources._omop import exact
from attending.sources._omop.concepts import MEDS, NUMBERED, WHOLE_CODE, concepts, with_names
from attending.sources._omop.rules import AT, PERSONS, VISIT, Rules, at, with_times

ENCOUNTER = "ENCOUNTER"
_SEXES = {8507: "M", 8532: "F"}
_RACES = {8527: "White", 8515: "Asian", 8516: "Black or African American"}
VISIT_NAMES = {
    9201: "Inpatient Visit",
    9202: "Outpatient Visit",
    9203: "Emergency Room Visit",
    262: "Emergency Room and Inpatient Visit",
    581385: "Observation Room",
    8870: "Emergency Room - Hospital",
    8883: "Ambulatory Surgical Center",
    38004207: "Ambulatory Clinic / Center",
    42898160: "Non-hospital institution Visit",
    32036: "Laboratory Visit",
    5083: "Telehealth",
}
_UNNAMED: list[int] = [0]


# person: GENDER//F, RACE//…, ETHNICITY//… (static), MEDS_BIRTH ------------------------------------


def person_problems(persons: pl.DataFrame, context: Context, rules: Rules) -> list[Problem]:
    """Find persons given twice, and years that cannot be."""
    year = persons["year_of_birth"]
    return [
        Problem(~persons[SUBJECT_ID].is_first_distinct(), "duplicated subject", "person_id"),
        Problem(
            ~year.is_between(1, 9999) & (year != 0), "not a year of birth", "year_of_birth", whole_line=False
        ),
    ]


def person_events(persons: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give sex, race and ethnicity, which have no time, and birth."""
    named = with_names(
        persons,
        context,
        {"gender_concept_id": "_sex", "race_concept_id": "_race", "ethnicity_concept_id": "_ethnicity"},
    )
    sex = first_of(_listed("gender_concept_id", _SEXES), col("gender_source_value"), col("_sex"))
    race = first_of(
        col("race_source_value"), col("_race"), _listed("race_concept_id", _RACES), _number("race")
    )
    ethnicity = first_of(col("ethnicity_source_value"), col("_ethnicity"), _number("ethnicity"))
    facts = {SEX: sex, RACE: race, "ETHNICITY": ethnicity}
    return [
        *(
            event(named, coded(name, fact), time=None, when=fact.is_not_null())
            for name, fact in facts.items()
        ),
        event(named, pl.lit(BIRTH), time=birth()),
    ]


def birth() -> pl.Expr:
    """Return the moment of birth; where only the year is known, its first day."""
    year = col("year_of_birth")
    day = pl.date(
        pl.when(year.is_between(1, 9999)).then(year),
        col("month_of_birth").fill_null(1),
        col("day_of_birth").fill_null(1),
    )
    return col("birth_datetime").fill_null(day.cast(MICROSECONDS))


def exact_persons(persons: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give back the facts that our export put into `person`."""
    facts = ((BIRTH, "birth", None), (SEX, "gender", "gender"), (RACE, "race", "race"))
    made = []
    for prefix, order, source in facts:
        code = pl.lit(prefix)
        rows = persons
        if source is not None:
            known = concepts(context, persons[f"{source}_source_concept_id"]).select(
                col("concept_id").alias(f"{source}_source_concept_id"),
                first_of(col(WHOLE_CODE), col("concept_code")).alias("_code"),
            )
            rows = persons.join(known, on=f"{source}_source_concept_id", how="left", maintain_order="left")
            code = col("_code")
        made.append(
            exact.as_it_was(
                rows,
                code,
                time=col("birth_datetime") if source is None else None,
                order=col(f"attending_{order}_order"),
            )
        )
    return made


def _listed(column: str, names: dict[int, str]) -> pl.Expr:
    return col(column).replace_strict(names, default=None, return_dtype=pl.String)


def _number(name: str) -> pl.Expr:
    number = col(f"{name}_concept_id")
    return pl.when(number != 0).then(pl.lit(NUMBERED + SEPARATOR) + number.cast(pl.String))


# visit_occurrence: HOSPITAL_ADMISSION//kind//from, HOSPITAL_DISCHARGE//to, ENCOUNTER//kind -------------


def visit_problems(visits: pl.DataFrame, context: Context, rules: Rules) -> list[Problem]:
    """Find visits given twice, and visits that end before they start."""
    start, end = (
        visits.select(
            pl.coalesce(col(f"visit_{edge}_datetime").dt.date(), col(f"visit_{edge}_date"))
        ).to_series()
        for edge in ("start", "end")
    )
    clock = visits["visit_end_datetime"] < visits["visit_start_datetime"]
    at_midnight = visits.select(_at_midnight("visit_end_datetime")).to_series()
    return [
        Problem(visits.select(at("visit_start", rules).is_null()).to_series(), "no date", "visit_start_date"),
        Problem((end < start) | (clock & ~at_midnight), "end before start", "visit_end_date"),
        Problem(
            ~visits.select(pl.struct(SUBJECT_ID, VISIT).is_first_distinct()).to_series(),
            "duplicated visit",
            VISIT,
        ),
    ]


def _at_midnight(column: str) -> pl.Expr:
    return (col(column) == col(column).dt.truncate("1d")).fill_null(False)


def visit_events(visits: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give admission and discharge of stays in hospital, and the start of any other encounter."""
    rows = _described(visits, context)
    end = at("visit_end", rules)
    start = pl.min_horizontal(at("visit_start", rules), end)
    own = col("_own")
    kind = first_of(
        col("_source_kind"), col("_kind"), _listed("visit_concept_id", VISIT_NAMES), _number("visit")
    )
    came_from = first_of(
        col("admitted_from_source_value"),
        col("admitting_source_value"),
        col("_from"),
    )
    went_to = first_of(
        col("discharged_to_source_value"),
        col("discharge_to_source_value"),
        col("_to"),
    )
    is_stay = first_of(own.str.starts_with(ADMISSION), col("visit_concept_id").is_in(sorted(rules.stays)))
    stays, others = rows.filter(is_stay.fill_null(False)), rows.filter(~is_stay.fill_null(False))
    return [
        event(stays, first_of(own, coded(ADMISSION, kind, came_from)), time=start, visit=col(VISIT)),
        event(stays, coded(DISCHARGE, went_to), time=end, visit=col(VISIT)),
        event(others, first_of(own, coded(ENCOUNTER, kind)), time=start, visit=col(VISIT)),
    ]


def _described(visits: pl.DataFrame, context: Context) -> pl.DataFrame:
    columns = {
        "visit_source_concept_id": "_source_kind",
        "visit_concept_id": "_kind",
        "_from_id": "_from",
        "_to_id": "_to",
    }
    ids = visits.with_columns(
        pl.coalesce("admitted_from_concept_id", "admitting_source_concept_id").alias("_from_id"),
        pl.coalesce("discharged_to_concept_id", "discharge_to_concept_id").alias("_to_id"),
    )
    own = concepts(context, ids["visit_source_concept_id"]).filter(col("vocabulary_id") == MEDS)
    own = own.select(
        col("concept_id").alias("visit_source_concept_id"),
        first_of(col(WHOLE_CODE), col("concept_code")).alias("_own"),
    )
    named = with_names(ids, context, columns)
    return named.join(own, on="visit_source_concept_id", how="left", maintain_order="left")


def exact_visits(visits: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give back the start and the end of visits that our export wrote."""
    rows = _described(visits, context)
    return [
        exact.as_it_was(
            rows,
            col("_own"),
            time=col("visit_start_datetime"),
            order=col("attending_start_order"),
            visit=col(VISIT),
        ),
        exact.as_it_was(
            rows,
            coded(DISCHARGE, col("discharged_to_source_value")),
            time=col("visit_end_datetime"),
            order=col("attending_end_order"),
            visit=col(VISIT),
        ),
    ]


# visit_detail: VISIT_DETAIL//kind//place ----------------------------------------------------------


def detail_events(rows: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give the parts of visits, such as wards, at their start."""
    timed = with_times(rows, "visit_detail_start", context, rules)
    named = with_names(
        timed, context, {"visit_detail_source_concept_id": "_source_kind", "visit_detail_concept_id": "_kind"}
    )
    places = (
        context["care_site"].select("care_site_id", "care_site_name").unique("care_site_id", keep="first")
    )
    named = named.join(places, on="care_site_id", how="left", maintain_order="left")
    kind = first_of(
        col("_source_kind"),
        col("_kind"),
        _listed("visit_detail_concept_id", VISIT_NAMES),
        _number("visit_detail"),
    )
    code = coded("VISIT_DETAIL", kind, col("care_site_name"))
    return [event(named, code, time=col(AT), visit=col(VISIT))]


# observation_period: OBSERVATION_PERIOD//START, OBSERVATION_PERIOD//END; death: MEDS_DEATH ---------------


def period_events(rows: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give from when to when anything would have been recorded."""
    return [
        event(
            rows,
            coded("OBSERVATION_PERIOD", edge.upper()),
            time=end_of_day(f"observation_period_{edge}_date"),
        )
        for edge in ("start", "end")
    ]


def death_problems(rows: pl.DataFrame, context: Context, rules: Rules) -> list[Problem]:
    """Find deaths before birth."""
    persons = context[PERSONS].select(SUBJECT_ID, birth().alias("_born")).unique(SUBJECT_ID, keep="first")
    dead = rows.join(persons, on=SUBJECT_ID, how="left", maintain_order="left")
    died = dead.select((at("death", rules) < col("_born")) & (not rules.extended)).to_series()
    return [
        Problem(rows.select(at("death", rules).is_null()).to_series(), "no date", "death_date"),
        Problem(died, "death before birth", "death_date"),
    ]


def death_events(rows: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give one death a person, the earliest."""
    first = rows.with_columns(at("death", rules).alias(AT)).sort(AT, maintain_order=True)
    first = first.unique(SUBJECT_ID, keep="first", maintain_order=True)
    return [event(first, pl.lit(DEATH), time=col(AT))]


def exact_deaths(rows: pl.DataFrame, context: Context, rules: Rules) -> list[pl.DataFrame]:
    """Give back the deaths that our export wrote."""
    return [
        exact.as_it_was(
            rows,
            pl.lit(DEATH),
            time=col("death_datetime"),
            available=col("attending_available_time"),
            visit=col("attending_visit_occurrence_id"),
            order=col("attending_order"),
        )
    ]
