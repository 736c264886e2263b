"""Whether predicted probabilities add up, and whether they are too extreme.

With probabilities p, outcomes y in {0, 1} and weights w (sums over observations, W = Σw):

    brier                   Σ w (p − y)² / W
    scaled_brier            1 − brier / (π(1 − π)),  π = Σ w y / W: 0 is the prevalence alone, 1 is perfect
    expected_over_observed  Σ w p / Σ w y: above 1 is overprediction
    calibration_intercept   a in  logit P(y) = a + logit p  (slope held at 1; "in the large"): 0 is right
    calibration_slope       b in  logit P(y) = a + b·logit p: 1 is right, below 1 is too extreme

Logits are clipped at probabilities of `CLIP` and 1 − `CLIP`. Where outcomes are separable the slope has no
finite value: NaN. `intercept_of_sums` and `slope_of_sums` take sums of weights per group of equal logits, one
column a bootstrap replicate, and run Newton's steps for all of them at once.
"""

import numpy as np
from numpy.typing import ArrayLike

from attending.metrics.ratio import Array, Floats, ratio, weights_or_ones

CLIP = 1e-6
MAX_STEPS = 50
TOLERANCE = 1e-10
SAFE_STEP = 0.5  # a step that moves no logit further than this cannot overshoot


def brier(probability: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the weighted mean squared error of `probability` (n,)."""
    p, y, w = arrays(probability, labels, weights)
    return float(ratio(w @ (p - y) ** 2, w.sum()))


def scaled_brier(probability: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return 1 − Brier / Brier of the prevalence; NaN with one class only."""
    p, y, w = arrays(probability, labels, weights)
    return float(scale_brier(ratio(w @ (p - y) ** 2, w.sum()), ratio(w @ y, w.sum())))


def scale_brier(of_model: ArrayLike, prevalence: ArrayLike) -> Floats:
    """Return 1 − `of_model` / (π(1 − π)) for each replicate."""
    prevalence = np.asarray(prevalence)
    return 1 - ratio(of_model, prevalence * (1 - prevalence))


def expected_over_observed(
    probability: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """Return expected over observed events; NaN where none was observed."""
    p, y, w = arrays(probability, labels, weights)
    return float(ratio(w @ p, w @ y))


def calibration_intercept(
    probability: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """Return the calibration intercept, the slope being held at 1; NaN with one class only."""
    p, y, w = arrays(probability, labels, weights)
    return float(intercept_of_sums(logit(p), (w * y)[:, None], w[:, None])[0])


def calibration_slope(probability: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the calibration slope; NaN with one class, a constant prediction, or separable outcomes."""
    p, y, w = arrays(probability, labels, weights)
    return float(slope_of_sums(logit(p), (w * y)[:, None], w[:, None])[0])


def logit(probability: ArrayLike) -> Floats:
    """Return log(p / (1 − p)) of probabilities clipped away from 0 and 1."""
    p = np.clip(np.asarray(probability, dtype=np.float64), CLIP, 1 - CLIP)
    return np.log(p) - np.log1p(-p)


def intercept_of_sums(logits: Array, positives: Array, totals: Array) -> Floats:
    """Return a (B,) of logit P(y) = a + `logits` (g,), from sums of weights (g, B) per group."""
    defined = _both_classes(positives, totals)
    a = np.zeros(len(defined))
    for _ in range(MAX_STEPS):
        fitted = _sigmoid(logits[:, None] + a)
        curvature = (totals * fitted * (1 - fitted)).sum(axis=0)
        step = np.where(defined, ratio((positives - totals * fitted).sum(axis=0), curvature), 0.0)
        a += np.clip(step, -2, 2)  # a step of two logits at most: the gradient saturates far from the answer
        if not (np.abs(step) > TOLERANCE).any():
            break
    return np.where(defined, a, np.nan)


def slope_of_sums(logits: Array, positives: Array, totals: Array) -> Floats:
    """Return b (B,) of logit P(y) = a + b·`logits` (g,), from sums of weights (g, B) per group."""
    defined = _both_classes(positives, totals)
    if not len(logits) or np.ptp(logits) == 0:
        return np.full(len(defined), np.nan)
    x = (logits - logits.mean())[:, None]
    a, b = (
        np.full(len(defined), logits.mean()),
        np.ones(len(defined)),
    )  # start from the predictions as they are
    lost = ~defined
    for _ in range(MAX_STEPS):
        step_a, step_b = _newton_step(x, a, b, positives, totals)
        lost |= ~(np.isfinite(step_a) & np.isfinite(step_b))
        step_a, step_b = np.where(lost, 0.0, step_a), np.where(lost, 0.0, step_b)
        size = _damping(x, (a, b), (step_a, step_b), positives, totals)
        a, b = a + size * step_a, b + size * step_b
        settled = np.maximum(np.abs(step_a), np.abs(step_b)) <= TOLERANCE * np.maximum(1, np.abs(b))
        if settled.all():
            break
    return np.where(settled & ~lost, b, np.nan)


def arrays(
    probability: ArrayLike, labels: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    """Return probability, labels and weights as float64."""
    p = np.asarray(probability, dtype=np.float64)
    return p, np.asarray(labels, dtype=np.float64), weights_or_ones(weights, len(p))


def _newton_step(x: Floats, a: Floats, b: Floats, positives: Array, totals: Array) -> tuple[Floats, Floats]:
    fitted = _sigmoid(a + b * x)
    residual, curvature = positives - totals * fitted, totals * fitted * (1 - fitted)
    gradient = residual.sum(axis=0), (residual * x).sum(axis=0)
    c0, c1, c2 = curvature.sum(axis=0), (curvature * x).sum(axis=0), (curvature * x * x).sum(axis=0)
    determinant = c0 * c2 - c1 * c1
    determinant = np.where(determinant > 1e-13 * c0 * c2, determinant, 0.0)  # no spread: no slope
    return (
        ratio(c2 * gradient[0] - c1 * gradient[1], determinant),
        ratio(c0 * gradient[1] - c1 * gradient[0], determinant),
    )


def _damping(
    x: Floats, at: tuple[Floats, Floats], step: tuple[Floats, Floats], positives: Array, totals: Array
) -> Floats:
    """Return the share of each step to take: halved until the likelihood does not fall."""
    size = np.ones(len(at[0]))
    if np.max(np.abs(step[0]) + np.abs(step[1]) * np.abs(x).max()) < SAFE_STEP:
        return size
    before = _log_likelihood(x, *at, positives, totals)
    for _ in range(20):
        after = _log_likelihood(x, at[0] + size * step[0], at[1] + size * step[1], positives, totals)
        worse = after < before - 1e-9 * np.abs(before)
        if not worse.any():
            break
        size[worse] /= 2
    return size


def _log_likelihood(x: Floats, a: Floats, b: Floats, positives: Array, totals: Array) -> Floats:
    eta = a + b * x
    likelihood: Floats = (positives * eta - totals * np.logaddexp(0, eta)).sum(axis=0)
    return likelihood


def _both_classes(positives: Array, totals: Array) -> Array:
    observed, total = positives.sum(axis=0), totals.sum(axis=0)
    both: Array = (observed > 0) & (observed < total)
    return both


def _sigmoid(eta: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(0.5 * eta))  # cannot overflow
