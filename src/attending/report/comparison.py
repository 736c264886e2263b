"""The models side by side: the numbers that matter, a verdict in plain words, the table and the forest plot.

`metrics` is what `metrics.json` holds: for each model, scope (all, new onset, recurrent) and metric an estimate
with its 95 % interval, the paired difference to the best baseline, and the gap to the ceiling where a truth is known.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attending.evaluate.comparison import BASELINES
from attending.evaluate.samples import ALL, NEW_ONSET, RECURRENT, SCOPES
from attending.report.names import inline

Metrics = Mapping[str, Any]
NOTHING = "–"
FEW = 100
K = 10
ALPHA = 0.05
MARK = "*"
SCOPE_NAMES = {ALL: "All outcomes", NEW_ONSET: "New onset", RECURRENT: "Recurrent"}
THIRD = tuple(
    (ALL, name) for name in ("auprc", "macro_auprc", "recall_at_10", "brier", "share_within_one_day", "r2")
)
ABBREVIATIONS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "ici": "ICI",
    "f1": "F1",
    "oe": "O/E",
    "mae": "MAE",
    "rmse": "RMSE",
    "msle": "MSLE",
    "r2": "R²",
}


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate and its 95 % interval; any of the three may be unknown."""

    estimate: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, values: object) -> "Interval":
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
        return f"{_text(self.low, sign)}{' to ' if sign else '–'}{_text(self.high, sign)}"

    def full(self, sign: bool = False) -> str:
        """Return "0.842 (0.835–0.849)"."""
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
    """A model's result in one scope: its value, differences to the best baseline and model, gap to the ceiling.

    A difference survives where Holm's correction for all differences of its column leaves it below `ALPHA`.
    """

    value: Interval
    difference: Interval | None
    gap: Interval | None
    to_best: Interval | None = None
    survives: bool = False
    to_best_survives: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """A model's line in the comparison."""

    name: str
    is_baseline: bool
    is_best_baseline: bool
    cells: dict[str, Cell]


def three_numbers(metrics: Metrics) -> list[tuple[str, str]]:
    """Return the three numbers that matter: what each is, and its value with its 95 % interval."""
    return [
        (card.label, f"{card.value} ({card.interval})" if card.interval else card.value)
        for card in cards(metrics)
    ]


def cards(metrics: Metrics) -> list[Card]:
    """Return the best model's headline, its difference to the best baseline, and how it finds what is new."""
    model, headline, baseline = best_model(metrics), metrics["headline"], metrics.get("best_baseline")
    result = _cell(metrics, model, ALL, headline)
    first = _card(f"{metric_name(headline)} of {model}", result.value, "held-out subjects, 95 % interval")
    second = Card(
        label="Difference to the best baseline", value=NOTHING, interval="", note="no baseline was run"
    )
    if result.difference:
        note = "paired: the same subjects for both"
        second = _card(f"Difference to {baseline}, the best baseline", result.difference, note, sign=True)
    return [first, second, _third(metrics, model)]


def verdict(metrics: Metrics) -> str:
    """Say in one or two plain sentences whether the best model beats the best baseline."""
    model, headline, baseline = best_model(metrics), metrics["headline"], metrics.get("best_baseline")
    name = inline(metric_name(headline))
    if model in baselines(metrics):
        return f"Only baselines were run. The best of them in {name} is {model}."
    if baseline is None:
        return f"No baseline was run, so nothing shows whether {model} earns its complexity."
    lower = is_lower_better(metrics, headline)
    first = _judge(_cell(metrics, model, ALL, headline).difference, model, baseline, name, lower)
    second = ""
    if NEW_ONSET in metrics["models"][model]:
        difference = _cell(metrics, model, NEW_ONSET, headline).difference
        second = _new_onset(difference, lower)
    few = metrics.get("n_subjects", FEW) < FEW
    third = "So few subjects were held out that no ranking can be trusted." if few else ""
    return " ".join(part for part in (first, second, third) if part)


