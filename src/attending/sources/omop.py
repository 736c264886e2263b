"""OMOP Common Data Model 5.3 and 5.4: a folder of CSV or Parquet tables, a DuckDB file, or PostgreSQL.

Needs `person`; every other table may be absent. Letter case does not matter; a table may be a folder of parts, and
a file may have a number before its name (`2b_concept.csv.gz`). Read are person, visit_occurrence, visit_detail,
condition_occurrence, procedure_occurrence, drug_exposure, device_exposure, measurement, observation, note, specimen,
death, observation_period, and the names of concepts, their relationships and ancestors, and care sites.
Not read: eras and episodes (made from what is read), cost, payer, providers, places, cohorts, note_nlp,
fact_relationship, metadata.

Codes: a source concept of ICD, HCPCS or CPT is spelled as in every source here, `DIAGNOSIS//ICD//10//I509`; anything
else is its standard concept, `CONDITION//SNOMED//84114007`, or the source's own; without concepts it is the number,
`CONDITION//OMOP//4140598` (`sources/_omop/concepts` has the whole order). The rules for time:

    dates            `…_datetime` where it is there, else the last second of `…_date`: what happened on a day is known
                     when it is over, or when the visit that ends on that day does. A time of 00:00:00 says no more
                     than the date (OMOP asks to fill times so), unless `midnight` says that it is the hour.
    conditions       happen at their start and are known when their visit ends: most are assigned by coders then.
                     Known at once are problem lists (`known_at_once`) and what has the status of an admission
                     diagnosis; outside visits, a condition is known at its start.
    procedures       happen on their date. ICD, HCPCS and CPT codes are known when the visit ends, others at once.
    measurements     are known when they are dated: OMOP has one time, so choose data whose ETL put the result there.
    anything else    at its start.
    birth            `birth_datetime`, else the date; where only the year is given, its first day.
    visits           `stays` are the visit concepts that are stays in hospital, `HOSPITAL_ADMISSION//kind//from` and
                     `HOSPITAL_DISCHARGE//to`. Any other visit is `ENCOUNTER//kind` at its start.

A folder that `attending export omop` wrote is read back exactly: its concepts of the vocabulary MEDS are the codes,
and its columns `attending_…` hold what OMOP has no room for.
"""

from functools import partial
from pathlib import Path

from pydantic import field_validator

from attending.config import Settings
from attending.ledger.table import Source
from attending.sources._omop import databases, files
from attending.sources._omop.concepts import CONCEPT
from attending.sources._omop.connection import DUCKDB, VARIABLE, check
from attending.sources._omop.names import describe
from attending.sources._omop.rules import PERSONS, VISITS, Rules
from attending.sources._omop.tables import COLUMNS, tables

INPATIENT = (9201, 262, 8717, 8920, 8971, 32037, 581379)
"""Inpatient visit, emergency and inpatient visit, inpatient hospital, rehabilitation, psychiatry, intensive care."""
PROBLEM_LISTS = (32840, 38000245)
_MARK = "attending_birth_order"


class Config(Settings):
    """Settings of the source.

    database         where the tables are not in the folder: `duckdb:FILE`, `postgresql://…`, or `env:NAME`, the
                     environment variable that holds either, so that a password stands in no file
    database_schema  the schema of the tables in the database; empty: the database's own choice
    vocabulary_schema  the schema of the vocabulary tables, where it is another one
    stays            visit concepts that are stays in hospital
    known_at_once    type concepts of conditions that are known when recorded: problem lists
    midnight         whether a time of 00:00:00 is the hour rather than "some time that day"
    guess            read source values as ICD or HCPCS codes where concepts do not explain them
    flags            give a number outside the range beside it the words `low` or `high`
    leave_out        tables to leave out, by name
    """

    database: str = ""
    database_schema: str = ""
    vocabulary_schema: str = ""
    stays: tuple[int, ...] = INPATIENT
    known_at_once: tuple[int, ...] = PROBLEM_LISTS
    midnight: bool = False
    guess: bool = True
    flags: bool = False
    leave_out: tuple[str, ...] = ()

    @field_validator("database")
    @classmethod
    def _holds_no_password(cls, database: str) -> str:
        check(database)
        return database


def source(folder: Path, config: Config) -> Source:
    """Describe an OMOP data set in `folder`, or in the database that the settings name.

    Raises:
        SourceError: if the database cannot be read.
    """
    leave_out = tuple(name for name in config.leave_out if name != PERSONS)
    database = config.database or _instead_of(folder)
    if not database:
        there = files.find(folder, COLUMNS)
        persons, visits = (there[name].columns if name in there else () for name in (PERSONS, VISITS))
        rules = _rules(config, named=CONCEPT in there, extended=_MARK in persons)
        made = tables(rules, there, visits, leave_out)
        return Source(name="OMOP", tables=made, subjects=PERSONS, describe=describe)
    place = databases.place(database, config.database_schema, config.vocabulary_schema)
    located = databases.columns(place, tuple(COLUMNS))
    rules = _rules(config, named=CONCEPT in located, extended=_MARK in located.get(PERSONS, ()))
    made = tables(rules, {}, located.get(VISITS, ()), leave_out)
    units = partial(databases.units, place, made)
    return Source(name="OMOP", tables=made, subjects=PERSONS, describe=describe, units=units)


def _instead_of(folder: Path) -> str:
    """Return the database that stands where a folder could: a DuckDB file, or an address as in the settings."""
    given = str(folder)
    if given.startswith((DUCKDB, VARIABLE)):
        return given
    return f"{DUCKDB}{folder}" if folder.is_file() else ""


def _rules(config: Config, *, named: bool, extended: bool) -> Rules:
    return Rules(
        stays=frozenset(config.stays),
        known_at_once=frozenset(config.known_at_once),
        midnight=config.midnight,
        guess=config.guess,
        flags=config.flags,
        named=named,
        extended=extended,
    )
