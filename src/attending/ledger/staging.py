"""Typed rows on their way from map to reduce: staging files by shard, and a receipt for every chunk.

A chunk is some rows of one large file, or of several small ones. Its receipt is written last and says what became
of every line, so a chunk with a receipt is not read again.

    rows/TABLE/CHUNK.arrow        the rows of a table, a record batch for each shard
    rows/quarantine/CHUNK.parquet what was set aside
    rows/ids/CHUNK.parquet        the texts behind hashed subject ids
    rows/links/TABLE.KEY.parquet  whose row a key of another table is
    rows/receipts/CHUNK.json      what became of the lines
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from attending.artifact import write_atomic, write_json
from attending.engine import shuffle
from attending.ledger import keys, quarantine
from attending.ledger.casts import cast
from attending.ledger.quarantine import LINE_OF_ROW, N_LINES_OF_ROW, TABLE_OF_ROW, UNIT_OF_ROW, Tally
from attending.ledger.sieve import Rejected
from attending.ledger.table import Column, Link, Problem, Table
from attending.schema import SOURCE_ID, SUBJECT_ID

OWNER = "_owner"


@dataclass(frozen=True, kw_only=True)
class Fates:
    """What became of the lines of a unit in one chunk; the accepted ones are counted in the reduce step."""

    n_lines: int = 0
    blank: int = 0
    not_read: dict[str, int] = field(default_factory=dict)
    quarantined: Tally = field(default_factory=dict)
    values: Tally = field(default_factory=dict)
    parsed: Tally = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a chunk holds: the fates of its units' lines, by number, and the rows of its tables by shard."""

    chunk: str
    units: dict[str, Fates]
    tables: dict[str, list[int]]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where rows are staged, and how: shards, links by table, the table whose texts name subjects."""

    rows: Path
    n_shards: int
    links: Mapping[str, Path] = field(default_factory=dict)
    names_subjects: frozenset[str] = frozenset()


class Chunk:
    """A chunk that is being filled: add rows and lines, then write it."""

    def __init__(self, place: Place, name: str) -> None:
        self._place, self._name = place, name
        self._rows: dict[str, list[pl.DataFrame]] = {}
        self._tables: dict[str, Table] = {}
        self._faults: list[pl.DataFrame] = []
        self._ids: list[pl.DataFrame] = []
        self._fates: dict[int, dict[str, Any]] = {}

    def add_lines(
        self,
        unit: int,
        *,
        n_lines: int = 0,
        blank: int = 0,
        not_read: Mapping[str, int] | None = None,
        rejected: Iterable[Rejected] = (),
        table: str = "",
    ) -> None:
        """Add the lines of a unit: how many there are in all, and those that are no rows."""
        fates = self._of(unit)
        fates["n_lines"] += n_lines
        fates["blank"] += blank
        for kind, n in (not_read or {}).items():
            fates["not_read"][kind] = fates["not_read"].get(kind, 0) + n
        faults = quarantine.of_rejected(list(rejected), unit)
        if faults.height:
            self._set_aside(unit, faults, table)

    def add_rows(self, unit: int, table: Table, rows: pl.DataFrame) -> None:
        """Cast rows (text or typed columns, `_line` and `_n_lines`), set aside what does not go, keep the rest."""
        if table.prefix:
            own = pl.col(table.subject).cast(pl.String)
            rows = rows.with_columns((pl.lit(table.prefix) + own).alias(table.subject))
        present = [column for column in table.columns if column.name in rows.columns]
        done = cast(rows, present)
        typed = _fill(done.frame if present else rows.select(LINE_OF_ROW), table.columns).with_columns(
            pl.lit(unit, pl.UInt32).alias(UNIT_OF_ROW), rows[LINE_OF_ROW], rows[N_LINES_OF_ROW]
        )
        problems = done.problems
        if table.link is not None:
            typed, missing = _linked(typed, table.link, self._place.links[table.name])
            problems = [*problems, missing]
        accepted, faults = quarantine.divide(typed, problems)
        if faults.height:
            self._set_aside(unit, faults, table.name)
        fates = self._of(unit)
        fates["parsed"] = quarantine.add([fates["parsed"], done.parsed])
        if table.link is None and not table.dictionary:
            if table.name in self._place.names_subjects:
                self._keep_ids(rows[table.subject], typed[table.subject])
            accepted = accepted.rename({table.subject: SUBJECT_ID})
        self._tables[table.name] = table
        self._rows.setdefault(table.name, []).append(accepted)

    def write(self) -> Receipt:
        """Write the chunk's files, the receipt last."""
        rows = self._place.rows
        tables = {}
        for name, frames in self._rows.items():
            frame = pl.concat(frames)
            dictionary = self._tables[name].dictionary
            ids = pl.zeros(frame.height, pl.Int64, eager=True) if dictionary else frame[SUBJECT_ID]
            n_shards = 1 if dictionary else self._place.n_shards
            staged = shuffle.write(staging_file(rows, name, self._name), frame, ids, n_shards, {})
            tables[name] = staged.rows
        if self._faults:
            faults = pl.concat(self._faults)
            write_atomic(rows / "quarantine" / f"{self._name}.parquet", faults.write_parquet)
        if self._ids:
            ids_file = rows / "ids" / f"{self._name}.parquet"
            write_atomic(ids_file, pl.concat(self._ids).unique(maintain_order=True).write_parquet)
        fates = {str(unit): Fates(**found) for unit, found in self._fates.items()}
        receipt = Receipt(chunk=self._name, units=fates, tables=tables)
        write_json(_receipt_file(rows, self._name), asdict(receipt))
        return receipt

    def _of(self, unit: int) -> dict[str, Any]:
        nothing = {"n_lines": 0, "blank": 0, "not_read": {}, "quarantined": {}, "values": {}, "parsed": {}}
        return self._fates.setdefault(unit, nothing)

    def _set_aside(self, unit: int, faults: pl.DataFrame, table: str) -> None:
        self._faults.append(faults.with_columns(pl.lit(table).alias(TABLE_OF_ROW)))
        fates = self._of(unit)
        for name, whole_lines in (("quarantined", True), ("values", False)):
            fates[name] = quarantine.add([fates[name], quarantine.tally(faults, whole_lines=whole_lines)])

    def _keep_ids(self, texts: pl.Series, ids: pl.Series) -> None:
        hashed = keys.is_hashed(ids).fill_null(False)
        if hashed.any():
            pairs = pl.DataFrame({SUBJECT_ID: ids, SOURCE_ID: texts.cast(pl.String)}).filter(hashed)
            self._ids.append(pairs.unique(maintain_order=True))


