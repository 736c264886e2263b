"""The reduce step: one shard's rows of all tables become its sorted events.

Rows meet the rest of their subject's record here, so here is found what no row shows by itself: subjects and
admissions that do not exist, duplicates, times that contradict each other.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from attending import parquet
from attending.artifact import write_atomic, write_json
from attending.engine import shuffle
from attending.errors import LedgerError
from attending.ledger import quarantine, staging
from attending.ledger.context import Context
from attending.ledger.events import BESIDE, COLUMNS, ORDER
from attending.ledger.quarantine import LINE_OF_ROW, N_LINES_OF_ROW, TABLE_OF_ROW, UNIT_OF_ROW, Tally
from attending.ledger.table import Problem, Table
from attending.schema import CODE, DEATH, DESCRIPTION, EVENTS, N_EVENTS, ORIGIN, SUBJECT_ID, TIME, VISIT_ID

SUBJECTS_FILE, CODES_FILE, QUARANTINE_FILE = "subjects.parquet", "codes.parquet", "quarantine.parquet"
COUNTS_FILE = "counts.json"
NO_SUBJECT = "no such subject"
_DIES = "_dies"
_SECOND = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One task of the reduce step; `chunks` are the staging files of each table, in order."""

    number: int
    n_shards: int
    tables: tuple[Table, ...]
    chunks: dict[str, list[Path]]
    subjects: str | None
    shared: dict[str, Path]
    rows: Path
    out: Path

    @property
    def folder(self) -> Path:
        """Where the shard keeps what it counted."""
        return shard_folder(self.rows, self.number)

    @property
    def events_file(self) -> Path:
        """Where the shard's events go."""
        return events_file(self.out, self.number)


@dataclass(frozen=True, kw_only=True)
class ShardCounts:
    """What the reduce step counted; lines are physical lines, by unit; events are by table."""

    n_events: int
    n_subjects: int
    n_visits: int
    events: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, Tally] = field(default_factory=dict)
    values: dict[str, Tally] = field(default_factory=dict)


def shard_folder(rows: Path, number: int) -> Path:
    """Return where a shard keeps what it counted."""
    return rows / "shards" / f"{number:04}"


def events_file(out: Path, number: int) -> Path:
    """Return where a shard's events are."""
    return out / "data" / f"{number:03}.parquet"


def assemble(shard: Shard) -> ShardCounts:
    """Write the shard's events, sorted; a shard that is finished is not made again.

    Raises:
        LedgerError: if staged rows are missing.
    """
    done = _finished(shard)
    if done is not None:
        return done
    context = context_of(shard.tables, shard.chunks)
    frames: list[pl.DataFrame] = []
    accepted: dict[str, int] = {}
    n_events: dict[str, int] = {}
    set_aside: list[pl.DataFrame] = []
    present = [table for table in shard.tables if shard.chunks.get(table.name) and not table.dictionary]
    for table in present:
        rows, faults = _checked(table, _staged(shard, table), shard, context)
        for unit, n in rows.group_by(UNIT_OF_ROW).agg(pl.col(N_LINES_OF_ROW).sum()).iter_rows():
            accepted[str(unit)] = accepted.get(str(unit), 0) + n
        if faults.height:
            set_aside.append(faults.with_columns(pl.lit(table.name).alias(TABLE_OF_ROW)))
        if table.reference:
            context[table.name] = rows
        made = [_with_origin(frame, table) for frame in table.events(rows, context)] if rows.height else []
        n_events[table.name] = sum(frame.height for frame in made)
        frames += made
        del rows
    events = _sorted(frames)
    subjects = _subjects(shard, events, context)
    _write(shard, events, subjects)
    faults = pl.concat(set_aside) if set_aside else quarantine.empty()
    if faults.height:
        write_atomic(shard.folder / QUARANTINE_FILE, faults.write_parquet)
    counts = ShardCounts(
        n_events=events.height,
        n_subjects=subjects.len(),
        n_visits=events[VISIT_ID].n_unique() - int(events[VISIT_ID].has_nulls()),
        events=n_events,
        accepted=accepted,
        quarantined=quarantine.by_unit(faults, whole_lines=True),
        values=quarantine.by_unit(faults, whole_lines=False),
    )
    write_json(shard.folder / COUNTS_FILE, asdict(counts))
    return counts


def context_of(tables: Sequence[Table], chunks: Mapping[str, Sequence[Path]]) -> Context:
    """Return a context that knows the dictionaries among `tables`."""
    dictionaries = [table for table in tables if table.dictionary]
    return Context(
        dictionaries={table.name: chunks.get(table.name, ()) for table in dictionaries},
        empty={table.name: partial(staged_schema, table) for table in tables},
    )


