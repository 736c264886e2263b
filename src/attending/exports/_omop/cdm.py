"""The tables of OMOP CDM 5.4 that the export writes: their columns, in the order and of the types of the standard.

Identifiers of rows are 64-bit, which the standard allows where an `integer` is too small; concepts are 32-bit.
What the CDM has no room for stands in columns that begin with `attending_`, after those of the standard.
"""

import polars as pl

from attending.schema import MICROSECONDS

ID = pl.Int64()
CONCEPT = pl.Int32()
INTEGER = pl.Int32()
NUMERIC = pl.Float64()
TEXT = pl.String()
DATE = pl.Date()
DATETIME = MICROSECONDS
Schema = dict[str, pl.DataType]

EXTENSION = "attending_"
ORDER = "attending_order"
STATIC = "attending_static"
AVAILABLE = "attending_available_time"
RANK = "attending_priority"
NUMBER = "attending_numeric_value"
WORDS = "attending_text_value"
FROM = "attending_origin"
VISIT = "attending_visit_occurrence_id"
START, END = "attending_start_order", "attending_end_order"
BIRTH, GENDER, RACE = "attending_birth_order", "attending_gender_order", "attending_race_order"
WHOLE_CODE = "attending_code"

_CARE: Schema = {"provider_id": ID, "visit_occurrence_id": ID, "visit_detail_id": ID}
_EVENT: Schema = {
    ORDER: ID,
    STATIC: pl.Boolean(),
    AVAILABLE: DATETIME,
    RANK: pl.Int32(),
    NUMBER: pl.Float32(),
    WORDS: TEXT,
    FROM: TEXT,
}


def _moment(name: str) -> Schema:
    return {f"{name}_date": DATE, f"{name}_datetime": DATETIME}


def _source(name: str) -> Schema:
    return {f"{name}_source_value": TEXT, f"{name}_source_concept_id": CONCEPT}


