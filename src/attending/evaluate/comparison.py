"""From the replicates of every model to intervals, paired differences, and one long table."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from attending.evaluate.bootstrap import Replicated
from attending.evaluate.config import Config
from attending.evaluate.definitions import definition
from attending.evaluate.samples import ALL, Samples
from attending.evaluate.scores import Scores
from attending.metrics.discrimination import areas
from attending.metrics.ratio import Array
from attending.schema import COMPARISON, DIFFERENCE, ESTIMATE, GAP, HIGH, LOW, METRIC, MODEL, SCOPE

BASELINES = ("logistic_counts", "gbm_counts", "copy_history", "age_sex", "popularity")
CEILING = "true_probability"
Summary = dict[str, dict[str, dict[str, dict[str, Any]]]]


def headline_metric(samples: Samples, config: Config) -> str:
    """Return the metric that ranks models: AUROC, of the one outcome or the mean over those that can be scored."""
    if samples.is_binary:
        return "auroc"
    return "macro_auroc" if samples.scored_outcomes(ALL, config.min_positives) else "micro_auroc"


def best_baseline(
    tuning: Samples, predictions: Mapping[str, Array], config: Config
) -> tuple[str | None, str | None]:
    """Return the baseline with the highest AUROC on tuning data, and what decided: `tuning` or `order`.

    Held-out data have no say. Where tuning data cannot decide, the first of `BASELINES` is taken.
    """
    return _best([name for name in BASELINES if name in predictions], tuning, predictions, config)


def best_model(tuning: Samples, predictions: Mapping[str, Array], config: Config) -> str | None:
    """Return the model, no baseline, with the highest AUROC on tuning data; the first where they cannot decide."""
    return _best([name for name in predictions if name not in BASELINES], tuning, predictions, config)[0]


def _best(
    present: list[str], tuning: Samples, predictions: Mapping[str, Array], config: Config
) -> tuple[str | None, str | None]:
    scores = {name: _tuning_auroc(tuning, predictions[name], config) for name in present}
    decided = {name: value for name, value in scores.items() if math.isfinite(value)}
    if decided:
        return max(decided, key=lambda name: decided[name]), "tuning"
    return (present[0], "order") if present else (None, None)


def summarise(scores: Mapping[str, Scores], best: str | None, confidence: float) -> Summary:
    """Return {model: {scope: {metric: {estimate, low, high, difference, gap_to_ceiling}}}}.

    `difference` is the model minus the best baseline, `gap_to_ceiling` the ceiling minus the model, both paired:
    the same replicates of the same subjects.
    """
    baseline, ceiling = scores.get(best or ""), scores.get(CEILING)
    return {
        model: {
            scope: {
                name: _entry(value, _at(baseline, scope, name), _at(ceiling, scope, name), name, confidence)
                for name, value in metrics.items()
            }
            for scope, metrics in of_model.metrics.items()
        }
        for model, of_model in sorted(scores.items())
    }


def long_table(summary: Summary) -> pl.DataFrame:
    """Return one row for each model, scope and metric."""
    rows = [
        {MODEL: model, SCOPE: scope, METRIC: metric}
        | _flat("", entry)
        | _flat(DIFFERENCE, entry[DIFFERENCE])
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


def _tuning_auroc(samples: Samples, probability: Array, config: Config) -> float:
    outcomes = samples.scored_outcomes(ALL, 1 if samples.is_binary else config.min_positives)
    known = samples.pairs(ALL)
    if not outcomes:
        return areas(probability[known], samples.labels[known])[0]
    of_outcomes = [
        areas(probability[known[:, at], at], samples.labels[known[:, at], at])[0] for at in outcomes
    ]
    return float(np.mean(of_outcomes))


def _entry(
    value: Replicated, baseline: Replicated | None, ceiling: Replicated | None, name: str, confidence: float
) -> dict[str, Any]:
    lowest, highest = definition(name).bounds
    entry: dict[str, Any] = dict(interval(value, confidence))
    for key, bound, choose in ((LOW, lowest, max), (HIGH, highest, min)):
        if entry[key] is not None and bound is not None:
            entry[key] = choose(entry[key], bound)  # centring may push an end past what is possible
    entry[DIFFERENCE] = interval(value.minus(baseline), confidence) if baseline else None
    entry[GAP] = interval(ceiling.minus(value), confidence) if ceiling else None
    return entry


def _at(scores: Scores | None, scope: str, name: str) -> Replicated | None:
    return scores.metrics[scope][name] if scores else None


def _flat(prefix: str, entry: dict[str, Any] | None) -> dict[str, Any]:
    names = (prefix, f"{prefix}_{LOW}", f"{prefix}_{HIGH}") if prefix else (ESTIMATE, LOW, HIGH)
    return {
        name: entry[key] if entry else None for name, key in zip(names, (ESTIMATE, LOW, HIGH), strict=True)
    }
