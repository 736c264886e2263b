"""A grid for recurrences in plain torch: packed items laid out step by step, with no cell for what is not there.

Histories stand side by side, the longest first. At each step only those that are long enough are alive, and they are
always the first ones: a recurrence keeps the first `sizes[step]` rows of its state and never meets padding.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import BackwardCFunction, FunctionCtx, once_differentiable


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


def grid(offsets: Int64[Tensor, " bounds"], *, backwards: bool = False) -> Grid:
    """Lay the segments of `offsets` side by side; with `backwards`, each from its last item to its first."""
    lengths = offsets.diff()
    order = torch.argsort(lengths, descending=True, stable=True)
    steps = torch.arange(int(lengths.max()) if len(lengths) else 0, device=offsets.device)[:, None]
    alive = steps < lengths[order]
    place = (offsets[1:][order] - 1 - steps) if backwards else (offsets[:-1][order] + steps)
    source = place[alive]
    cell = torch.empty_like(source).scatter_(0, source, torch.arange(len(source), device=source.device))
    return Grid(source, cell, alive.sum(1).tolist())


def to_cells(items: Float[Tensor, "item width"], grid: Grid) -> Float[Tensor, "cell width"]:
    """Return what stands in each cell."""
    moved: Tensor = _Move.apply(items, grid.source, grid.cell)  # type: ignore[no-untyped-call]
    return moved


def to_items(cells: Float[Tensor, "cell width"], grid: Grid) -> Float[Tensor, "item width"]:
    """Return what each item's cell holds."""
    moved: Tensor = _Move.apply(cells, grid.cell, grid.source)  # type: ignore[no-untyped-call]
    return moved


class _Move(torch.autograd.Function):
    """Rows in another order; nothing is added up on the way back, as torch must where a row could be taken twice."""

    @staticmethod
    def forward(context: FunctionCtx, rows: Tensor, there: Tensor, back: Tensor) -> Tensor:
        context.save_for_backward(back)
        return rows.index_select(0, there)

    @staticmethod
    @once_differentiable
    def backward(context: BackwardCFunction, grad: Tensor) -> tuple[Tensor, None, None]:
        (back,) = context.saved_tensors
        return grad.index_select(0, back), None, None


def before(sizes: list[int], device: torch.device) -> Int64[Tensor, " cell"]:
    """Return the row of the state before each cell, in a buffer where one row a history stands before all cells."""
    earlier_sizes = torch.tensor([sizes[0], *sizes[:-1]])
    step = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return (torch.arange(len(step)) + sizes[0] - earlier_sizes[step]).to(device)


def blocks(sizes: list[int], most: int) -> list[tuple[list[int], slice]]:
    """Cut the steps into blocks of at most `most` cells, or of one step: the sizes of each, and its cells."""
    found: list[tuple[list[int], slice]] = []
    held: list[int] = []
    start = end = 0
    for size in sizes:
        if held and end - start + size > most:
            found.append((held, slice(start, end)))
            held, start = [], end
        held.append(size)
        end += size
    return [*found, (held, slice(start, end))] if held else found


def each_step(sizes: list[int], *columns: Tensor) -> list[tuple[Tensor, ...]]:
    """Return, for each step, its cells of every column, as views to read and write."""
    return list(zip(*(torch.split(column, sizes) for column in columns), strict=True))
