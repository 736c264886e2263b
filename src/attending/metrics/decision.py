"""What acting on a prediction would bring: net benefit, and what a threshold means on the ward.

An alert is raised where probability ≥ threshold. With weighted shares of all observations TP, FP, FN, TN:

    net_benefit(t)              TP − FP · t / (1 − t): true positives less false ones, at the price t sets
    treat all / treat none      the same with an alert for everyone / 0
    sensitivity, specificity    TP / (TP + FN), TN / (TN + FP)
    ppv, npv                    TP / (TP + FP), TN / (TN + FN)
    alerts_per_100              100 · (TP + FP)
    likelihood_ratio_positive   sensitivity / (1 − specificity)
    number_needed_to_evaluate   1 / ppv: alerts looked at for one true positive

Thresholds are chosen with `choose_thresholds`, on tuning data, never on held-out data.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from attending.metrics.ratio import Array, Floats, ratio, weights_or_ones

RULES = ("youden", "sensitivity_80", "specificity_90")


@dataclass(frozen=True)
class Confusion:
    """Weighted counts, of any shape: one per threshold, or one per bootstrap replicate."""

    tp: Floats
    fp: Floats
    fn: Floats
    tn: Floats


def confusion(
    probability: ArrayLike, labels: ArrayLike, thresholds: ArrayLike, weights: ArrayLike | None = None
) -> Confusion:
    """Return weighted counts at each of `thresholds` (t,)."""
    p, y = np.asarray(probability, np.float64), np.asarray(labels, bool)
    w, at = weights_or_ones(weights, len(p)), np.atleast_1d(np.asarray(thresholds, np.float64))
    tp, fp = _weight_at_or_above(p[y], w[y], at), _weight_at_or_above(p[~y], w[~y], at)
    return Confusion(tp, fp, w[y].sum() - tp, w[~y].sum() - fp)


def net_benefit(counts: Confusion, thresholds: ArrayLike) -> Floats:
    """Return the net benefit per observation at each threshold; NaN at a threshold of 1."""
    at = np.asarray(thresholds, np.float64)
    total = counts.tp + counts.fp + counts.fn + counts.tn
    return ratio(counts.tp, total) - ratio(counts.fp, total) * ratio(at, 1 - at)


def net_benefit_of_all(prevalence: ArrayLike, thresholds: ArrayLike) -> Floats:
    """Return the net benefit of an alert for everyone."""
    at, share = np.asarray(thresholds, np.float64), np.asarray(prevalence, np.float64)
    benefit: Floats = share - (1 - share) * ratio(at, 1 - at)
    return benefit


def threshold_table(counts: Confusion) -> dict[str, Floats]:
    """Return what each threshold means, by name; NaN where a name has no meaning."""
    sensitivity = ratio(counts.tp, counts.tp + counts.fn)
    specificity = ratio(counts.tn, counts.tn + counts.fp)
    ppv = ratio(counts.tp, counts.tp + counts.fp)
    alerts = ratio(counts.tp + counts.fp, counts.tp + counts.fp + counts.fn + counts.tn)
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": ppv,
        "npv": ratio(counts.tn, counts.tn + counts.fn),
        "alerts_per_100": 100 * alerts,
        "likelihood_ratio_positive": ratio(sensitivity, 1 - specificity),
        "number_needed_to_evaluate": ratio(1, ppv),
    }


def choose_thresholds(probability: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Return a threshold for each of `RULES`, NaN with one class only.

    youden          the largest sensitivity + specificity (the highest such threshold)
    sensitivity_80  the highest threshold that finds at least 80 % of positives
    specificity_90  the lowest threshold that spares at least 90 % of negatives
    """
    p, y = np.asarray(probability, np.float64), np.asarray(labels, bool)
    if y.all() or not y.any():
        return dict.fromkeys(RULES, float("nan"))
    candidates = np.unique(p)[::-1]
    table = threshold_table(confusion(p, y, candidates))
    sensitivity, specificity = table["sensitivity"], table["specificity"]
    spared = np.flatnonzero(specificity >= 0.9 - 1e-12)
    lowest = candidates[spared[-1]] if len(spared) else np.nextafter(candidates[0], np.inf)
    return {
        "youden": float(candidates[np.argmax(sensitivity + specificity)]),
        "sensitivity_80": float(candidates[np.argmax(sensitivity >= 0.8 - 1e-12)]),
        "specificity_90": float(lowest),
    }


def _weight_at_or_above(scores: Array, weights: Array, thresholds: Array) -> Floats:
    order = np.argsort(scores, kind="stable")
    total = np.concatenate([[0.0], weights[order].cumsum()])
    above: Floats = total[-1] - total[np.searchsorted(scores[order], thresholds, side="left")]
    return above
