"""How far predicted numbers lie from observed ones.

With y observed, p predicted, e = p − y, means over samples:

    MAE = mean |e|      RMSE = √ mean e²      mean error = mean e      median absolute error = median |e|
    R² = 1 − Σ e² / Σ (y − ȳ)²
    slope b and intercept a of least squares, y = a + b · p

and of numbers of days, with a negative prediction taken as 0 where its logarithm is:

    log error = ln(1 + p) − ln(1 + y): its mean square (MSLE) and its mean size
    share within a day = mean of 1[|e| ≤ 1]
    κ = 1 − Σ |i − j| O_ij / Σ |i − j| E_ij     over ten bins of days, E what independent predictions would give

the bins being those of Harutyunyan et al. 2019 (doi:10.1038/s41597-019-0103-9): under a day, one by one up to eight,
up to two weeks, beyond. All but the median and κ are functions of sums over samples, κ is one of a table of counts.
So a thousand bootstrap replicates are a thousand columns of sums.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attending.metrics.ratio import Array, Floats, ratio

DAY_EDGES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 14.0)
N_DAY_BINS = len(DAY_EDGES) + 1
NAMES = ("mae", "rmse", "mean_error", "r2", "slope_of_observed", "intercept_of_observed")
NAMES_OF_DAYS = ("mean_absolute_log_error", "msle", "share_within_one_day")


@dataclass(frozen=True)
class Terms:
    """What is summed over samples: `rows` (t, n), of numbers moved by `centre`, which keeps differences exact."""

    rows: Floats
    centre: float
    of_days: bool

    @classmethod
    def of(cls, observed: ArrayLike, predicted: ArrayLike, *, of_days: bool = False) -> "Terms":
        """Take observed and predicted numbers (n,)."""
        y, p = (np.asarray(values, np.float64) for values in (observed, predicted))
        centre = float(y.mean()) if y.size else 0.0
        error, about, guess = p - y, y - centre, p - centre
        rows = [np.ones(len(y)), np.abs(error), error**2, error, about, about**2, guess, guess**2]
        rows.append(about * guess)
        if of_days:
            logs = np.log1p(np.maximum(p, 0)) - np.log1p(np.maximum(y, 0))
            rows += [np.abs(logs), logs**2, (np.abs(error) <= 1).astype(np.float64)]
        return cls(np.stack(rows), centre, of_days)

    def metrics(self, sums: Array) -> dict[str, Floats]:
        """Return each metric (B,) of the sums (t, B) of the terms; NaN where it has no value."""
        n, size, square, error, y, yy, p, pp, yp, *of_days = np.asarray(sums, np.float64)
        around_y, around_p = _positive(yy - ratio(y**2, n), yy), _positive(pp - ratio(p**2, n), pp)
        slope = ratio(yp - ratio(y * p, n), around_p)
        intercept = ratio(y, n) + self.centre - slope * (ratio(p, n) + self.centre)
        values = [ratio(size, n), np.sqrt(ratio(square, n)), ratio(error, n), 1 - ratio(square, around_y)]
        found = dict(zip(NAMES, [*values, slope, intercept], strict=True))
        if self.of_days:
            found |= {name: ratio(of, n) for name, of in zip(NAMES_OF_DAYS, of_days, strict=True)}
        return found


def errors(observed: ArrayLike, predicted: ArrayLike, *, of_days: bool = False) -> dict[str, float]:
    """Return every metric of predicted numbers (n,), those of days too if they are `of_days`."""
    y, p = (np.asarray(values, np.float64) for values in (observed, predicted))
    terms = Terms.of(y, p, of_days=of_days)
    found = {name: float(value[0]) for name, value in terms.metrics(terms.rows.sum(axis=1)[:, None]).items()}
    distances, place = np.unique(np.abs(p - y), return_inverse=True)
    counts = np.bincount(place, minlength=len(distances))[:, None]
    found["median_absolute_error"] = float(median_of_counts(distances, counts)[0])
    if of_days:
        counts = np.bincount(day_cells(y, p), minlength=N_DAY_BINS**2)[:, None]
        found["kappa"] = float(kappa_of_counts(counts)[0])
    return found


def median_of_counts(values: Array, counts: Array) -> Floats:
    """Return the median (B,) of ascending `values` (g,) that occur `counts` times (g, B).

    Of an even number of values it is the mean of the two in the middle.
    """
    if not len(values):
        return np.full(counts.shape[1], np.nan)
    through = np.cumsum(counts, axis=0, dtype=np.float64)
    n = through[-1]
    middle = [(through <= at).sum(axis=0) for at in (np.floor((n - 1) / 2), np.floor(n / 2))]
    low, high = (np.asarray(values, np.float64)[np.minimum(at, len(values) - 1)] for at in middle)
    return np.where(n > 0, (low + high) / 2, np.nan)


def day_bins(days: ArrayLike) -> NDArray[np.intp]:
    """Return the bin, 0 to 9, of each number of days: its first day belongs to it, its last one to the next."""
    return np.searchsorted(np.asarray(DAY_EDGES), np.asarray(days), side="right")


def day_cells(observed: ArrayLike, predicted: ArrayLike) -> NDArray[np.intp]:
    """Return each sample's cell in the table of observed and predicted bins, row by row."""
    return day_bins(observed) * N_DAY_BINS + day_bins(predicted)


def kappa_of_counts(counts: Array) -> Floats:
    """Return the linearly weighted kappa (B,) of counts in the cells (100, B); NaN where chance cannot err."""
    table = np.asarray(counts, np.float64).reshape(N_DAY_BINS, N_DAY_BINS, -1)
    distance = np.abs(np.subtract.outer(np.arange(N_DAY_BINS), np.arange(N_DAY_BINS)))
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    observed = np.einsum("ij,ijb->b", distance, table)
    expected = np.einsum("ij,ib,jb->b", distance, rows, columns)
    return 1 - ratio(observed * rows.sum(axis=0), expected)


def _positive(spread: Floats, squares: Floats) -> Floats:
    """Return a sum of squares around the mean; what is only rounding is 0."""
    return np.where(spread > 1e-12 * squares, spread, 0.0)
