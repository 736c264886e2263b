"""Set aside the lines and values that cannot be events: where they are and why, never what they say."""

from collections.abc import Iterable, Sequence

import polars as pl

from attending.ledger.sieve import Rejected
from attending.ledger.table import Problem
from attending.schema import COLUMN, LINE, N_LINES, QUARANTINE, REASON, WHOLE_LINE

LINE_OF_ROW = "_line"
N_LINES_OF_ROW = "_n_lines"
UNIT_OF_ROW = "_unit"
TABLE_OF_ROW = "_table"
Tally = dict[str, dict[str, int]]
"""How many, by reason and column."""

_SCHEMA = {UNIT_OF_ROW: pl.UInt32()} | dict(QUARANTINE.required)


def empty() -> pl.DataFrame:
    """Return a quarantine of nothing."""
    return pl.DataFrame(schema=_SCHEMA)


def of_rejected(rejected: Sequence[Rejected], unit: int) -> pl.DataFrame:
    """Return the quarantine of a unit's lines that are no record."""
    rows = [(unit, *one, True) for one in rejected]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def divide(frame: pl.DataFrame, problems: Sequence[Problem]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take the faulty lines out of `frame` and null the faulty values; return it and the quarantine.

    A line has one fate, so the first problem that voids it is the one on record.
    """
    if not problems:
        return frame, empty()
    void = pl.repeat(False, frame.height, eager=True)
    parts = []
    for problem in sorted(problems, key=lambda problem: not problem.whole_line):
        mask = problem.mask.fill_null(False) & ~void
        if problem.whole_line:
            void |= mask
        else:
            kept = pl.when(~mask).then(pl.col(problem.column))
            frame = frame.with_columns(kept.alias(problem.column))
        parts.append(_rows(frame.filter(mask), problem))
    return frame.filter(~void), pl.concat(parts)


def tally(quarantine: pl.DataFrame, *, whole_lines: bool) -> Tally:
    """Count the physical lines that are void, or the values that are, by reason and column."""
    chosen = quarantine.filter(pl.col(WHOLE_LINE) == whole_lines)
    how_many = pl.col(N_LINES).sum() if whole_lines else pl.len()
    counts = chosen.group_by(REASON, COLUMN).agg(how_many.cast(pl.Int64)).sort(REASON, COLUMN)
    result: Tally = {}
    for reason, column, n in counts.iter_rows():
        result.setdefault(reason, {})[column] = n
    return result


def by_unit(quarantine: pl.DataFrame, *, whole_lines: bool) -> dict[str, Tally]:
    """Return the tally of each unit, by its number."""
    parts = quarantine.partition_by(UNIT_OF_ROW, as_dict=True)
    return {str(unit): tally(part, whole_lines=whole_lines) for (unit,), part in parts.items()}


def add(tallies: Iterable[Tally]) -> Tally:
    """Add tallies up."""
    result: Tally = {}
    for one in tallies:
        for reason, columns in one.items():
            into = result.setdefault(reason, {})
            for column, n in columns.items():
                into[column] = into.get(column, 0) + n
    return {reason: dict(sorted(columns.items())) for reason, columns in sorted(result.items())}


def total(counts: Tally) -> int:
    """Return the sum of a tally."""
    return sum(n for columns in counts.values() for n in columns.values())


def reasons(counts: Tally) -> str:
    """Say a tally in words."""
    found = ((reason, column, n) for reason, columns in counts.items() for column, n in columns.items())
    return "; ".join(f"{reason}{f' in {column}' if column else ''}: {n}" for reason, column, n in found)


def _rows(frame: pl.DataFrame, problem: Problem) -> pl.DataFrame:
    return frame.select(
        UNIT_OF_ROW,
        pl.col(LINE_OF_ROW).alias(LINE),
        pl.col(N_LINES_OF_ROW).alias(N_LINES),
        pl.lit(problem.reason).alias(REASON),
        pl.lit(problem.column).alias(COLUMN),
        pl.lit(problem.whole_line).alias(WHOLE_LINE),
    )
