"""A grid for recurrences in plain torch: packed items laid out step by step, with no cell for what is not there.

Histories stand side by side, the longest first. At each step only those that are long enough are alive, and they are
always the first ones: a recurrence keeps the first `sizes[step]` rows of its state and never meets padding.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """Where packed items stand in the grid; its cells are ordered by step, then by length of history.

    source   the item in each cell
    cell     the cell of each item
    sizes    how many histories are alive at each step; never grows
    """

    source: Int64[Tensor, " cell"]
    cell: Int64[Tensor, " item"]
    sizes: list[int]


def grid(offsets: Int64[Tensor, " bounds"]) -> Grid:
    """Lay the segments of `offsets` side by side."""
    lengths = offsets.diff()
    order = torch.argsort(lengths, descending=True, stable=True)
    steps = torch.arange(int(lengths.max()) if len(lengths) else 0, device=offsets.device)[:, None]
    alive = steps < lengths[order]
    source = (offsets[:-1][order] + steps)[alive]
    cell = torch.empty_like(source).scatter_(0, source, torch.arange(len(source), device=source.device))
    return Grid(source, cell, alive.sum(1).tolist())


def steps(items: Float[Tensor, " item *rest"], grid: Grid) -> Iterator[Float[Tensor, " alive *rest"]]:
    """Yield the items of each step, the longest history first."""
    return iter(torch.split(items[grid.source], grid.sizes))


def earlier(
    items: Float[Tensor, " item *rest"], offsets: Int64[Tensor, " bounds"], lag: int
) -> Float[Tensor, " item *rest"]:
    """Return what stands `lag` places before each item in its own segment; 0 where nothing does."""
    place = torch.arange(len(items), device=items.device) - lag
    first = offsets[:-1].repeat_interleave(offsets.diff())
    present = (place >= first).view(-1, *[1] * (items.dim() - 1))
    return torch.where(present, items[place.clamp(min=0)], torch.zeros_like(items[:1]))
