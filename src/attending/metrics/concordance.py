"""Concordance: how often, of two people, the one at higher risk has the event first.

A pair (i, j) counts if i has the event at T_i ≤ h and j does not have it by then: j is seen beyond T_i, or leaves or
dies at that very time, or died before (who died never has the event). It is right if i's risk is higher, half right if
both are equal. Two events at one time are no pair.

    C = Σ v_ij (1[r_i > r_j] + ½ · 1[r_i = r_j]) / Σ v_ij

    Harrell     v_ij = 1
    Uno         v_ij = 1 / (G(T_i−) · G(min(T_i, T_j)−)), which does not depend on who left when; with deaths it is
                that of Wolbers 2014. G must be estimated, so h should lie within the follow-up

Pairs are cases times people: memory is bounded, time is their product.
"""

import numpy as np
from numpy.typing import ArrayLike

from attending.metrics.ratio import Floats, ratio
from attending.metrics.survival import COMPETED, HAPPENED, Steps

CHUNK = 2**22  # pairs looked at at once


def concordance(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    horizon: float = float("inf"),
    staying: Steps | None = None,
) -> float:
    """Return Harrell's concordance of risks (n,), or Uno's where `staying` gives G; NaN if there is no pair."""
    right, pairs = pair_sums(time, event, risk, horizon=horizon, staying=staying)
    return float(ratio(right.sum(), pairs.sum()))


def pair_sums(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    horizon: float = float("inf"),
    staying: Steps | None = None,
) -> tuple[Floats, Floats]:
    """Return, of each person (n,), half the weight of its right pairs, and half that of all its pairs.

    The halves sum to the numerator and the denominator. Twice a person's half is how much the sum changes with that
    person's weight.
    """
    times, events, risks = np.asarray(time, np.float64), np.asarray(event), np.asarray(risk, np.float64)
    inverse = np.ones(len(times)) if staying is None else ratio(1.0, staying.just_before(times))
    cases = np.flatnonzero((events == HAPPENED) & (times <= horizon))
    right, pairs = np.zeros(len(times)), np.zeros(len(times))
    step = max(1, CHUNK // max(1, len(times)))
    for start in range(0, len(cases), step):
        these = cases[start : start + step, None]
        later = (times > times[these]) | ((times == times[these]) & (events != HAPPENED))
        died = (events == COMPETED) & (times < times[these])
        weight = inverse[these] * np.where(died, inverse, inverse[these]) * (later | died) / 2
        credit = weight * ((risks[these] > risks) + 0.5 * (risks[these] == risks))
        for total, of in ((right, credit), (pairs, weight)):
            total += of.sum(axis=0)
            total[these[:, 0]] += of.sum(axis=1)
    return right, pairs
