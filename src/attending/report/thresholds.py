"""What acting above a threshold would mean, for the one outcome of a binary task; thresholds come from tuning data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attending.report import comparison
from attending.report.comparison import Interval
from attending.report.names import sentence

THRESHOLD = "threshold"


@dataclass(frozen=True, kw_only=True)
class ThresholdTable:
    """Column names, and for each rule its name and cells."""

    model: str = ""
    columns: list[str] = field(default_factory=list)
    rows: list[tuple[str, list[Interval]]] = field(default_factory=list)


def threshold_table(metrics: comparison.Metrics) -> ThresholdTable:
    """Lay out the thresholds of the best model; a task of many outcomes has none."""
    model = comparison.best_model(metrics)
    rules: Mapping[str, Mapping[str, Any]] = (metrics.get("thresholds") or {}).get(model) or {}
    if not rules:
        return ThresholdTable()
    names = list(next(iter(rules.values())))
    return ThresholdTable(
        model=model,
        columns=[_name(name) for name in names],
        rows=[
            (sentence(rule), [Interval.of(values.get(name)) for name in names])
            for rule, values in rules.items()
        ],
    )


def _name(name: str) -> str:
    return name.upper() if name in ("ppv", "npv") else sentence(name)
