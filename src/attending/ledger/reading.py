"""The map step: read a part of one raw file into typed rows by shard, and account for every line of it.

A part is every n-th chunk of the file, so that several workers can share one large compressed file: each
decompresses it all, which is cheap, and parses its own chunks only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from attending.artifact import write_atomic
from attending.engine import shuffle
from attending.errors import LedgerError, SourceError
from attending.ledger import lines, quarantine
from attending.ledger.casts import cast
from attending.ledger.quarantine import LINE_OF_ROW, N_LINES_OF_ROW, Tally
from attending.ledger.sieve import Rejected
from attending.ledger.table import Column, Table
from attending.schema import SUBJECT_ID

MISSING_COLUMN = "missing column"
_ROWS_PER_BATCH = 500_000


@dataclass(frozen=True, kw_only=True)
class Part:
    """One task of the map step: chunks `number`, `number + n_parts`, … of one file."""

    table: Table
    path: Path
    staging: Path
    n_shards: int
    number: int = 0
    n_parts: int = 1
    block_bytes: int = 16 * 2**20


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What the map step counted in one part; `n_lines` is counted apart from the chunks, by part 0 only."""

    n_lines: int = 0
    header: int = 0
    blank: int = 0
    chunk_lines: int = 0
    chunks: list[int] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    quarantined: Tally = field(default_factory=dict)
    values: Tally = field(default_factory=dict)
    status: str = "read"


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """A chunk as a frame: text from CSV, or typed columns from Parquet."""

    index: int
    frame: pl.DataFrame
    lines: NDArray[np.uint32]
    spans: NDArray[np.uint32]
    rejected: list[Rejected] = field(default_factory=list)
    n_blank: int = 0
    n_lines: int = 0


def read(part: Part) -> Counts:
    """Read the part's chunks into staging files; one that is finished is not read again.

    Raises:
        SourceError: if the file is damaged, or is required and lacks a required column.
    """
    return _read_parquet(part) if part.path.suffix == ".parquet" else _read_csv(part)


def add(parts: Sequence[Counts]) -> Counts:
    """Add up the parts of one file."""
    return Counts(
        n_lines=sum(part.n_lines for part in parts),
        header=sum(part.header for part in parts),
        blank=sum(part.blank for part in parts),
        chunk_lines=sum(part.chunk_lines for part in parts),
        chunks=sorted(chunk for part in parts for chunk in part.chunks),
        missing=parts[0].missing,
        quarantined=quarantine.add(part.quarantined for part in parts),
        values=quarantine.add(part.values for part in parts),
        status=parts[0].status,
    )


def staging_file(staging: Path, table: Table, chunk: int) -> Path:
    """Return where a chunk's typed rows are."""
    return staging / table.name.replace("/", "_") / f"{chunk:06}.arrow"


def quarantine_file(staging: Path, table: Table, chunk: int) -> Path:
    """Return where a chunk's quarantine is; there is none where nothing was wrong."""
    return staging_file(staging, table, chunk).with_suffix(".quarantine.parquet")


def _read_csv(part: Part) -> Counts:
    physical = lines.LineCount()
    stream = physical.watch(lines.blocks(part.path, part.block_bytes))
    header, chunks = lines.open_chunks(stream, part.number, part.n_parts)
    if header is None:
        _drain(stream)
        blank = physical.n_lines if part.number == 0 else 0
        return Counts(n_lines=blank, blank=blank, status="empty")
    places = _places(header.names, part.table)
    missing = [column.name for column in part.table.columns if column.name not in places]
    void = next(
        (column.name for column in part.table.columns if column.required and column.name in missing), ""
    )
    _refuse(part, header.names, void)
    staged = [_stage_csv(part, chunk, header.names, places, void) for chunk in chunks]
    _drain(stream)
    first = part.number == 0
    return _sum(
        staged,
        n_lines=physical.n_lines if first else 0,
        header=header.n_lines if first else 0,
        blank=header.n_blank if first else 0,
        missing=missing,
        status=f"{MISSING_COLUMN} '{void}'" if void else "read",
    )


def _drain(stream: Iterator[bytes]) -> None:
    for _ in stream:
        pass


def _refuse(part: Part, names: list[str], void: str) -> None:
    if void and part.table.required:
        raise SourceError(
            f"expected a column '{void}' in {part.path}, which every study needs; got "
            f"{', '.join(names) or 'no readable header'}: restore the column, or its name"
        )


def _places(names: list[str], table: Table) -> dict[str, int]:
    """Return where the table's columns stand in the file; letter case does not matter."""
    lower = [name.lower() for name in names]
    return {
        column.name: lower.index(column.name.lower())
        for column in table.columns
        if column.name.lower() in lower
    }


def _stage_csv(
    part: Part, chunk: lines.Chunk, names: list[str], places: dict[str, int], void: str
) -> dict[str, Any]:
    done = shuffle.finished(staging_file(part.staging, part.table, chunk.index))
    if done is not None:
        return done.counts
    if void:
        return _stage(part, _void(chunk, places, void))
    try:
        frame = _parse(chunk.data, len(names), places)
    except pl.exceptions.PolarsError:
        frame = None
    if frame is None or frame.height != len(chunk.lines):
        raise LedgerError(
            f"expected {len(chunk.lines)} records in chunk {chunk.index} of {part.path}; the CSV parser found "
            f"{'none' if frame is None else frame.height}: please report this, it is a fault of the library"
        )
    rows = _Rows(
        index=chunk.index,
        frame=frame,
        lines=chunk.lines,
        spans=chunk.spans,
        rejected=chunk.rejected,
        n_blank=chunk.n_blank,
        n_lines=chunk.n_lines,
    )
    return _stage(part, rows)


