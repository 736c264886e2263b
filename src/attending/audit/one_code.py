"""No single feature tells the outcome: AUROC above 0.95 from one code alone is an answer, not a predictor.

A feature is whether a token stands in the history, or in its last visit; and how much is on record.

For a feature that is there or not, AUROC = (1 + TPR − FPR) / 2: so all tokens and outcomes are done by two products of
sparse matrices. How long a history is, how many visits it has, and how long ago the last one began are ranked.
Asked are training and tuning samples, one a subject, without recurrences: that a disease which is on record is coded
again is no leak.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, hstack
from scipy.stats import rankdata

from attending.audit.evidence import Evidence
from attending.audit.finding import FEWEST, Finding, failed, not_applicable, passed
from attending.schema import (
    DESCRIPTION,
    HELD_OUT,
    HISTORY_CODES,
    OUTCOME,
    SPLITS,
    VALUE,
)
from attending.tokens.store import ranges

Floats = NDArray[np.float64]
RANKED = ("the number of events", "the number of visits", "the days since the last event")
ADVICE = (
    "look at where this feature comes from: if it is made with, or after, the outcome, give it the time at which it "
    "became known, or leave it out (tokens.leave_out)"
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which samples: their positions, and what of their outcomes happens and counts, `(sample, outcome)`."""

    positions: NDArray[np.int64]
    happens: NDArray[np.bool_]
    counts: NDArray[np.bool_]


def check(evidence: Evidence) -> Finding:
    """Fail if one token, or how much is on record, tells any outcome."""
    asked = _asked(evidence)
    positive, negative = (
        (asked.happens & asked.counts).sum(axis=0),
        (~asked.happens & asked.counts).sum(axis=0),
    )
    least = evidence.config.min_positives
    enough = np.flatnonzero((positive >= least) & (negative >= least))
    if not len(enough):
        return not_applicable(f"no outcome happens, and does not happen, {least} times")
    asked = Asked(positions=asked.positions, happens=asked.happens[:, enough], counts=asked.counts[:, enough])
    present = hstack([_present(evidence, asked.positions, last) for last in (False, True)], format="csr")
    of_ranks = _of_ranks(_ranked(evidence, asked.positions), asked)
    found = np.concatenate([_of_presence(present, asked), of_ranks], axis=1)
    told = np.maximum(found, 1 - found)
    outcome, feature = np.unravel_index(int(np.argmax(told)), told.shape)
    named = _feature(evidence, int(feature), present)
    title = evidence.outcomes[DESCRIPTION][int(enough[outcome])]
    auroc = f"{told[outcome, feature]:.3f}"
    if told[outcome, feature] > evidence.config.oracle_auroc:
        return failed(f"{named} alone tells '{title}' with an AUROC of {auroc}", ADVICE)
    n_pairs = f"{told.shape[1]:,} features, {told.shape[0]:,} outcome{'s' * (told.shape[0] > 1)}"
    return passed(
        f"{n_pairs}, {len(asked.positions):,} subjects: the best single feature has an AUROC of {auroc}"
    )


def _asked(evidence: Evidence) -> Asked:
    """Return one training or tuning sample a subject; of a number, whether it is above the median."""
    prefixes = evidence.prefixes
    usable = np.flatnonzero((prefixes.split >= 0) & (prefixes.split != SPLITS.index(HELD_OUT)))
    order = np.random.default_rng(evidence.seed).permutation(usable)
    one_each = order[np.sort(np.unique(prefixes.row[order], return_index=True)[1])][
        : evidence.config.n_samples
    ]
    positions = np.sort(one_each)
    if evidence.target == "value":
        value = evidence.samples[VALUE].to_numpy()[positions]
        happens = (value > np.median(value))[:, None]
        return Asked(positions=positions, happens=happens, counts=np.ones_like(happens))
    n = prefixes.n_outcomes
    happens = _dense(prefixes.positive_offset, prefixes.positive, positions, n)
    unknown = _dense(prefixes.unknown_offset, prefixes.unknown, positions, n)
    index = {outcome: at for at, outcome in enumerate(evidence.outcomes[OUTCOME].to_list())}
    history = np.zeros_like(happens)
    listed = evidence.samples[HISTORY_CODES].gather(positions).to_list()
    for at, codes in enumerate(listed):
        history[at, [index[code] for code in codes if code in index]] = True
    return Asked(positions=positions, happens=happens, counts=~unknown & ~history)


