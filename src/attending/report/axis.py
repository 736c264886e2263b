"""A linear axis: round ticks over a range of values, and where on the drawing a value lies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Values from `low` to `high` drawn from `left` over `width`, with labelled ticks."""

    low: float
    high: float
    left: float
    width: float
    ticks: list[tuple[float, str]]

    def place(self, value: float) -> float:
        """Return where a value lies on the drawing."""
        return round(self.left + self.width * (value - self.low) / (self.high - self.low), 2)


def axis(values: Sequence[float], *, left: float, width: float, n_ticks: int = 4) -> Axis:
    """Return an axis that holds all values, its ends on round numbers."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    step = _round_step((high - low) or abs(high) or 1.0, n_ticks)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    if low == high:
        high = low + step
    empty = Axis(low=low, high=high, left=left, width=width, ticks=[])
    decimals = next(n for n in range(12) if abs(round(step, n) - step) < 1e-9 * step)
    marks = [low + step * at for at in range(round((high - low) / step) + 1)]
    ticks = [(empty.place(mark), f"{mark + 0.0:.{decimals}f}".replace("-", "−")) for mark in marks]
    return Axis(low=low, high=high, left=left, width=width, ticks=ticks)


def _round_step(span: float, n_ticks: int) -> float:
    rough = span / n_ticks
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step for step in (factor * power for factor in STEPS) if step >= rough * (1 - 1e-9))