def _parse(data: bytes, n_fields: int, places: dict[str, int]) -> pl.DataFrame:
    """Parse regular CSV bytes into text columns. An empty field is null, quoted or not."""
    schema = {f"field_{place}": pl.String() for place in range(n_fields)}
    if not data:
        return pl.DataFrame(schema=dict.fromkeys(places, pl.String()))
    wanted = sorted(set(places.values()))
    frame = pl.read_csv(data, has_header=False, schema=schema, columns=wanted)
    frame = frame.select(pl.col(f"field_{place}").alias(name) for name, place in places.items())
    if b'"' in data and b'""' in data:  # the first search is forty times faster than the second
        filled = pl.all()
        frame = frame.select(pl.when(filled != "").then(filled).name.keep())
    return frame


def _void(chunk: lines.Chunk, places: dict[str, int], void: str) -> _Rows:
    """Give up every line of a chunk, because its table lacks a column that its rows need."""
    rejected = [
        Rejected(line, span, MISSING_COLUMN, void)
        for line, span in zip(chunk.lines.tolist(), chunk.spans.tolist(), strict=True)
    ]
    rejected += [one._replace(reason=MISSING_COLUMN, column=void) for one in chunk.rejected]
    nothing = np.empty(0, np.uint32)
    frame = pl.DataFrame(schema=dict.fromkeys(places, pl.String()))
    return _Rows(
        index=chunk.index,
        frame=frame,
        lines=nothing,
        spans=nothing,
        rejected=rejected,
        n_blank=chunk.n_blank,
        n_lines=chunk.n_lines,
    )


def _read_parquet(part: Part) -> Counts:
    try:
        file = pq.ParquetFile(part.path)
        names = file.schema_arrow.names
        places = _places(names, part.table)
        missing = [column.name for column in part.table.columns if column.name not in places]
        needed = [column.name for column in part.table.columns if column.required]
        void = next((name for name in needed if name in missing), "")
        _refuse(part, names, void)
        staged = [_stage_batch(part, *batch) for batch in _batches(file, part, places, names)]
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"cannot read {part.path}: {type(error).__name__}; copy it again") from None
    n_lines = file.metadata.num_rows if part.number == 0 else 0
    return _sum(staged, n_lines=n_lines, header=0, blank=0, missing=missing, status="read")


def _batches(
    file: pq.ParquetFile, part: Part, places: dict[str, int], names: list[str]
) -> Iterator[tuple[int, int, pl.DataFrame]]:
    """Yield the number, the first row and the columns of each batch of the part."""
    row = 1
    columns = {names[place]: name for name, place in places.items()}
    for index, batch in enumerate(file.iter_batches(_ROWS_PER_BATCH, columns=list(columns))):
        if index % part.n_parts == part.number:
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield index, row, frame.rename(columns)
        row += batch.num_rows


def _stage_batch(part: Part, index: int, row: int, frame: pl.DataFrame) -> dict[str, Any]:
    done = shuffle.finished(staging_file(part.staging, part.table, index))
    if done is not None:
        return done.counts
    texts = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Categorical | pl.Enum)]
    rows = _Rows(
        index=index,
        frame=frame.with_columns(pl.col(texts).cast(pl.String)),
        lines=np.arange(row, row + frame.height, dtype=np.uint32),
        spans=np.ones(frame.height, np.uint32),
        n_lines=frame.height,
    )
    return _stage(part, rows)


def _stage(part: Part, rows: _Rows) -> dict[str, Any]:
    """Cast, set aside what does not go, write the rest by shard, and return the counts."""
    present = [column for column in part.table.columns if column.name in rows.frame.columns]
    typed, problems = cast(rows.frame, present)
    numbered = _fill(typed, part.table.columns).with_columns(
        pl.Series(LINE_OF_ROW, rows.lines), pl.Series(N_LINES_OF_ROW, rows.spans)
    )
    accepted, faults = quarantine.divide(numbered, problems)
    faults = pl.concat([quarantine.of_rejected(rows.rejected), faults])
    if faults.height:
        path = quarantine_file(part.staging, part.table, rows.index)
        write_atomic(path, faults.write_parquet)
    counts = {
        "index": rows.index,
        "n_lines": rows.n_lines,
        "blank": rows.n_blank,
        "quarantined": quarantine.tally(faults, whole_lines=True),
        "values": quarantine.tally(faults, whole_lines=False),
    }
    if part.table.dictionary:
        ids = pl.zeros(accepted.height, pl.Int64, eager=True)
    else:
        accepted = accepted.rename({part.table.subject: SUBJECT_ID})
        ids = accepted[SUBJECT_ID]
    path = staging_file(part.staging, part.table, rows.index)
    return shuffle.write(path, accepted, ids, part.n_shards, counts).counts


def _fill(frame: pl.DataFrame, columns: tuple[Column, ...]) -> pl.DataFrame:
    """Add the columns that the file does not have, as nulls, and put all in the table's order."""
    absent = [column for column in columns if column.name not in frame.columns]
    nulls = [pl.lit(None, column.dtype).alias(column.name) for column in absent]
    return frame.with_columns(nulls).select(column.name for column in columns)


def _sum(
    staged: list[dict[str, Any]], *, n_lines: int, header: int, blank: int, missing: list[str], status: str
) -> Counts:
    return Counts(
        n_lines=n_lines,
        header=header,
        blank=blank + sum(one["blank"] for one in staged),
        chunk_lines=sum(one["n_lines"] for one in staged),
        chunks=[one["index"] for one in staged],
        missing=missing,
        quarantined=quarantine.add(one["quarantined"] for one in staged),
        values=quarantine.add(one["values"] for one in staged),
        status=status,
    )
