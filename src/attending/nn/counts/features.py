"""What the count baselines see: counts, recency, values and demographics of a history, sparse from the start.

For each history, from the tokens that it holds (those of weight 0 are as if they were not there):

    count      log(1 + Σ w) of each token in each window and in the last visit
    recency    exp(-days since the latest / τ) of each token, for each τ
    last       the value at the code's latest instant         } for each code with numeric values, in standard
    lowest     the smallest value                             } deviations from the training median; absent where
    highest    the largest value                              } no value is known
    slope      Σ (t - t̄)(v - v̄) / (Σ (t - t̄)² + 0.01)  a year, from two instants on, within ± 5
    summary    age at the prediction as a line that bends at some ages, visits in each window, time since the last event

Everything but `count` and `summary` is linear in the weights w, with coefficients that add up to 1 or to the slope, so
explanations that walk along weights see what removing an event would do. Ties are shared: the order of simultaneous
events changes nothing. `summary` does not depend on weights.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.sparse import csr_array
from torch import Tensor

from attending.batch import Batch, offsets_of
from attending.nn.time import DAYS_A_YEAR

SLOPE_RIDGE = 0.01  # years²: two values of one day make no steep slope
MOST_SLOPE = 5.0  # standard deviations a year; values themselves lie within ±5
AGE_BENDS = (1.0, 18.0, 35.0, 50.0, 65.0, 80.0)
N_VALUE_KINDS = 4  # last, lowest, highest, slope


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which columns there are: counts in `windows` (days), recency with `decays` (days), values of numeric codes.

    value_of_token   for a token that stands for a value, the first token of its code; else -1
    """

    windows: tuple[float, ...]
    decays: tuple[float, ...]
    value_of_token: Int64[Tensor, " vocabulary"]

    @property
    def n_tokens(self) -> int:
        """How many tokens the vocabulary holds."""
        return len(self.value_of_token)

    @property
    def values_start(self) -> int:
        """The first column of values."""
        return self.n_tokens * (len(self.windows) + 1 + len(self.decays))

    @property
    def summary_start(self) -> int:
        """The first column of the summary."""
        return self.values_start + self.n_tokens * N_VALUE_KINDS

    @property
    def n_columns(self) -> int:
        """How many columns there are; most stay empty, and models keep those that training histories fill."""
        return self.summary_start + len(self.windows) + len(AGE_BENDS) + 2


def value_of_token(code_of_token: Int64[Tensor, " vocabulary"]) -> Int64[Tensor, " vocabulary"]:
    """Return the first token of its code for each other token of that code: the value bins; -1 for the first."""
    token = torch.arange(len(code_of_token))
    first = torch.full_like(token, len(token)).scatter_reduce(0, code_of_token, token, "amin")[code_of_token]
    return torch.where(token != first, first, -1)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The features of some histories: row `i` holds `values[o[i]:o[i + 1]]` in `columns[…]`, ascending; else 0."""

    offsets: Int64[Tensor, " row_bounds"]
    columns: Int64[Tensor, " entry"]
    values: Float[Tensor, " entry"]


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Items of a batch in the order of (history, column, time), and the cells of one history and column they form."""

    order: Int64[Tensor, " item"]
    cell: Int64[Tensor, " item"]
    row: Int64[Tensor, " cell"]
    column: Int64[Tensor, " cell"]
    last: Int64[Tensor, " cell"]

    def __len__(self) -> int:
        return len(self.row)

    def total(self, values: Float[Tensor, " item"]) -> Float[Tensor, " cell"]:
        """Add up each cell's items, which stand in the order of `order`."""
        return values.new_zeros(len(self)).scatter_add(0, self.cell, values)

    def most(self, values: Float[Tensor, " item"]) -> Float[Tensor, " cell"]:
        """Return the largest of each cell's items."""
        return values.new_full((len(self),), -torch.inf).scatter_reduce(0, self.cell, values, "amax")


def rows(batch: Batch, layout: Layout) -> Rows:
    """Return the features of the histories of a batch; gradients reach the batch's weights."""
    parts = [*_of_tokens(batch, layout), *_of_values(batch, layout), _summary(batch, layout)]
    row, column, value = (torch.cat(one) for one in zip(*parts, strict=True))
    order = _by_row(row, batch.n_subjects)
    return Rows(offsets=_bounds(row, batch.n_subjects), columns=column[order], values=value[order])


Part = tuple[Int64[Tensor, " entry"], Int64[Tensor, " entry"], Float[Tensor, " entry"]]


def _of_tokens(batch: Batch, layout: Layout) -> list[Part]:
    """Return the counts of each token in each window and in the last visit, and its recency."""
    cells, weights = _cells(
        batch, torch.ones_like(batch.tokens, dtype=torch.bool), batch.tokens, layout.n_tokens
    )
    days = batch.days[cells.order]
    subject = cells.row[cells.cell]
    in_last = batch.visit_of_token[cells.order] == batch.subject_offsets[1:][subject] - 1
    parts = []
    for place, inside in enumerate([*(days >= -window for window in layout.windows), in_last]):
        found = cells.total(inside.to(weights.dtype)) > 0
        count = cells.total(weights * inside)[found].log1p()
        parts.append((cells.row[found], cells.column[found] + place * layout.n_tokens, count))
    latest = days[cells.last]
    share = _latest(cells, days, weights)
    for place, decay in enumerate(layout.decays, start=len(layout.windows) + 1):
        recency = share * torch.exp(latest / decay)
        parts.append((cells.row, cells.column + place * layout.n_tokens, recency))
    return parts


