"""Maps that recalibrate agree with independent implementations, and do what they promise."""

import warnings

import numpy as np
import pytest

from attending.metrics.calibration import logit
from attending.metrics.discrimination import auroc
from attending.metrics.recalibration import (
    fit_intercept,
    fit_intercept_and_slope,
    fit_intercepts,
    fit_isotonic,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    statsmodels = pytest.importorskip("statsmodels.api")
    sklearn = pytest.importorskip("sklearn.isotonic")


def drawn(n=500, seed=0, ties=False):
    generator = np.random.default_rng(seed)
    eta = generator.normal(-1, 1.5, n)
    if ties:
        eta = np.round(eta, 1)
    labels = generator.random(n) < 1 / (1 + np.exp(-(0.4 + 0.6 * eta)))
    return 1 / (1 + np.exp(-eta)), labels


def logistic(labels, columns, offset=None, weights=None):
    family = statsmodels.families.Binomial()
    model = statsmodels.GLM(labels.astype(float), columns, family=family, offset=offset, freq_weights=weights)
    return model.fit(tol=1e-14, maxiter=200).params


@pytest.mark.parametrize("seed", range(3))
def test_the_intercept_is_that_of_a_logistic_model_with_an_offset(seed):
    p, y = drawn(seed=seed)
    expected = logistic(y, np.ones((len(y), 1)), offset=logit(p))[0]
    assert fit_intercept(p, y).intercept == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_intercept_and_slope_are_those_of_a_logistic_model(seed):
    p, y = drawn(seed=seed)
    weights = np.random.default_rng(seed).integers(1, 4, len(y)).astype(float)
    found = fit_intercept_and_slope(p, y, weights)
    expected = logistic(y, np.column_stack([np.ones(len(y)), logit(p)]), weights=weights)
    assert (found.intercept, found.slope) == pytest.approx(tuple(expected), abs=1e-9)


@pytest.mark.parametrize("ties", [False, True])
def test_the_isotonic_map_is_that_of_scikit_learn(ties):
    p, y = drawn(ties=ties)
    weights = np.random.default_rng(1).random(len(y)) + 0.1
    expected = sklearn.IsotonicRegression(out_of_bounds="clip").fit(p, y, sample_weight=weights)
    asked = np.concatenate([p, np.linspace(0, 1, 201)])
    np.testing.assert_allclose(fit_isotonic(p, y, weights)(asked), expected.predict(asked), atol=1e-9)


def test_intercepts_of_many_outcomes_are_those_of_each_alone():
    generator = np.random.default_rng(2)
    p, labels = generator.random((300, 4)), generator.random((300, 4)) < 0.3
    known = generator.random((300, 4)) < 0.8
    labels[:, 3] = False
    found = fit_intercepts(logit(p), labels, known)
    for at in range(3):
        alone = fit_intercept(p[known[:, at], at], labels[known[:, at], at])
        assert found[at] == pytest.approx(alone.intercept, abs=1e-9)
    assert np.isnan(found[3])


def test_a_shifted_map_is_right_on_average_and_keeps_the_order():
    p, y = drawn()
    moved = fit_intercept(p, y)(p)
    assert moved.mean() == pytest.approx(y.mean(), abs=1e-9)
    assert auroc(moved, y) == pytest.approx(auroc(p, y), abs=1e-12)


def test_a_fitted_map_asks_for_no_second_one():
    p, y = drawn()
    again = fit_intercept_and_slope(fit_intercept_and_slope(p, y)(p), y)
    assert (again.intercept, again.slope) == pytest.approx((0, 1), abs=1e-6)


def test_the_isotonic_map_never_falls_and_stays_between_its_ends():
    p, y = drawn(n=40)
    values = fit_isotonic(p, y)(np.linspace(0, 1, 500))
    assert (np.diff(values) >= 0).all()
    assert 0 <= values.min() <= values.max() <= 1


def test_one_class_or_outcomes_that_separate_have_no_map():
    p, y = drawn()
    assert np.isnan(fit_intercept(p, np.zeros(len(p))).intercept)
    assert np.isnan(fit_intercept_and_slope(p, p > 0.5).slope)
    assert y.any()
