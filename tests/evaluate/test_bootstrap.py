"""The bootstrap of subjects: its weights, its exactness, and how often its intervals hold the truth."""

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from attending.evaluate.bootstrap import Bootstrap, Replicated, n_in_smaller_class, subject_sums, widening
from attending.evaluate.discrimination import discrimination, mean_over_outcomes
from attending.metrics.discrimination import replicated


def weights(bootstrap):
    return np.concatenate(bootstrap.blocks, axis=1).T


def test_each_replicate_draws_as_many_subjects_as_there_are():
    drawn = weights(Bootstrap(40, 300, seed=1))
    assert drawn.shape == (300, 40)
    assert (drawn.sum(axis=1) == 40).all()
    assert drawn.mean(axis=0) == pytest.approx(1, abs=0.25)
    assert drawn.var() == pytest.approx(1 - 1 / 40, rel=0.05)  # multinomial


def test_the_seed_alone_decides_and_more_replicates_extend_fewer():
    assert np.array_equal(weights(Bootstrap(30, 20, seed=3)), weights(Bootstrap(30, 50, seed=3))[:20])
    assert not np.array_equal(weights(Bootstrap(30, 20, seed=3)), weights(Bootstrap(30, 20, seed=4)))


def test_many_subjects_are_kept_as_bytes_and_weigh_the_same(monkeypatch):
    owner, rows = np.repeat(np.arange(50), 2), np.arange(100) % 7
    wide = Bootstrap(50, 260, seed=0)
    monkeypatch.setattr("attending.evaluate.bootstrap.WIDE_BYTES", 0)
    narrow = Bootstrap(50, 260, seed=0)
    assert narrow.blocks[0].dtype == np.uint8
    sums = [one.reduce([one.table(rows, owner, 7)], lambda found: found) for one in (wide, narrow)]
    assert np.array_equal(*sums)


def test_sums_equal_plain_weighted_sums():
    generator = np.random.default_rng(0)
    owner, rows, values = generator.integers(0, 20, 90), generator.integers(0, 5, 90), generator.random(90)
    owner[:20] = np.arange(20)
    bootstrap = Bootstrap(20, 30, seed=2)
    of_samples = weights(bootstrap)[:, owner]
    table = bootstrap.reduce([bootstrap.table(rows, owner, 5)], lambda found: found)
    for row in range(5):
        assert np.array_equal(table[row], of_samples[:, rows == row].sum(axis=1))
    totals = bootstrap.totals(subject_sums(values, owner, 20)[None])
    assert totals[0] == pytest.approx(of_samples @ values, abs=1e-9)


@pytest.mark.parametrize("levels", [None, 9])
def test_replicates_with_few_positives_are_the_weighted_metric_exactly(levels):
    scores, labels, owner = drawn(0, 60, 3, levels)
    bootstrap = Bootstrap(60, 100, seed=0)
    exact = replicated(scores, labels, weights(bootstrap)[:, owner])
    for found, values in zip(discrimination(scores, labels, owner, bootstrap), exact, strict=True):
        assert found.values - found.values.mean() == pytest.approx(values - values.mean(), abs=1e-6)
        assert found.values.mean() == pytest.approx(found.estimate, abs=1e-12)


def test_bins_hardly_change_an_interval(monkeypatch):
    scores, labels, owner = drawn(1, 800, 4)
    bootstrap = Bootstrap(800, 500, seed=0)
    binned = discrimination(scores, labels, owner, bootstrap)
    monkeypatch.setattr("attending.evaluate.discrimination.N_BINS", 10**9)
    for found, exact in zip(binned, discrimination(scores, labels, owner, bootstrap), strict=True):
        assert found.estimate == exact.estimate
        assert np.std(found.values) == pytest.approx(
            np.std(exact.values), rel=0.02
        )  # a percent or so of width
        assert found.interval(0.95) == pytest.approx(exact.interval(0.95), abs=0.002)


def drawn(seed, n_subjects, visits, levels=None, shift=1.0):
    """Scores whose AUROC is known: normals one `shift` apart, the subject's own level shared by its visits."""
    generator = np.random.default_rng(seed)
    owner = np.repeat(np.arange(n_subjects), visits)
    labels = generator.random(len(owner)) < 0.3
    level = generator.normal(0, np.sqrt(0.5), n_subjects)[owner]
    scores = level + generator.normal(0, np.sqrt(0.5), len(owner)) + shift * labels
    return (scores if levels is None else np.round(scores * levels / 4)), labels, owner


def test_intervals_hold_the_true_auroc_as_often_as_they_say():
    truth = norm.cdf(1 / np.sqrt(2))
    held = 0
    for seed in range(200):
        scores, labels, owner = drawn(seed, 150, 3)
        low, high = discrimination(scores, labels, owner, Bootstrap(150, 250, seed))[0].interval(0.95)
        held += low <= truth <= high
    assert 0.90 <= held / 200 <= 0.99


