"""Weighted F1 over outcomes: how well sets of codes are guessed, common codes counting more.

Of an outcome c, with weighted sums over samples: TP_c predicted and happened, P_c predicted, S_c happened:

    F1_c         2 TP_c / (P_c + S_c)
    weighted F1  Σ_c S_c F1_c / Σ_c S_c          scikit-learn's f1_score(average="weighted", zero_division=0)

Two names, for two ways of predicting a set from probabilities:

    weighted_f1_oracle_k  of each sample the |y| highest scores are predicted, |y| being how many outcomes happen in it.
                          The "w-F1" of CGL (Lu 2021) and Chet (Lu 2022). No one knows |y| beforehand: it is no rule
                          that anyone could follow, and serves to compare with those papers
    weighted_f1           predicted is what has score ≥ t, one t for all outcomes: the one with the largest weighted F1
                          on tuning data, the highest of equals (`choose_threshold`)

Equal scores rank by the outcome's position. `of_sums` takes sums per outcome (K, B), one column a bootstrap
replicate.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attending.metrics.ratio import Array, Floats, ratio, weights_or_ones

CHUNK_ROWS = 16_384
ROUNDING = 1e-12


def weighted_f1(
    scores: ArrayLike, labels: ArrayLike, threshold: float, weights: ArrayLike | None = None
) -> float:
    """Return the weighted F1 of `scores` (n, K) ≥ `threshold`; NaN where nothing happens."""
    return _weighted_f1(np.asarray(scores) >= threshold, np.asarray(labels, bool), weights)


def weighted_f1_oracle_k(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the weighted F1 of each sample's |y| highest `scores` (n, K); NaN where nothing happens."""
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    return _weighted_f1(first_true_count(scores, labels), labels, weights)


def first_true_count(scores: Array, labels: Array, allowed: Array | None = None) -> NDArray[np.bool_]:
    """Return (n, K): whether a score is among the |y| highest of its sample.

    Where `allowed` (n, K) is given, only those pairs are ranked and only their labels count.
    """
    chosen = np.zeros(labels.shape, dtype=bool)
    for start in range(0, len(labels), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        losses, true = -scores[rows], labels[rows]
        if allowed is not None:
            losses, true = np.where(allowed[rows], losses, np.inf), true & allowed[rows]
        count = true.sum(axis=1, keepdims=True)
        first = np.argsort(losses, axis=1, kind="stable")[:, : int(count.max(initial=0))]
        np.put_along_axis(chosen[rows], first, np.arange(first.shape[1]) < count, axis=1)
    return chosen


def of_sums(hits: Array, predicted: Array, happened: Array) -> Floats:
    """Return the weighted F1 (B,) of weighted sums per outcome (K, B): TP, P and S."""
    of_outcome = ratio(2 * hits, predicted + happened)
    support = happened.sum(axis=0)
    return ratio(np.where(happened > 0, happened * of_outcome, 0).sum(axis=0), support)


def choose_threshold(scores: ArrayLike, labels: ArrayLike, allowed: ArrayLike | None = None) -> float:
    """Return the threshold of the largest weighted F1, the highest of equals; NaN where nothing happens.

    Every distinct score is tried: with pairs taken from the highest score down, each changes the F1 of its own
    outcome only, and these changes add up.
    """
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    pairs = np.ones(labels.shape, bool) if allowed is None else np.asarray(allowed, bool)
    p, y, outcome = (
        scores[pairs],
        labels[pairs],
        np.nonzero(pairs)[1].astype(np.min_scalar_type(labels.shape[1])),
    )
    support = np.bincount(outcome[y], minlength=labels.shape[1]).astype(np.float64)
    if not support.any():
        return float("nan")
    down = np.argsort(-p, kind="stable")
    weighted = _gains(y[down], outcome[down], support).cumsum()
    p = p[down]
    last = np.append(p[1:] != p[:-1], True)  # equal scores are predicted together
    return float(p[last][np.argmax(weighted[last] >= weighted[last].max() - ROUNDING)])


def _gains(happened: Array, outcome: Array, support: Floats) -> Floats:
    """Return by how much each pair (m,), highest score first, changes Σ_c S_c F1_c / Σ_c S_c."""
    grouped = np.argsort(outcome, kind="stable")
    n_pairs = np.bincount(outcome, minlength=len(support))
    start = np.repeat(n_pairs.cumsum() - n_pairs, n_pairs)
    hits = np.concatenate([[0], happened[grouped].cumsum()])
    f1 = 2 * (hits[1:] - hits[start]) / (np.arange(len(grouped)) - start + 1 + np.repeat(support, n_pairs))
    before = np.concatenate([[0.0], f1[:-1]])
    before[start] = 0
    gains = np.empty(len(grouped))
    gains[grouped] = (f1 - before) * np.repeat(support, n_pairs) / support.sum()
    return gains


def _weighted_f1(predicted: Array, labels: Array, weights: ArrayLike | None) -> float:
    w = weights_or_ones(weights, len(labels))
    return float(of_sums(*(w @ part for part in (predicted & labels, predicted, labels))))
