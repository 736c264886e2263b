"""The two common shapes of eICU's tables: a row that is one event, and a row whose columns are one event each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded, first_of
from attending.ledger.table import Column, Link, Table, integer, words
from attending.sources._eicu.clock import (
    PATIENT,
    UNIT,
    UNIT_END,
    UNIT_START,
    Maker,
    Placed,
    at,
    happening,
    offset_problems,
)

FIRST_DAY = pl.min_horizontal(UNIT_START + pl.duration(hours=24), UNIT_END)
"""When what APACHE gathers over the first day in the unit is known."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Reading:
    """One event a row: at `offset`, known at `entered`, with a number, or words where there is none."""

    code: pl.Expr
    offset: str
    entered: str = ""
    numeric: pl.Expr | None = None
    text: pl.Expr | None = None
    when: pl.Expr | None = None

    def __call__(self, rows: pl.DataFrame, context: Context) -> Sequence[pl.DataFrame]:
        """Make the events of placed rows."""
        known = at(self.entered) if self.entered else None
        values = {"numeric": self.numeric, "text": self.text, "when": self.when}
        return [happening(rows, self.code, time=at(self.offset), known=known, **values)]


@dataclass(frozen=True, eq=False, kw_only=True)
class Wide:
    """One event for each of `numbers` that a row has, at `time`; `missing` is how the table writes none."""

    kind: tuple[str, ...]
    numbers: tuple[str, ...]
    time: pl.Expr
    missing: float | None = None

    def __call__(self, rows: pl.DataFrame, context: Context) -> Sequence[pl.DataFrame]:
        """Make the events of placed rows, column by column."""
        return [
            happening(
                rows, coded(*self.kind, name), time=self.time, numeric=col(name), when=self._present(name)
            )
            for name in self.numbers
        ]

    def _present(self, name: str) -> pl.Expr:
        present = col(name).is_not_null()
        return present if self.missing is None else present & (col(name) != self.missing)


def linked(name: str, *columns: Column, make: Maker) -> Table:
    """Describe a table whose rows belong to a unit stay; in the ledger its name is in lower case."""
    return Table(
        name=name.lower(),
        path=name,
        columns=(integer(UNIT, required=True), *columns),
        link=Link(PATIENT, UNIT),
        problems=offset_problems,
        events=Placed(make),
    )


def offset(name: str) -> Column:
    """Describe the minutes from the unit's admission without which a row cannot be an event."""
    return integer(name, required=True)


class Said(TypedDict):
    """The number and the words of a value."""

    numeric: pl.Expr
    text: pl.Expr


def said(name: str, number: str = "") -> Said:
    """Return number and text of a value column; where the table has its own column of numbers, that first."""
    numeric = first_of(col(number), col(name)) if number else col(name)
    return {"numeric": numeric, "text": col(words(name))}


def stripped(name: str) -> pl.Expr:
    """Return a text without blanks around it; what is only blank is null."""
    text = col(name).str.strip_chars()
    return pl.when(text != "").then(text)


def below(name: str, prefix: str) -> pl.Expr:
    """Return a path without the beginning that all paths of its table share."""
    return stripped(name).str.strip_prefix(prefix)
