"""The map step: read a part of what a source has into typed rows by shard, and account for every line of it.

A part is every n-th chunk of one large file, so that several workers can share it: each decompresses it all,
which is cheap, and parses its own chunks only. Or it is several small files that are read together.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from attending.errors import LedgerError, SourceError
from attending.ledger import headers, lines
from attending.ledger.arrow import DAMAGE, expect_rows, frame_of
from attending.ledger.quarantine import LINE_OF_ROW, N_LINES_OF_ROW
from attending.ledger.sieve import Dialect, Rejected
from attending.ledger.staging import Chunk, Place, Receipt, chunk_name, finished
from attending.ledger.table import Table
from attending.ledger.units import Block, Reader, Unit

MISSING_COLUMN = "missing column"
READ, EMPTY = "read", "empty"
_ROWS_PER_BATCH = 500_000
_FILLER = "_filler"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One task of the map step: chunks `number`, `number + n_parts`, … of one unit; or several whole units."""

    units: dict[int, Unit]
    tables: dict[str, Table]
    place: Place
    number: int = 0
    n_parts: int = 1
    block_bytes: int = 16 * 2**20


@dataclass(frozen=True, kw_only=True)
class Tail:
    """What is known of a unit as a whole; its lines are counted apart from its chunks, by part 0 only."""

    n_lines: int = 0
    header: int = 0
    blank: int = 0
    missing: list[str] = field(default_factory=list)
    status: str = READ


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a part gives back: a receipt for each chunk, and the tails of its units if it is part 0."""

    receipts: list[Receipt]
    tails: dict[int, Tail]


def read(part: Part) -> Done:
    """Read the part's chunks into staging files; one that is finished is not read again.

    Raises:
        SourceError: if a file is damaged, or is required and lacks a required column.
    """
    if len(part.units) > 1:
        return _read_together(part)
    ((number, unit),) = part.units.items()
    if unit.reader is not None:
        receipts, tail = _read_records(part, number, unit.reader)
    else:
        (table,) = (part.tables[name] for name in unit.tables)
        assert unit.path is not None
        file = _File(number=number, path=unit.path, table=table)
        receipts, tail = (_read_parquet if unit.path.suffix == ".parquet" else _read_csv)(part, file)
    return Done(receipts=receipts, tails={number: tail} if part.number == 0 else {})


# Units with a reader of their own ----------------------------------------------------------------


def _read_together(part: Part) -> Done:
    """Read several small units into one chunk."""
    name = chunk_name(min(part.units), 0)
    receipt = finished(part.place.rows, name)
    if receipt is None:
        chunk = Chunk(part.place, name)
        for number, unit in part.units.items():
            assert unit.reader is not None
            chunk.add_lines(number)
            for block in unit.reader.blocks(0, 1, part.block_bytes):
                _add(chunk, number, part, block)
        receipt = chunk.write()
    tails = {number: Tail(n_lines=_count(unit.reader)) for number, unit in part.units.items()}
    return Done(receipts=[receipt], tails=tails)


def _read_records(part: Part, number: int, reader: Reader) -> tuple[list[Receipt], Tail]:
    receipts = []
    for block in reader.blocks(part.number, part.n_parts, part.block_bytes):
        name = chunk_name(number, block.index)
        receipt = finished(part.place.rows, name)
        if receipt is None:
            chunk = Chunk(part.place, name)
            _add(chunk, number, part, block)
            receipt = chunk.write()
        receipts.append(receipt)
    return receipts, Tail(n_lines=_count(reader) if part.number == 0 else 0)


def _add(chunk: Chunk, number: int, part: Part, block: Block) -> None:
    chunk.add_lines(
        number,
        n_lines=block.n_lines,
        blank=block.n_blank,
        not_read=block.not_read,
        rejected=block.rejected,
        table=_only(part.units[number]),
    )
    for name, rows in block.rows.items():
        chunk.add_rows(number, part.tables[name], rows)


def _only(unit: Unit) -> str:
    return unit.tables[0] if len(unit.tables) == 1 else ""


def _count(reader: Reader | None) -> int:
    assert reader is not None
    return reader.count()


# CSV ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _File:
    """A file of one table, and the unit's number."""

    number: int
    path: Path
    table: Table


def _read_csv(part: Part, file: _File) -> tuple[list[Receipt], Tail]:
    physical = lines.LineCount()
    stream = physical.watch(lines.blocks(file.path, part.block_bytes))
    header, chunks = lines.open_chunks(stream, part.number, part.n_parts, file.table.dialect)
    if header is None:
        _drain(stream)
        n_lines = physical.n_lines
        return [], Tail(n_lines=n_lines, blank=n_lines, status=EMPTY)
    places = _places(header.names, file.table)
    missing, void = _missing(file, list(places), header.names)
    receipts = [_stage_csv(part, file, chunk, header, places, void) for chunk in chunks]
    _drain(stream)
    tail = Tail(
        n_lines=physical.n_lines,
        header=header.n_lines,
        blank=header.n_blank,
        missing=missing,
        status=f"{MISSING_COLUMN} '{void}'" if void else READ,
    )
    return receipts, tail


def _drain(stream: Iterator[bytes]) -> None:
    for _ in stream:
        pass


def _missing(file: _File, present: list[str], names: list[str]) -> tuple[list[str], str]:
    """Return the columns that a file lacks, and the first of them without which no row can be an event.

    Raises:
        SourceError: if there is such a column and the table is required.
    """
    missing = [column.name for column in file.table.columns if column.name not in present]
    void = next((one.name for one in file.table.columns if one.required and one.name in missing), "")
    if void and file.table.required:
        raise SourceError(
            f"expected a column '{void}' in {file.path}, which every study needs; got "
            f"{headers.in_words(names, void, present) if names else 'no readable header'}: "
            "restore the header, the column, or its name"
        )
    return missing, void


