"""Discrimination against scikit-learn, plain loops and golden values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from attending.metrics.discrimination import auroc, average_precision, replicated, roc_points


def drawn(seed, n=200, levels=None, weighted=True):
    generator = np.random.default_rng(seed)
    scores = generator.random(n) if levels is None else generator.integers(0, levels, n) / levels
    labels = generator.random(n) < 0.3
    labels[:2] = True, False
    weights = generator.gamma(1.0, size=n) if weighted else np.ones(n)
    return scores, labels, weights


@pytest.mark.parametrize("levels", [None, 2, 7])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_both_areas_equal_those_of_scikit_learn(seed, levels, weighted):
    scores, labels, weights = drawn(seed, levels=levels, weighted=weighted)
    assert auroc(scores, labels, weights) == pytest.approx(
        roc_auc_score(labels, scores, sample_weight=weights), abs=1e-12
    )
    assert average_precision(scores, labels, weights) == pytest.approx(
        average_precision_score(labels, scores, sample_weight=weights), abs=1e-12
    )


def test_auroc_is_the_share_of_pairs_in_the_right_order_with_half_for_ties():
    scores, labels, weights = drawn(3, n=40, levels=5)
    wins = pairs = 0.0
    for i in np.flatnonzero(labels):
        for j in np.flatnonzero(~labels):
            pairs += weights[i] * weights[j]
            wins += weights[i] * weights[j] * ((scores[i] > scores[j]) + (scores[i] == scores[j]) / 2)
    assert auroc(scores, labels, weights) == pytest.approx(wins / pairs, abs=1e-12)


def test_golden_values_hold():
    # Recipe, by hand: scores .1 .4 .35 .8, labels 0 0 1 1. Pairs won: (.35>.1), (.8>.1), (.8>.4): 3 of 4.
    # Precision at .8 is 1, at .35 it is 2/3, each with half of the recall: (1 + 2/3) / 2.
    scores, labels = [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]
    assert auroc(scores, labels) == 0.75
    assert average_precision(scores, labels) == pytest.approx(5 / 6, abs=1e-15)


def test_each_replicate_is_the_metric_under_its_weights():
    scores, labels, _ = drawn(1, levels=9)
    weights = np.random.default_rng(2).poisson(1.0, (50, len(scores)))
    areas, precisions = replicated(scores, labels, weights)
    for replicate in range(50):
        assert areas[replicate] == pytest.approx(auroc(scores, labels, weights[replicate]), abs=1e-12)
        assert precisions[replicate] == pytest.approx(
            average_precision(scores, labels, weights[replicate]), abs=1e-12
        )


def test_chunks_of_replicates_change_nothing(monkeypatch):
    scores, labels, _ = drawn(1)
    weights = np.random.default_rng(2).poisson(1.0, (20, len(scores)))
    whole = replicated(scores, labels, weights)
    monkeypatch.setattr("attending.metrics.discrimination.CHUNK_BYTES", 1)
    assert np.allclose(whole, replicated(scores, labels, weights), rtol=0, atol=1e-12)
    assert replicated(scores, labels, weights[:0]).shape == (2, 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=1, max_size=30),
    st.randoms(use_true_random=False),
)
def test_order_changes_nothing_and_integer_weights_are_repetition(rows, shuffler):
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    repeated = [row for row in rows for _ in range(row[2])]
    for metric in (auroc, average_precision):
        value = metric(*_columns(rows))
        scores, labels, weights = _columns(shuffled)
        assert metric(scores, labels, weights) == pytest.approx(value, abs=1e-12, nan_ok=True)
        scores, labels, _ = _columns(repeated)
        assert metric(scores, labels) == pytest.approx(value, abs=1e-12, nan_ok=True)
        assert np.isnan(value) or 0 <= value <= 1


def _columns(rows):
    table = np.array(rows, dtype=float).reshape(-1, 3)
    return table[:, 0], table[:, 1].astype(bool), table[:, 2]


@pytest.mark.parametrize(
    ("labels", "precision"), [([1], 1.0), ([0], np.nan), ([1, 1], 1.0), ([0, 0], np.nan)]
)
def test_one_class_has_no_auroc(labels, precision):
    scores = np.linspace(0.2, 0.4, len(labels))
    assert np.isnan(auroc(scores, labels))
    assert average_precision(scores, labels) == pytest.approx(precision, nan_ok=True)


def test_a_constant_score_has_auroc_one_half_and_the_prevalence_as_precision():
    labels = [1, 0, 0, 1, 0]
    assert auroc(np.full(5, 0.3), labels) == 0.5
    assert average_precision(np.full(5, 0.3), labels) == pytest.approx(0.4, abs=1e-15)


def test_nothing_observed_is_nan():
    assert np.isnan(auroc([], []))
    assert np.isnan(average_precision([], []))


def test_the_area_under_the_roc_points_is_the_auroc():
    scores, labels, _ = drawn(5, n=2000, levels=50)
    grid = np.linspace(0, 1, 20001)
    area = np.trapezoid(roc_points(scores, labels, grid), grid)
    assert area == pytest.approx(auroc(scores, labels), abs=1e-3)  # the grid cuts the corners
