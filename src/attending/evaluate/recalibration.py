"""What recalibration on tuning data would do to each model on held-out data: shown before and after.

Maps are fitted on the known pairs of the tuning split and never see a held-out subject. With several outcomes one map
serves all; the intercepts of single outcomes are added where tuning data hold enough of both classes, and the shared
intercept stands in for the others. Probabilities in the other parts of an evaluation are never recalibrated.
"""

from concurrent.futures import Executor, ThreadPoolExecutor
from os import cpu_count
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, unused-ignore]

from attending.evaluate.bootstrap import Bootstrap, Replicated
from attending.evaluate.config import CONFIDENCE
from attending.evaluate.evidence import Evidence
from attending.evaluate.in_brief import in_brief
from attending.evaluate.pooled import Pairs
from attending.evaluate.rounded import rounded
from attending.evaluate.samples import ALL, Samples
from attending.metrics.calibration import logit
from attending.metrics.ratio import Array, Floats
from attending.metrics.recalibration import (
    fit_intercept,
    fit_intercept_and_slope,
    fit_intercepts,
    fit_isotonic,
    sigmoid,
)
from attending.schema import HELD_OUT, TUNING

FEWEST_EVENTS = 50  # of either class in tuning data, for an outcome to have an intercept of its own
SHOWN = ("brier", "expected_over_observed", "calibration_intercept", "calibration_slope", "ici", "auroc")
BEFORE, AFTER, CHANGE, SETTINGS = "before", "after", "change", "settings"
Made = dict[str, tuple[dict[str, Any], Floats]]


def recalibration(evidence: Evidence) -> dict[str, Any] | None:
    """Return for each model its metrics before, and after each map that tuning data could fit; None for numbers."""
    tuning, held_out = evidence.tuning.samples, evidence.held_out.samples
    if evidence.target == "value" or held_out.has_small_class or not tuning.n:
        return None
    models = {}
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(cpu_count()) as executor:
        for model, probability in evidence.predictions[HELD_OUT].items():
            made = _maps(tuning, evidence.predictions[TUNING][model], probability)
            if made:
                models[model] = _compare(held_out, probability, made, evidence.bootstrap, executor)
    if not models:
        return None
    return {
        "fitted_on": TUNING,
        "n_tuning_subjects": tuning.n_subjects,
        "n_tuning_pairs": int(tuning.pairs(ALL).sum()),
        "pooled": not held_out.is_binary,
        "confidence": CONFIDENCE,
        "models": models,
    }


def _maps(tuning: Samples, fitted_on: Array, probability: Array) -> Made:
    """Return, for each map that can be fitted, its settings and the recalibrated `probability` (n, K)."""
    known = tuning.pairs(ALL)
    p, y = fitted_on[known], tuning.labels[known]
    if not 0 < int(y.sum()) < len(y):
        return {}
    shift, both, steps = fit_intercept(p, y), fit_intercept_and_slope(p, y), fit_isotonic(p, y)
    made: Made = {"intercept": ({"intercept": rounded(shift.intercept)}, shift(probability))}
    if np.isfinite(both.slope):
        found = {"intercept": rounded(both.intercept), "slope": rounded(both.slope)}
        made["intercept_and_slope"] = (found, both(probability))
    made["isotonic"] = ({"n_steps": steps.n_steps}, steps(probability))
    if not tuning.is_binary:
        own, n_own = _intercepts(tuning, fitted_on, shift.intercept)
        if n_own:
            made["intercept_of_outcomes"] = ({"n_outcomes": n_own}, sigmoid(logit(probability) + own))
    return made


def _intercepts(tuning: Samples, fitted_on: Array, shared: float) -> tuple[Floats, int]:
    """Return (K,) intercepts, and how many of them are an outcome's own."""
    known = tuning.pairs(ALL)
    positive, total = (tuning.labels & known).sum(axis=0), known.sum(axis=0)
    enough = np.minimum(positive, total - positive) >= FEWEST_EVENTS
    own = np.full(tuning.n_outcomes, shared)
    own[enough] = fit_intercepts(logit(fitted_on[:, enough]), tuning.labels[:, enough], known[:, enough])
    return own, int(enough.sum())


def _compare(
    samples: Samples, probability: Array, made: Made, bootstrap: Bootstrap, executor: Executor
) -> dict[str, Any]:
    def described(one: Array) -> dict[str, Replicated]:
        pairs = Pairs.of(one, samples.labels, samples.owner, samples.pairs(ALL))
        return in_brief(pairs, bootstrap, curve_too=True)

    before, *after = executor.map(described, [probability, *(moved for _, moved in made.values())])
    return {
        BEFORE: {metric: _interval(metric, before[metric]) for metric in SHOWN},
        "maps": {
            name: {
                SETTINGS: settings,
                AFTER: {metric: _interval(metric, found[metric]) for metric in SHOWN},
                CHANGE: {"brier": _interval("", found["brier"].minus(before["brier"]), places=6)},
            }
            for (name, (settings, _)), found in zip(made.items(), after, strict=True)
        },
    }


def _interval(metric: str, value: Replicated, places: int = 5) -> dict[str, float | None]:
    low, high = value.interval(CONFIDENCE)
    if metric in ("brier", "ici", "auroc", "expected_over_observed"):
        low = max(low, 0.0)
    ends = (("estimate", value.estimate), ("low", low), ("high", high))
    return {key: rounded(end, places) for key, end in ends}
