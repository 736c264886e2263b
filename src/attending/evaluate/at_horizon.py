"""Predicted risks against what happened by a horizon, with bootstrap replicates, when some left before it.

The chance still to be followed, G, is estimated once from all held-out samples and kept in every replicate, which makes
intervals a little too wide rather than too short. All metrics are then ratios of weighted sums. The concordance is one
of sums over pairs: its replicates are those of its first order, sums of what each subject adds to it. Incidence is
estimated anew in each replicate, its times in at most `N_BINS` bins; all replicates are centred on the exact estimate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from attending.evaluate.bootstrap import Bootstrap, Replicated, n_in_smaller_class, subject_sums, widening
from attending.evaluate.discrimination import N_BINS, balanced_bins
from attending.evaluate.scores import Metrics
from attending.metrics.calibration import scale_brier
from attending.metrics.concordance import pair_sums
from attending.metrics.discrimination import areas, areas_of_bins, lossless_bins
from attending.metrics.ratio import Array, Floats, ratio
from attending.metrics.survival import Answers, Counts, Steps, aalen_johansen, answers, leaving

AUROC, BRIER, SCALED, RATIO, CONCORDANCE = NAMES = (
    "ipcw_auroc",
    "ipcw_brier",
    "scaled_ipcw_brier",
    "expected_over_incidence",
    "concordance",
)


@dataclass(frozen=True)
class Followed:
    """Samples: their time to event (n,), what it was (n,), 1, 2 competing or 0 left, and their subject from 0 (n,)."""

    time: Floats
    event: Array
    owner: NDArray[np.intp]

    @cached_property
    def staying(self) -> Steps:
        """G: the chance still to be followed."""
        return leaving(self.time, self.event)

    def answers(self, horizon: float) -> Answers:
        """Return what is known at the horizon, with its weights."""
        return answers(self.time, self.event, horizon, self.staying)

    def of(self, rows: Array) -> "Followed":
        """Return some of the samples."""
        return Followed(self.time[rows], self.event[rows], self.owner[rows])


def metrics_at(followed: Followed, risk: Floats, horizon: float, bootstrap: Bootstrap) -> Metrics:
    """Return each metric of predicted risks (n,) at a horizon; undefined where follow-up does not reach it."""
    known = followed.answers(horizon)
    if not known.defined:
        return dict.fromkeys(NAMES, Replicated.undefined(bootstrap.n_replicates))
    rows = np.flatnonzero(known.weight > 0)
    happened, owner = known.happened[rows], followed.owner[rows]
    wider = widening(n_in_smaller_class(happened, owner))
    found = {AUROC: _auroc(risk[rows], happened, known.weight[rows], owner, bootstrap, wider)}
    terms = [
        known.weight,
        known.weight * known.happened,
        known.weight * (risk - known.happened) ** 2,
        np.ones(len(risk)),
        risk,
    ]
    for name, of_sums in _OF_SUMS.items():
        found[name] = _of_terms(np.stack(terms), of_sums, followed.owner, bootstrap, wider)
    pairs = pair_sums(followed.time, followed.event, risk, horizon=horizon, staying=followed.staying)
    found[CONCORDANCE] = _concordance(*pairs, followed.owner, bootstrap, wider)
    return {name: found[name] for name in NAMES}


def incidence_at(
    followed: Followed, times: Floats, bootstrap: Bootstrap, *, competing: bool = False
) -> list[Replicated]:
    """Return the cumulative incidence at ascending times, each with its replicates."""
    edges = np.unique(np.concatenate([times, np.quantile(followed.time, np.linspace(0, 1, N_BINS + 1))]))
    place, n_bins = np.searchsorted(edges, followed.time), len(edges) + 1
    kind = np.where(followed.event == 0, 2, followed.event.astype(np.intp) - 1)
    table = bootstrap.table(kind * n_bins + place, followed.owner, 3 * n_bins)
    at = np.searchsorted(edges, times)

    def of_sums(sums: Array) -> Floats:
        counts = Counts(*(part.astype(np.float64) for part in np.split(sums, 3)))
        return counts.incidence(competing)[at]

    values = bootstrap.reduce([table], of_sums)
    exact = aalen_johansen(followed.time, followed.event, competing=competing).at(times)
    wider = widening(len(np.unique(followed.owner)))
    return [Replicated.centred(float(one), of, wider) for one, of in zip(exact, values, strict=True)]


_OF_SUMS: dict[str, Callable[..., Floats]] = {
    BRIER: lambda weight, happened, error, n, risk: ratio(error, weight),
    SCALED: lambda weight, happened, error, n, risk: scale_brier(
        ratio(error, weight), ratio(happened, weight)
    ),
    RATIO: lambda weight, happened, error, n, risk: ratio(ratio(risk, n), ratio(happened, weight)),
}


def _of_terms(
    terms: Floats, of_sums: Callable[..., Floats], owner: Array, bootstrap: Bootstrap, wider: float
) -> Replicated:
    sums = np.stack([subject_sums(term, owner, bootstrap.n_subjects) for term in terms])
    estimate = of_sums(*sums.sum(axis=1)[:, None])[0]
    return Replicated.centred(float(estimate), of_sums(*bootstrap.totals(sums)), wider)


def _concordance(
    right: Floats, pairs: Floats, owner: Array, bootstrap: Bootstrap, wider: float
) -> Replicated:
    sums = np.stack([subject_sums(half, owner, bootstrap.n_subjects) for half in (right, pairs)])
    whole = sums.sum(axis=1)
    above, below = 2 * bootstrap.totals(sums) - whole[:, None]
    values = ratio(above, np.where(below > 0, below, 0))
    return Replicated.centred(float(ratio(whole[0], whole[1])), values, wider)


def _auroc(
    risk: Floats, happened: Array, weight: Floats, owner: Array, bootstrap: Bootstrap, wider: float
) -> Replicated:
    bins = lossless_bins(risk, happened)
    if bins.max(initial=0) >= N_BINS:
        bins = balanced_bins(risk, happened, N_BINS)
    shape = (int(bins.max(initial=0)) + 1, bootstrap.n_subjects)
    tables = [
        sparse.csr_matrix((weight[of_class], (bins[of_class], owner[of_class])), shape)
        for of_class in (happened, ~happened)
    ]
    values = bootstrap.reduce(tables, areas_of_bins)[0]
    return Replicated.centred(areas(risk, happened, weight)[0], values, wider)
