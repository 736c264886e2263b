"""Walk through a token store some subjects at a time, so that no array of all its events is made in memory."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

MOST_EVENTS = 4_000_000


def blocks(offset: NDArray[np.int64], most: int = MOST_EVENTS) -> Iterator[tuple[int, int]]:
    """Yield the first subject of each block, and the one after its last: at least one, of at most `most` events."""
    first, n_subjects = 0, len(offset) - 1
    while first < n_subjects:
        last = int(np.searchsorted(offset, offset[first] + most, side="right")) - 1
        last = min(max(last, first + 1), n_subjects)
        yield first, last
        first = last


def n_backwards(values: NDArray[np.integer], offset: NDArray[np.int64], most: int = MOST_EVENTS) -> int:
    """Count the subjects whose values decrease somewhere."""
    found = 0
    for first, last in blocks(offset, most):
        own = values[offset[first] : offset[last]]
        owner = np.repeat(np.arange(last - first), np.diff(offset[first : last + 1]))
        down = (own[1:] < own[:-1]) & (owner[1:] == owner[:-1])
        found += len(np.unique(owner[1:][down]))
    return found
