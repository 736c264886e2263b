"""Areas and calibration of a population of pairs, from fewer bins than `pooled`: for many groups and many maps.

Estimates are exact; replicates are those of `N_BINS` bins of neighbouring probabilities, centred on the estimates.
"""

import numpy as np

from attending.evaluate.bootstrap import Bootstrap, Replicated, n_in_smaller_class, subject_sums, widening
from attending.evaluate.pooled import Bins, Pairs
from attending.metrics.calibration import (
    calibration_intercept,
    calibration_slope,
    intercept_of_sums,
    slope_of_sums,
)
from attending.metrics.calibration_curve import errors_of_curve
from attending.metrics.discrimination import areas, areas_of_bins
from attending.metrics.ratio import Floats, ratio

N_BINS = 100
AREAS = ("auroc", "auprc")
MEANS = ("brier", "expected_over_observed")
FITS = ("calibration_intercept", "calibration_slope")
ICI = "ici"


def in_brief(
    pairs: Pairs, bootstrap: Bootstrap, *, areas_too: bool = True, curve_too: bool = False
) -> dict[str, Replicated]:
    """Return Brier, E/O, calibration intercept and slope; AUROC, AUPRC and ICI where they are wanted."""
    found = _means(pairs, bootstrap)
    names = (*(AREAS if areas_too else ()), *FITS, *((ICI,) if curve_too else ()))
    if not pairs.has_both_classes:
        return found | {name: Replicated.undefined(bootstrap.n_replicates) for name in names}
    bins = Bins.of(pairs, bootstrap, N_BINS)

    def of_sums(positives: Floats, negatives: Floats) -> Floats:
        observed, totals = bins.group_sums(positives, negatives)
        rows = [fit(bins.logits, observed, totals) for fit in (intercept_of_sums, slope_of_sums)]
        if curve_too:
            rows.append(errors_of_curve(bins.groups, bins.curve(positives, negatives), totals)[ICI])
        areas_first = [*areas_of_bins(positives, negatives)] if areas_too else []
        return np.stack([*areas_first, *rows])

    estimates = dict(zip(names, of_sums(*bins.as_they_are)[:, 0], strict=True))
    p, y = pairs.probability, pairs.labels
    estimates |= dict(zip(FITS, (calibration_intercept(p, y), calibration_slope(p, y)), strict=True))
    if areas_too:
        estimates |= dict(zip(AREAS, areas(p, y), strict=True))
    values = bootstrap.reduce(bins.tables, of_sums)
    wider = widening(n_in_smaller_class(y, pairs.owner))
    return found | {
        name: Replicated.centred(float(estimates[name]), values[at], wider) for at, name in enumerate(names)
    }


def _means(pairs: Pairs, bootstrap: Bootstrap) -> dict[str, Replicated]:
    p, y, n = pairs.probability.astype(np.float64), pairs.labels, bootstrap.n_subjects
    terms = (np.square(p - y), np.ones(len(p)), p, y.astype(np.float64))
    sums = np.stack([subject_sums(term, pairs.owner, n) for term in terms])
    replicates, whole = bootstrap.totals(sums), sums.sum(axis=1)
    wider = widening(int(np.count_nonzero(sums[1])))
    return {
        name: Replicated.centred(
            float(ratio(whole[at], whole[at + 1])), ratio(replicates[at], replicates[at + 1]), wider
        )
        for name, at in zip(MEANS, (0, 2), strict=True)
    }
