"""Errors of predicted numbers, held against scikit-learn and numpy."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from attending.metrics import regression
from attending.metrics.regression import Terms, day_bins, errors, kappa_of_counts, median_of_counts


def days(n=400, seed=0):
    generator = np.random.default_rng(seed)
    observed = np.round(generator.gamma(2, 3, n), 2)
    return observed, np.round(0.7 * observed + generator.normal(1, 2, n), 2)


def test_errors_are_those_of_scikit_learn():
    y, p = days()
    found = errors(y, p, of_days=True)
    clipped = np.maximum(p, 0)
    expected = {
        "mae": oracle.mean_absolute_error(y, p),
        "rmse": oracle.root_mean_squared_error(y, p),
        "mean_error": np.mean(p - y),
        "median_absolute_error": oracle.median_absolute_error(y, p),
        "r2": oracle.r2_score(y, p),
        "slope_of_observed": stats.linregress(p, y).slope,
        "intercept_of_observed": stats.linregress(p, y).intercept,
        "msle": oracle.mean_squared_log_error(y, clipped),
        "mean_absolute_log_error": oracle.mean_absolute_error(np.log1p(y), np.log1p(clipped)),
        "share_within_one_day": np.mean(np.abs(p - y) <= 1),
        "kappa": oracle.cohen_kappa_score(day_bins(y), day_bins(p), weights="linear", labels=range(10)),
    }
    assert found == pytest.approx(expected, abs=1e-9)


def test_numbers_far_from_zero_lose_no_precision():
    y, p = (values + 1e6 for values in days())
    found = errors(y, p)
    assert found["r2"] == pytest.approx(oracle.r2_score(y, p), abs=1e-9)
    assert found["slope_of_observed"] == pytest.approx(stats.linregress(p, y).slope, abs=1e-9)


def test_a_sample_drawn_twice_counts_twice():
    y, p = days(60)
    drawn = np.random.default_rng(1).integers(0, 4, 60)
    again = np.repeat(y, drawn), np.repeat(p, drawn)
    terms = Terms.of(y, p, of_days=True)
    found = terms.metrics(terms.rows @ drawn[:, None])
    expected = errors(*again, of_days=True)
    assert {name: value[0] for name, value in found.items()} == pytest.approx(
        {name: expected[name] for name in found}, abs=1e-9
    )


@pytest.mark.parametrize("n", [1, 2, 3, 10, 11])
def test_the_median_of_counts_is_that_of_the_values(n):
    generator = np.random.default_rng(n)
    values, counts = np.sort(generator.normal(size=n)), generator.integers(0, 4, (n, 6))
    counts[0] += 1
    expected = [np.median(np.repeat(values, counts[:, at])) for at in range(6)]
    assert median_of_counts(values, counts) == pytest.approx(expected, abs=1e-12)


def test_a_day_belongs_to_the_bin_that_it_begins():
    assert day_bins([0, 0.99, 1, 7.9, 8, 13.99, 14, 400]).tolist() == [0, 0, 1, 7, 8, 8, 9, 9]


def test_what_has_no_value_is_nan_without_a_warning():
    of_none = errors([], [], of_days=True)
    assert all(np.isnan(value) for value in of_none.values())
    constant = errors([2.0, 2.0, 2.0], [3.0, 3.0, 3.0], of_days=True)
    assert np.isnan([constant["r2"], constant["slope_of_observed"]]).all()
    assert constant["mae"] == constant["mean_error"] == constant["share_within_one_day"] == 1
    assert np.isnan(kappa_of_counts(np.zeros((100, 2)))).all()
    assert np.isnan(median_of_counts(np.array([1.0]), np.zeros((1, 2)))).all()


def test_perfect_predictions_have_no_error():
    y, _ = days(50)
    found = errors(y, y, of_days=True)
    assert found["mae"] == found["msle"] == 0
    assert found["r2"] == found["kappa"] == pytest.approx(1)
    assert (found["slope_of_observed"], found["intercept_of_observed"]) == pytest.approx((1, 0), abs=1e-9)
    assert len(found) == len(regression.NAMES) + len(regression.NAMES_OF_DAYS) + 2