TABLES: dict[str, Schema] = {
    "person": {
        "person_id": ID,
        "gender_concept_id": CONCEPT,
        "year_of_birth": INTEGER,
        "month_of_birth": INTEGER,
        "day_of_birth": INTEGER,
        "birth_datetime": DATETIME,
        "race_concept_id": CONCEPT,
        "ethnicity_concept_id": CONCEPT,
        "location_id": ID,
        "provider_id": ID,
        "care_site_id": ID,
        "person_source_value": TEXT,
        **_source("gender"),
        **_source("race"),
        **_source("ethnicity"),
        BIRTH: ID,
        GENDER: ID,
        RACE: ID,
        FROM: TEXT,
    },
    "observation_period": {
        "observation_period_id": ID,
        "person_id": ID,
        "observation_period_start_date": DATE,
        "observation_period_end_date": DATE,
        "period_type_concept_id": CONCEPT,
    },
    "visit_occurrence": {
        "visit_occurrence_id": ID,
        "person_id": ID,
        "visit_concept_id": CONCEPT,
        **_moment("visit_start"),
        **_moment("visit_end"),
        "visit_type_concept_id": CONCEPT,
        "provider_id": ID,
        "care_site_id": ID,
        **_source("visit"),
        "admitted_from_concept_id": CONCEPT,
        "admitted_from_source_value": TEXT,
        "discharged_to_concept_id": CONCEPT,
        "discharged_to_source_value": TEXT,
        "preceding_visit_occurrence_id": ID,
        START: ID,
        END: ID,
        FROM: TEXT,
    },
    "condition_occurrence": {
        "condition_occurrence_id": ID,
        "person_id": ID,
        "condition_concept_id": CONCEPT,
        **_moment("condition_start"),
        **_moment("condition_end"),
        "condition_type_concept_id": CONCEPT,
        "condition_status_concept_id": CONCEPT,
        "stop_reason": TEXT,
        **_CARE,
        **_source("condition"),
        "condition_status_source_value": TEXT,
        **_EVENT,
    },
    "drug_exposure": {
        "drug_exposure_id": ID,
        "person_id": ID,
        "drug_concept_id": CONCEPT,
        **_moment("drug_exposure_start"),
        **_moment("drug_exposure_end"),
        "verbatim_end_date": DATE,
        "drug_type_concept_id": CONCEPT,
        "stop_reason": TEXT,
        "refills": INTEGER,
        "quantity": NUMERIC,
        "days_supply": INTEGER,
        "sig": TEXT,
        "route_concept_id": CONCEPT,
        "lot_number": TEXT,
        **_CARE,
        **_source("drug"),
        "route_source_value": TEXT,
        "dose_unit_source_value": TEXT,
        **_EVENT,
    },
    "procedure_occurrence": {
        "procedure_occurrence_id": ID,
        "person_id": ID,
        "procedure_concept_id": CONCEPT,
        **_moment("procedure"),
        **_moment("procedure_end"),
        "procedure_type_concept_id": CONCEPT,
        "modifier_concept_id": CONCEPT,
        "quantity": INTEGER,
        **_CARE,
        **_source("procedure"),
        "modifier_source_value": TEXT,
        **_EVENT,
    },
    "measurement": {
        "measurement_id": ID,
        "person_id": ID,
        "measurement_concept_id": CONCEPT,
        **_moment("measurement"),
        "measurement_time": TEXT,
        "measurement_type_concept_id": CONCEPT,
        "operator_concept_id": CONCEPT,
        "value_as_number": NUMERIC,
        "value_as_concept_id": CONCEPT,
        "unit_concept_id": CONCEPT,
        "range_low": NUMERIC,
        "range_high": NUMERIC,
        **_CARE,
        **_source("measurement"),
        **_source("unit"),
        "value_source_value": TEXT,
        "measurement_event_id": ID,
        "meas_event_field_concept_id": CONCEPT,
        **_EVENT,
    },
    "observation": {
        "observation_id": ID,
        "person_id": ID,
        "observation_concept_id": CONCEPT,
        **_moment("observation"),
        "observation_type_concept_id": CONCEPT,
        "value_as_number": NUMERIC,
        "value_as_string": TEXT,
        "value_as_concept_id": CONCEPT,
        "qualifier_concept_id": CONCEPT,
        "unit_concept_id": CONCEPT,
        **_CARE,
        **_source("observation"),
        "unit_source_value": TEXT,
        "qualifier_source_value": TEXT,
        "value_source_value": TEXT,
        "observation_event_id": ID,
        "obs_event_field_concept_id": CONCEPT,
        **_EVENT,
    },
    "death": {
        "person_id": ID,
        **_moment("death"),
        "death_type_concept_id": CONCEPT,
        "cause_concept_id": CONCEPT,
        **_source("cause"),
        ORDER: ID,
        AVAILABLE: DATETIME,
        VISIT: ID,
        FROM: TEXT,
    },
    "note": {
        "note_id": ID,
        "person_id": ID,
        **_moment("note"),
        "note_type_concept_id": CONCEPT,
        "note_class_concept_id": CONCEPT,
        "note_title": TEXT,
        "note_text": TEXT,
        "encoding_concept_id": CONCEPT,
        "language_concept_id": CONCEPT,
        **_CARE,
        "note_source_value": TEXT,
        "note_event_id": ID,
        "note_event_field_concept_id": CONCEPT,
        **{name: dtype for name, dtype in _EVENT.items() if name != WORDS},
    },
    "concept": {
        "concept_id": CONCEPT,
        "concept_name": TEXT,
        "domain_id": TEXT,
        "vocabulary_id": TEXT,
        "concept_class_id": TEXT,
        "standard_concept": TEXT,
        "concept_code": TEXT,
        "valid_start_date": DATE,
        "valid_end_date": DATE,
        "invalid_reason": TEXT,
        WHOLE_CODE: TEXT,
    },
    "vocabulary": {
        "vocabulary_id": TEXT,
        "vocabulary_name": TEXT,
        "vocabulary_reference": TEXT,
        "vocabulary_version": TEXT,
        "vocabulary_concept_id": CONCEPT,
    },
    "cdm_source": {
        "cdm_source_name": TEXT,
        "cdm_source_abbreviation": TEXT,
        "cdm_holder": TEXT,
        "source_description": TEXT,
        "source_documentation_reference": TEXT,
        "cdm_etl_reference": TEXT,
        "source_release_date": DATE,
        "cdm_release_date": DATE,
        "cdm_version": TEXT,
        "cdm_version_concept_id": CONCEPT,
        "vocabulary_version": TEXT,
    },
}


def fitted(frame: pl.DataFrame, table: str, *, extensions: bool) -> pl.DataFrame:
    """Return `frame` with exactly the columns of a table: what it lacks is null, what is not of it is left off."""
    wanted = {
        name: dtype for name, dtype in TABLES[table].items() if extensions or not name.startswith(EXTENSION)
    }
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in wanted.items()
    )
