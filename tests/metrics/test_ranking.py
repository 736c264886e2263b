"""Ranking metrics against scikit-learn, plain loops and golden values."""

import numpy as np
import pytest
from sklearn.metrics import recall_score

from attending.metrics.ranking import (
    code_accuracy_at_k,
    hit_rate_at_k_min,
    hits_at,
    n_without_positive,
    recall_at_k,
    terms,
)


def drawn(seed=0, n=60, n_outcomes=12, levels=6):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, levels, (n, n_outcomes)) / levels
    return scores, generator.random((n, n_outcomes)) < 0.2, generator.gamma(1.0, size=n)


def by_hand(scores, labels, k, weights):
    recall = hit_rate = total = hits_sum = positives_sum = 0.0
    for row, true, weight in zip(scores, labels, weights, strict=True):
        first = sorted(range(len(row)), key=lambda j: (-row[j], j))[:k]
        hits, positives = sum(true[j] for j in first), true.sum()
        if positives:
            total += weight
            recall += weight * hits / positives
            hit_rate += weight * hits / min(k, positives)
        hits_sum += weight * hits
        positives_sum += weight * positives
    return recall / total, hit_rate / total, hits_sum / positives_sum


@pytest.mark.parametrize("k", [1, 3, 5, 12, 20])
@pytest.mark.parametrize("seed", range(3))
def test_all_three_equal_a_plain_loop(k, seed):
    scores, labels, weights = drawn(seed)
    got = [
        metric(scores, labels, k, weights) for metric in (recall_at_k, hit_rate_at_k_min, code_accuracy_at_k)
    ]
    assert got == pytest.approx(by_hand(scores, labels, k, weights), abs=1e-12)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_recall_and_accuracy_equal_the_recall_of_scikit_learn(k, seed):
    scores, labels, weights = drawn(seed)
    first = np.zeros_like(labels)
    np.put_along_axis(first, np.argsort(-scores, axis=1, kind="stable")[:, :k], values=True, axis=1)
    some = labels.any(axis=1)
    of_samples = recall_score(labels[some], first[some], average="samples", sample_weight=weights[some])
    assert recall_at_k(scores, labels, k, weights) == pytest.approx(of_samples, abs=1e-12)
    of_all = recall_score(labels, first, average="micro", sample_weight=weights)
    assert code_accuracy_at_k(scores, labels, k, weights) == pytest.approx(of_all, abs=1e-12)


def test_golden_values_tell_the_three_names_apart():
    # Recipe, by hand, k = 2. Sample 1: 3 happen, 2 ranked first hit: 2/3, 2/2. Sample 2: 1 happens, missed:
    # 0, 0. Sample 3: nothing happens, left out. Pooled: 2 hits of 4.
    scores = np.array([[0.9, 0.8, 0.7, 0.1], [0.9, 0.8, 0.7, 0.1], [0.9, 0.8, 0.7, 0.1]])
    labels = np.array([[1, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]], dtype=bool)
    assert recall_at_k(scores, labels, 2) == pytest.approx(1 / 3)
    assert hit_rate_at_k_min(scores, labels, 2) == pytest.approx(1 / 2)
    assert code_accuracy_at_k(scores, labels, 2) == pytest.approx(1 / 2)
    assert n_without_positive(labels.sum(axis=1)) == 1


def test_hits_of_every_k_come_from_one_ranking():
    scores, labels, _ = drawn(n_outcomes=30)
    hits = hits_at(scores, labels, (5, 10, 20))
    for column, k in enumerate((5, 10, 20)):
        assert np.array_equal(hits[:, column], hits_at(scores, labels, [k])[:, 0])
    assert (np.diff(hits, axis=1) >= 0).all()


def test_sample_order_changes_no_hit_even_with_ties(monkeypatch):
    scores, labels, _ = drawn(levels=2)
    order = np.random.default_rng(1).permutation(len(scores))
    hits = hits_at(scores, labels, (3, 5))
    assert np.array_equal(hits[order], hits_at(scores[order], labels[order], (3, 5)))
    monkeypatch.setattr("attending.metrics.ranking.CHUNK_ROWS", 7)
    assert np.array_equal(hits, hits_at(scores, labels, (3, 5)))


def test_only_allowed_outcomes_are_ranked_and_counted():
    scores = np.array([[0.9, 0.8, 0.2, 0.1]])
    labels = np.array([[True, False, True, False]])
    allowed = np.array([[False, False, True, True]])
    assert hits_at(scores, labels, [1], allowed).tolist() == [[1]]
    assert hits_at(scores, labels, [4], allowed).tolist() == [[1]]
    assert hits_at(scores, labels, [4], ~allowed).tolist() == [[1]]


def test_integer_weights_are_repetition():
    scores, labels, _ = drawn()
    weights = np.random.default_rng(3).integers(0, 4, len(scores))
    repeated = np.repeat(np.arange(len(scores)), weights)
    for metric in (recall_at_k, hit_rate_at_k_min, code_accuracy_at_k):
        assert metric(scores, labels, 4, weights) == pytest.approx(
            metric(scores[repeated], labels[repeated], 4), abs=1e-12
        )


def test_a_single_sample_and_one_without_positives_are_told_apart():
    scores = np.array([[0.2, 0.1]])
    assert recall_at_k(scores, np.array([[True, False]]), 1) == 1
    for metric in (recall_at_k, hit_rate_at_k_min, code_accuracy_at_k):
        assert np.isnan(metric(scores, np.array([[False, False]]), 1))
        assert np.isnan(metric(scores[:0], np.zeros((0, 2), bool), 1))
    assert hits_at(np.zeros((3, 0)), np.zeros((3, 0), bool), (1, 2)).tolist() == [[0, 0]] * 3


def test_recall_never_exceeds_the_hit_rate_and_both_lie_between_zero_and_one():
    scores, labels, _ = drawn(7)
    for k in (1, 5):
        named = terms(hits_at(scores, labels, [k])[:, 0], labels.sum(axis=1), k)
        recall, hit_rate = named[f"recall_at_{k}"][0], named[f"hit_rate_at_{k}_min"][0]
        assert (recall <= hit_rate + 1e-12).all()
        assert ((recall >= 0) & (hit_rate <= 1)).all()
