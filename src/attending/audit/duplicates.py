"""No history stands in two splits under two names: copies, and near copies, are found by what they hold and when.

A history is the set of its (hours since the first event, token); moved in time as a whole it stays the same. Exact
copies have the same hash. Near ones are found by MinHash (Broder 1997) in bands, and their true overlap (Jaccard) is
then counted. Histories of few distinct events on one day may be alike by chance: they are left out.
"""

import numpy as np
from numpy.typing import NDArray

from attending.audit.blocks import blocks
from attending.audit.evidence import Evidence
from attending.audit.finding import Finding, failed, not_applicable, number, passed
from attending.audit.scan import mix
from attending.tokens.store import NO_SPLIT, TokenStore

N_BANDS, N_ROWS = 12, 3
SECONDS_AN_HOUR = 3600
FEWEST_HOURS = 3  # different hours with an event
MOST_IN_BUCKET = 50
_SECOND_BITS = np.uint64(24)

Hashes = NDArray[np.uint64]


def check(evidence: Evidence) -> Finding:
    """Fail if two subjects of different splits have the same, or nearly the same, history."""
    subjects, hashes = _hashed(evidence)
    if not len(subjects):
        return not_applicable(f"no history holds {evidence.config.min_history} distinct events")
    split = evidence.store.split[subjects]
    pairs = {pair for band in range(N_BANDS) for pair in _alike(hashes[:, band], split)}
    copies: set[int] = set()
    for pair in sorted(pairs):
        one, other = (_items(evidence.store, int(subjects[at]), int(subjects[at]) + 1)[0] for at in pair)
        if not copies.issuperset(pair) and _overlap(one, other) >= evidence.config.near:
            copies.update(pair)
    if copies:
        return failed(
            f"{number(len(copies), 'subject')} with a near-identical history in another split",
            "find out who they are: give one person one subject_id, and leave copies out before the split",
        )
    return passed(
        f"{len(subjects):,} histories of at least {evidence.config.min_history} distinct events: none overlaps by "
        f"{evidence.config.near:.0%} with one of another split"
    )


def _hashed(evidence: Evidence) -> tuple[NDArray[np.int64], Hashes]:
    """Return the subjects whose history is long enough, and a hash of each of its bands, `(subject, band)`."""
    store, found, hashes = evidence.store, [], []
    for first, last in blocks(store.offset):
        items, owner = _items(store, first, last)
        distinct = np.bincount(owner, minlength=last - first)
        hours = _different(owner, items >> _SECOND_BITS, last - first)
        long = (distinct >= evidence.config.min_history) & (hours >= FEWEST_HOURS)
        long &= store.split[first:last] != NO_SPLIT
        items, owner = items[long[owner]], owner[long[owner]]
        rows, start = np.unique(owner, return_index=True)
        found.append(rows + first)
        if len(rows):
            hashes.append(np.column_stack([_banded(items, start, band) for band in range(N_BANDS)]))
    nothing = np.zeros((0, N_BANDS), dtype=np.uint64)
    return np.concatenate([np.zeros(0, np.int64), *found]), np.concatenate([nothing, *hashes])


def _items(store: TokenStore, first: int, last: int) -> tuple[Hashes, NDArray[np.int64]]:
    """Return the distinct (hour, token) of some histories, ascending, and whose they are; without static facts."""
    begin, end = store.offset[first], store.offset[last]
    owner = np.repeat(np.arange(last - first), np.diff(store.offset[first : last + 1]))
    dated = store.visit[begin:end] > 0
    owner, second, token = owner[dated], store.second[begin:end][dated], store.token[begin:end][dated]
    present, at = np.unique(owner, return_index=True)
    begins = np.zeros(last - first, dtype=np.int64)
    begins[present] = second[at]
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
