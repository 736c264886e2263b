"""Hide small cells: a count of 1 to 10 people is never shown and cannot be worked out.

Groups that make up a shown total are treated together. A small cell is shown as "<11". Where the total would
give it away, the smallest large cells beside it are hidden too, shown as "≥11". Where even that leaves only
one number that fits, the whole group is shown as "–".
"""

from collections.abc import Sequence

FLOOR = 11
SMALL = f"<{FLOOR}"
LARGE = f"≥{FLOOR}"
HIDDEN = "–"


def is_small(count: int) -> bool:
    """Say whether a count of people is too small to be shown; zero is not."""
    return 0 < count < FLOOR


def masks(counts: Sequence[int]) -> list[str | None]:
    """Return what stands in place of each count of a partition whose total is shown; None is the count itself."""
    small = {position for position, count in enumerate(counts) if is_small(count)}
    larger = sorted((count, position) for position, count in enumerate(counts) if count >= FLOOR)
    large: set[int] = set()
    while small and not _is_protected(counts, small, large):
        if not larger:
            return [HIDDEN] * len(counts)
        large.add(larger.pop(0)[1])
    return [SMALL if at in small else LARGE if at in large else None for at in range(len(counts))]


def mask_part(count: int, total: int) -> str | None:
    """Return what stands in place of a part of a shown total, such as those with an outcome; None is the count."""
    if is_small(total):
        return HIDDEN
    return masks([count, total - count])[0]


def _is_protected(counts: Sequence[int], small: set[int], large: set[int]) -> bool:
    """Say whether at least two values fit each small cell, given the sum of the hidden ones."""
    hidden_sum = sum(counts[position] for position in small | large)
    least = len(small) + FLOOR * len(large)
    most = (FLOOR - 1) * len(small)
    highest = min(FLOOR - 1, hidden_sum - (least - 1))
    lowest = 1 if large else max(1, hidden_sum - (most - (FLOOR - 1)))
    return highest > lowest
