"""AUROC and average precision with bootstrap replicates, from weights in bins of scores.

The estimate is exact. Replicates are exact too with few positives; with more of them scores are cut into `N_BINS`
bins, half at equal shares of the observations and half at equal shares of the positives (where precision is
decided), and those in one bin tie. Replicates are centred on the estimate anyway, so binning moves no interval;
it changes the width by less than one percent.
"""

import numpy as np
from numpy.typing import NDArray

from attending.evaluate.bootstrap import Bootstrap, Replicated, n_in_smaller_class, widening
from attending.metrics.calibration_curve import cut
from attending.metrics.discrimination import areas, areas_of_bins, lossless_bins
from attending.metrics.ratio import Array

N_BINS = 250


def discrimination(scores: Array, labels: Array, owner: Array, bootstrap: Bootstrap) -> list[Replicated]:
    """Return AUROC and average precision of `scores` (n,), whose subjects are `owner` (n,)."""
    bins = lossless_bins(scores, labels)
    if bins.max(initial=0) >= N_BINS:
        bins = balanced_bins(scores, labels, N_BINS)
    n_bins = int(bins.max(initial=0)) + 1
    tables = [bootstrap.table(bins[of_class], owner[of_class], n_bins) for of_class in (labels, ~labels)]
    values = bootstrap.reduce(tables, areas_of_bins)
    wider = widening(n_in_smaller_class(labels, owner))
    return [Replicated.centred(*pair, wider) for pair in zip(areas(scores, labels), values, strict=True)]


def balanced_bins(scores: Array, labels: Array, n_bins: int) -> NDArray[np.intp]:
    """Return (n,) bins at equal shares of weight, where the positives weigh as much as all observations."""
    n_positive = max(1, int(labels.sum()))
    return cut(scores, np.where(labels, 1 + len(labels) / n_positive, 1.0), n_bins)


def mean_over_outcomes(of_outcomes: list[Replicated], n_replicates: int, n_subjects: int = 1) -> Replicated:
    """Return the macro average, over the outcomes that are defined in a replicate; it rests on `n_subjects`."""
    if not of_outcomes:
        return Replicated.undefined(n_replicates)
    values = np.stack([outcome.values for outcome in of_outcomes])
    defined = np.isfinite(values)
    count = defined.sum(axis=0)
    means = np.where(defined, values, 0).sum(axis=0) / np.maximum(count, 1)
    estimate = float(np.mean([outcome.estimate for outcome in of_outcomes]))
    return Replicated.centred(estimate, np.where(count > 0, means, np.nan), widening(n_subjects))
