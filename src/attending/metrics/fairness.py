"""How far apart groups are: differences between the largest and the smallest rate of any two groups.

With groups g, alerts ŷ and outcomes y:

    demographic_parity_difference  max_g − min_g  P(ŷ = 1 | g): who gets an alert
    equal_opportunity_difference   max_g − min_g  P(ŷ = 1 | y = 1, g): who is found among those with the outcome
    equalised_odds_difference      the larger of that and max_g − min_g P(ŷ = 1 | y = 0, g)

0 is parity. A group without a rate (nobody with the outcome) has no say; fewer than two rates have no gap: NaN. Groups
differ in how often the outcome happens, so not all can be 0 at once (Kleinberg, Mullainathan and Raghavan 2017).
"""

import numpy as np
from numpy.typing import ArrayLike

from attending.metrics.ratio import Floats, ratio


def largest_gap(values: ArrayLike) -> Floats:
    """Return (…), the largest less the smallest of `values` (g, …) over the groups that have one."""
    of_groups = np.asarray(values, np.float64)
    defined = np.isfinite(of_groups)
    highest = np.where(defined, of_groups, -np.inf).max(axis=0, initial=-np.inf)
    lowest = np.where(defined, of_groups, np.inf).min(axis=0, initial=np.inf)
    enough = defined.sum(axis=0) > 1
    gap: Floats = np.where(enough, np.where(enough, highest, 0) - np.where(enough, lowest, 0), np.nan)
    return gap


def gaps_of_counts(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, tn: ArrayLike) -> dict[str, Floats]:
    """Return the three differences by name, from counts (g, …) of each group."""
    tp, fp, fn, tn = (np.asarray(count, np.float64) for count in (tp, fp, fn, tn))
    found, wrong = largest_gap(ratio(tp, tp + fn)), largest_gap(ratio(fp, fp + tn))
    return {
        "demographic_parity_difference": largest_gap(ratio(tp + fp, tp + fp + fn + tn)),
        "equal_opportunity_difference": found,
        "equalised_odds_difference": np.fmax(found, wrong),
    }
