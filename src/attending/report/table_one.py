"""Table 1: who is in the study, by split, with the standardised difference between train and held-out.

Small cells are hidden together with whatever would give them away: the cell that completes a total, and the
standardised difference, from which a share could be worked back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from attending import schema as s
from attending.report import cohort
from attending.report.names import Names
from attending.report.suppression import FLOOR, HIDDEN, mask_part, masks

N_CATEGORIES = 6
N_OUTCOMES = 10
OTHER = "Other"
COMPARED = (s.TRAIN, s.HELD_OUT)
Floats = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; a heading has no cells."""

    label: str
    cells: list[str] = field(default_factory=list)
    difference: str = ""
    indented: bool = False


@dataclass(frozen=True, kw_only=True)
class TableOne:
    """The table as it is shown, and the counts that other sections cite."""

    splits: list[str]
    sizes: list[str]
    rows: list[Row]
    n_subjects: int
    n_predictions: int


def table_one(counts: pl.DataFrame, names: Names) -> TableOne:
    """Lay out what `cohort.add_up` returns, small cells hidden."""
    groups = _Groups(counts)
    rows = [
        Row(label="Predictions", cells=groups.predictions()),
        groups.median(cohort.AGE, "Age at first prediction, years"),
        *groups.categories(s.SEX, "Sex", names.sex),
        *groups.categories(s.RACE, "Race or ethnicity", names.race),
        groups.median(cohort.VISITS, "Hospital stays per subject"),
        groups.median(cohort.CODES_PER_VISIT, "Diagnosis codes per stay"),
        groups.median(cohort.LABELS_PER_PREDICTION, "Outcomes per prediction"),
        *groups.outcomes(names.outcome),
    ]
    return TableOne(
        splits=groups.splits,
        sizes=[mask or f"{size:,}" for mask, size in zip(groups.size_masks, groups.sizes, strict=True)],
        rows=rows,
        n_subjects=sum(groups.sizes),
        n_predictions=sum(groups.totals(cohort.PREDICTIONS)),
    )


def weighted_quantile(values: Floats, weights: Floats, share: float) -> float:
    """Return the quantile of values that occur `weights` times, interpolated as numpy does."""
    order = np.argsort(values)
    values, ends = values[order], np.cumsum(weights[order])
    place = share * (ends[-1] - 1)
    low, high = (values[np.searchsorted(ends, at, side="right")] for at in (np.floor(place), np.ceil(place)))
    return float(low + (high - low) * (place - np.floor(place)))