def chunk_name(unit: int, index: int) -> str:
    """Return the name of a chunk: in the order of names, the lines of all files are in their order."""
    return f"{unit:06}-{index:06}"


def staging_file(rows: Path, table: str, chunk: str) -> Path:
    """Return where a chunk's rows of a table are."""
    return rows / table.replace("/", "_") / f"{chunk}.arrow"


def finished(rows: Path, chunk: str) -> Receipt | None:
    """Return the receipt of a chunk that is complete, or None."""
    try:
        text = _receipt_file(rows, chunk).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    found = json.loads(text)
    units = {unit: Fates(**fates) for unit, fates in found["units"].items()}
    return Receipt(chunk=chunk, units=units, tables=found["tables"])


def read_receipts(rows: Path) -> list[Receipt]:
    """Return the receipts of all finished chunks, in order."""
    names = sorted(path.stem for path in (rows / "receipts").glob("[0-9]*.json"))
    found = (finished(rows, name) for name in names)
    return [receipt for receipt in found if receipt is not None]


def forget(rows: Path, chunk: str) -> None:
    """Take back a chunk, so that it is read again."""
    _receipt_file(rows, chunk).unlink()
    (rows / "quarantine" / f"{chunk}.parquet").unlink(missing_ok=True)
    (rows / "ids" / f"{chunk}.parquet").unlink(missing_ok=True)