def test_intervals_that_ignore_subjects_are_too_narrow():
    scores, _, owner = drawn(0, 200, 6)
    labels = np.repeat(np.random.default_rng(0).random(200) < 0.3, 6)  # visits of a subject share the outcome
    together = discrimination(scores, labels, owner, Bootstrap(200, 300, 0))[0]
    apart = discrimination(scores, labels, np.arange(1200), Bootstrap(1200, 300, 0))[0]
    assert np.std(together.values) > 1.3 * np.std(apart.values)


def test_few_subjects_widen_an_interval_as_students_t_does():
    assert widening(30) == pytest.approx(np.sqrt(30 / 29) * student.ppf(0.975, 29) / norm.ppf(0.975))
    assert widening(10**6) == pytest.approx(1, abs=1e-5)
    assert widening(1) == widening(0) == 1  # no spread to widen
    values = np.random.default_rng(0).normal(size=500)
    plain, wide = (Replicated.centred(0.4, values, wider).interval(0.95) for wider in (1.0, 1.5))
    assert np.array(wide) - 0.4 == pytest.approx(1.5 * (np.array(plain) - 0.4))
    labels, owner = np.array([1, 1, 1, 0, 0, 0, 0], bool), np.array([0, 0, 3, 0, 3, 4, 5])
    assert n_in_smaller_class(labels, owner) == 2


# DeLong's covariance of AUROCs, from how often each positive is above negatives, each negative below positives.
def delong(scores, labels):
    positive, negative = scores[:, labels], scores[:, ~labels]
    wins = (positive[:, :, None] > negative[:, None]) + (positive[:, :, None] == negative[:, None]) / 2
    return np.cov(wins.mean(axis=2)) / labels.sum() + np.cov(wins.mean(axis=1)) / (~labels).sum()


@pytest.mark.parametrize("seed", range(3))
def test_the_spread_of_an_auroc_and_of_a_difference_is_that_of_delong(seed):
    generator = np.random.default_rng(seed)
    labels = generator.random(600) < 0.3
    signal = generator.normal(0, 1, 600) + labels
    scores = np.stack([signal, signal + generator.normal(0, 1, 600)])
    bootstrap = Bootstrap(600, 2000, seed)
    first, second = (discrimination(of_model, labels, np.arange(600), bootstrap)[0] for of_model in scores)
    expected = delong(scores, labels)
    assert np.std(first.values) == pytest.approx(np.sqrt(expected[0, 0]), rel=0.06)  # 2,000 replicates: ± 3 %
    contrast = np.array([1, -1])
    assert np.std(first.minus(second).values) == pytest.approx(
        np.sqrt(contrast @ expected @ contrast), rel=0.06
    )
    low, high = first.interval(0.95)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(expected[0, 0]), rel=0.08)


def test_a_model_minus_itself_is_exactly_zero():
    found = discrimination(*drawn(0, 50, 2), Bootstrap(50, 100, 0))[0]
    nothing = found.minus(found)
    assert nothing.estimate == 0
    assert nothing.interval(0.95) == (0, 0)


def test_one_class_constant_scores_and_one_subject_are_defined_where_they_can_be():
    bootstrap = Bootstrap(1, 10, 0)
    owner = np.zeros(4, int)
    area, precision = discrimination(np.full(4, 0.2), np.array([1, 0, 0, 0], bool), owner, bootstrap)
    assert area.interval(0.95) == (0.5, 0.5)
    assert precision.interval(0.95) == pytest.approx((0.25, 0.25))
    for labels in (np.zeros(4, bool), np.ones(4, bool)):
        area = discrimination(np.arange(4.0), labels, owner, bootstrap)[0]
        assert np.isnan(area.estimate)
        assert np.isnan(area.interval(0.95)).all()


def test_a_replicate_without_positives_is_left_out_of_the_interval():
    labels, owner = np.array([1, 0, 0, 0], bool), np.arange(4)
    area = discrimination(np.array([0.9, 0.1, 0.2, 0.95]), labels, owner, Bootstrap(4, 200, 0))[0]
    assert np.isnan(area.values).any()
    assert np.isfinite(area.interval(0.95)).all()


def test_the_macro_average_is_over_the_outcomes_a_replicate_defines():
    one = Replicated(0.5, np.array([0.4, np.nan, 0.6]))
    other = Replicated(0.7, np.array([0.6, 0.7, np.nan]))
    mean = mean_over_outcomes([one, other], 3)
    assert mean.estimate == pytest.approx(0.6)
    assert mean.values == pytest.approx(np.array([0.5, 0.7, 0.6]))
    assert np.isnan(mean_over_outcomes([], 3).estimate)
