"""What recalibration on tuning data would do: the best model and the best baseline before and after each map."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attending.report import comparison
from attending.report.comparison import Interval

MAPS = {
    "intercept": "Shifted (intercept)",
    "intercept_and_slope": "Shifted and stretched (intercept, slope)",
    "isotonic": "Isotonic",
    "intercept_of_outcomes": "Shifted, each outcome alone",
}
COLUMNS = {
    "brier": "Brier",
    "expected_over_observed": "Expected / observed",
    "calibration_intercept": "Intercept",
    "calibration_slope": "Slope",
    "ici": "ICI",
    "auroc": "AUROC",
}
WORDS = {"intercept": "intercept", "slope": "slope", "n_steps": "steps", "n_outcomes": "outcomes"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One map of one model, or the model as it is."""

    name: str
    settings: str
    cells: list[Interval]
    is_model: bool


@dataclass(frozen=True, kw_only=True)
class RecalibrationTable:
    """Rows by model."""

    note: str = ""
    columns: list[str] = field(default_factory=lambda: list(COLUMNS.values()))
    rows: list[Row] = field(default_factory=list)


def recalibration_table(found: Mapping[str, Any], metrics: comparison.Metrics) -> RecalibrationTable:
    """Lay out what `recalibration.json` holds of the best model and the best baseline; nothing where there is none."""
    if not found:
        return RecalibrationTable()
    names = [comparison.best_model(metrics), metrics.get("best_baseline")]
    rows = []
    for model in dict.fromkeys(name for name in names if name in found["models"]):
        of_model = found["models"][model]
        rows.append(
            Row(name=str(model), settings="as it is", cells=_cells(of_model["before"]), is_model=True)
        )
        rows += [
            Row(
                name=MAPS[name],
                settings=_settings(of_map["settings"]),
                cells=_cells(of_map["after"]),
                is_model=False,
            )
            for name, of_map in of_model["maps"].items()
        ]
    pooled = "All outcomes are pooled. " if found["pooled"] else ""
    return RecalibrationTable(
        note=f"{pooled}Maps are fitted on {found['n_tuning_subjects']:,} tuning subjects and shown on held-out ones. "
        "Right are: expected / observed 1, intercept 0, slope 1, ICI 0. No other number here is recalibrated.",
        rows=rows,
    )


def _cells(values: Mapping[str, Any]) -> list[Interval]:
    return [Interval.of(values.get(name)) for name in COLUMNS]


def _settings(settings: Mapping[str, float]) -> str:
    """Return "intercept −0.12, slope 0.94"."""
    words = []
    for name, value in settings.items():
        is_count = name.startswith("n_")
        words.append(
            f"{value:,} {WORDS[name]}" if is_count else f"{WORDS[name]} {value:.2f}".replace("-", "−")
        )
    return ", ".join(words)
