"""Maps that move predicted probabilities to where they belong, fitted on other subjects than those they are shown on.

With probabilities p, outcomes y and weights w, on the data that a map is fitted on:

    intercept             p' = σ(a + logit p), a by maximum likelihood: shifts all, keeps the order
    intercept and slope   p' = σ(a + b · logit p): also stretches (b > 1) or shrinks (b < 1) the logits
    isotonic              p' = m(p), m the non-decreasing step function of the smallest Σ w (y − m(p))², with straight
                          lines between its steps and constant outside them; steps become ties
    intercepts            a of each outcome alone, where there are several

The first two are Cox's recalibration (1958); the third is that of Zadrozny and Elkan (2002). Logits are clipped as in
`metrics.calibration`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from attending.metrics.calibration import (
    MAX_STEPS,
    TOLERANCE,
    arrays,
    intercept_of_sums,
    logit,
    slope_of_sums,
)
from attending.metrics.ratio import Array, Floats, ratio


@dataclass(frozen=True)
class Logistic:
    """σ(intercept + slope · logit p)."""

    intercept: float
    slope: float = 1.0

    def __call__(self, probability: ArrayLike) -> Floats:
        """Return the recalibrated probabilities, of the same shape."""
        return sigmoid(self.intercept + self.slope * logit(probability))


@dataclass(frozen=True)
class Isotonic:
    """A non-decreasing map through (`x`, `y`) (m,), straight between them, constant outside."""

    x: Floats
    y: Floats

    def __call__(self, probability: ArrayLike) -> Floats:
        """Return the recalibrated probabilities, of the same shape."""
        return np.asarray(np.interp(np.asarray(probability, np.float64), self.x, self.y), np.float64)

    @property
    def n_steps(self) -> int:
        """How many different values it has."""
        return len(np.unique(self.y))


def fit_intercept(probability: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> Logistic:
    """Return the map that shifts all logits alike; its intercept is NaN with one class only."""
    p, y, w = arrays(probability, labels, weights)
    return Logistic(float(intercept_of_sums(logit(p), (w * y)[:, None], w[:, None])[0]))


def fit_intercept_and_slope(
    probability: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None
) -> Logistic:
    """Return the map that shifts and stretches all logits alike; NaN where the slope has no finite value.

    At the maximum of the likelihood the intercept is the best one for its slope, so it is found with the slope held.
    """
    p, y, w = arrays(probability, labels, weights)
    positives, totals, logits = (w * y)[:, None], w[:, None], logit(p)
    slope = float(slope_of_sums(logits, positives, totals)[0])
    if not np.isfinite(slope):
        return Logistic(np.nan, np.nan)
    return Logistic(float(intercept_of_sums(slope * logits, positives, totals)[0]), slope)


def fit_isotonic(probability: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> Isotonic:
    """Return the non-decreasing map; equal probabilities stand at their mean outcome."""
    p, y, w = arrays(probability, labels, weights)
    x, rung = np.unique(p, return_inverse=True)
    weight = np.bincount(rung, w, minlength=len(x))
    steps = isotonic_regression(ratio(np.bincount(rung, w * y, minlength=len(x)), weight), weights=weight).x
    is_end = np.ones(len(x), bool)
    is_end[1:-1] = (steps[1:-1] != steps[:-2]) | (steps[1:-1] != steps[2:])
    return Isotonic(x[is_end], steps[is_end])


def fit_intercepts(logits: Array, labels: Array, known: Array) -> Floats:
    """Return (K,), the intercept of each outcome alone, from `logits`, `labels`, `known` (n, K); NaN with one class."""
    observed, total = (labels & known).sum(axis=0), known.sum(axis=0)
    defined = (observed > 0) & (observed < total)
    intercept = np.zeros(len(defined))
    for _ in range(MAX_STEPS):
        fitted = np.where(known, sigmoid(logits + intercept), 0)
        step = np.where(
            defined, ratio(observed - fitted.sum(axis=0), (fitted * (1 - fitted)).sum(axis=0)), 0.0
        )
        intercept += np.clip(step, -2, 2)
        if not (np.abs(step) > TOLERANCE).any():
            break
    return np.where(defined, intercept, np.nan)


def sigmoid(eta: ArrayLike) -> Floats:
    """Return 1 / (1 + e^−eta) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(eta, np.float64))), np.float64)
