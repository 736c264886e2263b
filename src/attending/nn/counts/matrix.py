"""The features of a whole split as one sparse matrix, narrowed to the columns that training histories fill."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from scipy.sparse import csr_array
from torch import Tensor, nn

from attending.batch import Batch, offsets_of
from attending.nn.counts.features import Layout, Rows, rows
from attending.nn.sized import Sized

MIN_HISTORIES = 5  # training histories that fill a column for it to be kept
NO_VALUE_GAP = 6.0  # beyond ±5, where values lie


def count_matrix(
    batches: Iterable[Batch], layout: Layout, *, raised: bool = False
) -> tuple[csr_array, Float[Tensor, "sample outcome"]]:
    """Return the features of all samples of labelled batches as a sparse matrix, and their labels."""
    offsets, columns, values, labels, n = [np.zeros(1, dtype=np.int64)], [], [], [], 0
    for batch in batches:
        assert batch.labels is not None, "fitting needs labels"
        found = rows(batch.without_labels(), layout)
        found = raise_values(found, layout) if raised else found
        offsets.append(found.offsets.numpy()[1:] + n)
        columns.append(found.columns.numpy().astype(np.int32))
        values.append(found.values.numpy())
        labels.append(batch.labels)
        n += len(found.columns)
    index = np.concatenate(offsets)
    if n < np.iinfo(np.int32).max:  # libraries that read sparse matrices want small indices
        index = index.astype(np.int32)
    shape = (len(index) - 1, layout.n_columns)
    return csr_array((np.concatenate(values), np.concatenate(columns), index), shape=shape), torch.cat(labels)


def label_means(batches: Iterable[Batch]) -> Float[Tensor, " outcome"]:
    """Return the mean label of each outcome over the samples where it is known."""
    labels = [batch.labels for batch in batches if batch.labels is not None]
    return torch.nan_to_num(torch.cat(labels).nanmean(0))


def raise_values(found: Rows, layout: Layout) -> Rows:
    """Return features whose values and slopes are all above 0, so that trees can tell the median from no value."""
    valued = (found.columns >= layout.values_start) & (found.columns < layout.summary_start)
    return replace(found, values=found.values + NO_VALUE_GAP * valued)


def filled(matrix: csr_array, min_rows: int = MIN_HISTORIES) -> Int64[Tensor, " kept"]:
    """Return the columns that at least `min_rows` rows fill, or as many as there are rows."""
    n_rows: int = matrix.shape[0]
    counts = np.bincount(matrix.indices, minlength=matrix.shape[1])
    return torch.from_numpy(np.flatnonzero(counts >= max(1, min(min_rows, n_rows // 20))))


class Kept(Sized):
    """Which of many columns a model keeps, and where."""

    sized = ("columns",)

    def __init__(self) -> None:
        super().__init__()
        self.columns = nn.Buffer(torch.zeros(0, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.columns)

    def keep(self, columns: Int64[Tensor, " kept"]) -> None:
        """Keep these columns, which ascend."""
        self.columns = nn.Buffer(columns)

    def narrow(self, matrix: csr_array) -> csr_array:
        """Return the matrix with the kept columns only, in their order."""
        place = np.full(matrix.shape[1], -1, dtype=np.int32)
        place[self.columns.numpy()] = np.arange(len(self), dtype=np.int32)
        column = place[matrix.indices]
        inside = column >= 0
        n_before = np.concatenate([[0], np.cumsum(inside)])
        offsets = n_before[matrix.indptr].astype(matrix.indptr.dtype)
        return csr_array((matrix.data[inside], column[inside], offsets), shape=(matrix.shape[0], len(self)))

    def narrow_rows(self, found: Rows) -> Rows:
        """Return features with the kept columns only, numbered from 0; gradients pass."""
        place = torch.searchsorted(self.columns, found.columns)
        inside = torch.zeros_like(place, dtype=torch.bool)
        within = place < len(self)
        inside[within] = self.columns[place[within]] == found.columns[within]
        n_before = offsets_of(inside.long())
        return Rows(offsets=n_before[found.offsets], columns=place[inside], values=found.values[inside])