def _dense(
    offset: NDArray[np.int64], listed: NDArray[np.int64], positions: NDArray[np.int64], width: int
) -> NDArray[np.bool_]:
    counts = offset[positions + 1] - offset[positions]
    found = np.zeros((len(positions), width), dtype=bool)
    found[np.repeat(np.arange(len(positions)), counts), listed[ranges(offset[positions], counts)]] = True
    return found


def _present(evidence: Evidence, positions: NDArray[np.int64], last: bool) -> csr_array:
    """Return which tokens each sample's history, or the last visit of it, holds: 0 or 1, `(sample, token)`."""
    start, cut = evidence.prefixes.start[positions], evidence.prefixes.cut[positions]
    where, owner = ranges(start, cut - start), np.repeat(np.arange(len(positions)), cut - start)
    if last:
        visit = evidence.store.visit
        kept = visit[where] == visit[np.maximum(cut - 1, start)[owner]]
        where, owner = where[kept], owner[kept]
    token = evidence.store.token[where].astype(np.int64)
    present = csr_array(
        coo_array((np.ones(len(token)), (owner, token)), shape=(len(positions), len(evidence.vocabulary)))
    )
    present.data[:] = 1.0
    return present


def _of_presence(present: csr_array, asked: Asked) -> Floats:
    """Return the AUROC of every token for every outcome, `(outcome, token)`."""
    yes, no = asked.happens & asked.counts, ~asked.happens & asked.counts
    rates = [
        (present.T @ one.astype(np.float64)) / one.sum(axis=0) for one in (yes, no)
    ]  # each (token, outcome)
    auroc: Floats = (1 + rates[0] - rates[1]).T / 2
    return auroc


def _ranked(evidence: Evidence, positions: NDArray[np.int64]) -> Floats:
    """Return how much is on record of each sample, `(sample, feature)`: see `RANKED`."""
    prefixes, store = evidence.prefixes, evidence.store
    start, cut = prefixes.start[positions], prefixes.cut[positions]
    last = np.maximum(cut - 1, start).clip(0, len(store.token) - 1)
    ago = prefixes.moment[positions] - store.second[last]
    return np.column_stack([cut - start, store.visit[last], ago // 86_400]).astype(np.float64)


def _of_ranks(features: Floats, asked: Asked) -> Floats:
    """Return the AUROC of every ranked feature for every outcome, `(outcome, feature)`."""
    auroc = np.full((asked.happens.shape[1], features.shape[1]), 0.5)
    for outcome in range(len(auroc)):
        counts = asked.counts[:, outcome]
        happens = asked.happens[counts, outcome]
        n = int(happens.sum())
        ranks = rankdata(features[counts], axis=0)
        pairs = n * (len(happens) - n)
        auroc[outcome] = (ranks[happens].sum(axis=0) - n * (n + 1) / 2) / pairs
    return auroc


def _feature(evidence: Evidence, at: int, present: csr_array) -> str:
    """Return a feature in words; a code that a handful of people have is not named."""
    n_tokens = len(evidence.vocabulary)
    if at >= 2 * n_tokens:
        return RANKED[at - 2 * n_tokens]
    if int(present.sum(axis=0)[at]) < FEWEST:
        return "a rare code"
    place = "the last visit" if at >= n_tokens else "the history"
    return f"'{evidence.vocabulary.table[DESCRIPTION][at % n_tokens]}' in {place}"
