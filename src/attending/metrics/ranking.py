"""Whether what happens is among the k outcomes ranked first: three names, one meaning each.

    recall_at_k         mean over samples of  hits / |y|
    hit_rate_at_k_min   mean over samples of  hits / min(k, |y|)    elsewhere "visit-level precision@k"
    code_accuracy_at_k  Σ hits / Σ |y|                              pooled over samples

`hits` counts the outcomes that happen among a sample's k highest scores, |y| those that happen at all. A
sample in which nothing happens has no recall: it is left out, and `n_without_positive` counts it. Equal
scores rank by the outcome's position, so the order of the samples never matters. Hits are counted once; a
bootstrap replicate is then a ratio of weighted sums of `terms`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attending.metrics.ratio import Array, Floats, ratio, weights_or_ones

CHUNK_ROWS = 16_384


def hits_at(
    scores: Array, labels: Array, ks: Sequence[int], allowed: Array | None = None
) -> NDArray[np.int64]:
    """Return (n, len(ks)): how many of a sample's `k` highest `scores` (n, K) are true in `labels` (n, K).

    Where `allowed` (n, K) is given, only those pairs are ranked and only their labels count.
    """
    hits = np.zeros((len(scores), len(ks)), dtype=np.int64)
    last = np.minimum(ks, scores.shape[1]) - 1
    for start in range(0, len(scores) if scores.shape[1] else 0, CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        losses, true = -scores[rows], labels[rows]
        if allowed is not None:
            losses, true = np.where(allowed[rows], losses, np.inf), true & allowed[rows]
        first = np.argsort(losses, axis=1, kind="stable")[:, : max(ks)]
        hits[rows] = np.take_along_axis(true, first, axis=1).cumsum(axis=1)[:, last]
    return hits


def n_without_positive(n_positive: ArrayLike) -> int:
    """Return how many samples the ranking metrics leave out, because nothing happens in them."""
    return int((np.asarray(n_positive) == 0).sum())


def terms(hits: Array, n_positive: Array, k: int) -> dict[str, tuple[Floats, Floats]]:
    """Return, for each metric at `k`, its numerator (n,) and denominator (n,) per sample."""
    any_positive = (n_positive > 0).astype(np.float64)
    recall = hits / np.maximum(n_positive, 1)
    hit_rate = hits / np.maximum(np.minimum(n_positive, k), 1)
    return {
        f"recall_at_{k}": (recall, any_positive),
        f"hit_rate_at_{k}_min": (hit_rate, any_positive),
        f"code_accuracy_at_{k}": (hits.astype(np.float64), n_positive.astype(np.float64)),
    }


def recall_at_k(scores: Array, labels: Array, k: int, weights: ArrayLike | None = None) -> float:
    """Return the weighted mean over samples of hits / |y|; NaN where no sample has a positive."""
    return _metric(f"recall_at_{k}", scores, labels, k, weights)


def hit_rate_at_k_min(scores: Array, labels: Array, k: int, weights: ArrayLike | None = None) -> float:
    """Return the weighted mean over samples of hits / min(k, |y|); NaN where no sample has a positive."""
    return _metric(f"hit_rate_at_{k}_min", scores, labels, k, weights)


def code_accuracy_at_k(scores: Array, labels: Array, k: int, weights: ArrayLike | None = None) -> float:
    """Return weighted hits over weighted positives, pooled; NaN where no sample has a positive."""
    return _metric(f"code_accuracy_at_{k}", scores, labels, k, weights)


def _metric(name: str, scores: Array, labels: Array, k: int, weights: ArrayLike | None) -> float:
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    weights = weights_or_ones(weights, len(scores))
    numerator, denominator = terms(hits_at(scores, labels, [k])[:, 0], labels.sum(axis=1), k)[name]
    return float(ratio(weights @ numerator, weights @ denominator))