def _places(names: list[str], table: Table) -> dict[str, int]:
    """Return where the table's columns stand in the file; letter case does not matter."""
    lower = [name.lower() for name in names]
    return {
        column.name: lower.index(column.name.lower())
        for column in table.columns
        if column.name.lower() in lower
    }


def _stage_csv(
    part: Part, file: _File, chunk: lines.Chunk, header: lines.Header, places: dict[str, int], void: str
) -> Receipt:
    name = chunk_name(file.number, chunk.index)
    receipt = finished(part.place.rows, name)
    if receipt is not None:
        return receipt
    staged = Chunk(part.place, name)
    rejected = chunk.rejected
    if void:
        rejected = [one._replace(reason=MISSING_COLUMN, column=void) for one in rejected]
        rejected += [
            Rejected(line, span, MISSING_COLUMN, void)
            for line, span in zip(chunk.lines.tolist(), chunk.spans.tolist(), strict=True)
        ]
    staged.add_lines(
        file.number, n_lines=chunk.n_lines, blank=chunk.n_blank, rejected=rejected, table=file.table.name
    )
    if not void:
        frame = _frame(file, chunk, header, places)
        staged.add_rows(
            file.number,
            file.table,
            frame.with_columns(pl.Series(LINE_OF_ROW, chunk.lines), pl.Series(N_LINES_OF_ROW, chunk.spans)),
        )
    return staged.write()


def _frame(file: _File, chunk: lines.Chunk, header: lines.Header, places: dict[str, int]) -> pl.DataFrame:
    try:
        frame = _parse(chunk.data, len(header.names), places, header.dialect)
    except pl.exceptions.PolarsError:
        frame = None
    if frame is None or frame.height != len(chunk.lines):
        raise LedgerError(
            f"expected {len(chunk.lines)} records in chunk {chunk.index} of {file.path}; the CSV parser found "
            f"{'none' if frame is None else frame.height}: please report this, it is a fault of the library"
        )
    return frame


def _parse(data: bytes, n_fields: int, places: dict[str, int], dialect: Dialect) -> pl.DataFrame:
    """Parse regular CSV bytes into text columns. An empty field is null, quoted or not."""
    schema = {f"field_{place}": pl.String() for place in range(n_fields)}
    if not data:
        return pl.DataFrame(schema=dict.fromkeys(places, pl.String()))
    wanted = sorted(set(places.values())) or [0]  # lines of which no column is known are lines
    frame = pl.read_csv(
        data,
        has_header=False,
        schema=schema,
        columns=wanted,
        separator=dialect.separator,
        quote_char='"' if dialect.quoted else None,
    )
    if places:
        frame = frame.select(pl.col(f"field_{place}").alias(name) for name, place in places.items())
    if dialect.quoted and b'"' in data and b'""' in data:  # the first search is forty times faster
        filled = pl.all()
        frame = frame.select(pl.when(filled != "").then(filled).name.keep())
    return frame


# Parquet -----------------------------------------------------------------------------------------


def _read_parquet(part: Part, file: _File) -> tuple[list[Receipt], Tail]:
    try:
        opened = pq.ParquetFile(file.path)
        names = opened.schema_arrow.names
        places = _places(names, file.table)
        missing, void = _missing(file, list(places), names)
        columns = {names[place]: name for name, place in places.items()}
        receipts = [
            _stage_batch(part, file, index, first, frame, void)
            for index, first, frame in _batches(opened, part, columns)
        ]
    except DAMAGE as error:
        raise SourceError(f"cannot read {file.path}: {type(error).__name__}; copy it again") from None
    status = f"{MISSING_COLUMN} '{void}'" if void else READ
    return receipts, Tail(n_lines=opened.metadata.num_rows, missing=missing, status=status)


def _batches(
    file: pq.ParquetFile, part: Part, columns: dict[str, str]
) -> Iterator[tuple[int, int, pl.DataFrame]]:
    """Yield the number, the first row and the columns of each batch of the part."""
    row = 1
    for index, batch in enumerate(file.iter_batches(_ROWS_PER_BATCH, columns=list(columns))):
        if index % part.n_parts == part.number:
            yield index, row, _of_batch(batch, columns)
        row += batch.num_rows
    expect_rows(file, row - 1)


def _of_batch(batch: pa.RecordBatch, columns: dict[str, str]) -> pl.DataFrame:
    """Return a batch's columns by their names in the table; an empty text is null, as it is in CSV."""
    frame = frame_of(batch.append_column(_FILLER, pa.nulls(batch.num_rows, pa.int8())))
    texts = (pl.col(name) for name, dtype in frame.schema.items() if dtype == pl.String)
    return frame.with_columns(pl.when(text != "").then(text) for text in texts).rename(columns)


def _stage_batch(part: Part, file: _File, index: int, first: int, frame: pl.DataFrame, void: str) -> Receipt:
    name = chunk_name(file.number, index)
    receipt = finished(part.place.rows, name)
    if receipt is not None:
        return receipt
    chunk = Chunk(part.place, name)
    numbers = range(first, first + frame.height)
    rejected = [Rejected(line, 1, MISSING_COLUMN, void) for line in numbers] if void else []
    chunk.add_lines(file.number, n_lines=frame.height, rejected=rejected, table=file.table.name)
    if not void:
        counted = frame.with_columns(
            pl.Series(LINE_OF_ROW, numbers, pl.UInt32), pl.lit(1, pl.UInt32).alias(N_LINES_OF_ROW)
        )
        chunk.add_rows(file.number, file.table, counted)
    return chunk.write()
