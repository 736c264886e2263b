"""MEDS: a data set in the Medical Event Data Standard, 0.3.3 or 0.4, in one file or many.

Rows are taken as they are. Our own extension columns are kept where the data have them; a column `hadm_id`
gives the visit where there is no `visit_id`. MEDS does not say when an event became known, so without a
column `available_time` it is known when it happened. Other columns are left out. The data set's own splits
and code metadata are kept.

Rows are accounted for as other sources account for lines; one without subject or code is quarantined.
"""

import json
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars import col

from attending.config import Settings
from attending.errors import SourceError
from attending.ledger.casts import MISSING
from attending.ledger.events import event
from attending.ledger.table import Column, Context, Problem, Source, Table, integer, moment, number, text
from attending.ontology import icd
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    DESCRIPTION,
    N_EVENTS,
    NUMERIC_VALUE,
    ORIGIN,
    PARENT_CODES,
    PRIORITY,
    SPLIT,
    SPLITS,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)

NAME = "meds"
ADMISSION_ID = "hadm_id"
CODES_FILE = "metadata/codes.parquet"
SPLITS_FILE = "metadata/subject_splits.parquet"
DATASET_FILE = "metadata/dataset.json"

REQUIRED = (integer(SUBJECT_ID, required=True), moment(TIME), text(CODE, required=True))
OPTIONAL = (
    number(NUMERIC_VALUE),
    text(TEXT_VALUE),
    moment(AVAILABLE_TIME),
    integer(VISIT_ID),
    integer(ADMISSION_ID),
    integer(PRIORITY),
    text(ORIGIN),
)
_FITS = {
    "integer": pa.types.is_integer,
    "number": lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind),
    "moment": pa.types.is_timestamp,
    "text": lambda kind: (
        pa.types.is_large_string(kind) or pa.types.is_string(kind) or pa.types.is_dictionary(kind)
    ),
}


class Config(Settings):
    """The source has no settings."""


def source(folder: Path, config: Config) -> Source:
    """Describe a MEDS data set: one table for each file below `data/`.

    Raises:
        SourceError: if there is none, or one lacks a column that MEDS requires.
    """
    paths = sorted((folder / "data").rglob("*.parquet"))
    if not paths:
        raise SourceError(
            f"expected Parquet files below {folder / 'data'}; found none: point at the MEDS root folder"
        )
    return Source(
        name=_dataset_name(folder),
        tables=tuple(_table(folder, path) for path in paths),
        describe=partial(describe, folder),
        splits=splits,
        metadata=frozenset({CODES_FILE, SPLITS_FILE, DATASET_FILE}),
    )


def _table(folder: Path, path: Path) -> Table:
    name = path.relative_to(folder).as_posix()
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"cannot read {path}: {type(error).__name__}; copy it again") from None
    for column in REQUIRED:
        if column.name not in schema.names or not _fits(column, schema):
            got = ", ".join(f"{field.name} {field.type}" for field in schema)
            raise SourceError(f"expected a column '{column.name}' of kind {column.kind} in {path}; got {got}")
    present = [column for column in OPTIONAL if column.name in schema.names and _fits(column, schema)]
    return Table(
        name=name.removesuffix(".parquet"),
        path=name,
        columns=(*REQUIRED, *present),
        problems=problems,
        events=events,
        required=True,
    )


def _fits(column: Column, schema: pa.Schema) -> bool:
    """Say whether a column has the type we know it by: `priority` is a rank here and text elsewhere."""
    return bool(_FITS[column.kind](schema.field(column.name).type))


def problems(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find codes that are empty text."""
    return [Problem(rows[CODE] == "", MISSING, CODE)]


def events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give every row as the event it is."""
    visits = [col(name) for name in (VISIT_ID, ADMISSION_ID) if name in rows.columns]
    optional = {name: col(name) for name in rows.columns}
    timed = rows[TIME].is_not_null()
    parts = [rows.filter(~timed), rows.filter(timed)]
    return [
        event(
            part,
            col(CODE),
            time=time,
            available=optional.get(AVAILABLE_TIME) if time is not None else None,
            numeric=optional.get(NUMERIC_VALUE),
            text=optional.get(TEXT_VALUE),
            visit=pl.coalesce(visits) if visits else None,
            priority=optional.get(PRIORITY),
            origin=optional.get(ORIGIN, pl.lit(None, pl.String)).fill_null(NAME),
        )
        for part, time in zip(parts, (None, col(TIME)), strict=True)
    ]


def describe(folder: Path, codes: pl.Series, dictionaries: Context) -> pl.DataFrame:
    """Keep the data set's code metadata; ICD titles and parents fill what it does not say."""
    known = pl.DataFrame({CODE: codes})
    if (folder / CODES_FILE).exists():
        own = (
            pl.read_parquet(folder / CODES_FILE)
            .with_columns(col(CODE).cast(pl.String))
            .drop(N_EVENTS, strict=False)
        )
        known = known.join(own.unique(CODE, keep="first"), on=CODE, how="left", maintain_order="left")
    titles = pl.Series([icd.describe(code) for code in codes.to_list()], dtype=pl.String)
    parents = pl.Series([icd.parents(code) or None for code in codes.to_list()], dtype=pl.List(pl.String))
    return known.with_columns(
        _filled(known, DESCRIPTION, titles).alias(DESCRIPTION),
        _filled(known, PARENT_CODES, parents).alias(PARENT_CODES),
    )


def _filled(known: pl.DataFrame, column: str, other: pl.Series) -> pl.Series:
    return known[column].cast(other.dtype).fill_null(other) if column in known.columns else other


def splits(folder: Path) -> pl.DataFrame | None:
    """Read the data set's own splits.

    Raises:
        SourceError: if a split has another name than MEDS gives.
    """
    if not (folder / SPLITS_FILE).exists():
        return None
    given = pl.read_parquet(folder / SPLITS_FILE).select(
        col(SUBJECT_ID).cast(pl.Int64), col(SPLIT).cast(pl.String)
    )
    strange = sorted(set(given[SPLIT].unique().drop_nulls()) - set(SPLITS))
    if strange:
        raise SourceError(
            f"expected the splits {', '.join(SPLITS)} in {folder / SPLITS_FILE}; got {', '.join(strange)}"
        )
    return given


def _dataset_name(folder: Path) -> str:
    try:
        name = json.loads((folder / DATASET_FILE).read_text(encoding="utf-8")).get("dataset_name")
    except (OSError, ValueError, AttributeError):
        return "MEDS"
    return name if isinstance(name, str) else "MEDS"