def best_model(metrics: Metrics) -> str:
    """Return the model, no baseline, that was best on tuning data; held-out data have no say in the choice.

    Where only baselines were run, or tuning data could not tell, it is the first by the held-out headline.
    """
    if metrics.get("best_model"):
        return str(metrics["best_model"])
    candidates = [name for name in metrics["models"] if name not in baselines(metrics)]
    return _ranked(metrics, candidates or list(metrics["models"]))[0]


def baselines(metrics: Metrics) -> list[str]:
    """Return the names under which baselines stand in the comparison."""
    return [str(name) for name in metrics.get("baselines", BASELINES)]


def multiplicity(metrics: Metrics) -> str:
    """Say in words how many differences of the headline survive Holm's correction, and how they are marked."""
    reference = metrics.get("best_baseline")
    found = [
        results.get(scope, {}).get(metrics["headline"], {}).get("difference")
        for scope in scopes(metrics)
        for results in metrics["models"].values()
    ]
    tested = [one for one in found if one and one.get("p_holm") is not None]
    if not tested:
        return ""
    n_tested = len([name for name in metrics["models"] if name != reference])
    columns = "" if len(scopes(metrics)) == 1 else " each column by itself;"
    n = sum(_survives(one) for one in tested)
    return (
        f"{MARK} The difference to {reference} survives Holm's correction for {n_tested} "
        f"comparison{'' if n_tested == 1 else 's'} (corrected p ≤ {ALPHA}, paired bootstrap of subjects;{columns} "
        f"{n} of {len(tested)} do). One without {MARK} may be chance, even where its own interval excludes zero."
    )


def scope_name(metrics: Metrics, scope: str) -> str:
    """Return what a scope is called; of a single outcome, or a number, there is but one."""
    return "Held-out samples" if scope == ALL and metrics.get("n_outcomes") == 1 else SCOPE_NAMES[scope]


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
        for name in _ranked(metrics, list(metrics["models"]))
    ]


def ceiling(metrics: Metrics) -> dict[str, Interval]:
    """Return what the true probabilities reach in each scope; nothing where no truth is known."""
    known = metrics.get("ceiling")
    if not known:
        return {}
    return {scope: Interval.of(values.get(metrics["headline"])) for scope, values in known["metrics"].items()}


def meaning(metrics: Metrics, metric: str) -> str:
    """Return what a metric measures, in words."""
    return str(metrics.get("definitions", {}).get(metric, {}).get("meaning", ""))


def is_lower_better(metrics: Metrics, metric: str) -> bool:
    """Say whether a lower value of the metric is better."""
    return bool(metrics.get("definitions", {}).get(metric, {}).get("better") == "lower")


def metric_names(metrics: Metrics, scope: str) -> list[str]:
    """Return the metrics of a scope in the order in which they were written, the headline first."""
    found = {metric for results in metrics["models"].values() for metric in results.get(scope, {})}
    order = [metric for results in metrics["models"].values() for metric in results.get(scope, {})]
    headline = [metrics["headline"]] if metrics["headline"] in found else []
    return list(dict.fromkeys(headline + order))


def metric_name(metric: str) -> str:
    """Return "Recall@10" for `recall_at_10` and "Macro AUROC" for `macro_auroc`."""
    text = re.sub(r"_at_(\d+)", r"@\1", metric)
    name = " ".join(ABBREVIATIONS.get(word, word) for word in text.split("_"))
    return name[:1].upper() + name[1:]


def _cell(metrics: Metrics, model: str, scope: str, metric: str) -> Cell:
    values = metrics["models"][model].get(scope, {}).get(metric) or {}
    optional = {
        key: Interval.of(values[key]) if values.get(key) else None
        for key in ("difference", "difference_to_best", "gap_to_ceiling")
    }
    return Cell(
        value=Interval.of(values),
        difference=optional["difference"],
        gap=optional["gap_to_ceiling"],
        to_best=optional["difference_to_best"],
        survives=_survives(values.get("difference")),
        to_best_survives=_survives(values.get("difference_to_best")),
    )


