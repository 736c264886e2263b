"""Sets of outcomes that miss, per subject, no more than was agreed on: conformal risk control.

A sample's set at cut λ holds the outcomes of probability p ≥ λ. A subject s has samples i in which at least one outcome
happens, m_s of them; Y_i are the outcomes that happen in i:

    L_s(λ) = 1/m_s Σ_i |{k in Y_i : p_ik < λ}| / |Y_i|        the share that is missed; between 0 and 1

It falls as λ falls. From n subjects of a calibration split the cut is

    λ̂ = the highest λ with  (Σ_s L_s(λ) + 1) / (n + 1) ≤ α,    and 0 (the set of all outcomes) where there is none.

If a new subject is exchangeable with those n, E L_new(λ̂) ≤ α, whatever the model and however alike a subject's samples
are (Angelopoulos, Bates, Fisch, Lei and Schuster 2024, "Conformal risk control"). The expectation is over the draw of
calibration subjects and of the new one: it is a promise on average, not for each subject or each calibration.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attending.metrics.ratio import Array, Floats, ratio


@dataclass(frozen=True)
class Misses:
    """What each outcome that happens would add to its subject's loss if it were missed.

    probability  (e,) of each event, ascending
    weight       (e,) 1 / (|Y_i| · m_s): the weights of one subject add up to 1
    owner        (e,) whose it is
    """

    probability: Array
    weight: Floats
    owner: NDArray[np.intp]

    @classmethod
    def of(cls, probability: Array, happened: Array, owner: Array) -> "Misses":
        """Take the events of `happened` (n, K), of samples whose subjects are `owner` (n,)."""
        n_events = happened.sum(axis=1)
        n_samples = np.bincount(owner[n_events > 0], minlength=int(owner.max(initial=-1)) + 1)
        sample, outcome = np.nonzero(happened)
        chosen = probability[sample, outcome]
        weight = ratio(1, n_events[sample] * n_samples[owner[sample]])
        order = np.argsort(chosen, kind="stable")
        return cls(chosen[order], weight[order], owner[sample][order])

    @property
    def subjects(self) -> NDArray[np.intp]:
        """The subjects who have an event."""
        return np.unique(self.owner)

    def losses(self, cut: float, n_subjects: int) -> Floats:
        """Return L_s(`cut`) (n_subjects,); 0 for a subject without an event."""
        missed = self.probability < cut
        return np.bincount(self.owner[missed], self.weight[missed], minlength=n_subjects).astype(np.float64)


def choose_cut(misses: Misses, alpha: float) -> float:
    """Return the highest cut that keeps the expected loss at `alpha` or below; 0 where there are too few subjects."""
    n = len(misses.subjects)
    if not n:
        return 0.0
    candidates, first = np.unique(misses.probability, return_index=True)
    missed = np.concatenate([[0.0], np.cumsum(misses.weight)])[first]  # of those below each candidate
    held = np.flatnonzero((missed + 1) / (n + 1) <= alpha + 1e-12)
    return float(candidates[held[-1]]) if len(held) else 0.0
