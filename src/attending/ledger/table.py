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

from attending.ledger.context import Context
from attending.ledger.sieve import Dialect
from attending.ledger.units import Unit
from attending.schema import SUBJECT_ID

Kind = Literal["integer", "number", "moment", "day", "text", "key", "value", "raw"]

DTYPES: dict[str, pl.DataType] = {
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "moment": pl.Datetime("us"),
    "day": pl.Date(),
    "text": pl.String(),
    "key": pl.Int64(),
    "value": pl.Float64(),
}
_WORDS = "_words"


@dataclass(frozen=True)
class Column:
    """A column that is read: its name in the file, its type, and whether a row is void without it.

    formats     further forms of a moment or a day, as `strptime` writes them
    unless      a value is parsed only where this other column is null
    nested      the type of a column that is taken as it is
    """

    name: str
    kind: Kind
    required: bool = False
    formats: tuple[str, ...] = ()
    unless: str = ""
    nested: pl.DataType | None = None

    @property
    def dtype(self) -> pl.DataType:
        """The type of its values."""
        return self.nested if self.nested is not None else DTYPES[self.kind]

    @property
    def typed(self) -> dict[str, pl.DataType]:
        """The columns that it becomes: a value is a number and words, anything else one column."""
        extra = {words(self.name): pl.String()} if self.kind == "value" else {}
        return {self.name: self.dtype} | extra


def words(name: str) -> str:
    """Return the column that holds the words of the value column `name`."""
    return name + _WORDS


def integer(name: str, *, required: bool = False) -> Column:
    """Describe a column of whole numbers."""
    return Column(name, "integer", required)


def number(name: str, *, required: bool = False) -> Column:
    """Describe a column of finite numbers."""
    return Column(name, "number", required)


def moment(name: str, *, required: bool = False, formats: tuple[str, ...] = ()) -> Column:
    """Describe a column of dates with a time of day; one with an offset from UTC is turned into UTC."""
    return Column(name, "moment", required, formats)


def day(name: str, *, required: bool = False, formats: tuple[str, ...] = ()) -> Column:
    """Describe a column of dates; a time of day, where there is one, is left off."""
    return Column(name, "day", required, formats)


def text(name: str, *, required: bool = False) -> Column:
    """Describe a column of text; an empty field, quoted or not, is null."""
    return Column(name, "text", required)


def key(name: str, *, required: bool = False) -> Column:
    """Describe a column of identifiers of any form, which become integers (`ledger.keys`)."""
    return Column(name, "key", required)


def value(name: str, *, unless: str = "") -> Column:
    """Describe a column of measurements as text: `name` gets the number, `words(name)` what else it says.

    The rules are those of `ledger.values`. Where the column `unless` has a value, this one is not parsed.
    """
    return Column(name, "value", unless=unless)


def raw(name: str, dtype: pl.DataType, *, required: bool = False) -> Column:
    """Describe a column that a reader gives in its own type, such as a list; it is taken as it is."""
    return Column(name, "raw", required, nested=dtype)


@dataclass(frozen=True)
class Link:
    """How the rows of a table find their subject: by the row of `table` that has the same `key`."""

    table: str
    key: str


@dataclass(frozen=True)
class Problem:
    """Rows that contradict others: which (a mask), why, where; the whole line, or the value of `column` only."""

    mask: pl.Series
    reason: str
    column: str
    whole_line: bool = True


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
    path        its files below the source's folder, see `ledger.files`: `hosp/patients`, `**/*Inpatient_Claims*`
    columns     what is read; a required column that is absent makes the table unreadable
    problems    what only a comparison with the shard's reference tables, or other rows, can find wrong
    events      the events of the accepted rows
    required    the source cannot be read without this table
    reference   its accepted rows are given to the tables after it
    dictionary  it has no subjects: it is read whole and names codes
    subject     which column, an integer or a key, says whose row it is
    prefix      put before the ids of its subjects, where several tables count their own from one
    link        where no column does: the table that knows
    unique      an identifier in it that no two subjects may share; the first subject keeps it
    separator   what stands between the fields of a text file; empty: what the header has most of
    quoted      whether quotes may enclose a field of a text file
    """

    name: str
    columns: tuple[Column, ...]
    path: str = ""
    events: Callable[[pl.DataFrame, Context], Sequence[pl.DataFrame]] = no_events
    problems: Callable[[pl.DataFrame, Context], Sequence[Problem]] = no_problems
    required: bool = False
    reference: bool = False
    dictionary: bool = False
    subject: str = SUBJECT_ID
    prefix: str = ""
    link: Link | None = None
    unique: str = ""
    separator: str = ","
    quoted: bool = True

    @property
    def where(self) -> str:
        """Where its files are, in words for people."""
        return self.path.removeprefix("**/") or self.name

    @property
    def dialect(self) -> Dialect:
        """How its text files separate fields."""
        return Dialect(self.separator, self.quoted)

    @property
    def typed(self) -> dict[str, pl.DataType]:
        """The columns of its staged rows; the subject has its common name."""
        columns = {name: dtype for column in self.columns for name, dtype in column.typed.items()}
        if self.dictionary:
            return columns
        if self.link is not None:
            return {SUBJECT_ID: pl.Int64()} | columns
        return {SUBJECT_ID if name == self.subject else name: dtype for name, dtype in columns.items()}


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
    units       what is read, where it is not files that the tables name
    """

    name: str
    tables: tuple[Table, ...]
    subjects: str | None = None
    describe: Callable[[pl.Series, Context], pl.DataFrame | None] = describe_nothing
    splits: Callable[[Path], pl.DataFrame | None] = no_splits
    metadata: frozenset[str] = frozenset()
    units: Callable[[], Sequence[Unit]] | None = None
