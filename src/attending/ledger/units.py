"""What is read: a file, or a table of a database, and how its records become rows.

Most sources name CSV and Parquet files by their tables and need none of this. A source whose files hold rows of
several tables, or no rows at all until they are parsed, gives a `Reader`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import polars as pl

from attending.ledger.sieve import Rejected


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some consecutive records of a unit.

    index       its number in the unit, the same for any number of parts
    rows        by table: the columns of the table, as text or typed, and `_line` and `_n_lines` (UInt32)
    rejected    lines that are no record
    n_blank     blank lines
    not_read    lines that no table reads, by kind
    n_lines     all lines: of rows, rejected, blank and not read
    """

    index: int
    rows: dict[str, pl.DataFrame]
    rejected: list[Rejected] = field(default_factory=list)
    n_blank: int = 0
    not_read: dict[str, int] = field(default_factory=dict)
    n_lines: int = 0


class Reader(Protocol):
    """Turns the records of a unit into rows. It is sent to other processes, so it must be picklable."""

    def blocks(self, number: int, n_parts: int, block_bytes: int) -> Iterator[Block]:
        """Yield the blocks whose index leaves the remainder `number`; blocks are the same for any `n_parts`."""
        ...

    def count(self) -> int:
        """Count the unit's records, apart from reading them."""
        ...


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One thing that is read.

    name            as in the ledger: the path below the source's folder; never with credentials
    tables          whose rows it may hold
    n_bytes         of text, about: decides shards and parts
    fingerprint     changes when its content does
    path            the file, where lines can be found in it again
    reader          how it is read; None: a CSV or Parquet file of one table
    """

    name: str
    tables: tuple[str, ...]
    n_bytes: int
    fingerprint: str
    path: Path | None = None
    reader: Reader | None = None


def fingerprint_of(path: Path) -> str:
    """Return what changes when a file does: its size and time of modification."""
    state = path.stat()
    return f"{state.st_size}-{state.st_mtime_ns}"
