"""A ratio that is NaN where it is undefined, and says so without a warning."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Return `numerator / denominator`, NaN where the denominator is 0."""
    above, below = np.broadcast_arrays(np.asarray(numerator, float), np.asarray(denominator, float))
    undefined = np.full(below.shape, np.nan)
    return np.asarray(np.divide(above, below, out=undefined, where=below != 0))


def weights_or_ones(weights: ArrayLike | None, n: int) -> Floats:
    """Return `weights` as float64, or ones where there are none."""
    return np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
