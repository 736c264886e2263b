"""Which groups to hide so that no count of 1 to 10 can be worked out, from totals either.

Groups that divide a total which is known elsewhere (in `metrics.json`, in another column) are looked at together. A
group with a small cell is hidden. What the others leave of the total is then the sum of the hidden ones, so more groups
are hidden, the smallest first, until for every kind of cell that is small somewhere at least two groups are hidden
and their sum leaves each of them at least eleven values that it may have.
"""

import numpy as np
from numpy.typing import NDArray

from attending.evaluate.samples import SMALLEST_CELL, small
from attending.metrics.ratio import Array


def hide(cells: Array, *, also: Array | None = None) -> NDArray[np.bool_]:
    """Return (g,), which groups to hide, from `cells` (g, t), counts of t kinds; `also` (g,) are hidden anyway."""
    few = small(cells)
    hidden = np.asarray(few.any(axis=1) | (False if also is None else also))
    order = np.lexsort((np.arange(len(cells)), cells.sum(axis=1)))
    for group in order:
        if _is_protected(cells, few, hidden):
            break
        hidden[group] = True
    return hidden


def _is_protected(cells: Array, few: Array, hidden: Array) -> bool:
    kinds = few[hidden].any(axis=0)
    if not kinds.any():
        return True
    sums = cells[hidden].sum(axis=0)
    return bool(hidden.sum() > 1 and (sums[kinds] >= hidden.sum() + SMALLEST_CELL - 1).all())
