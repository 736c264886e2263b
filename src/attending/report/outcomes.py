"""The most frequent outcomes one by one, by name, under the best model and the best baseline."""

from dataclasses import dataclass, field

import polars as pl

from attending import schema as s
from attending.report import comparison
from attending.report.names import Names
from attending.report.suppression import mask_part

MODEL, SCOPE = "model", "scope"


@dataclass(frozen=True, kw_only=True)
class OutcomeTable:
    """Column names, and for each outcome its name and cells."""

    columns: list[str] = field(default_factory=list)
    rows: list[tuple[str, list[str]]] = field(default_factory=list)
    note: str = ""


def outcome_table(per_outcome: pl.DataFrame, metrics: comparison.Metrics, names: Names, n: int) -> OutcomeTable:
    return OutcomeTable()
