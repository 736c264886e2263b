"""Points of the plots: calibration, risk distribution, net benefit, ROC. No point stands for fewer than 11 samples.

The calibration curve is the loess of `metrics.calibration_curve` with a pointwise bootstrap band. Risks are shares of
each class in bins that are finer where risks are low. ROC curves are read off at a fixed grid.
"""

from typing import Any

import numpy as np

from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.comparison import number
from attending.evaluate.pooled import Bins, Pairs
from attending.evaluate.samples import ALL, SMALLEST_CELL, Samples, small
from attending.metrics.calibration_curve import cut
from attending.metrics.decision import confusion, net_benefit, net_benefit_of_all
from attending.metrics.discrimination import roc_points
from attending.metrics.ratio import Array, ratio

THRESHOLDS = np.round(np.arange(1, 100) / 100, 2)
FALSE_POSITIVE_RATES = np.round(np.arange(0, 101) / 100, 2)
RISK_EDGES = (np.arange(41) / 40) ** 2
N_POINTS = 50
N_GROUPS = 10
N_TOP_OUTCOMES = 5


def grids() -> dict[str, list[float]]:
    """Return the horizontal axes that all curves share."""
    return {
        "thresholds": THRESHOLDS.tolist(),
        "false_positive_rates": FALSE_POSITIVE_RATES.tolist(),
        "risk_edges": RISK_EDGES.tolist(),
    }


def populations(samples: Samples) -> list[list[int]]:
    """Return the outcomes of each set of curves: all of them pooled, then each of the most frequent alone."""
    everything = list(range(samples.n_outcomes))
    if samples.is_binary:
        return [everything]
    positive = samples.labels.sum(axis=0)
    enough = np.minimum(positive, samples.pairs(ALL).sum(axis=0) - positive) >= SMALLEST_CELL
    order = [at for at in np.argsort(-positive, kind="stable").tolist() if enough[at]]
    return [everything, *([at] for at in order[:N_TOP_OUTCOMES])]


def reference(samples: Samples, outcomes: list[int]) -> dict[str, Any]:
    """Return the prevalence of a population and the net benefit of treating all of it."""
    n_positive = int(samples.labels[:, outcomes].sum())
    n = int(samples.pairs(ALL)[:, outcomes].sum())
    if small(np.array([n_positive, n - n_positive])).any() or not n:
        return {"prevalence": None, "treat_all": [None] * len(THRESHOLDS)}
    return {
        "prevalence": n_positive / n,
        "treat_all": _numbers(net_benefit_of_all(n_positive / n, THRESHOLDS)),
    }


def curves(
    samples: Samples, probability: Array, outcomes: list[int], bootstrap: Bootstrap, confidence: float
) -> dict[str, Any] | None:
    """Return the curves of one model over a population of pairs; None where one class has fewer than 11 pairs."""
    labels = samples.labels[:, outcomes]
    pairs = Pairs.of(probability[:, outcomes], labels, samples.owner, samples.pairs(ALL)[:, outcomes])
    n_positive = int(pairs.labels.sum())
    if min(n_positive, len(pairs.labels) - n_positive) < SMALLEST_CELL:
        return None
    counts = confusion(pairs.probability, pairs.labels, THRESHOLDS)
    return {
        "calibration": _calibration(pairs, bootstrap, confidence),
        "calibration_groups": _groups(pairs),
        "risk": {"positive": _risk(pairs, happened=True), "negative": _risk(pairs, happened=False)},
        "net_benefit": _numbers(net_benefit(counts, THRESHOLDS)),
        "roc": _numbers(roc_points(pairs.probability, pairs.labels, FALSE_POSITIVE_RATES)),
    }


def _calibration(pairs: Pairs, bootstrap: Bootstrap, confidence: float) -> dict[str, list[float | None]]:
    bins = Bins.of(pairs, bootstrap, n_bins=400)
    estimate = bins.curve(*bins.as_they_are)[:, 0]
    replicates = bootstrap.reduce(bins.tables, bins.curve)
    low, high = np.quantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2], axis=1)
    shown = np.unique(np.linspace(0, len(estimate) - 1, N_POINTS).astype(int))
    lines = {"predicted": bins.groups.probability, "observed": estimate, "low": low, "high": high}
    return {name: _numbers(line[shown]) for name, line in lines.items()}


def _groups(pairs: Pairs) -> list[dict[str, Any]]:
    members = cut(pairs.probability, np.ones(len(pairs.labels)), N_GROUPS)
    n, positive = np.bincount(members), np.bincount(members[pairs.labels], minlength=int(members.max()) + 1)
    predicted = ratio(np.bincount(members, pairs.probability), n)
    hidden = _hide(small(positive) | small(n - positive), n)
    return [
        {
            "predicted": number(predicted[at]),
            "observed": None if hidden[at] else float(positive[at] / n[at]),
            "n": None if hidden[at] else int(n[at]),
            "suppressed": bool(hidden[at]),
        }
        for at in range(len(n))
    ]


def _risk(pairs: Pairs, *, happened: bool) -> list[float | None]:
    counts = np.histogram(pairs.probability[pairs.labels == happened], RISK_EDGES)[0]
    hidden = _hide(small(counts), counts)
    shares = counts / counts.sum()
    return [None if hidden[at] else float(share) for at, share in enumerate(shares)]


def _hide(hidden: Array, counts: Array) -> Array:
    """Hide one cell more where a single hidden one would be the rest of a total: the smallest that is not empty."""
    if hidden.sum() != 1:
        return hidden
    others = np.flatnonzero(~hidden & (counts > 0))
    hidden = hidden.copy()
    if len(others):
        hidden[others[np.argmin(counts[others])]] = True
    return hidden


def _numbers(values: Array) -> list[float | None]:
    return [number(value) for value in values.tolist()]
