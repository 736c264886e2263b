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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from polars import col

from attending.config import Settings
from attending.errors import SourceError
from attending.ledger.arrow import DAMAGE, expect_rows, frame_of
from attending.ledger.casts import MISSING
from attending.ledger.context import Context
from attending.ledger.events import event
from attending.ledger.files import text_bytes
from attending.ledger.keys import keys
from attending.ledger.quarantine import LINE_OF_ROW, N_LINES_OF_ROW
from attending.ledger.table import Column, Problem, Source, Table, integer, moment, number, text
from attending.ledger.units import Block, Unit, fingerprint_of
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

_ROWS_PER_BLOCK = 500_000


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_either(kind: pa.DataType) -> bool:
    return _is_number(kind) or _is_text(kind)


Fits = Callable[[pa.DataType], bool]
REQUIRED: dict[Column, Fits] = {
    integer(SUBJECT_ID, required=True): pa.types.is_integer,
    moment(TIME): pa.types.is_timestamp,
    text(CODE, required=True): _is_text,
}
OURS: dict[Column, Fits] = {
    number(NUMERIC_VALUE): _is_either,
    text(TEXT_VALUE): _is_text,
    moment(AVAILABLE_TIME): pa.types.is_timestamp,
    integer(VISIT_ID): _is_either,
    integer(ADMISSION_ID): _is_either,
    integer(PRIORITY): _is_number,
    text(ORIGIN): _is_text,
}
"""What is read where it is there; `priority` is a rank here and text elsewhere, and then it is not read."""
IDENTIFIERS = (VISIT_ID, ADMISSION_ID)


class Config(Settings):
    """The source has no settings."""


@dataclass(frozen=True)
class MedsFile:
    """One file of a data set: where it is, and which of its columns are read."""

    path: Path
    columns: tuple[str, ...]

    def blocks(self, number: int, n_parts: int, block_bytes: int) -> Iterator[Block]:
        """Yield the rows of every n-th block.

        Raises:
            SourceError: if the file is damaged.
        """
        row = 1
        try:
            file = pq.ParquetFile(self.path)
            for index, batch in enumerate(file.iter_batches(_ROWS_PER_BLOCK, columns=list(self.columns))):
                if index % n_parts == number:
                    yield Block(index=index, rows={DATA: _rows(batch, row)}, n_lines=batch.num_rows)
                row += batch.num_rows
            expect_rows(file, row - 1)
        except DAMAGE as error:
            raise _damaged(self.path, error) from None

    def count(self) -> int:
        """Count the rows."""
        return int(pq.read_metadata(self.path).num_rows)


def _rows(batch: pa.RecordBatch, first: int) -> pl.DataFrame:
    """Return a batch's rows and their numbers; identifiers that are text become integers."""
    frame = frame_of(batch)
    named = [name for name in IDENTIFIERS if frame.schema.get(name) == pl.String]
    return frame.with_columns(
        *(keys(frame[name]) for name in named),
        pl.Series(LINE_OF_ROW, range(first, first + frame.height), pl.UInt32),
        pl.lit(1, pl.UInt32).alias(N_LINES_OF_ROW),
    )


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
    units = [
        Unit(
            name=path.relative_to(folder).as_posix(),
            tables=(DATA,),
            n_bytes=text_bytes(path),
            fingerprint=fingerprint_of(path),
            path=path,
            reader=MedsFile(path, _columns(path)),
        )
        for path in paths
    ]
    return Source(
        name=_dataset_name(folder),
        tables=(TABLE,),
        describe=partial(describe, folder),
        splits=splits,
        metadata=frozenset({CODES_FILE, SPLITS_FILE, DATASET_FILE}),
        units=lambda: units,
    )


def _columns(path: Path) -> tuple[str, ...]:
    """Return the columns of a file that are read."""
    try:
        schema = pq.read_schema(path)
    except DAMAGE as error:
        raise _damaged(path, error) from None
    kinds = {field.name: field.type for field in schema}
    found = []
    for column, fits in (REQUIRED | OURS).items():
        kind = kinds.get(column.name)
        known = kind is not None and (pa.types.is_null(kind) or fits(kind))
        needed = column in REQUIRED or (column.name == AVAILABLE_TIME and kind is not None)
        if needed and not known:
            got = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
            raise SourceError(f"expected a column '{column.name}' of kind {column.kind} in {path}; got {got}")
        if known:
            found.append(column.name)
    return tuple(found)


def _damaged(path: Path, error: BaseException) -> SourceError:
    return SourceError(f"cannot read {path}: {type(error).__name__}; copy it again")


def problems(rows: pl.DataFrame, context: Context) -> list[Problem]:
    """Find codes that are empty text."""
    return [Problem(rows[CODE] == "", MISSING, CODE)]


def events(rows: pl.DataFrame, context: Context) -> list[pl.DataFrame]:
    """Give every row as the event it is."""
    timed = rows[TIME].is_not_null()
    parts = [rows.filter(~timed), rows.filter(timed)]
    return [
        event(
            part,
            col(CODE),
            time=time,
            available=col(AVAILABLE_TIME) if time is not None else None,
            numeric=col(NUMERIC_VALUE),
            text=col(TEXT_VALUE),
            visit=pl.coalesce(IDENTIFIERS),
            priority=col(PRIORITY),
            origin=col(ORIGIN).fill_null(NAME),
        )
        for part, time in zip(parts, (None, col(TIME)), strict=True)
    ]


TABLE = Table(
    name=DATA,
    path=DATA,
    columns=(*REQUIRED, *OURS),
    problems=problems,
    events=events,
    required=True,
)


def describe(folder: Path, codes: pl.Series, dictionaries: Context) -> pl.DataFrame:
    """Keep the data set's code metadata; ICD titles and parents fill what it does not say."""
    known = pl.DataFrame({CODE: codes})
    if (folder / CODES_FILE).exists():
        own = _read(folder / CODES_FILE, CODE).with_columns(col(CODE).cast(pl.String))
        own = own.drop(N_EVENTS, strict=False)
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
    given = _read(folder / SPLITS_FILE, SUBJECT_ID, SPLIT).select(
        col(SUBJECT_ID).cast(pl.Int64), col(SPLIT).cast(pl.String)
    )
    strange = sorted(set(given[SPLIT].unique().drop_nulls()) - set(SPLITS))
    if strange:
        raise SourceError(
            f"expected the splits {', '.join(SPLITS)} in {folder / SPLITS_FILE}; got {', '.join(strange)}"
        )
    return given


def _read(path: Path, *columns: str) -> pl.DataFrame:
    """Read a file of metadata that must have `columns`."""
    try:
        frame = frame_of(pq.read_table(path))
    except DAMAGE as error:
        raise _damaged(path, error) from None
    for column in columns:
        if column not in frame.columns:
            raise SourceError(
                f"expected a column '{column}' in {path}; got {', '.join(frame.columns)}: "
                "restore it, or remove the file"
            )
    return frame


def _dataset_name(folder: Path) -> str:
    try:
        name = json.loads((folder / DATASET_FILE).read_text(encoding="utf-8")).get("dataset_name")
    except (OSError, ValueError, AttributeError):
        return "MEDS"
    return name if isinstance(name, str) else "MEDS"
