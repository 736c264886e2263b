"""Smooth ECE against relplot, plain quadrature of its definition, and golden values."""

import numpy as np
import pytest
import relplot.config
from relplot.metrics import smECE, smECE_sigma
from scipy.integrate import quad
from scipy.stats import norm

from attending.metrics.smooth_ece import NARROWEST, error_at, on_grid, smooth_ece


def drawn(seed=0, n=300, low=0.0, high=1.0, slope=0.5):
    generator = np.random.default_rng(seed)
    p = generator.uniform(low, high, n)
    labels = generator.random(n) < 0.5 + slope * (p - 0.5)
    return p, labels.astype(float), generator.gamma(1.0, size=n)


def error(p, y, bandwidth, n_points=2001, w=None):
    w = np.ones(len(p)) if w is None else w
    return error_at(on_grid(p, (w * (p - y))[:, None], n_points), w.sum(), bandwidth)[0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bandwidth", [0.01, 0.02])
def test_the_smoothed_error_equals_that_of_relplot(seed, bandwidth, monkeypatch):
    # Away from 0 and 1, on relplot's grid of 1,001 points, evaluated where it has its points.
    monkeypatch.setattr(relplot.config, "smECE_mesh_pts", 1001)
    p, y, _ = drawn(seed, n=20_000, low=0.2, high=0.8)
    p = np.round(p, 3)
    assert error(p, y, bandwidth, 1001) == pytest.approx(smECE_sigma(p, y, bandwidth), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("slope", [0.2, 0.6, 1.0])
def test_the_settled_error_is_that_of_relplot_within_its_search(seed, slope):
    p, y, _ = drawn(seed, n=2000, slope=slope)
    assert smooth_ece(p, y) == pytest.approx(smECE(p, y), abs=2e-3)  # it halves a bandwidth ten times: 1/1024


@pytest.mark.parametrize("bandwidth", [0.05, 0.3])
def test_the_smoothed_error_is_the_integral_of_its_definition(bandwidth):
    p, y, w = drawn(1, n=30)
    p[:2] = 0.0, 1.0  # at the very ends all of the kernel is folded back

    def residual(t):
        images = [t - p - 2 * fold for fold in range(-3, 4)] + [t + p - 2 * fold for fold in range(-3, 4)]
        kernel = sum(norm.pdf(image, scale=bandwidth) for image in images)
        return abs(w @ ((p - y) * kernel)) / w.sum()

    expected = quad(residual, 0, 1, limit=500, epsabs=1e-8)[0]
    assert error(p, y, bandwidth, w=w) == pytest.approx(expected, abs=1e-5)  # a grid of 2,001 points


@pytest.mark.parametrize("seed", range(3))
def test_the_settled_error_is_its_own_bandwidth(seed):
    p, y, w = drawn(seed)
    found = smooth_ece(p, y, w)
    assert found == pytest.approx(error(p, y, found, w=w), abs=1e-9)
    assert error(p, y, found / 2, w=w) > found > error(p, y, 2 * found, w=w)


def test_a_golden_value_holds():
    # Recipe, by hand: all residuals are at .5 and are −.5 and .5 in the ratio 3 : 1, so their mean is −.25;
    # smoothing moves but does not cancel them, whatever σ.
    assert smooth_ece([0.5] * 4, [1, 1, 1, 0]) == pytest.approx(0.25, abs=1e-9)


def test_what_is_calibrated_has_nearly_none_and_never_less_than_none():
    p, y, _ = drawn(2, n=200_000, slope=1.0)
    assert 0 <= smooth_ece(p, y) < 0.005
    assert smooth_ece([0.0, 1.0, 1.0], [0, 1, 1]) == pytest.approx(0, abs=1e-12)
    assert NARROWEST < 0.005


def test_order_changes_nothing_and_integer_weights_are_repetition():
    p, y, _ = drawn(4)
    generator = np.random.default_rng(1)
    order, weights = generator.permutation(len(p)), generator.integers(0, 4, len(p))
    repeated = np.repeat(np.arange(len(p)), weights)
    value = smooth_ece(p, y, weights)
    assert smooth_ece(p[order], y[order], weights[order]) == pytest.approx(value, abs=1e-9)
    assert smooth_ece(p[repeated], y[repeated]) == pytest.approx(value, abs=1e-9)


def test_each_replicate_is_the_error_under_its_weights():
    p, y, _ = drawn(5)
    weights = np.random.default_rng(2).poisson(1.0, (len(p), 10)).astype(float)
    found = error_at(on_grid(p, weights * (p - y)[:, None]), weights.sum(axis=0), 0.05)
    for replicate, value in enumerate(found):
        assert value == pytest.approx(error(p, y, 0.05, w=weights[:, replicate]), abs=1e-12)


def test_one_observation_one_class_and_nothing():
    assert smooth_ece([0.3], [1]) == pytest.approx(0.7, abs=1e-9)
    assert smooth_ece([0.2, 0.4], [0, 0]) == pytest.approx(0.3, abs=1e-9)
    assert np.isnan(smooth_ece([], []))