def _survives(difference: Mapping[str, Any] | None) -> bool:
    """Say whether Holm's p-value is small enough, and the difference's own interval excludes zero, too."""
    found = difference or {}
    corrected, low, high = (_number(found.get(key)) for key in ("p_holm", "low", "high"))
    if corrected is None or low is None or high is None:
        return False
    return corrected <= ALPHA and not low <= 0 <= high


def _ranked(metrics: Metrics, names: list[str]) -> list[str]:
    headline = metrics["headline"]
    sign = 1 if is_lower_better(metrics, headline) else -1

    def place(name: str) -> tuple[float, str]:
        estimate = _cell(metrics, name, ALL, headline).value.estimate
        return (math.inf if estimate is None else sign * estimate, name)

    return sorted(names, key=place)


def _card(label: str, value: Interval, note: str, sign: bool = False) -> Card:
    return Card(label=label, value=value.text(sign), interval=value.range(sign), note=note)


def _third(metrics: Metrics, model: str) -> Card:
    few = metrics.get("n_outcomes", FEW) <= K  # then the first ten are all of them
    for scope, metric in ((NEW_ONSET, "recall_at_10"), (NEW_ONSET, metrics["headline"]), *THIRD):
        is_first = (scope, metric) == (ALL, metrics["headline"])
        says_nothing = few and metric == f"recall_at_{K}"
        if metric in metrics["models"][model].get(scope, {}) and not is_first and not says_nothing:
            is_new = scope == NEW_ONSET
            name = f"New-onset {inline(metric_name(metric))}" if is_new else metric_name(metric)
            note = (
                "outcomes never seen before in the record" if is_new else "held-out subjects, 95 % interval"
            )
            return _card(f"{name} of {model}", _cell(metrics, model, scope, metric).value, note)
    return Card(
        label="Held-out predictions", value=f"{metrics.get('n_samples', 0):,}", interval="", note="scored"
    )


def _judge(difference: Interval | None, model: str, baseline: str, name: str, lower: bool) -> str:
    gain = _gain(difference, lower)
    if difference is None or gain is None:
        return f"The difference between {model} and the best baseline, {baseline}, is not known."
    interval = f"95 % interval of the difference {difference.range(sign=True)}"
    amount = f"by {_text(abs(difference.estimate or 0))} ({interval})"
    if gain.low is not None and gain.low > 0:
        return f"The best model, {model}, beats the best baseline, {baseline}, in {name} {amount}."
    if gain.high is not None and gain.high < 0:
        return (
            f"A plain baseline wins: {baseline} is better than the best model, {model}, in {name} {amount}."
        )
    if (gain.estimate or 0) < 0:
        return (
            f"A plain baseline is ahead: {baseline} is better than the best model, {model}, in {name} {amount}, "
            "though chance alone could explain it."
        )
    return f"No model beats the baseline {baseline} beyond chance: the best, {model}, is ahead in {name} {amount}."


def _new_onset(difference: Interval | None, lower: bool) -> str:
    gain = _gain(difference, lower)
    if difference is None or gain is None:
        return ""
    words = f"For diagnoses that are new to the patient the difference is {difference.full(sign=True)}"
    if gain.low is not None and gain.low > 0:
        return f"{words}."
    return f"{words}: no proven gain there."


def _gain(difference: Interval | None, lower: bool) -> Interval | None:
    """Return the difference with positive meaning better."""
    if difference is None or difference.estimate is None:
        return None
    if not lower:
        return difference
    estimate, low, high = (
        None if end is None else -end for end in (difference.estimate, difference.high, difference.low)
    )
    return Interval(estimate=estimate, low=low, high=high)


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _text(value: float | None, sign: bool = False) -> str:
    if value is None:
        return NOTHING
    return f"{value:{'+' if sign else ''}.3f}".replace("-", "−")
