"""How a source describes itself: tables, their columns, what is wrong with a row, and the events of a row.

A source is one file with a function `source(folder, config) -> Source`. Its tables read like documentation:
which file, which columns of which type, which function turns rows into events. Everything else (finding and
decompressing files, counting lines, casts, quarantine, shards, order) is common to all sources.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from attending.schema import SUBJECT_ID

Kind = Literal["integer", "number", "moment", "day", "text"]

DTYPES: dict[str, pl.DataType] = {
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "moment": pl.Datetime("us"),
    "day": pl.Date(),
    "text": pl.String(),
}


@dataclass(frozen=True)
class Column:
    """A column that is read: its name in the file, its type, and whether a row is void without it."""

    name: str
    kind: Kind
    required: bool = False

    @property
    def dtype(self) -> pl.DataType:
        """The type of its values."""
        return DTYPES[self.kind]


def integer(name: str, *, required: bool = False) -> Column:
    """Describe a column of whole numbers."""
    return Column(name, "integer", required)


def number(name: str, *, required: bool = False) -> Column:
    """Describe a column of finite numbers."""
    return Column(name, "number", required)


def moment(name: str, *, required: bool = False) -> Column:
    """Describe a column of dates with a time of day."""
    return Column(name, "moment", required)


def day(name: str, *, required: bool = False) -> Column:
    """Describe a column of dates; a time of day, where there is one, is left off."""
    return Column(name, "day", required)


def text(name: str, *, required: bool = False) -> Column:
    """Describe a column of text; an empty field, quoted or not, is null."""
    return Column(name, "text", required)


@dataclass(frozen=True)
class Problem:
    """Rows that contradict others: which (a mask), why, where; the whole line, or the value of `column` only."""

    mask: pl.Series
    reason: str
    column: str
    whole_line: bool = True


Context = dict[str, pl.DataFrame]
"""The accepted rows of one shard's reference tables, by table name."""


def no_problems(frame: pl.DataFrame, context: Context) -> Sequence[Problem]:
    """Find nothing wrong."""
    return ()


def no_events(frame: pl.DataFrame, context: Context) -> Sequence[pl.DataFrame]:
    """Make no event: the table only serves others."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """One raw table.

    name        what events give as their origin, and the ledger as the table
    path        the file below the source's folder, without `.csv` or `.csv.gz` (`.parquet` is written out)
    columns     what is read; a required column that is absent makes the table unreadable
    problems    what only a comparison with the shard's reference tables, or other rows, can find wrong
    events      the events of the accepted rows
    required    the source cannot be read without this table
    reference   its accepted rows are given to the tables after it
    dictionary  it has no subjects: it is read whole and names codes
    subject     which column says whose row it is
    """

    name: str
    path: str
    columns: tuple[Column, ...]
    events: Callable[[pl.DataFrame, Context], Sequence[pl.DataFrame]] = no_events
    problems: Callable[[pl.DataFrame, Context], Sequence[Problem]] = no_problems
    required: bool = False
    reference: bool = False
    dictionary: bool = False
    subject: str = SUBJECT_ID


def describe_nothing(codes: pl.Series, dictionaries: Context) -> pl.DataFrame | None:
    """Know nothing of any code."""
    return None


def no_splits(folder: Path) -> pl.DataFrame | None:
    """Leave the split to the stage."""
    return None


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source: its name, its tables (reference tables first), and what it knows of codes and splits.

    subjects    the reference table of all subjects; rows of others are quarantined; None: any subject will do
    describe    (unique codes, dictionaries by table name) → code, description, parent_codes …
    splits      subject_id and split where the data bring their own
    metadata    files that `describe` and `splits` read: they hold no events
    """

    name: str
    tables: tuple[Table, ...]
    subjects: str | None = None
    describe: Callable[[pl.Series, Context], pl.DataFrame | None] = describe_nothing
    splits: Callable[[Path], pl.DataFrame | None] = no_splits
    metadata: frozenset[str] = frozenset()
