"""From the replicates of every model to intervals, paired differences, and one long table.

A table of many models is many tests: beside each difference stands its p-value, and Holm's, which allows for all
differences of the same metric in the same scope to the same model (`metrics.multiplicity`).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from attending.evaluate.bootstrap import Replicated
from attending.evaluate.config import Config
from attending.evaluate.definitions import definition
from attending.evaluate.samples import ALL, Samples
from attending.evaluate.scores import Scores
from attending.metrics.discrimination import areas
from attending.metrics.multiplicity import difference_p_value, holm
from attending.metrics.ratio import Array, Floats
from attending.schema import (
    COMPARISON,
    DIFFERENCE,
    DIFFERENCE_P,
    DIFFERENCE_P_HOLM,
    ESTIMATE,
    GAP,
    HIGH,
    LOW,
    METRIC,
    MODEL,
    P_HOLM,
    SCOPE,
    TO_BEST,
    P,
)

BASELINES = ("logistic_counts", "gbm_counts", "copy_history", "age_sex", "popularity")
CEILING = "true_probability"
Summary = dict[str, dict[str, dict[str, dict[str, Any]]]]


def headline_metric(samples: Samples, config: Config) -> str:
    """Return the metric that ranks models: AUROC, of the one outcome or the mean over those that can be scored."""
    if samples.is_binary:
        return "auroc"
    return "macro_auroc" if samples.scored_outcomes(ALL, config.min_positives) else "micro_auroc"


def choose(
    present: list[str], predictions: Mapping[str, Array], quality: Callable[[Array], float]
) -> tuple[str | None, str | None]:
    """Return which of `present` has the highest quality on tuning data, and what decided: `tuning` or `order`.

    Held-out data have no say. Where tuning data cannot decide, the first of `present` is taken.
    """
    scores = {name: quality(predictions[name]) for name in present}
    decided = {name: value for name, value in scores.items() if math.isfinite(value)}
    if decided:
        return max(decided, key=lambda name: decided[name]), "tuning"
    return (present[0], "order") if present else (None, None)


def best_of(
    present: list[str], tuning: Samples, predictions: Mapping[str, Array], config: Config
) -> tuple[str | None, str | None]:
    """Return which of `present` has the highest AUROC on tuning data, and what decided: `tuning` or `order`."""
    return choose(present, predictions, lambda probability: tuning_auroc(tuning, probability, config))


def summarise(
    scores: Mapping[str, Scores], best: str | None, confidence: float, best_model: str | None = None
) -> Summary:
    """Return {model: {scope: {metric: {estimate, low, high, difference, difference_to_best, gap_to_ceiling}}}}.

    `difference` is the model minus the best baseline, `difference_to_best` the model minus the best model,
    `gap_to_ceiling` the ceiling minus the model, all paired: the same replicates of the same subjects.
    """
    baseline, ceiling = scores.get(best or ""), scores.get(CEILING)
    first = scores.get(best_model or "")
    summary: Summary = {
        model: {
            scope: {
                name: _entry(
                    value, [_at(one, scope, name) for one in (baseline, first, ceiling)], name, confidence
                )
                for name, value in metrics.items()
            }
            for scope, metrics in of_model.metrics.items()
        }
        for model, of_model in sorted(scores.items())
    }
    for reference, key in ((best, DIFFERENCE), (best_model, TO_BEST)):
        if reference is not None and reference in scores:
            _test(summary, scores, reference, key)
    return summary


def long_table(summary: Summary) -> pl.DataFrame:
    """Return one row for each model, scope and metric."""
    rows = [
        {MODEL: model, SCOPE: scope, METRIC: metric}
        | _flat("", entry)
        | _flat(DIFFERENCE, entry[DIFFERENCE])
        | {DIFFERENCE_P: _of(entry[DIFFERENCE], P), DIFFERENCE_P_HOLM: _of(entry[DIFFERENCE], P_HOLM)}
        | _flat(GAP, entry[GAP])
        for model, scopes in summary.items()
        for scope, metrics in scopes.items()
        for metric, entry in metrics.items()
    ]
    return COMPARISON.check(pl.DataFrame(rows, schema=COMPARISON.columns), "the comparison of models")


def interval(value: Replicated, confidence: float) -> dict[str, float | None]:
    """Return estimate, low and high; None where undefined."""
    low, high = value.interval(confidence)
    return {ESTIMATE: number(value.estimate), LOW: number(low), HIGH: number(high)}


def number(value: float) -> float | None:
    """Return a float for JSON: None where it is not finite."""
    return float(value) if math.isfinite(value) else None


def tuning_auroc(samples: Samples, probability: Array, config: Config) -> float:
    """Return the AUROC of the one outcome, or the mean over those that can be scored."""
    outcomes = samples.scored_outcomes(ALL, 1 if samples.is_binary else config.min_positives)
    known = samples.pairs(ALL)
    if not outcomes:
        return areas(probability[known], samples.labels[known])[0]
    of_outcomes = [
        areas(probability[known[:, at], at], samples.labels[known[:, at], at])[0] for at in outcomes
    ]
    return float(np.mean(of_outcomes))


def _test(summary: Summary, scores: Mapping[str, Scores], reference: str, key: str) -> None:
    """Add p-values to the differences of all models to `reference`; itself and the ceiling are no hypotheses."""
    tested = [model for model in summary if model not in (reference, CEILING)]
    for scope, metrics in scores[reference].metrics.items():
        for name, value in metrics.items():
            differences = [scores[model].metrics[scope][name].minus(value) for model in tested]
            raw = [difference_p_value(one.estimate, _widened(one)) for one in differences]
            for model, p, corrected in zip(tested, raw, holm(raw), strict=True):
                summary[model][scope][name][key] |= {P: number(p), P_HOLM: number(corrected)}


def _widened(difference: Replicated) -> Floats:
    """Return the replicates as far from the estimate as intervals reach."""
    return difference.estimate + difference.widening * (difference.values - difference.estimate)


def _entry(
    value: Replicated, others: list[Replicated | None], name: str, confidence: float
) -> dict[str, Any]:
    lowest, highest = definition(name).bounds
    baseline, first, ceiling = others
    entry: dict[str, Any] = dict(interval(value, confidence))
    for key, bound, choose in ((LOW, lowest, max), (HIGH, highest, min)):
        if entry[key] is not None and bound is not None:
            entry[key] = choose(entry[key], bound)  # centring may push an end past what is possible
    entry[DIFFERENCE] = interval(value.minus(baseline), confidence) if baseline else None
    entry[TO_BEST] = interval(value.minus(first), confidence) if first else None
    entry[GAP] = interval(ceiling.minus(value), confidence) if ceiling else None
    return entry


def _at(scores: Scores | None, scope: str, name: str) -> Replicated | None:
    return scores.metrics[scope][name] if scores else None


def _of(entry: dict[str, Any] | None, key: str) -> float | None:
    return entry.get(key) if entry else None


def _flat(prefix: str, entry: dict[str, Any] | None) -> dict[str, Any]:
    names = (prefix, f"{prefix}_{LOW}", f"{prefix}_{HIGH}") if prefix else (ESTIMATE, LOW, HIGH)
    return {
        name: entry[key] if entry else None for name, key in zip(names, (ESTIMATE, LOW, HIGH), strict=True)
    }
