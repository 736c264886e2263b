"""The models side by side: the numbers that matter, a verdict in plain words, the table and the forest plot.

`metrics` is what `metrics.json` holds: for each model, scope (all, new onset, recurrent) and metric an estimate
with its 95 % interval, the paired difference to the best baseline, and the gap to the ceiling where a truth is known.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from attending.report.axis import Axis, axis

Metrics = Mapping[str, Any]
NOTHING = "–"
ALL, NEW_ONSET, RECURRENT = SCOPES = ("all", "new_onset", "recurrent")
SCOPE_NAMES = {ALL: "All outcomes", NEW_ONSET: "New onset", RECURRENT: "Recurrent"}
BASELINES = frozenset({"popularity", "copy_history", "logistic_counts", "gbm_counts"})
LOWER_IS_BETTER = frozenset({"brier", "ici", "e50", "e90", "emax", "log_loss"})
THIRD = ((NEW_ONSET, "recall_at_10"), (ALL, "auprc"), (ALL, "macro_auprc"), (ALL, "recall_at_10"), (ALL, "brier"))
ABBREVIATIONS = {"auroc": "AUROC", "auprc": "AUPRC", "ici": "ICI", "f1": "F1", "oe": "O/E"}


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate and its 95 % interval; any of the three may be unknown."""

    estimate: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, values: Any) -> "Interval":
        """Read `{"estimate": …, "low": …, "high": …}`, where null and NaN mean unknown."""
        values = values if isinstance(values, Mapping) else {"estimate": values}
        return cls(**{key: _number(values.get(key)) for key in ("estimate", "low", "high")})

    def text(self, sign: bool = False) -> str:
        """Return the estimate alone."""
        return _text(self.estimate, sign)

    def range(self, sign: bool = False) -> str:
        """Return the interval alone, or nothing."""
        if self.low is None or self.high is None:
            return ""
        return f"{_text(self.low, sign)} to {_text(self.high, sign)}"

    def full(self, sign: bool = False) -> str:
        """Return "0.842 (0.835 to 0.849)"."""
        return f"{self.text(sign)} ({self.range(sign)})" if self.range() else self.text(sign)


@dataclass(frozen=True, kw_only=True)
class Card:
    """One of the numbers that matter."""

    label: str
    value: str
    interval: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A model's result in one scope: its value, difference to the best baseline, gap to the ceiling."""

    value: Interval
    difference: Interval | None
    gap: Interval | None


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """A model's line in the comparison."""

    name: str
    is_baseline: bool
    is_best_baseline: bool
    cells: dict[str, Cell]


@dataclass(frozen=True, kw_only=True)
class Dot:
    """An estimate on the forest plot: position of dot and interval, and the words shown on hover."""

    y: float
    x: float
    low: float
    high: float
    is_baseline: bool
    title: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One scope of the forest plot."""

    heading: str
    axis: Axis
    dots: list[Dot]
    reference: float | None
    ceiling: float | None


@dataclass(frozen=True, kw_only=True)
class Forest:
    """Dots and intervals of every model, one panel a scope."""

    width: float
    height: float
    top: float
    labels: list[tuple[float, str, bool]]
    panels: list[Panel] = field(default_factory=list)


def three_numbers(metrics: Metrics) -> list[tuple[str, str]]:
    """Return the three numbers that matter: what each is, and its value with its 95 % interval."""
    return [(card.label, f"{card.value} ({card.interval})" if card.interval else card.value) for card in cards(metrics)]


def cards(metrics: Metrics) -> list[Card]:
    """Return the best model's headline, its difference to the best baseline, and how it finds what is new."""
    model, headline, baseline = best_model(metrics), metrics["headline"], metrics.get("best_baseline")
    result = _cell(metrics, model, ALL, headline)
    first = _card(f"{metric_name(headline)} of {model}", result.value, "held-out subjects, 95 % interval")
    second = Card(label="Difference to the best baseline", value=NOTHING, interval="", note="no baseline was run")
    if result.difference:
        note = f"paired, against {baseline}"
        second = _card(f"Difference to {baseline}, the best baseline", result.difference, note, sign=True)
    return [first, second, _third(metrics, model)]


