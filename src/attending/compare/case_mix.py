"""Who is in the run's data set and who in the other: a Table 1 of the two, with standardised differences.

Differences are standardised mean differences: of a share p against q, (q − p) / √((p(1 − p) + q(1 − q)) / 2).
A count of 1 to 10 people is hidden, and so is the difference that would give it away.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from attending.compare.histories import AGE, N_SUBJECTS, YEARS, Histories
from attending.compare.table import Line, Table, Value
from attending.evaluate.samples import ALL, Samples
from attending.metrics.ratio import Array
from attending.progress import track
from attending.report import cohort
from attending.report.names import Names
from attending.report.suppression import FLOOR, HIDDEN, mask_part
from attending.report.table_one import Row, mean_difference, table_one
from attending.schema import CODE, HELD_OUT, OUTCOME, SPLIT, SUBJECT_ID, TRAIN

N_ROWS, N_OUTCOMES = 10, 25
INNER = "inner"  # the tag of a row that belongs to the heading above it
COLUMNS = ("This run", "Other data", "Standardised difference")


def case_mix(internal: Histories, external: Histories, counts: pl.DataFrame, names: Names) -> Table:
    """Return the table; `counts` are those of `count_both`."""
    rows = table_one(counts.filter(pl.col(cohort.VARIABLE) != OUTCOME), names).rows
    rows += [_median("Age at last prediction, years", AGE, internal, external)]
    rows += [_median("Years of history at last prediction", YEARS, internal, external)]
    return Table(
        groups=[],
        columns=list(COLUMNS),
        lines=[_line(row) for row in [*rows, *_codes(internal, external, names)]],
        notes=[
            f"This run: {len(internal.subjects):,} subjects of all its splits; other data: {len(external.subjects):,}. "
            "Codes: share of subjects whose history at the last prediction holds the code. Above 0.1 a difference is "
            "usually called one. Counts of 1 to 10 people are hidden, with what would give them away."
        ],
    )


def numbers(values: Sequence[Array]) -> Table:
    """Return how the predicted number is distributed on either side."""
    row = _of_values("Observed", values)
    note = "Held-out samples of the run, and all of the other data."
    return Table(groups=[], columns=list(COLUMNS), lines=[_line(row)], notes=[note])


def prevalences(samples: Sequence[Samples], outcomes: pl.DataFrame, names: Names) -> Table:
    """Return how often each outcome happens on either side, the most frequent of the run first."""
    positive, known = ([of(one) for one in samples] for of in (_positive, _known))
    order = np.argsort(-positive[0], kind="stable")
    rows = [
        _shares(
            names.outcome(outcomes[OUTCOME][int(at)]),
            *((int(p[at]), int(n[at])) for p, n in zip(positive, known, strict=True)),
        )
        for at in order[:N_OUTCOMES]
    ]
    return Table(
        groups=[],
        columns=list(COLUMNS),
        lines=[_line(row) for row in rows],
        notes=[
            "Share of held-out predictions of the run, and of all of the other data, after which it happens; the "
            "most frequent of the run."
        ],
    )


def count(events: Path, labels: Path, split: str, file: Path) -> pl.DataFrame:
    """Count the Table 1 of all subjects of a labels artifact, as if all were in `split`; `file` is for the stage."""
    subjects = pl.scan_parquet(labels / "data" / "*.parquet").select(SUBJECT_ID).unique().collect()
    subjects.with_columns(pl.lit(split).alias(SPLIT)).write_parquet(file)
    shards = sorted((labels / "data").glob("*.parquet"))
    tables = [
        cohort.count_shard(events / "data" / shard.name, shard, file)
        for shard in track(shards, "counting the cohort")
    ]
    file.unlink()
    return cohort.add_up(tables)


def count_both(internal: tuple[Path, Path], external: tuple[Path, Path], file: Path) -> pl.DataFrame:
    """Count the Table 1 of either side, events and labels: the run stands as train, the other data as held-out."""
    return pl.concat([count(*internal, TRAIN, file), count(*external, HELD_OUT, file)])


def _positive(samples: Samples) -> Array:
    return np.asarray((samples.labels & samples.pairs(ALL)).sum(axis=0))


def _known(samples: Samples) -> Array:
    return np.asarray(samples.pairs(ALL).sum(axis=0))


def _median(label: str, column: str, internal: Histories, external: Histories) -> Row:
    return _of_values(label, [side.subjects[column].drop_nulls().to_numpy() for side in (internal, external)])


def _of_values(label: str, values: Sequence[Array]) -> Row:
    cells = [_quartiles(value) if len(value) >= FLOOR else HIDDEN for value in values]
    difference = ""
    if HIDDEN not in cells:
        pairs = [(value, np.ones(len(value))) for value in values]
        difference = f"{mean_difference(*pairs):+.2f}".replace("-", "−")
    return Row(label=f"{label}, median [IQR]", cells=cells, difference=difference)


def _quartiles(values: Array) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.3g} [{low:.3g}–{high:.3g}]"


def _codes(internal: Histories, external: Histories, names: Names) -> list[Row]:
    """Return the most frequent codes of the run, and those whose share shifts most."""
    totals = len(internal.subjects), len(external.subjects)
    both = internal.holders.join(
        external.holders, on=CODE, how="full", coalesce=True, suffix="_other"
    ).fill_null(0)
    rows = [
        (code, _shares(names.code(code), (mine, totals[0]), (other, totals[1])))
        for code, mine, other in both.sort(N_SUBJECTS, CODE, descending=[True, False]).iter_rows()
    ]
    frequent = rows[:N_ROWS]
    shifted = sorted((row for row in rows if _size(row[1]) > 0), key=lambda row: (-_size(row[1]), row[0]))[
        :N_ROWS
    ]
    return [
        Row(label="Most frequent codes of the run"),
        *(row for _, row in frequent),
        Row(label="Codes whose share differs most"),
        *(row for _, row in shifted),
    ]


def _shares(label: str, internal: tuple[int, int], external: tuple[int, int]) -> Row:
    """Return a row of two counts of their totals, and how far their shares are apart."""
    masked = [mask_part(*pair) if pair[1] else HIDDEN for pair in (internal, external)]
    cells = [
        mask or f"{n:,} ({100 * n / total:.1f} %)"
        for mask, (n, total) in zip(masked, (internal, external), strict=True)
    ]
    if any(masked):
        return Row(label=label, cells=cells, difference=HIDDEN, indented=True)
    p, q = (n / total for n, total in (internal, external))
    pooled = math.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    difference = (q - p) / pooled if pooled > 0 else math.copysign(math.inf, q - p) if q != p else 0.0
    text = f"{difference:+.2f}".replace("-", "−") if math.isfinite(difference) else "∞"
    return Row(label=label, cells=cells, difference=text, indented=True)


def _size(row: Row) -> float:
    if row.difference in ("", HIDDEN):
        return 0.0
    return math.inf if row.difference == "∞" else abs(float(row.difference.replace("−", "-")))


def _line(row: Row) -> Line:
    """Return a row as a line; a heading has no cells, one with a difference has that alone."""
    cells = [Value(text=text) for text in row.cells]
    if not cells and row.difference:
        cells = [Value(text="")] * 2
    last = [Value(text=row.difference)] if cells else []
    return Line(name=row.label, tag=INNER if row.indented else "", cells=[*cells, *last])