def _of_values(batch: Batch, layout: Layout) -> list[Part]:
    """Return the last, lowest and highest value of each numeric code, and its slope."""
    code = layout.value_of_token[batch.tokens]
    cells, weights = _cells(batch, code >= 0, code, layout.n_tokens)
    value, years = batch.values[cells.order], batch.days[cells.order] / DAYS_A_YEAR
    highest, lowest = cells.most(value), -cells.most(-value)
    found = [
        _latest(cells, years, weights * value),
        _mean(cells, value == lowest[cells.cell], weights * value),
        _mean(cells, value == highest[cells.cell], weights * value),
    ]
    parts = [
        (cells.row, layout.values_start + place * layout.n_tokens + cells.column, one)
        for place, one in enumerate(found)
    ]
    n = cells.total(torch.ones_like(value))
    from_mean = value - (cells.total(value) / n)[cells.cell]
    since_mean = years - (cells.total(years) / n)[cells.cell]
    spread = cells.total(since_mean.square())
    slope = cells.total(weights * since_mean * from_mean) / (spread + SLOPE_RIDGE)
    measured = spread > 0
    column = layout.values_start + 3 * layout.n_tokens + cells.column
    parts.append((cells.row[measured], column[measured], slope[measured].clamp(-MOST_SLOPE, MOST_SLOPE)))
    return parts


def _summary(batch: Batch, layout: Layout) -> Part:
    """Return the age, the visits in each window and the time since the last event of each history with events."""
    present = torch.nonzero(batch.token_offsets.diff() > 0)[:, 0]
    last = batch.token_offsets[1:][present] - 1
    age, ago = ages(batch)[present], (-batch.days[last]).clamp(min=0)
    bends = [(age - bend).clamp(min=0) / 20 for bend in AGE_BENDS]
    seen = batch.visit_offsets.diff() > 0
    days = (
        batch.days[(batch.visit_offsets[1:] - 1).clamp(min=0)]
        if len(batch.days)
        else batch.days.new_zeros(len(seen))
    )
    n_visits = [
        torch.bincount(batch.subject_of_visit[seen & (days >= -window)], minlength=batch.n_subjects)[
            present
        ].log1p()
        for window in layout.windows
    ]
    columns = torch.stack([*n_visits, age / 100, *bends, ago.log1p() / 8], dim=1)
    width = columns.shape[1]
    column = layout.summary_start + torch.arange(width).repeat(len(present))
    return present.repeat_interleave(width), column, columns.flatten()


def ages(batch: Batch) -> Float[Tensor, " subject"]:
    """Return the age at the prediction time in years, as a batch counts it; 0 where nothing but static facts is."""
    if len(batch.tokens) == 0:
        return torch.zeros(batch.n_subjects)
    last = (batch.token_offsets[1:] - 1).clamp(min=0)
    known = (batch.token_offsets.diff() > 0) & (batch.ages[last] > 0)
    return torch.where(known, batch.ages[last] - batch.days[last] / DAYS_A_YEAR, 0.0)


def _latest(cells: Cells, times: Tensor, values: Tensor) -> Tensor:
    """Return the mean of each cell's values at its latest instant."""
    return _mean(cells, times == times[cells.last][cells.cell], values)


def _mean(cells: Cells, chosen: Tensor, values: Tensor) -> Tensor:
    chosen = chosen.to(values.dtype)
    return cells.total(values * chosen) / cells.total(chosen)


def _cells(
    batch: Batch, chosen: Tensor, column: Tensor, n_columns: int
) -> tuple[Cells, Float[Tensor, " item"]]:
    """Group the chosen tokens of weight other than 0 by history and column; return their weights in that order."""
    if batch.weights is not None:
        chosen = chosen & (batch.weights != 0)
    item = torch.nonzero(chosen)[:, 0]
    subject = batch.subject_of_token[item]
    order = _in_order(_bounds(subject, batch.n_subjects), column[item], n_columns)
    item, row, column = item[order], subject[order], column[item][order]
    first = torch.ones(len(item), dtype=torch.bool)
    first[1:] = (row[1:] != row[:-1]) | (column[1:] != column[:-1])
    start = torch.nonzero(first)[:, 0]
    last = torch.cat([start[1:], torch.tensor([len(item)])])[: len(start)] - 1
    cells = Cells(order=item, cell=first.cumsum(0) - 1, row=row[start], column=column[start], last=last)
    weights = batch.weights[item] if batch.weights is not None else batch.values.new_ones(len(item))
    return cells, weights


def _in_order(offsets: Tensor, column: Tensor, n_columns: int) -> Int64[Tensor, " item"]:
    """Return the order by (row, column) of items that stand by row, equal ones as they stood: two counting sorts."""
    shape = (len(offsets) - 1, max(n_columns, 1))
    matrix = csr_array((np.arange(len(column)), column.numpy(), offsets.numpy()), shape=shape)
    return torch.from_numpy(matrix.tocsc().tocsr().data)


def _by_row(row: Tensor, n_rows: int) -> Int64[Tensor, " item"]:
    """Return the order by row, items of one row as they stood."""
    matrix = csr_array((np.arange(len(row)), row.numpy(), [0, len(row)]), shape=(1, max(n_rows, 1)))
    return torch.from_numpy(matrix.tocsc().data)


def _bounds(row: Tensor, n_rows: int) -> Int64[Tensor, " bounds"]:
    return offsets_of(torch.bincount(row, minlength=n_rows))
