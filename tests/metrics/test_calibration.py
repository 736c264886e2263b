"""Calibration against scikit-learn, statsmodels, plain loops, golden values and a generator of known truth."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, r2_score
from statsmodels.nonparametric.smoothers_lowess import lowess

from attending.metrics.calibration import (
    brier,
    calibration_intercept,
    calibration_slope,
    expected_over_observed,
    intercept_of_sums,
    logit,
    scaled_brier,
    slope_of_sums,
)
from attending.metrics.calibration_curve import (
    Groups,
    curve_errors,
    curve_of_sums,
    cut,
    errors_of_curve,
)

METRICS = (brier, scaled_brier, expected_over_observed, calibration_intercept, calibration_slope)


def drawn(seed=0, n=400, slope=1.0, intercept=0.0):
    generator = np.random.default_rng(seed)
    x = generator.normal(-1, 1.5, n)
    labels = generator.random(n) < 1 / (1 + np.exp(-(intercept + slope * x)))
    return 1 / (1 + np.exp(-x)), labels, generator.gamma(1.0, size=n)


@pytest.mark.parametrize("seed", range(4))
def test_brier_equals_that_of_scikit_learn(seed):
    p, y, w = drawn(seed)
    assert brier(p, y, w) == pytest.approx(brier_score_loss(y, p, sample_weight=w), abs=1e-12)
    prevalence = np.average(y, weights=w)
    reference = brier_score_loss(y, np.full(len(y), prevalence), sample_weight=w)
    assert scaled_brier(p, y, w) == pytest.approx(1 - brier(p, y, w) / reference, abs=1e-12)


def test_golden_values_hold():
    # Recipe, by hand: errors .2² + .4² + .4² + .1² over 4; expected 1.7 + 0 over observed 2; prevalence ½.
    p, y = [0.8, 0.4, 0.6, 0.1], [1, 0, 1, 0]
    assert brier(p, y) == pytest.approx(0.37 / 4, abs=1e-15)
    assert scaled_brier(p, y) == pytest.approx(1 - 0.37, abs=1e-15)
    assert expected_over_observed(p, y) == pytest.approx(0.95, abs=1e-15)


@pytest.mark.parametrize("seed", range(4))
def test_slope_equals_an_unpenalised_logistic_regression(seed):
    p, y, w = drawn(seed, slope=0.6)
    fitted = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky", max_iter=500)
    fitted.fit(logit(p)[:, None], y, sample_weight=w)
    assert calibration_slope(p, y, w) == pytest.approx(fitted.coef_[0, 0], abs=1e-9)


def test_intercept_maximises_the_likelihood_with_the_slope_held_at_one():
    p, y, w = drawn(2, intercept=0.7)

    def loss(a):
        eta = a[0] + logit(p)
        return -(w * (y * eta - np.logaddexp(0, eta))).sum()

    reference = minimize(loss, [0.0], method="BFGS", options={"gtol": 1e-9}).x[0]
    a = calibration_intercept(p, y, w)
    assert a == pytest.approx(reference, abs=1e-6)
    fitted = 1 / (1 + np.exp(-(a + logit(p))))
    assert (w * (y - fitted)).sum() == pytest.approx(0, abs=1e-9)  # the score equation, exactly


@pytest.mark.parametrize("seed", range(4))
def test_intercept_and_slope_equal_those_of_statsmodels(seed):
    p, y, w = drawn(seed, slope=0.7, intercept=0.3)
    exact = {"tol": 1e-14, "maxiter": 200}
    family, eta = sm.families.Binomial(), logit(p)
    shifted = sm.GLM(y, np.ones(len(y)), family=family, offset=eta, freq_weights=w).fit(**exact)
    assert calibration_intercept(p, y, w) == pytest.approx(shifted.params[0], abs=1e-9)
    scaled = sm.GLM(y, sm.add_constant(eta), family=family, freq_weights=w).fit(**exact)
    assert calibration_slope(p, y, w) == pytest.approx(scaled.params[1], abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_expected_over_observed_and_scaled_brier_equal_those_of_their_parts_elsewhere(seed):
    p, y, w = drawn(seed)
    expected = np.average(p, weights=w) / np.average(y, weights=w)
    assert expected_over_observed(p, y, w) == pytest.approx(expected, abs=1e-12)
    # 1 − Brier / variance is R², of a prediction as it stands
    assert scaled_brier(p, y, w) == pytest.approx(r2_score(y, p, sample_weight=w), abs=1e-12)


def test_known_miscalibration_is_recovered():
    p, y, _ = drawn(5, n=200_000, slope=0.5, intercept=0.0)
    assert calibration_slope(p, y) == pytest.approx(0.5, abs=0.02)
    p, y, _ = drawn(6, n=200_000, intercept=-0.8)
    assert calibration_intercept(p, y) == pytest.approx(-0.8, abs=0.02)
    p, y, _ = drawn(7, n=200_000)
    assert calibration_slope(p, y) == pytest.approx(1.0, abs=0.02)
    assert expected_over_observed(p, y) == pytest.approx(1.0, abs=0.02)
    assert curve_errors(p, y)["ici"] < 0.02


def test_replicates_equal_one_fit_each():
    p, y, _ = drawn(1, n=150)
    weights = np.random.default_rng(3).poisson(1.0, (150, 20)).astype(float)
    intercepts = intercept_of_sums(logit(p), weights * y[:, None], weights)
    slopes = slope_of_sums(logit(p), weights * y[:, None], weights)
    for replicate in range(20):
        of_one = weights[:, replicate]
        assert intercepts[replicate] == pytest.approx(calibration_intercept(p, y, of_one), abs=1e-9)
        assert slopes[replicate] == pytest.approx(calibration_slope(p, y, of_one), abs=1e-9)


def test_one_hopeless_replicate_spoils_no_other():
    p, y, _ = drawn(1, n=150)
    weights = np.ones((150, 2))
    weights[y, 1] = 0  # one class only
    slopes = slope_of_sums(logit(p), weights * y[:, None], weights)
    assert slopes[0] == pytest.approx(calibration_slope(p, y), abs=1e-9)
    assert np.isnan(slopes[1])


@pytest.mark.parametrize("scale", [1e-3, 0.05, 30.0])
def test_poor_starts_still_reach_the_answer(scale):
    p, y, _ = drawn(4, n=2000)
    spread = 1 / (1 + np.exp(-scale * logit(p)))
    clipped = logit(spread)
    slope = calibration_slope(spread, y)
    residual = y - 1 / (1 + np.exp(-slope * clipped - _free_intercept(slope * clipped, y)))
    assert abs(residual @ clipped) / len(y) < 1e-6 * np.abs(clipped).max()


def _free_intercept(offset, y):
    return intercept_of_sums(offset, y[:, None].astype(float), np.ones((len(y), 1)))[0]


def test_separable_constant_and_one_class_are_nan_without_a_warning():
    assert np.isnan(calibration_slope([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]))
    assert np.isnan(calibration_slope([0.3] * 4, [0, 1, 0, 1]))
    for labels in ([0, 0, 0], [1, 1, 1]):
        p = [0.1, 0.2, 0.3]
        assert np.isnan([calibration_intercept(p, labels), calibration_slope(p, labels)]).all()
        assert np.isnan(scaled_brier(p, labels))
        assert np.isnan(curve_errors(p, labels)["ici"])
    assert np.isnan(expected_over_observed([0.1], [0]))
    assert np.isnan(brier([], []))


def test_probabilities_of_zero_and_one_stay_finite():
    p, y = np.array([0.0, 0.0, 1.0, 1.0, 0.5]), np.array([0, 1, 1, 0, 1])
    assert np.isfinite([calibration_intercept(p, y), calibration_slope(p, y)]).all()


@pytest.mark.parametrize("metric", METRICS)
def test_order_changes_nothing_and_integer_weights_are_repetition(metric):
    p, y, _ = drawn(9, n=120)
    weights = np.random.default_rng(1).integers(0, 3, 120)
    order, repeated = np.random.default_rng(2).permutation(120), np.repeat(np.arange(120), weights)
    value = metric(p, y, weights)
    assert metric(p[order], y[order], weights[order]) == pytest.approx(value, abs=1e-9)
    assert metric(p[repeated], y[repeated]) == pytest.approx(value, abs=1e-9)


def test_curve_errors_are_those_of_a_plain_loess_loop():
    p, y, w = drawn(3, n=80, slope=0.5)
    distance = np.abs([value - _loess(p, y, w, value) for value in p])
    errors = curve_errors(p, y, w)
    assert errors["ici"] == pytest.approx(np.average(distance, weights=w), abs=1e-9)
    assert errors["emax"] == pytest.approx(distance.max(), abs=1e-9)
    order = np.argsort(distance)
    share = w[order].cumsum() / w.sum()
    for name, level in (("e50", 0.5), ("e90", 0.9)):
        assert errors[name] == pytest.approx(distance[order][np.argmax(share >= level)], abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_curve_errors_are_those_along_the_lowess_of_statsmodels(seed):
    p, y, _ = drawn(seed, n=120, slope=0.5)  # ¾ of 120 is whole: both take 90 neighbours
    curve = lowess(y.astype(float), p, frac=0.75, it=0, delta=0, xvals=p)
    distance = np.sort(np.abs(p - np.clip(curve, 0, 1)))
    errors = curve_errors(p, y)
    expected = [distance.mean(), distance[59], distance[107], distance[-1]]  # the 60th and 108th of 120
    # It takes the innermost thousandth of a window as weight 1 and leaves out the outermost.
    assert [errors[name] for name in ("ici", "e50", "e90", "emax")] == pytest.approx(expected, abs=1e-6)


def _loess(p, y, w, at, span=0.75):
    distance = np.abs(p - at)
    order = np.argsort(distance)
    width = distance[order][np.argmax(w[order].cumsum() >= span * w.sum())]
    kernel = w * np.clip(1 - (distance / width) ** 3, 0, 1) ** 3
    design = np.stack([np.ones_like(p), p - at], axis=1)
    solution = np.linalg.lstsq(design * np.sqrt(kernel)[:, None], y * np.sqrt(kernel), rcond=None)[0]
    return np.clip(solution[0], 0, 1)


def test_integer_weights_are_repetition_for_the_curve_too():
    p, y, _ = drawn(9, n=120)
    weights = np.random.default_rng(1).integers(1, 4, 120)
    repeated = np.repeat(np.arange(120), weights)
    assert curve_errors(p, y, weights) == pytest.approx(curve_errors(p[repeated], y[repeated]), abs=1e-9)


def test_many_probabilities_become_groups_of_like_weight_and_equal_ones_stay_together():
    generator = np.random.default_rng(0)
    scores = np.concatenate([generator.random(5000), np.full(700, 0.5)])
    members = cut(scores, np.ones(len(scores)), 50)
    assert members.max() < 50
    assert len(np.unique(members[scores == 0.5])) == 1
    assert (np.diff(members[np.argsort(scores)]) >= 0).all()
    groups = Groups.of(scores, np.ones(len(scores)), members)
    assert groups.weight.sum() == len(scores)
    assert (np.diff(groups.probability) > 0).all()


def test_grouping_hardly_moves_the_ici():
    p, y, w = drawn(3, n=3000, slope=0.5)
    members = np.unique(p, return_inverse=True)[1]
    groups = Groups.of(p, w, members)
    positives, totals = groups.sums(w * y)[:, None], groups.sums(w)[:, None]
    exact = errors_of_curve(groups, curve_of_sums(groups, positives, totals), totals)
    assert curve_errors(p, y, w)["ici"] == pytest.approx(exact["ici"][0], abs=1e-3)


def test_errors_of_a_constant_prediction_are_its_distance_from_the_prevalence():
    errors = curve_errors([0.3] * 10, [1, 0] * 5)
    assert errors == pytest.approx(dict.fromkeys(("ici", "e50", "e90", "emax"), 0.2))
