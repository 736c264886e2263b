"""How well a score tells those with the outcome from those without: AUROC and average precision.

With weights w, scores s, positives P and negatives N:

    AUROC = Σ_{i∈P} Σ_{j∈N} w_i w_j (1[s_i > s_j] + ½·1[s_i = s_j]) / (Σ_P w · Σ_N w)
    AUPRC = Σ_u (recall(u) − recall(next higher u)) · precision(u)     over the distinct scores u of P,

the second being average precision: a step function, not the trapezoid that flatters. Both are exact with
ties. Both need only how much weight stands in which *bin* of scores, lowest first, and are exact as long as a bin
with a positive holds one score. So a thousand bootstrap replicates are a thousand columns of sums (g, B).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attending.metrics.ratio import Array, Floats, ratio, weights_or_ones

CHUNK_BYTES = 2**26


def auroc(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the AUROC of `scores` (n,); NaN unless both classes have weight."""
    return areas(scores, labels, weights)[0]


def average_precision(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the average precision (AUPRC) of `scores` (n,); NaN unless positives have weight."""
    return areas(scores, labels, weights)[1]


def areas(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> tuple[float, float]:
    """Return AUROC and average precision of `scores` (n,)."""
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    found = _of_weights(lossless_bins(scores, labels), labels, weights_or_ones(weights, len(scores))[None])
    return float(found[0, 0]), float(found[1, 0])


def replicated(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike) -> Floats:
    """Return (2, B): AUROC and average precision under each row of `weights` (B, n); sorts once."""
    scores, labels, weights = np.asarray(scores), np.asarray(labels, bool), np.asarray(weights)
    bins = lossless_bins(scores, labels)
    step = max(1, CHUNK_BYTES // (16 * (int(bins.max(initial=0)) + 1)))
    chunks = [weights[start : start + step] for start in range(0, len(weights), step)]
    return np.concatenate([np.empty((2, 0)), *(_of_weights(bins, labels, chunk) for chunk in chunks)], axis=1)


def lossless_bins(scores: Array, labels: Array) -> NDArray[np.intp]:
    """Return (n,) bin numbers that keep both areas exact.

    Each distinct score of the positives is a bin (odd numbers), and all negatives between two of them (even).
    """
    heights = np.unique(scores[labels])
    below, through = (np.searchsorted(heights, scores, side=side) for side in ("left", "right"))
    return below + through


def areas_of_bins(positives: Array, negatives: Array) -> Floats:
    """Return (2, B): AUROC and average precision of sums of weights per bin, (g, B) each, lowest bin first."""
    beaten = np.cumsum(negatives, axis=0)
    true_alerts = np.cumsum(positives[::-1], axis=0)[::-1]
    alerts = true_alerts + beaten[-1:] - beaten + negatives
    precision = np.divide(true_alerts, alerts, out=np.zeros_like(alerts), where=alerts > 0)
    n_positive, n_negative = (part.sum(axis=0, dtype=np.float64) for part in (positives, negatives))
    beaten -= negatives / 2  # half a win for a tie
    return np.stack(
        [
            ratio(np.einsum("gb,gb->b", positives, beaten, dtype=np.float64), n_positive * n_negative),
            ratio(np.einsum("gb,gb->b", positives, precision, dtype=np.float64), n_positive),
        ]
    )


def roc_points(scores: ArrayLike, labels: ArrayLike, grid: ArrayLike) -> Floats:
    """Return the sensitivity at each false-positive rate of `grid`, along straight lines between scores."""
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    heights, rung = np.unique(scores, return_inverse=True)
    true = np.bincount(rung[labels], minlength=len(heights))[::-1].cumsum()
    false = np.bincount(rung[~labels], minlength=len(heights))[::-1].cumsum()
    x = np.concatenate([[0.0], ratio(false, labels.size - labels.sum())])
    y = np.concatenate([[0.0], ratio(true, labels.sum())])
    return np.asarray(np.interp(np.asarray(grid, float), x, y), np.float64)


def _of_weights(bins: Array, labels: Array, weights: Array) -> Floats:
    n_bins = int(bins.max(initial=0)) + 1
    return areas_of_bins(
        _sums(bins[labels], weights[:, labels], n_bins), _sums(bins[~labels], weights[:, ~labels], n_bins)
    )


def _sums(bins: Array, weights: Array, n_bins: int) -> Floats:
    sums = np.empty((n_bins, len(weights)))
    for replicate, of_replicate in enumerate(weights):
        sums[:, replicate] = np.bincount(bins, of_replicate, minlength=n_bins)
    return sums
