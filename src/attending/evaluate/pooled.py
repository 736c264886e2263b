"""Metrics over all pairs of sample and outcome at once: micro AUROC and AUPRC, and calibration.

There are n × K pairs, too many to rank a thousand times. Estimates of AUROC, AUPRC, intercept and slope use every
pair; their replicates use `N_BINS` bins of neighbouring probabilities, and calibration merges the bins into at most
200 groups. Replicates are centred on the estimates, so binning moves no interval. They keep the bandwidths of the
calibration curve and of the smooth ECE.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from attending.evaluate.bootstrap import Bootstrap, Replicated, SparseTable, n_in_smaller_class, widening
from attending.evaluate.discrimination import balanced_bins
from attending.metrics.calibration import (
    calibration_intercept,
    calibration_slope,
    intercept_of_sums,
    logit,
    slope_of_sums,
)
from attending.metrics.calibration_curve import N_GROUPS, Groups, curve_of_sums, cut, errors_of_curve
from attending.metrics.discrimination import areas, areas_of_bins
from attending.metrics.ratio import Array, Floats, ratio
from attending.metrics.smooth_ece import error_at, error_of_residuals, on_grid

N_BINS = 1000
MICRO = ("micro_auroc", "micro_auprc")
CURVE = ("ici", "e50", "e90", "emax")
NAMES = (*MICRO, "calibration_intercept", "calibration_slope", *CURVE, "smooth_ece")
OF_ALL_SUBJECTS = (
    "calibration_intercept",
)  # a mean; whatever contrasts the classes rests on the smaller one


@dataclass(frozen=True)
class Pairs:
    """Pairs of sample and outcome, by probability (m,): whether it happens (m,), and whose it is (m,)."""

    probability: Array
    labels: NDArray[np.bool_]
    owner: NDArray[np.intp]

    @classmethod
    def of(cls, probability: Array, labels: Array, owner: Array, mask: Array) -> "Pairs":
        """Take the pairs that `mask` (n, K) holds; `owner` (n,) is the subject of each sample."""
        chosen = probability[mask]
        order = np.argsort(chosen, kind="stable")  # once: whatever ranks later finds them sorted
        owners = np.repeat(owner, mask.sum(axis=1))
        return cls(chosen[order], labels[mask][order], owners[order])

    @property
    def has_both_classes(self) -> bool:
        """Whether something happens, and something does not."""
        return 0 < int(self.labels.sum()) < len(self.labels)


@dataclass(frozen=True)
class Bins:
    """Pairs in bins, and bins in groups: tables (n_bins, n_subjects), the first bin of each group, the groups."""

    positives: SparseTable
    negatives: SparseTable
    probability: Floats
    starts: NDArray[np.intp]
    groups: Groups
    logits: Floats

    @classmethod
    def of(cls, pairs: Pairs, bootstrap: Bootstrap, n_bins: int = N_BINS) -> "Bins":
        """Bin `pairs`."""
        p, y = pairs.probability, pairs.labels
        members = balanced_bins(p, y, n_bins)
        mass = np.bincount(members)
        group_of_bin = cut(np.arange(len(mass)), mass, N_GROUPS)
        groups = Groups.of(p, np.ones(len(p)), group_of_bin[members])
        return cls(
            bootstrap.table(members[y], pairs.owner[y], len(mass)),
            bootstrap.table(members[~y], pairs.owner[~y], len(mass)),
            ratio(np.bincount(members, p), mass),
            np.searchsorted(group_of_bin, np.arange(len(groups.weight))),
            groups,
            ratio(groups.sums(logit(p)), groups.weight),
        )

    @property
    def tables(self) -> list[SparseTable]:
        """How many positives and negatives of each subject stand in each bin."""
        return [self.positives, self.negatives]

    @property
    def as_they_are(self) -> list[Floats]:
        """Positives and negatives in each bin (n_bins, 1), with every subject once."""
        return [np.asarray(table.sum(axis=1), np.float64).reshape(-1, 1) for table in self.tables]

    def group_sums(self, positives: Array, negatives: Array) -> tuple[Floats, Floats]:
        """Return sums of weights per group (g, B), of positives and of all, from those per bin."""
        observed = np.add.reduceat(positives.astype(np.float64), self.starts, axis=0)
        return observed, observed + np.add.reduceat(negatives.astype(np.float64), self.starts, axis=0)

    def residuals(self, positives: Array, negatives: Array) -> Floats:
        """Return the sums of p − y on the grid of the smooth ECE (g, B)."""
        expected = self.probability[:, None] * (positives + negatives)
        return np.asarray(self._share @ (expected - positives), np.float64)

    @cached_property
    def _share(self) -> SparseTable:
        return sparse.csr_matrix(on_grid(self.probability, np.eye(len(self.probability))))

    def curve(self, positives: Array, negatives: Array) -> Floats:
        """Return the calibration curve (g, B)."""
        return curve_of_sums(self.groups, *self.group_sums(positives, negatives))


def pooled(pairs: Pairs, bootstrap: Bootstrap) -> dict[str, Replicated]:
    """Return micro AUROC and AUPRC, calibration intercept and slope, ICI, E50, E90, Emax and smooth ECE."""
    if not pairs.has_both_classes:
        return {name: Replicated.undefined(bootstrap.n_replicates) for name in NAMES}
    bins = Bins.of(pairs, bootstrap)
    p, y = pairs.probability, pairs.labels
    residuals = on_grid(p, (p.astype(np.float64) - y)[:, None])
    smooth, bandwidth = error_of_residuals(residuals, len(p))

    def of_sums(positives: Array, negatives: Array) -> Floats:
        total = (positives + negatives).sum(axis=0, dtype=np.float64)
        ece = error_at(bins.residuals(positives, negatives), total, bandwidth)
        return np.concatenate(
            [areas_of_bins(positives, negatives), _calibration(bins, positives, negatives), ece[None]]
        )

    estimates = of_sums(*bins.as_they_are)[:, 0]
    estimates[:4] = *areas(p, y), calibration_intercept(p, y), calibration_slope(p, y)
    estimates[-1] = smooth
    values = bootstrap.reduce(bins.tables, of_sums)
    rests_on = n_in_smaller_class(y, pairs.owner)
    wider = {name: widening(bootstrap.n_subjects if name in OF_ALL_SUBJECTS else rests_on) for name in NAMES}
    return {
        name: Replicated.centred(float(estimates[at]), values[at], wider[name])
        for at, name in enumerate(NAMES)
    }


def _calibration(bins: Bins, positives: Array, negatives: Array) -> Floats:
    observed, totals = bins.group_sums(positives, negatives)
    recalibration = [fit(bins.logits, observed, totals) for fit in (intercept_of_sums, slope_of_sums)]
    errors = errors_of_curve(bins.groups, curve_of_sums(bins.groups, observed, totals), totals)
    return np.stack([*recalibration, *(errors[name] for name in CURVE)])
