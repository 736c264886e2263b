"""OMOP CDM 5.4: a folder of tables that OHDSI's tools read, and that `attending ingest omop` reads back exactly.

    person                  one row a subject: sex (static `GENDER//…`), birth, race
    observation_period      from the first to the last dated event
    visit_occurrence        one row a visit: `HOSPITAL_ADMISSION//…` or `ENCOUNTER//…` starts it,
                            `HOSPITAL_DISCHARGE//…` ends it; without them it is the span of its events
    condition_occurrence    `DIAGNOSIS//…`, `CONDITION//…`
    procedure_occurrence    `PROCEDURE//…`, `HCPCS//…`
    drug_exposure           `MEDICATION//…`, `INFUSION_START//…`, `IMMUNIZATION//…`; the text is the `sig`
    measurement             `LAB//…`, `CHART//…`, `VITAL//…`, `OMR//…`: number, words, unit
    death                   the first `MEDS_DEATH`
    note                    `NOTE//…` with its text
    observation             everything else
    concept, vocabulary     every code, as a concept of the vocabulary MEDS with its description
    cdm_source              what the folder is

The meaning of a row stands in its `…_source_concept_id`; the standard concept is 0, "no matching concept": mapping
codes to standard concepts needs OHDSI's vocabularies, which are not ours to ship. Concepts of one's own are numbered
from 2,000,000,000 as OMOP asks, in the order of the codes.

When an event became known, its rank, its place among the events of a moment, and facts without a time have no room
in the CDM: with `extensions` they stand in columns that begin with `attending_`, which other tools pass over.
Without, the tables are plain CDM: facts without a time other than sex and race are left out, and a code of more than
the 50 characters that `concept_code` has is cut and marked with the number of its concept.
"""

import json
from datetime import date
from functools import partial
from pathlib import Path
from typing import Literal

import polars as pl
from polars import col

from attending import __version__
from attending.artifact import write_atomic
from attending.config import Settings
from attending.exports._omop import cdm, rows
from attending.exports._omop.places import persons_without_events
from attending.ledger.outgoing import Part, Whole
from attending.schema import (
    CODE,
    DESCRIPTION,
    MEDS_VERSION,
    SUBJECT_ID,
)

FIRST_CONCEPT = 2_000_000_000
"""From here on, OMOP leaves concept ids to those who make their own; the first is the vocabulary itself."""
VOCABULARY = "MEDS"
SUBJECT_IDS = "metadata/subject_ids.parquet"
_MOMENT = "%Y-%m-%d %H:%M:%S%.f"
_CDM_5_4 = 756265
_FIRST_DAY, _LAST_DAY = date(1970, 1, 1), date(2099, 12, 31)
_LONGEST_CODE, _LONGEST_NAME = 50, 255


class Config(Settings):
    """Settings of the export.

    format        `parquet` or `csv`
    extensions    write what the CDM has no room for in columns `attending_…`
    title         what the data are called in `cdm_source`
    holder        who has them
    release_date  the day of their release, as `2026-01-31`; the export itself knows no calendar
    """

    format: Literal["parquet", "csv"] = "parquet"
    extensions: bool = True
    title: str = "attending"
    holder: str = "not stated"
    release_date: date = _FIRST_DAY


def write(events: pl.DataFrame, part: Part, config: Config) -> dict[str, int]:
    """Write one shard's rows of every table; return how many by table."""
    coded = events.join(concepts(part.events), on=CODE, how="left", maintain_order="left")
    tables = rows.tables(coded, part.first_event, extensions=config.extensions)
    tables["person"] = _with_source_ids(tables["person"], part.events)
    return {
        name: _write(part.out / name / f"{part.number:03}", frame, name, config)
        for name, frame in tables.items()
    }


def finish(whole: Whole, config: Config) -> None:
    """Write the tables that are not of persons, and the persons without any event."""
    shards = sorted((whole.events / "data").glob("*.parquet"))
    others = _with_source_ids(persons_without_events(_eventless(whole.events, shards)), whole.events)
    if others.height:
        _write(whole.out / "person" / f"{len(shards):03}", others, "person", config)
    for name, frame in (
        ("concept", _concept_table(whole.events)),
        ("vocabulary", _vocabulary()),
        ("cdm_source", _cdm_source(whole.events, config)),
    ):
        _write(whole.out / name, frame, name, config)


def concepts(events: Path) -> pl.DataFrame:
    """Return the concept of every code: the codes in order, numbered."""
    codes = pl.read_parquet(events / "metadata" / "codes.parquet", columns=[CODE]).sort(CODE)
    return codes.with_row_index("n").select(
        CODE, (col("n").cast(pl.Int64) + FIRST_CONCEPT + 1).cast(cdm.CONCEPT).alias("concept_id")
    )


