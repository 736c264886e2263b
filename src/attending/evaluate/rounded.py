"""Numbers for JSON files that are to stay small."""

import math


def rounded(value: float, places: int = 4) -> float | None:
    """Return `value` with so many decimal places; None where it is not finite."""
    return round(float(value), places) + 0.0 if math.isfinite(value) else None