def verdict(metrics: Metrics) -> str:
    """Say in one or two plain sentences whether the best model beats the best baseline."""
    model, headline, baseline = best_model(metrics), metrics["headline"], metrics.get("best_baseline")
    name = metric_name(headline)
    if model in baselines(metrics) or baseline is None:
        return f"Only baselines were run: there is nothing to compare with. The best is {model}."
    first = _judge(_cell(metrics, model, ALL, headline).difference, model, baseline, name, headline)
    second = ""
    if NEW_ONSET in metrics["models"][model]:
        difference = _cell(metrics, model, NEW_ONSET, headline).difference
        second = _new_onset(difference, headline)
    return f"{first} {second}".strip()


def best_model(metrics: Metrics) -> str:
    """Return the model that is not a baseline and has the best headline; the best baseline if there is none."""
    candidates = [name for name in metrics["models"] if name not in baselines(metrics)]
    return _ranked(metrics, candidates or list(metrics["models"]), ALL)[0]


def baselines(metrics: Metrics) -> frozenset[str]:
    """Return the names of the baselines among the models."""
    return frozenset(metrics.get("baselines") or BASELINES)


def scopes(metrics: Metrics) -> list[str]:
    """Return the scopes that at least one model was scored in."""
    present = {scope for results in metrics["models"].values() for scope in results}
    return [scope for scope in SCOPES if scope in present]


def rows(metrics: Metrics, metric: str | None = None) -> list[ModelRow]:
    """Return the models, best first, by their headline (or `metric`) in the scope of all outcomes."""
    metric = metric or metrics["headline"]
    return [
        ModelRow(
            name=name,
            is_baseline=name in baselines(metrics),
            is_best_baseline=name == metrics.get("best_baseline"),
            cells={scope: _cell(metrics, name, scope, metric) for scope in scopes(metrics)},
        )
        for name in _ranked(metrics, list(metrics["models"]), ALL)
    ]


def metric_names(metrics: Metrics, scope: str) -> list[str]:
    """Return the metrics of a scope in the order in which they were written, the headline first."""
    found = {metric for results in metrics["models"].values() for metric in results.get(scope, {})}
    order = [metric for results in metrics["models"].values() for metric in results.get(scope, {})]
    headline = [metrics["headline"]] if metrics["headline"] in found else []
    return list(dict.fromkeys(headline + order))


def metric_name(metric: str) -> str:
    """Return "Recall@10" for `recall_at_10` and "Macro AUROC" for `macro_auroc`."""
    text = re.sub(r"_at_(\d+)", r"@\1", metric)
    words = [ABBREVIATIONS.get(word, word) for word in text.split("_")]
    name = " ".join(words)
    return name[:1].upper() + name[1:]


def forest(metrics: Metrics, width: float = 960, label_width: float = 150) -> Forest:
    """Lay out the forest plot of the headline."""
    lines, top, step = rows(metrics), 34.0, 30.0
    shown = scopes(metrics)
    space = (width - label_width) / max(1, len(shown))
    heights = [top + step * (at + 0.5) for at in range(len(lines))]
    panels = [
        _panel(scope, lines, heights, label_width + space * at + 14, space - 28) for at, scope in enumerate(shown)
    ]
    labels = [(y, line.name, line.is_baseline) for y, line in zip(heights, lines, strict=True)]
    return Forest(width=width, height=top + step * len(lines) + 34, top=top, labels=labels, panels=panels)


def _panel(scope: str, lines: Sequence[ModelRow], heights: Sequence[float], left: float, width: float) -> Panel:
    cells = [line.cells[scope] for line in lines]
    values = [
        value for cell in cells for value in (cell.value.estimate, cell.value.low, cell.value.high, _ceiling(cell))
    ]
    scale = axis([value for value in values if value is not None], left=left, width=width)
    dots = [_dot(line.name, y, line, cell, scale) for line, y, cell in zip(lines, heights, cells, strict=True)]
    reference = next((cell.value.estimate for line, cell in zip(lines, cells, strict=True) if line.is_best_baseline), None)
    ceiling = max((top for cell in cells if (top := _ceiling(cell)) is not None), default=None)
    return Panel(
        heading=SCOPE_NAMES[scope],
        axis=scale,
        dots=[dot for dot in dots if dot],
        reference=None if reference is None else scale.place(reference),
        ceiling=None if ceiling is None else scale.place(ceiling),
    )


