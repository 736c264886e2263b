"""Smooth ECE: the calibration error of smoothed residuals, with the amount of smoothing settled by itself.

Błasiok and Nakkiran 2023 ("Smooth ECE", arXiv 2309.12236). With residuals p − y placed at p, and K_σ the Gaussian
kernel of width σ reflected at 0 and 1:

    r_σ(t)       Σ_i w_i (p_i − y_i) K_σ(t, p_i) / W
    smECE_σ      ∫₀¹ |r_σ(t)| dt              falls with σ
    smooth_ece   smECE_σ at the σ for which smECE_σ = σ (at least `NARROWEST`)

No bins, unlike ECE; a small change of any prediction changes it little. 0 is calibrated.

Each residual is shared by its two neighbours on a grid of `N_POINTS`. On that grid the reflected Gaussian is a
product in cosines: a cosine transform, times exp(−(πmσ)²/2), and back. Bootstrap replicates keep the σ of the whole
sample, as they keep the bandwidth of the calibration curve, and are columns of residuals (g, B).
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import dct, idct

from attending.metrics.calibration import arrays
from attending.metrics.ratio import Array, Floats, ratio

N_POINTS = 2001
NARROWEST = 1e-3
N_HALVINGS = 40


def smooth_ece(probability: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the smooth ECE of `probability` (n,); NaN of nothing."""
    p, y, w = arrays(probability, labels, weights)
    return error_of_residuals(on_grid(p, (w * (p - y))[:, None]), w.sum())[0]


def error_of_residuals(residuals: Array, total: float) -> tuple[float, float]:
    """Return smooth ECE and its bandwidth, of sums of residuals on the grid (g, 1) and their total weight."""

    def excess(bandwidth: float) -> float:
        return float(error_at(residuals, total, bandwidth)[0]) - bandwidth

    low, high = NARROWEST, 1.0
    if not total or excess(low) <= 0:
        return float(error_at(residuals, total, low)[0]), low
    for _ in range(N_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return float(error_at(residuals, total, high)[0]), high


def error_at(residuals: Array, totals: ArrayLike, bandwidth: float) -> Floats:
    """Return smECE_σ (B,) at σ = `bandwidth`, of sums of residuals on the grid (g, B) with `totals` (B,)."""
    n_steps = len(residuals) - 1
    damping = np.exp(-0.5 * (np.pi * bandwidth * np.arange(n_steps + 1)) ** 2)
    spread = residuals.astype(np.float64)
    spread[[0, -1]] *= 2  # an end is its own reflection
    smooth = np.abs(idct(dct(spread, type=1, axis=0) * damping[:, None], type=1, axis=0))
    smooth[[0, -1]] /= 2  # the trapezoid's ends
    return ratio(smooth.sum(axis=0), totals)


def on_grid(probability: Array, values: Array, n_points: int = N_POINTS) -> Floats:
    """Return the sums (g, B) of `values` (n, B), each shared by the grid's points about its probability (n,)."""
    place = probability * (n_points - 1)
    below = np.clip(place.astype(np.intp), 0, n_points - 2)
    share = place - below
    return np.stack(
        [
            np.bincount(below, (1 - share) * column, minlength=n_points)
            + np.bincount(below + 1, share * column, minlength=n_points)
            for column in values.T
        ],
        axis=1,
    )
