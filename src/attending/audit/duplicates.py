"""No history stands in two splits under two names: copies, and near copies, are found by what they hold and when.

A history is the set of its (hours since the first event, token); moved in time as a whole it stays the same. Exact
copies have the same hash. Near ones are found by MinHash (Broder 1997) in bands, and their true overlap (Jaccard) is
then counted. Histories of few distinct events on one day may be alike by chance: they are left out.
"""

import numpy as np
from numpy.typing import NDArray

from attending.audit.evidence import Evidence
from attending.audit.finding import Finding, failed, not_applicable, number, passed
from attending.audit.scan import mix
from attending.tokens.store import NO_SPLIT

N_BANDS, N_ROWS = 12, 3
SECONDS_AN_HOUR = 3600
FEWEST_HOURS = 3  # different hours with an event
MOST_IN_BUCKET = 50
_SECOND_BITS = np.uint64(24)

Hashes = NDArray[np.uint64]


def check(evidence: Evidence) -> Finding:
    """Fail if two subjects of different splits have the same, or nearly the same, history."""
    items, owner = _items(evidence)
    split = evidence.store.split
    distinct = np.bincount(owner, minlength=len(split))
    hours = _different(owner, items >> _SECOND_BITS, len(split))
    long = (distinct >= evidence.config.min_history) & (hours >= FEWEST_HOURS) & (split != NO_SPLIT)
    if not long.any():
        return not_applicable(f"no history holds {evidence.config.min_history} distinct events")
    keep = long[owner]
    items, owner = items[keep], owner[keep]
    subjects, start = np.unique(owner, return_index=True)
    ends = np.append(start[1:], len(items))
    pairs = {pair for band in range(N_BANDS) for pair in _alike(_banded(items, start, band), split[subjects])}
    n_copies = len(
        {
            one
            for pair in pairs
            if _overlap(*(items[start[at] : ends[at]] for at in pair)) >= evidence.config.near
            for one in pair
        }
    )
    if n_copies:
        return failed(
            f"{number(n_copies, 'subject')} with a near-identical history in another split",
            "find out who they are: give one person one subject_id, and leave copies out before the split",
        )
    return passed(
        f"{number(len(subjects), 'history').replace('historys', 'histories')} of at least "
        f"{evidence.config.min_history} distinct events: none overlaps by {evidence.config.near:.0%} with one of "
        "another split"
    )


def _items(evidence: Evidence) -> tuple[Hashes, NDArray[np.int64]]:
    """Return the distinct (hour, token) of each history as numbers, ascending, and whose they are; not static facts."""
    store = evidence.store
    owner = np.repeat(np.arange(len(store.subject)), np.diff(store.offset))
    dated = store.visit > 0
    owner, second, token = owner[dated], store.second[dated], store.token[dated]
    _, first = np.unique(owner, return_index=True)
    begins = np.zeros(len(store.subject), dtype=np.int64)
    begins[owner[first]] = second[first]
    hour = np.maximum(second - begins[owner], 0) // SECONDS_AN_HOUR
    item = (hour.astype(np.uint64) << _SECOND_BITS) | token.astype(np.uint64)
    order = np.lexsort((item, owner))
    owner, item = owner[order], item[order]
    new = np.ones(len(item), dtype=bool)
    new[1:] = (owner[1:] != owner[:-1]) | (item[1:] != item[:-1])
    return item[new], owner[new]


def _different(owner: NDArray[np.int64], value: Hashes, n: int) -> NDArray[np.int64]:
    """Count the different values of each owner; both ascend."""
    new = np.ones(len(owner), dtype=bool)
    new[1:] = (owner[1:] != owner[:-1]) | (value[1:] != value[:-1])
    return np.bincount(owner[new], minlength=n)


def _banded(items: Hashes, start: NDArray[np.int64], band: int) -> Hashes:
    """Return a hash of the smallest hashes of each history, of the rows of one band."""
    total = np.zeros(len(start), dtype=np.uint64)
    for row in range(N_ROWS):
        salt = mix(np.array([band * N_ROWS + row + 1], dtype=np.uint64))
        total = mix(total ^ np.minimum.reduceat(mix(items ^ salt), start))
    return total


def _alike(hashes: Hashes, split: NDArray[np.int8]) -> list[tuple[int, int]]:
    """Return the pairs of histories of the same hash in different splits; of a crowd, its neighbours only."""
    order = np.argsort(hashes, kind="stable")
    same = hashes[order][1:] == hashes[order][:-1]
    bounds = np.flatnonzero(np.concatenate([[True], ~same, [True]]))
    found = []
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if last - first < 2:
            continue
        crowd = order[first:last].tolist()
        for at, one in enumerate(crowd):
            found += [
                (one, other)
                for other in crowd[at + 1 : at + 1 + MOST_IN_BUCKET]
                if split[one] != split[other]
            ]
    return found


def _overlap(one: Hashes, other: Hashes) -> float:
    """Return the Jaccard overlap of two sets."""
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / (len(one) + len(other) - both)