def write_link(rows: Path, link: Link, chunks: Iterable[str]) -> Path:
    """Write whose row each key of a link's table is; the first row that has a key decides."""
    frames = [
        shuffle.read_all(staging_file(rows, link.table, chunk)).select(
            link.key, SUBJECT_ID, UNIT_OF_ROW, LINE_OF_ROW
        )
        for chunk in chunks
    ]
    nothing = pl.DataFrame(schema={link.key: pl.Int64, SUBJECT_ID: pl.Int64})
    known = nothing
    if frames:
        ordered = pl.concat(frames).drop_nulls(link.key).sort(UNIT_OF_ROW, LINE_OF_ROW)
        known = ordered.unique(link.key, keep="first", maintain_order=True).select(link.key, SUBJECT_ID)
    path = rows / "links" / f"{link.table.replace('/', '_')}.{link.key}.parquet"
    write_atomic(path, known.write_parquet)
    return path


def write_shared(rows: Path, table: Table, chunks: Iterable[str]) -> Path | None:
    """Write the identifiers of a table that several subjects have, each with the subject that had it first.

    None where there is none.
    """
    columns = (table.unique, SUBJECT_ID, UNIT_OF_ROW, LINE_OF_ROW)
    frames = [shuffle.read_all(staging_file(rows, table.name, chunk)).select(columns) for chunk in chunks]
    if not frames:
        return None
    held = pl.concat(frames).drop_nulls(table.unique).sort(UNIT_OF_ROW, LINE_OF_ROW)
    owners = held.group_by(table.unique, maintain_order=True).agg(
        pl.col(SUBJECT_ID).first().alias(OWNER), pl.col(SUBJECT_ID).n_unique().alias("n")
    )
    shared = owners.filter(pl.col("n") > 1).select(table.unique, OWNER)
    if not shared.height:
        return None
    path = rows / "shared" / f"{table.name.replace('/', '_')}.parquet"
    write_atomic(path, shared.write_parquet)
    return path


def of_another(rows: pl.DataFrame, table: Table, path: Path) -> Problem:
    """Find the rows whose identifier is another subject's."""
    owners = rows.select(table.unique, SUBJECT_ID).join(
        pl.read_parquet(path), on=table.unique, how="left", maintain_order="left"
    )
    mask = (owners[OWNER] != owners[SUBJECT_ID]).fill_null(False)
    return Problem(mask, f"{table.unique} of another subject", table.unique)


def no_such(key: str) -> str:
    """Return the reason of rows whose key leads to no subject."""
    return f"no such {key}"


def _linked(rows: pl.DataFrame, link: Link, path: Path) -> tuple[pl.DataFrame, Problem]:
    known = pl.read_parquet(path)
    if known.is_empty():  # then its key has no type of its own
        known = known.cast({link.key: rows.schema[link.key]})
    rows = rows.join(known, on=link.key, how="left", maintain_order="left")
    rows = rows.select(SUBJECT_ID, pl.exclude(SUBJECT_ID))
    return rows, Problem(rows[SUBJECT_ID].is_null(), no_such(link.key), link.key)


def _fill(frame: pl.DataFrame, columns: tuple[Column, ...]) -> pl.DataFrame:
    """Add the columns that the file does not have, as nulls, and put all in the table's order."""
    wanted = {name: dtype for column in columns for name, dtype in column.typed.items()}
    nulls = [pl.lit(None, dtype).alias(name) for name, dtype in wanted.items() if name not in frame.columns]
    return frame.with_columns(nulls).select(list(wanted))


def _receipt_file(rows: Path, chunk: str) -> Path:
    return rows / "receipts" / f"{chunk}.json"
