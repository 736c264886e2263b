"""Weighted F1 against scikit-learn, plain loops and golden values."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from attending.metrics.weighted_f1 import (
    choose_threshold,
    first_true_count,
    of_sums,
    weighted_f1,
    weighted_f1_oracle_k,
)


def drawn(seed=0, n=80, n_outcomes=9, levels=None):
    generator = np.random.default_rng(seed)
    p = (
        generator.random((n, n_outcomes)) ** 2
        if levels is None
        else generator.integers(0, levels, (n, n_outcomes)) / levels
    )
    labels = generator.random(p.shape) < p / 2
    labels[0] = False
    return p, labels, generator.gamma(1.0, size=n)


def of_sklearn(labels, predicted, weights=None):
    return f1_score(labels, predicted, average="weighted", zero_division=0, sample_weight=weights)


def by_hand_first(scores, labels):
    predicted = np.zeros_like(labels)
    for row, (of_sample, true) in enumerate(zip(scores, labels, strict=True)):
        first = sorted(range(len(true)), key=lambda at: (-of_sample[at], at))[: true.sum()]
        predicted[row, first] = True
    return predicted


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("seed", range(4))
def test_both_equal_those_of_scikit_learn(seed, levels):
    p, labels, weights = drawn(seed, levels=levels)
    for w in (None, weights):
        for threshold in (0.0, 0.2, 0.5, 2.0):
            expected = of_sklearn(labels, p >= threshold, w)
            assert weighted_f1(p, labels, threshold, w) == pytest.approx(expected, abs=1e-12)
        expected = of_sklearn(labels, by_hand_first(p, labels), w)
        assert weighted_f1_oracle_k(p, labels, w) == pytest.approx(expected, abs=1e-12)


def test_golden_values_hold():
    # Recipe, by hand. |y| is 2 and 1, so sample 1 predicts a and b, sample 2 predicts a.
    # a: TP 1, P 2, S 1: 2/3. b: TP 1, P 1, S 1: 1. c: TP 0, S 1: 0. Weighted by S: (2/3 + 1 + 0) / 3.
    p = [[0.9, 0.8, 0.1], [0.9, 0.1, 0.2]]
    labels = [[1, 1, 0], [0, 0, 1]]
    assert weighted_f1_oracle_k(p, labels) == pytest.approx(5 / 9)
    # At .2 sample 2 predicts a and c: c becomes TP 1, P 1: (2/3 + 1 + 1) / 3.
    assert weighted_f1(p, labels, 0.2) == pytest.approx(8 / 9)


@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize("seed", range(4))
def test_no_threshold_does_better_than_the_chosen_one_and_no_higher_one_as_well(seed, levels):
    p, labels, _ = drawn(seed, levels=levels)
    chosen = choose_threshold(p, labels)
    tried = {threshold: of_sklearn(labels, p >= threshold) for threshold in np.unique(p)}
    best = max(tried.values())
    assert tried[chosen] == pytest.approx(best, abs=1e-12)
    assert all(value < best - 1e-12 for threshold, value in tried.items() if threshold > chosen)


def test_the_threshold_is_chosen_on_allowed_pairs_only():
    p, labels, _ = drawn(3)
    allowed = np.random.default_rng(0).random(p.shape) < 0.6
    outside = np.where(allowed, p, -1.0)  # what is never predicted and never happens changes no F1
    assert choose_threshold(p, labels, allowed) == choose_threshold(outside, labels & allowed)


def test_only_allowed_pairs_are_ranked_and_counted():
    scores = np.array([[0.9, 0.8, 0.2, 0.1]])
    labels = np.array([[True, False, False, True]])
    allowed = np.array([[False, False, True, True]])
    assert first_true_count(scores, labels, allowed).tolist() == [[False, False, True, False]]
    assert first_true_count(scores, labels).tolist() == [[True, True, False, False]]


def test_each_replicate_is_the_metric_under_its_weights():
    p, labels, _ = drawn()
    weights = np.random.default_rng(2).poisson(1.0, (len(p), 20))
    predicted = p >= 0.3
    sums = [part.T.astype(float) @ weights for part in (predicted & labels, predicted, labels)]
    for replicate, value in enumerate(of_sums(*sums)):
        assert value == pytest.approx(weighted_f1(p, labels, 0.3, weights[:, replicate]), abs=1e-12)


def test_chunks_and_order_change_nothing_and_integer_weights_are_repetition(monkeypatch):
    p, labels, _ = drawn(levels=4)
    generator = np.random.default_rng(1)
    order, weights = generator.permutation(len(p)), generator.integers(0, 4, len(p))
    repeated = np.repeat(np.arange(len(p)), weights)
    value = weighted_f1_oracle_k(p, labels, weights)
    monkeypatch.setattr("attending.metrics.weighted_f1.CHUNK_ROWS", 7)
    assert weighted_f1_oracle_k(p[order], labels[order], weights[order]) == pytest.approx(value, abs=1e-12)
    assert weighted_f1_oracle_k(p[repeated], labels[repeated]) == pytest.approx(value, abs=1e-12)
    assert choose_threshold(p[order], labels[order]) == choose_threshold(p, labels)


def test_where_nothing_happens_there_is_no_f1_and_no_threshold():
    p, nothing = np.full((3, 2), 0.4), np.zeros((3, 2), bool)
    assert np.isnan([weighted_f1(p, nothing, 0.5), weighted_f1_oracle_k(p, nothing)]).all()
    assert np.isnan(choose_threshold(p, nothing))
    assert np.isnan(choose_threshold(p[:0], nothing[:0]))
    assert np.isnan(weighted_f1_oracle_k(p[:0], nothing[:0]))
    assert first_true_count(np.zeros((3, 0)), np.zeros((3, 0), bool)).shape == (3, 0)
