"""The most frequent outcomes one by one, by name, under the best model and the best baseline."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from attending import schema as s
from attending.evaluate.samples import ALL, NEW_ONSET
from attending.report import comparison
from attending.report.comparison import NOTHING, Interval
from attending.report.names import Names

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class OutcomeTable:
    """Column names, and for each outcome its name and cells."""

    columns: list[str] = field(default_factory=list)
    rows: list[tuple[str, list[Interval | str]]] = field(default_factory=list)
    note: str = ""


def outcome_table(
    per_outcome: pl.DataFrame, metrics: comparison.Metrics, names: Names, n: int
) -> OutcomeTable:
    """Lay out the `n` outcomes that happen most often among the held-out samples."""
    model, baseline = comparison.best_model(metrics), metrics.get("best_baseline")
    found = {(row[s.MODEL], row[s.SCOPE], row[s.OUTCOME]): row for row in per_outcome.iter_rows(named=True)}
    order = _most_frequent(per_outcome, model, n)
    if not order:
        return OutcomeTable()
    wanted = [(model, ALL), *([(baseline, ALL)] if baseline and baseline != model else [])]
    if any(scope == NEW_ONSET for _, scope, _ in found):
        wanted.append((model, NEW_ONSET))
    columns = [f"AUROC, {name}" + (", new onset" if scope == NEW_ONSET else "") for name, scope in wanted]
    rows: list[tuple[str, list[Interval | str]]] = []
    for outcome in order:
        cells: list[Interval | str] = [_area(found.get((*which, outcome))) for which in wanted]
        whole = found[model, ALL, outcome]
        rows.append((names.outcome(outcome), [*_frequency(whole), *cells, _ratio(whole)]))
    return OutcomeTable(
        columns=["Happened", "Share", *columns, "Expected / observed"],
        rows=rows,
        note=f"The {len(rows)} most frequent among the held-out samples. Expected / observed is of {model}: "
        "above 1, it predicts too many. Outcomes of 1 to 10 samples are left out.",
    )


def _most_frequent(per_outcome: pl.DataFrame, model: str, n: int) -> list[str]:
    """Return the outcomes that happened; those of hidden frequency are left out, their AUROC would tell it."""
    if per_outcome.is_empty():
        return []
    is_shown = (pl.col(s.N_POSITIVE) > 0) & ~pl.col(s.SUPPRESSED)
    whole = per_outcome.filter((pl.col(s.MODEL) == model) & (pl.col(s.SCOPE) == ALL) & is_shown)
    order = whole.sort(s.N_POSITIVE, s.OUTCOME, descending=[True, False])
    return order[s.OUTCOME].head(n).to_list()


def _frequency(row: Row) -> list[Interval | str]:
    return [f"{row[s.N_POSITIVE]:,}", f"{100 * row[s.PREVALENCE]:.1f} %"]


def _area(row: Row | None) -> Interval:
    if row is None or row[s.SUPPRESSED]:
        return Interval(estimate=None)
    return Interval(estimate=row[s.AUROC], low=row[f"{s.AUROC}_{s.LOW}"], high=row[f"{s.AUROC}_{s.HIGH}"])


def _ratio(row: Row) -> str:
    value = row[s.EXPECTED_OVER_OBSERVED]
    return NOTHING if value is None else f"{value:.2f}"