def _dot(name: str, y: float, line: ModelRow, cell: Cell, scale: Axis) -> Dot | None:
    value = cell.value
    if value.estimate is None:
        return None
    low, high = (value.estimate if end is None else end for end in (value.low, value.high))
    places = {key: scale.place(at) for key, at in {"x": value.estimate, "low": low, "high": high}.items()}
    return Dot(y=y, is_baseline=line.is_baseline, title=f"{name}: {value.full()}", **places)


def _ceiling(cell: Cell) -> float | None:
    if cell.gap is None or cell.gap.estimate is None or cell.value.estimate is None:
        return None
    return cell.value.estimate + cell.gap.estimate


def _cell(metrics: Metrics, model: str, scope: str, metric: str) -> Cell:
    values = metrics["models"][model].get(scope, {}).get(metric) or {}
    optional = {key: Interval.of(values[key]) if values.get(key) else None for key in ("difference", "gap_to_ceiling")}
    return Cell(value=Interval.of(values), difference=optional["difference"], gap=optional["gap_to_ceiling"])


def _ranked(metrics: Metrics, names: list[str], scope: str) -> list[str]:
    headline = metrics["headline"]
    sign = 1 if headline in LOWER_IS_BETTER else -1

    def place(name: str) -> tuple[float, str]:
        estimate = _cell(metrics, name, scope, headline).value.estimate
        return (math.inf if estimate is None else sign * estimate, name)

    return sorted(names, key=place)


def _card(label: str, value: Interval, note: str, sign: bool = False) -> Card:
    return Card(label=label, value=value.text(sign), interval=value.range(sign), note=note)


def _third(metrics: Metrics, model: str) -> Card:
    for scope, metric in ((NEW_ONSET, "recall_at_10"), (NEW_ONSET, metrics["headline"]), *THIRD[1:]):
        if metric in metrics["models"][model].get(scope, {}) and (scope, metric) != (ALL, metrics["headline"]):
            where = "" if scope == ALL else f"{SCOPE_NAMES[scope].lower()} "
            label = f"{where}{metric_name(metric)} of {model}".strip()
            note = "outcomes never seen before in the record" if scope == NEW_ONSET else "held-out subjects"
            return _card(label[:1].upper() + label[1:], _cell(metrics, model, scope, metric).value, note)
    return Card(label="Held-out predictions", value=f"{metrics.get('n_samples', 0):,}", interval="", note="scored")


def _judge(difference: Interval | None, model: str, baseline: str, name: str, metric: str) -> str:
    gain = _gain(difference, metric)
    if difference is None or gain is None:
        return f"The difference between {model} and the best baseline, {baseline}, is not known."
    amount = f"by {_text(abs(difference.estimate or 0))} (95 % interval of the difference {difference.range(sign=True)})"
    if gain.low is not None and gain.low > 0:
        return f"The best model, {model}, beats the best baseline, {baseline}, in {name} {amount}."
    if gain.high is not None and gain.high < 0:
        return f"A plain baseline wins: {baseline} is better than the best model, {model}, in {name} {amount}."
    if (gain.estimate or 0) < 0:
        return (
            f"No model beats the baseline {baseline}: the best, {model}, is behind in {name} {amount}, "
            "which chance alone could explain."
        )
    return (
        f"No model beats the baseline {baseline} beyond chance: the best, {model}, is ahead in {name} {amount}."
    )


def _new_onset(difference: Interval | None, metric: str) -> str:
    gain = _gain(difference, metric)
    if difference is None or gain is None:
        return ""
    words = f"For diagnoses that are new to the patient the difference is {difference.full(sign=True)}"
    if gain.low is not None and gain.low > 0:
        return f"{words}."
    return f"{words}: no proven gain there."


def _gain(difference: Interval | None, metric: str) -> Interval | None:
    """Return the difference with positive meaning better."""
    if difference is None or difference.estimate is None:
        return None
    if metric not in LOWER_IS_BETTER:
        return difference
    estimate, low, high = (None if end is None else -end for end in (difference.estimate, difference.high, difference.low))
    return Interval(estimate=estimate, low=low, high=high)


def _number(value: Any) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(value)


def _text(value: float | None, sign: bool = False) -> str:
    if value is None:
        return NOTHING
    return f"{value:{'+' if sign else ''}.3f}".replace("-", "−")