def _write(path: Path, frame: pl.DataFrame, table: str, config: Config) -> int:
    fitted = cdm.fitted(frame, table, extensions=config.extensions)
    write = (
        fitted.write_parquet
        if config.format == "parquet"
        else partial(fitted.write_csv, datetime_format=_MOMENT)
    )
    write_atomic(path.with_name(f"{path.name}.{config.format}"), write)
    return fitted.height


def _with_source_ids(persons: pl.DataFrame, events: Path) -> pl.DataFrame:
    """Give persons the identifiers that they had where the events came from."""
    own = col("person_id").cast(pl.String)
    if not (events / SUBJECT_IDS).exists():
        return persons.with_columns(own.alias("person_source_value"))
    known = pl.read_parquet(events / SUBJECT_IDS).select(
        col(SUBJECT_ID).alias("person_id"), col("source_id").cast(pl.String).alias("person_source_value")
    )
    named = persons.join(known.unique("person_id"), on="person_id", how="left", maintain_order="left")
    return named.with_columns(col("person_source_value").fill_null(own))


def _eventless(events: Path, shards: list[Path]) -> pl.Series:
    listed = pl.read_parquet(events / "metadata" / "subject_splits.parquet")[SUBJECT_ID]
    found = [pl.read_parquet(shard, columns=[SUBJECT_ID])[SUBJECT_ID].unique() for shard in shards]
    return listed.filter(~listed.is_in(pl.concat(found).implode())) if found else listed


def _concept_table(events: Path) -> pl.DataFrame:
    described = pl.read_parquet(events / "metadata" / "codes.parquet").select(CODE, DESCRIPTION)
    every = concepts(events).join(described, on=CODE, how="left", maintain_order="left")
    own = every.select(
        "concept_id",
        col(DESCRIPTION).fill_null(col(CODE)).str.slice(0, _LONGEST_NAME).alias("concept_name"),
        rows.domain().alias("domain_id"),
        pl.lit(VOCABULARY).alias("vocabulary_id"),
        pl.lit("MEDS code").alias("concept_class_id"),
        _short(CODE).alias("concept_code"),
        col(CODE).alias(cdm.WHOLE_CODE),
    )
    itself = pl.DataFrame(
        {
            "concept_id": [FIRST_CONCEPT],
            "concept_name": ["Medical Event Data Standard"],
            "domain_id": ["Metadata"],
            "vocabulary_id": ["Vocabulary"],
            "concept_class_id": ["Vocabulary"],
            "concept_code": ["MEDS vocabulary"],
        },
        schema_overrides={"concept_id": cdm.CONCEPT},
    )
    days = (pl.lit(_FIRST_DAY).alias("valid_start_date"), pl.lit(_LAST_DAY).alias("valid_end_date"))
    return pl.concat([itself, own], how="diagonal").with_columns(days)


def _short(column: str) -> pl.Expr:
    """Fit a code into the CDM's 50 characters: a longer one ends with its concept's number."""
    mark = "~" + col("concept_id").cast(pl.String)
    short = col(column).str.slice(0, _LONGEST_CODE - 11) + mark
    return pl.when(col(column).str.len_chars() <= _LONGEST_CODE).then(col(column)).otherwise(short)


def _vocabulary() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "vocabulary_id": [VOCABULARY],
            "vocabulary_name": ["Codes of the Medical Event Data Standard"],
            "vocabulary_reference": ["https://github.com/Medical-Event-Data-Standard"],
            "vocabulary_version": [MEDS_VERSION],
            "vocabulary_concept_id": [FIRST_CONCEPT],
        }
    )


def _cdm_source(events: Path, config: Config) -> pl.DataFrame:
    described = json.loads((events / "metadata" / "dataset.json").read_text(encoding="utf-8"))
    return pl.DataFrame(
        {
            "cdm_source_name": [config.title],
            "cdm_source_abbreviation": [config.title[:25]],
            "cdm_holder": [config.holder],
            "source_description": [f"Events of {described.get('dataset_name', 'unknown')}"],
            "cdm_etl_reference": [f"attending {__version__}"],
            "source_release_date": [config.release_date],
            "cdm_release_date": [config.release_date],
            "cdm_version": ["5.4"],
            "cdm_version_concept_id": [_CDM_5_4],
            "vocabulary_version": [f"{VOCABULARY} {MEDS_VERSION}"],
        }
    )
