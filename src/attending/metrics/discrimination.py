"""How well a score tells those with the outcome from those without: AUROC and average precision.

With weights w, scores s, positives P and negatives N:

    AUROC = Σ_{i∈P} Σ_{j∈N} w_i w_j (1[s_i > s_j] + ½·1[s_i = s_j]) / (Σ_P w · Σ_N w)
    AUPRC = Σ_u (recall(u) − recall(next higher u)) · precision(u)     over the distinct scores u of P,

the second being average precision: a step function, not the trapezoid that flatters. Both are exact with
ties. Both need only sums of weights between the distinct scores of the *positives*, a ladder of few rungs:
`Ladder` says on which rung each observation stands, and a thousand bootstrap replicates are a thousand
columns of sums.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attending.metrics.ratio import Array, Floats, ratio, weights_or_ones

CHUNK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Ladder:
    """The distinct scores of the positives, lowest first, are the rungs.

    positive   the rung of each positive, in `[0, n_rungs)`
    negative   for each negative 2r + 1 when it stands on rung r, 2r when it is just below it;
               2·n_rungs is above all
    """

    n_rungs: int
    positive: NDArray[np.intp]
    negative: NDArray[np.intp]

    @classmethod
    def of(cls, scores: Array, labels: Array) -> "Ladder":
        """Build the ladder of `scores` (n,) with boolean `labels` (n,)."""
        heights, positive = np.unique(scores[labels], return_inverse=True)
        below = np.searchsorted(heights, scores[~labels], side="left")
        through = np.searchsorted(heights, scores[~labels], side="right")
        return cls(len(heights), positive, 2 * below + (through > below))


def auroc(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the AUROC of `scores` (n,); NaN unless both classes have weight."""
    return float(_once(scores, labels, weights)[0])


def average_precision(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the average precision (AUPRC) of `scores` (n,); NaN unless positives have weight."""
    return float(_once(scores, labels, weights)[1])


def replicated(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike) -> tuple[Floats, Floats]:
    """Return AUROC (B,) and average precision (B,) under each row of `weights` (B, n); sorts once."""
    scores, labels, weights = np.asarray(scores), np.asarray(labels, bool), np.asarray(weights)
    ladder = Ladder.of(scores, labels)
    step = max(1, CHUNK_BYTES // (8 * (3 * ladder.n_rungs + 1)))
    parts = [_of_weights(ladder, labels, weights[at : at + step]) for at in range(0, len(weights), step)]
    if not parts:
        return np.empty(0), np.empty(0)
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def auroc_of_sums(positives: Array, negatives: Array) -> Floats:
    """Return AUROC (B,) of sums of weights: `positives` (n_rungs, B), `negatives` (2·n_rungs + 1, B)."""
    below = np.cumsum(negatives, axis=0)
    total = below[-1].astype(np.float64) * positives.sum(axis=0, dtype=np.float64)
    wins = below[0:-1:2]
    wins += negatives[1::2] / 2  # half a win for a tie
    return ratio(np.einsum("rb,rb->b", positives, wins, dtype=np.float64), total)


def average_precision_of_sums(positives: Array, negatives: Array) -> Floats:
    """Return average precision (B,) of sums of weights, laid out as for `auroc_of_sums`."""
    true_alerts = np.cumsum(positives[::-1], axis=0)[::-1]
    alerts = np.cumsum(negatives[::-1], axis=0)[::-1][1::2]
    alerts += true_alerts
    precision = np.divide(true_alerts, alerts, out=np.zeros_like(true_alerts), where=alerts > 0)
    total = positives.sum(axis=0, dtype=np.float64)
    return ratio(np.einsum("rb,rb->b", positives, precision, dtype=np.float64), total)


def roc_points(scores: ArrayLike, labels: ArrayLike, grid: ArrayLike) -> Floats:
    """Return the sensitivity at each false-positive rate of `grid`, along straight lines between scores."""
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    heights, rung = np.unique(scores, return_inverse=True)
    true = np.bincount(rung[labels], minlength=len(heights))[::-1].cumsum()
    false = np.bincount(rung[~labels], minlength=len(heights))[::-1].cumsum()
    x = np.concatenate([[0.0], ratio(false, labels.size - labels.sum())])
    y = np.concatenate([[0.0], ratio(true, labels.sum())])
    return np.asarray(np.interp(np.asarray(grid, float), x, y), np.float64)


def _once(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None) -> tuple[float, float]:
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    weights = weights_or_ones(weights, len(scores))
    area, precision = _of_weights(Ladder.of(scores, labels), labels, weights[None])
    return area[0], precision[0]


def _of_weights(ladder: Ladder, labels: Array, weights: Array) -> tuple[Floats, Floats]:
    positives = _sums(ladder.positive, weights[:, labels], ladder.n_rungs)
    negatives = _sums(ladder.negative, weights[:, ~labels], 2 * ladder.n_rungs + 1)
    return auroc_of_sums(positives, negatives), average_precision_of_sums(positives, negatives)


def _sums(rows: Array, weights: Array, n_rows: int) -> Floats:
    sums = np.empty((n_rows, len(weights)))
    for replicate, of_replicate in enumerate(weights):
        sums[:, replicate] = np.bincount(rows, of_replicate, minlength=n_rows)
    return sums
