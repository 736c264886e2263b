"""Bootstrap of subjects: a replicate draws as many subjects as there are, with replacement, samples and all.

Visits of one subject resemble each other, so they are drawn together. A replicate is a column of integer weights,
how often each subject was drawn; every model is weighed by the same columns, which pairs their differences.
Every metric here is a function of *sums of weights* (how much weight stands on which rung, in which group), and a
sum for all replicates is one sparse matrix product. Weights are integers, so float32 sums of fewer than 2^23 are
exact and the order of the rows cannot matter.

Replicates spread a little less than they should, by √(n / (n − 1)), and their percentiles are those of a normal where
few subjects call for Student's t. Intervals are wider by both, with n the subjects that a metric rests on (`widening`);
with 30 by 6 %, with 300 by half a percent (Hesterberg 2015, "What teachers should know about the bootstrap").
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.special import ndtri, stdtrit

from attending.metrics.ratio import Array, Floats

SparseTable = Any  # a scipy csr matrix, whose stubs want a scalar type for each

BLOCK = 250  # replicates worked on at once: their sums stay in the processor's cache
WIDE_BYTES = 2**27  # above this, weights are kept as bytes and widened when they are used
EXACT_IN_FLOAT32 = 2**22
UPPER = 0.975  # of the interval that few subjects widen


@dataclass(frozen=True)
class Replicated:
    """A metric: its estimate on the samples as they are, and its value in each bootstrap replicate (B,).

    `widening` is by how much an interval reaches further from the estimate than the replicates do.
    """

    estimate: float
    values: Floats
    widening: float = 1.0

    @classmethod
    def centred(cls, estimate: float, values: Floats, widening: float = 1.0) -> "Replicated":
        """Move the replicates so that their mean is the estimate.

        Resampling repeats subjects, which biases some metrics upward (average precision, calibration errors): the
        plain percentile interval can then miss its own estimate. Their spread is what an interval needs.
        """
        defined = values[np.isfinite(values)]
        shift = estimate - defined.mean() if len(defined) and np.isfinite(estimate) else np.nan
        return cls(estimate, values + shift, widening)

    @classmethod
    def undefined(cls, n_replicates: int) -> "Replicated":
        """Return a metric that has no value."""
        return cls(float("nan"), np.full(n_replicates, np.nan))

    def minus(self, other: "Replicated") -> "Replicated":
        """Return the paired difference."""
        widening = max(self.widening, other.widening)
        return Replicated(self.estimate - other.estimate, self.values - other.values, widening)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the widened percentile interval over the replicates in which the metric is defined."""
        defined = self.values[np.isfinite(self.values)]
        if not len(defined) or not np.isfinite(self.estimate):
            return float("nan"), float("nan")
        ends = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
        low, high = self.estimate + self.widening * (ends - self.estimate)
        return float(low), float(high)


class Bootstrap:
    """The weights of `n_subjects` in `n_replicates`, fixed by `seed`; more replicates extend fewer."""

    def __init__(self, n_subjects: int, n_replicates: int, seed: int) -> None:
        self.n_subjects, self.n_replicates = n_subjects, n_replicates
        generator = np.random.default_rng(seed)
        counts = np.empty((n_replicates, n_subjects), dtype=np.uint8)
        for replicate in counts:
            drawn = np.bincount(generator.integers(0, n_subjects, n_subjects), minlength=n_subjects)
            replicate[:] = np.minimum(drawn, 255)  # 256 draws of one subject never happen
        dtype = np.float32 if counts.size * 4 <= WIDE_BYTES else np.uint8
        self.blocks: list[Array] = [
            np.ascontiguousarray(counts[start : start + BLOCK].T, dtype=dtype)
            for start in range(0, n_replicates, BLOCK)
        ]

    def table(self, rows: Array, owner: Array, n_rows: int) -> SparseTable:
        """Return (n_rows, n_subjects): how many observations of each subject stand in each row."""
        ones: Any = np.ones(len(rows), np.float32 if len(rows) < EXACT_IN_FLOAT32 else np.float64)
        return sparse.coo_matrix((ones, (rows, owner)), (n_rows, self.n_subjects)).tocsr()

    def reduce(self, tables: Sequence[SparseTable], function: Callable[..., Floats]) -> Floats:
        """Return `function` of the tables' weighted sums, (n_rows, b) each, for all replicates side by side."""
        sums = ([table @ block.astype(table.dtype, copy=False) for table in tables] for block in self.blocks)
        return np.concatenate([function(*of_block) for of_block in sums], axis=-1)

    def totals(self, terms: Array) -> Floats:
        """Return (t, B), the weighted sums of `terms` (t, n_subjects)."""
        return self.reduce([sparse.csr_matrix(np.asarray(terms, np.float64))], lambda sums: sums)


def widening(n_subjects: int) -> float:
    """Return by how much an interval that rests on `n_subjects` is wider than its replicates; 1 for less than two."""
    if n_subjects < 2:
        return 1.0
    return float(np.sqrt(n_subjects / (n_subjects - 1)) * stdtrit(n_subjects - 1, UPPER) / ndtri(UPPER))


def n_in_smaller_class(labels: Array, owner: Array) -> int:
    """Return the number of subjects with the outcome (n,), or without it, whichever is smaller."""
    return min(int(np.count_nonzero(np.bincount(owner[of_class]))) for of_class in (labels, ~labels))


def subject_sums(values: Array, owner: Array, n_subjects: int) -> Floats:
    """Return (n_subjects,), the sum of `values` (n,) over each subject's samples."""
    return np.bincount(owner, values, minlength=n_subjects).astype(np.float64)