def mean_difference(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> float:
    """Return the difference of two means in pooled standard deviations, each from values and their counts."""
    (mean, variance), (other_mean, other_variance) = _moments(*first), _moments(*second)
    pooled = np.sqrt((variance + other_variance) / 2)
    return float((other_mean - mean) / pooled) if pooled > 0 else 0.0


def share_difference(first: Floats, second: Floats) -> float:
    """Return the difference of two sets of category counts in pooled standard deviations (Yang, Dalton 2012)."""
    p, q = first[1:] / first.sum(), second[1:] / second.sum()
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    return float(np.sqrt(max(0.0, (q - p) @ np.linalg.pinv(covariance) @ (q - p))))


class _Groups:
    """The counts of each split, and the rows that can be made of them."""

    def __init__(self, counts: pl.DataFrame) -> None:
        present = set(counts[s.SPLIT].to_list())
        self.counts = counts
        self.splits = [split for split in s.SPLITS if split in present]
        self.sizes = self.totals(cohort.SUBJECTS)
        self.size_masks = masks(self.sizes)
        self.columns = list(zip(self.splits, self.sizes, self.size_masks, strict=True))

    def totals(self, variable: str) -> list[int]:
        return [int(self._of(variable, split)[cohort.COUNT].sum()) for split in self.splits]

    def predictions(self) -> list[str]:
        totals = self.totals(cohort.PREDICTIONS)
        return [HIDDEN if mask else f"{total:,}" for total, mask in zip(totals, self.size_masks, strict=True)]

    def median(self, variable: str, label: str) -> Row:
        """Return a row of median and quartiles, each of at least eleven subjects and values."""
        pairs = {split: _numbers(self._of(variable, split)) for split in self.splits}
        enough = {split for split, size, _ in self.columns if min(size, pairs[split][1].sum()) >= FLOOR}
        cells = [_median_text(*pairs[split]) if split in enough else HIDDEN for split in self.splits]
        difference = ""
        if enough.issuperset(COMPARED):
            difference = f"{mean_difference(*(pairs[split] for split in COMPARED)):+.2f}".replace("-", "−")
        return Row(label=f"{label}, median [IQR]", cells=cells, difference=difference)

    def categories(self, variable: str, label: str, name: Callable[[str], str]) -> list[Row]:
        """Return a heading and a row per category; where the split's size is hidden, so are its counts."""
        table = self._by_category(variable)
        masked = {
            split: masks(table[split].to_list()) if mask is None else _all_hidden(table.height)
            for split, _, mask in self.columns
        }
        rows = [Row(label=label, difference=self._share_difference(table, masked))]
        for position, value in enumerate(table[cohort.VALUE]):
            cells = [
                masked[split][position] or _share_text(table[split][position], int(table[split].sum()))
                for split in self.splits
            ]
            rows.append(Row(label=value if value == OTHER else name(value), cells=cells, indented=True))
        return rows if len(rows) > 1 else []

    def outcomes(self, name: Callable[[str], str]) -> list[Row]:
        """Return the outcomes that most subjects have after at least one prediction."""
        table = self._pivot(s.OUTCOME).filter(pl.sum_horizontal(self.splits) >= FLOOR).head(N_OUTCOMES)
        rows = [Row(label="Subjects with the outcome at least once")]
        for record in table.iter_rows(named=True):
            cells = [
                HIDDEN if mask else mask_part(record[split], size) or _share_text(record[split], size)
                for split, size, mask in self.columns
            ]
            rows.append(Row(label=name(record[cohort.VALUE]), cells=cells, indented=True))
        return rows if len(rows) > 1 else []

    def _by_category(self, variable: str) -> pl.DataFrame:
        """One row per category; beyond the most frequent, and below eleven subjects, they are joined unnamed."""
        table = self._pivot(variable)
        is_kept = (pl.sum_horizontal(self.splits) >= FLOOR) & (pl.int_range(pl.len()) < N_CATEGORIES)
        kept, rare = table.filter(is_kept), table.filter(~is_kept)
        if rare.is_empty():
            return kept
        other = rare.select(pl.lit(OTHER).alias(cohort.VALUE), *(pl.sum(split) for split in self.splits))
        return pl.concat([kept, other.cast(kept.schema)])

    def _pivot(self, variable: str) -> pl.DataFrame:
        """One row per value, one column per split, most frequent first."""
        rows = self.counts.filter(pl.col(cohort.VARIABLE) == variable)
        of_split = (
            pl.col(cohort.COUNT).filter(pl.col(s.SPLIT) == split).sum().alias(split) for split in self.splits
        )
        table = rows.group_by(cohort.VALUE).agg(*of_split)
        order = pl.sum_horizontal(self.splits)
        return table.sort(order, cohort.VALUE, descending=[True, False])

    def _share_difference(self, table: pl.DataFrame, masked: dict[str, list[str | None]]) -> str:
        if not set(COMPARED) <= set(self.splits):
            return ""
        if any(any(masked[split]) for split in COMPARED) or table.height < 2:
            return HIDDEN
        return f"{share_difference(*(table[split].to_numpy() for split in COMPARED)):.2f}"

    def _of(self, variable: str, split: str) -> pl.DataFrame:
        return self.counts.filter((pl.col(cohort.VARIABLE) == variable) & (pl.col(s.SPLIT) == split))


def _numbers(table: pl.DataFrame) -> tuple[Floats, Floats]:
    return table[cohort.VALUE].cast(pl.Float64).to_numpy(), table[cohort.COUNT].to_numpy()


def _moments(values: Floats, weights: Floats) -> tuple[float, float]:
    mean = float(np.average(values, weights=weights))
    return mean, float(np.average((values - mean) ** 2, weights=weights))


def _median_text(values: Floats, weights: Floats) -> str:
    low, middle, high = (weighted_quantile(values, weights, share) for share in (0.25, 0.5, 0.75))
    return f"{middle:.3g} [{low:.3g}–{high:.3g}]"


def _share_text(count: int, total: int) -> str:
    return f"{count:,} ({100 * count / total:.1f} %)" if total else f"{count:,}"


def _all_hidden(n: int) -> list[str | None]:
    return [HIDDEN] * n
