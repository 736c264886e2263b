"""How far predicted probabilities lie from what was observed, along a smooth calibration curve.

    ici, e50, e90, emax     mean, median, 90th percentile and maximum over observations of |p − c(p)|

The curve c is loess: local linear regression of y on p with tricube weights over the nearest `SPAN` of the
observations (degree 1, no robustness rounds), clipped to [0, 1]. It is fitted on at most `N_GROUPS` groups of
neighbouring probabilities at equal shares of weight, each of which stands for its mean; with fewer distinct
probabilities it is exact.

A bootstrap replicate keeps the groups and bandwidths of the whole sample and changes only the weights, so the
curves of all replicates are a few matrix products of sums per group (g, B).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attending.metrics.calibration import arrays
from attending.metrics.ratio import Array, Floats, ratio

SPAN = 0.75
N_GROUPS = 200


@dataclass(frozen=True)
class Groups:
    """Neighbouring probabilities taken as one, lowest first.

    members      (n,) the group of each observation
    probability  (g,) the weighted mean probability of the group
    weight       (g,) its weight
    """

    members: NDArray[np.intp]
    probability: Floats
    weight: Floats

    @classmethod
    def of(cls, probability: Array, weights: Array, members: NDArray[np.intp]) -> "Groups":
        """Describe the groups of `members`."""
        mass = np.bincount(members, weights)
        count, plain = np.bincount(members), np.bincount(members, probability)
        weighted = np.bincount(members, weights * probability)
        return cls(
            members,
            np.where(mass > 0, ratio(weighted, mass), ratio(plain, count)),
            np.asarray(mass, np.float64),
        )

    def sums(self, values: Array) -> Floats:
        """Return the sum of `values` (n,) in each group (g,)."""
        return np.bincount(self.members, values, minlength=len(self.weight)).astype(np.float64)


def cut(scores: Array, weights: Array, n_groups: int) -> NDArray[np.intp]:
    """Return (n,) group numbers, ascending with `scores`, at equal shares of `weights`.

    Equal scores stay together; with at most `n_groups` distinct scores each is a group of its own.
    """
    distinct, rank = np.unique(scores, return_inverse=True)
    if len(distinct) <= n_groups:
        return rank
    weight = np.bincount(rank, weights)
    share = (weight.cumsum() - weight / 2) / weight.sum()
    numbers = np.minimum((share * n_groups).astype(np.intp), n_groups - 1)
    return np.unique(numbers, return_inverse=True)[1][rank]


def curve_of_sums(groups: Groups, positives: Array, totals: Array, span: float = SPAN) -> Floats:
    """Return the calibration curve (g, B) at the groups, from sums of weights (g, B)."""
    distance = groups.probability[None, :] - groups.probability[:, None]
    kernel = _tricube(np.abs(distance), _bandwidths(np.abs(distance), groups.weight, span))
    first, second = kernel * distance, kernel * distance**2
    s0, s1, s2 = kernel @ totals, first @ totals, second @ totals
    y0, y1 = kernel @ positives, first @ positives
    determinant = s0 * s2 - s1 * s1
    sloped = determinant > 1e-10 * s0 * s2
    curve = np.where(sloped, ratio(s2 * y0 - s1 * y1, np.where(sloped, determinant, 0)), ratio(y0, s0))
    return np.clip(curve, 0, 1)


def errors_of_curve(groups: Groups, curve: Array, totals: Array) -> dict[str, Floats]:
    """Return ici, e50, e90 and emax, (B,) each, of curves (g, B) under sums of weights (g, B)."""
    distance = np.where(totals > 0, np.abs(curve - groups.probability[:, None]), 0.0)
    total = totals.sum(axis=0)
    order = np.argsort(distance, axis=0, kind="stable")
    ordered = np.take_along_axis(distance, order, axis=0)
    share = ratio(np.take_along_axis(totals, order, axis=0).cumsum(axis=0), total)
    return {
        "ici": ratio((totals * distance).sum(axis=0), total),
        "e50": _quantile(ordered, share, 0.5),
        "e90": _quantile(ordered, share, 0.9),
        "emax": np.where(total > 0, ordered.max(axis=0, initial=0.0), np.nan),
    }


def curve_errors(
    probability: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None
) -> dict[str, float]:
    """Return ici, e50, e90 and emax of `probability` (n,); NaN with one class only."""
    p, y, w = arrays(probability, labels, weights)
    if not 0 < w @ y < w.sum():
        return dict.fromkeys(("ici", "e50", "e90", "emax"), float("nan"))
    groups = Groups.of(p, w, cut(p, w, N_GROUPS))
    positives, totals = groups.sums(w * y)[:, None], groups.sums(w)[:, None]
    errors = errors_of_curve(groups, curve_of_sums(groups, positives, totals), totals)
    return {name: float(value[0]) for name, value in errors.items()}


def _quantile(ordered: Floats, share: Floats, level: float) -> Floats:
    """Return the smallest value with at least `level` of the weight at or below it."""
    at = (share < level - 1e-12).sum(axis=0)
    defined = at < len(ordered)
    rows = np.minimum(at, len(ordered) - 1)
    values = ordered[rows, np.arange(ordered.shape[1])]
    return np.where(defined & np.isfinite(share).all(axis=0), values, np.nan)


def _bandwidths(distance: Floats, weight: Floats, span: float) -> Floats:
    """Return, for each group, the distance within which `span` of the weight lies."""
    order = np.argsort(distance, axis=1, kind="stable")
    reached = weight[order].cumsum(axis=1) >= span * weight.sum() * (1 - 1e-12)
    nearest = np.take_along_axis(order, reached.argmax(axis=1)[:, None], axis=1)
    return np.take_along_axis(distance, nearest, axis=1)


def _tricube(distance: Floats, bandwidth: Floats) -> Floats:
    scaled = np.divide(distance, bandwidth, out=np.where(distance > 0, 1.0, 0.0), where=bandwidth > 0)
    return (1 - np.minimum(scaled, 1) ** 3) ** 3