def staged_schema(table: Table) -> pl.DataFrame:
    """Return a table's typed rows when there are none."""
    numbers: dict[str, pl.DataType] = {
        name: pl.UInt32() for name in (UNIT_OF_ROW, LINE_OF_ROW, N_LINES_OF_ROW)
    }
    return pl.DataFrame(schema=table.typed | numbers)


def _finished(shard: Shard) -> ShardCounts | None:
    try:
        text = (shard.folder / COUNTS_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return ShardCounts(**json.loads(text)) if shard.events_file.exists() else None


def _staged(shard: Shard, table: Table) -> pl.DataFrame:
    """Read the shard's rows of a table, in the order of the files."""
    return pl.concat(
        [shuffle.read(chunk, shard.number, shard.n_shards) for chunk in shard.chunks[table.name]]
    )


def _checked(
    table: Table, rows: pl.DataFrame, shard: Shard, context: Context
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Set aside rows of unknown subjects, with another's identifier, then what the table itself finds wrong."""
    common = []
    if shard.subjects is not None and table.name != shard.subjects:
        known = context[shard.subjects][SUBJECT_ID].implode()
        common.append(Problem(~rows[SUBJECT_ID].is_in(known), NO_SUBJECT, table.subject))
    if table.name in shard.shared:
        common.append(staging.of_another(rows, table, shard.shared[table.name]))
    rows, faults = quarantine.divide(rows, common)
    if not rows.height:
        return rows, faults
    rows, own = quarantine.divide(rows, list(table.problems(rows, context)))
    return rows, pl.concat([faults, own])


def _with_origin(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    if ORIGIN not in frame.columns:
        frame = frame.with_columns(pl.lit(table.name).alias(ORIGIN))
    return frame.select(*COLUMNS, *(name for name in BESIDE if name in frame.columns))


def _sorted(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Order by subject and time; at one moment, tables and lines keep their order, and death comes last.

    Events that bring an order of their own have it at one moment, and come before those that do not.
    """
    events = pl.concat([EVENTS.empty(), *frames], how="diagonal", rechunk=True)
    frames.clear()  # they are as large as the events
    dies = events[CODE].str.starts_with(DEATH).alias(_DIES)
    if ORDER in events.columns:
        by = [SUBJECT_ID, TIME, _DIES, ORDER]
        last = [False, False, False, True]
        return events.with_columns(dies).sort(by, nulls_last=last, maintain_order=True).drop(_DIES, ORDER)
    order = _order(events[SUBJECT_ID], events[TIME].dt.timestamp("us"), dies)
    if order is not None:
        return events[order]
    return events.with_columns(dies).sort(SUBJECT_ID, TIME, _DIES, maintain_order=True).drop(_DIES)


def _order(subjects: pl.Series, times: pl.Series, dies: pl.Series) -> NDArray[np.intp] | None:
    """Return the stable order of rows by one packed integer, in half the time of three keys, if it fits."""
    lowest, highest, first, last = subjects.min(), subjects.max(), times.min(), times.max()
    if not (
        isinstance(lowest, int)
        and isinstance(highest, int)
        and isinstance(first, int)
        and isinstance(last, int)
    ):
        return None
    unit = _SECOND if (times % _SECOND == 0).all() else 1
    n_times = (last - first) // unit + 2
    if (highest - lowest + 1) * n_times * 2 >= 2**62:
        return None
    moment = ((times - first) // unit + 1).fill_null(0)
    packed = ((subjects - lowest) * n_times + moment) * 2 + dies.cast(pl.Int64)
    return np.argsort(packed.to_numpy(), kind="stable")


def _subjects(shard: Shard, events: pl.DataFrame, context: Context) -> pl.Series:
    """Return the shard's subjects; those that the source lists, whether they have events or not."""
    listed = events if shard.subjects is None else context[shard.subjects]
    return listed[SUBJECT_ID].unique().sort()


def _write(shard: Shard, events: pl.DataFrame, subjects: pl.Series) -> None:
    where = shard.events_file.name
    if events[SUBJECT_ID].has_nulls() or events[CODE].has_nulls():
        raise LedgerError(
            f"an event without subject or code in {where}: its table must require those columns"
        )
    parquet.write(shard.events_file, events.drop(DESCRIPTION, strict=False))
    write_atomic(shard.folder / SUBJECTS_FILE, pl.DataFrame({SUBJECT_ID: subjects}).write_parquet)
    named = [pl.col(DESCRIPTION).min()] if DESCRIPTION in events.columns else []
    codes = events.group_by(CODE).agg(pl.len().cast(pl.Int64).alias(N_EVENTS), *named).sort(CODE)
    write_atomic(shard.folder / CODES_FILE, codes.write_parquet)
