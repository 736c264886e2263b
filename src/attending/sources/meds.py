"""MEDS: a data set in the Medical Event Data Standard, 0.3.3 or 0.4, in one file or many.

Reads every Parquet file below `data/`, in folders or not, or `data.parquet`. A subject may be in several files, in any
order: it ends in one shard, sorted. Strings may be plain, large or dictionary-encoded, times in any unit (one with a
zone is turned into UTC), numbers of any width; a column that is null throughout may have no type.

Rows are taken as they are. Our own extension columns are kept where the data have them; a column `hadm_id`
gives the visit where there is no `visit_id`. MEDS does not say when an event became known, so without a
column `available_time` it is known when it happened. Other columns are left out. The data set's own splits
and code metadata are kept.

Rows are accounted for as other sources account for lines; one without subject or code is quarantined.
"""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars import col

from attending.config import Settings
from attending.errors import SourceError
from attending.ledger.casts import MISSING
from attending.ledger.context import Context
from attending.ledger.events import event
from attending.ledger.table import Column, Problem, Source, Table, integer, key, moment, number, text
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
DATA = "data"
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
    key(VISIT_ID),
    integer(ADMISSION_ID),
    key(ADMISSION_ID),
    integer(PRIORITY),
    text(ORIGIN),
)
"""What is read where it is there; of two of one name, the first that fits in every file."""


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


_FITS: dict[str, Callable[[pa.DataType], bool]] = {
    "integer": _is_number,
    "number": _is_number,
    "moment": pa.types.is_timestamp,
    "text": _is_text,
    "key": lambda kind: _is_text(kind) or _is_number(kind),
}


class Config(Settings):
    """The source has no settings."""


def source(folder: Path, config: Config) -> Source:
    """Describe a MEDS data set.

    Raises:
        SourceError: if it has no data, or a file of it lacks a column that MEDS requires.
    """
    single = folder / f"{DATA}.parquet"
    paths = sorted((folder / DATA).rglob("*.parquet")) or [path for path in (single,) if path.is_file()]
    if not paths:
        raise SourceError(
            f"expected Parquet files below {folder / DATA}; found none: point at the MEDS root folder"
        )
    table = Table(
        name=DATA,
        path=single.name if paths == [single] else f"{DATA}/**/*.parquet",
        columns=_columns(paths),
        problems=problems,
        events=events,
        required=True,
    )
    return Source(
        name=_dataset_name(folder),
        tables=(table,),
        describe=partial(describe, folder),
        splits=splits,
        metadata=frozenset({CODES_FILE, SPLITS_FILE, DATASET_FILE}),
    )


def _columns(paths: Sequence[Path]) -> tuple[Column, ...]:
    """Return the columns that every file has, or may have, in a type that fits."""
    schemas = {path: _schema(path) for path in paths}
    for path, schema in schemas.items():
        for column in REQUIRED:
            if column.name not in schema.names or not _fits(column, [schema]):
                got = ", ".join(f"{field.name} {field.type}" for field in schema)
                raise SourceError(
                    f"expected a column '{column.name}' of kind {column.kind} in {path}; got {got}"
                )
    optional = (_chosen(name, list(schemas.values())) for name in dict.fromkeys(one.name for one in OPTIONAL))
    return (*REQUIRED, *(column for column in optional if column is not None))


def _chosen(name: str, schemas: Sequence[pa.Schema]) -> Column | None:
    """Return the optional column of that name whose type fits in every file with values of it, else in any."""
    having = [one for one in schemas if name in one.names and not pa.types.is_null(one.field(name).type)]
    columns = [column for column in OPTIONAL if column.name == name]
    always = [column for column in columns if having and _fits(column, having)]
    sometimes = [column for column in reversed(columns) if any(_fits(column, [schema]) for schema in having)]
    return next(iter(always + sometimes), None)


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"cannot read {path}: {type(error).__name__}; copy it again") from None


def _fits(column: Column, schemas: Sequence[pa.Schema]) -> bool:
    """Say whether a column has a type we know it by: `priority` is a rank here and text elsewhere."""
    fits = pa.types.is_integer if column.name == SUBJECT_ID else _FITS[column.kind]
    kinds = [schema.field(column.name).type for schema in schemas]
    return all(pa.types.is_null(kind) or fits(kind) for kind in kinds)


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
