"""Which of many differences survive: bootstrap p-values of paired differences, and Holm's correction.

With an estimated difference d and its bootstrap replicates d*_1 … d*_B, of mean m:

    p = (1 + #{b : |d*_b − m| ≥ |d|}) / (B + 1)

The centred replicates stand for the differences seen if there were none, so p is the share of them that lie at least
as far out as what was found; the one added to both keeps p above 0, so that B replicates never claim more than
1 / (B + 1) (Davison and Hinkley 1997, chapter 4).

Of m p-values in ascending order, Holm's adjusted p-value is

    p̃_(i) = max_{j ≤ i} min(1, (m − j + 1) · p_(j))

A difference with p̃ ≤ α survives, and the chance that any true null among them does is at most α, whatever their
dependence (Holm 1979). What was not tested (NaN) is not counted.
"""

import numpy as np
from numpy.typing import ArrayLike

from attending.metrics.ratio import Floats

ROUNDING = 1e-9  # of the estimate: replicates that equal it but for rounding are as far out as it


def difference_p_value(estimate: float, replicates: ArrayLike) -> float:
    """Return the two-sided p-value of a paired difference from its bootstrap `replicates` (B,).

    Replicates in which the difference is undefined (NaN) are left out; without any, or without an estimate: NaN.
    """
    values = np.asarray(replicates, np.float64)
    values = values[np.isfinite(values)]
    if not len(values) or not np.isfinite(estimate):
        return float("nan")
    as_far = np.abs(values - values.mean()) >= abs(estimate) * (1 - ROUNDING)
    return float((1 + as_far.sum()) / (1 + len(values)))


def holm(p_values: ArrayLike) -> Floats:
    """Return Holm's adjusted p-values, in the order of `p_values` (m,); NaN stays NaN."""
    raw = np.asarray(p_values, np.float64)
    adjusted = np.full(raw.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(raw))
    order = tested[np.argsort(raw[tested], kind="stable")]
    multiplied = raw[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(multiplied), 1) if len(order) else multiplied
    return adjusted
