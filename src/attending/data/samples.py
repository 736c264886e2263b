"""Samples: each (subject, prediction time) of a task as a prefix of that subject's stored history."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from attending.errors import ArtifactError
from attending.schema import (
    CENSORED_CODES,
    LABEL_CODES,
    OUTCOME,
    PREDICTION_TIME,
    SPLITS,
    SUBJECT_ID,
    VALUE,
)
from attending.tokens.store import TokenStore

SECONDS_BIG = (
    2**40
)  # seconds since 1970 stay far below this, so subject * SECONDS_BIG + second sorts as the pair does


@dataclass(frozen=True, kw_only=True, repr=False)
class Samples:
    """Which prefix of which history each sample may see, and its positives as CSR.

    frame            subject_id, prediction_time: the samples, sorted
    row              which subject of the store
    start, cut       the prefix is events `[start, cut)` of the store
    moment           the prediction time, seconds since 1970, rounded down
    split            position in `schema.SPLITS`
    positive_offset, positive   outcomes that happened: `positive[o[i]:o[i + 1]]` for sample `i`
    unknown_offset, unknown     outcomes whose answer is not known, in the same way
    value            the number that a regression predicts, NaN where there is none; `center` and `scale` standardise it
    """

    frame: pl.DataFrame
    row: NDArray[np.int64]
    start: NDArray[np.int64]
    cut: NDArray[np.int64]
    moment: NDArray[np.int64]
    split: NDArray[np.int8]
    positive_offset: NDArray[np.int64]
    positive: NDArray[np.int64]
    unknown_offset: NDArray[np.int64]
    unknown: NDArray[np.int64]
    n_outcomes: int
    value: NDArray[np.float64] | None = None
    center: float = 0.0
    scale: float = 1.0

    def __len__(self) -> int:
        return len(self.row)

    def __repr__(self) -> str:
        """Give sizes only: a traceback must not print a patient."""
        return f"Samples({len(self)} of {self.n_outcomes} outcomes)"

    def of_split(self, name: str) -> NDArray[np.int64]:
        """Return the positions of the samples of a split."""
        return np.flatnonzero(self.split == SPLITS.index(name))

    def prevalence(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the share of the samples at `positions` that have each outcome, of those where it is known."""
        chosen = np.isin(np.arange(len(self)), positions)
        happened = self.positive[np.repeat(chosen, np.diff(self.positive_offset))]
        unknown = self.unknown[np.repeat(chosen, np.diff(self.unknown_offset))]
        n_known = len(positions) - np.bincount(unknown, minlength=self.n_outcomes)
        return np.bincount(happened, minlength=self.n_outcomes) / np.maximum(n_known, 1)

    def standardised(self, positions: NDArray[np.int64]) -> "Samples":
        """Return the samples with values measured in standard deviations from their mean at `positions`."""
        if self.value is None:
            return self
        spread = float(np.std(self.value[positions]))
        return replace(
            self, center=float(np.mean(self.value[positions])), scale=spread if spread > 0 else 1.0
        )


def find_samples(store: TokenStore, labels: pl.DataFrame, outcomes: list[str]) -> Samples:
    """Find each sample's prefix: the events known at or before its prediction time.

    Label codes that are not among `outcomes` (never seen in training) are left out here and counted by evaluation.

    Raises:
        ArtifactError: if a sample's subject is not in the store.
    """
    row = _rows(store, labels[SUBJECT_ID].to_numpy())
    moment = labels[PREDICTION_TIME].dt.epoch("us").to_numpy() // 1_000_000
    keys = np.repeat(np.arange(len(store.subject)), np.diff(store.offset)) * SECONDS_BIG + store.second
    cut = np.searchsorted(keys, row * SECONDS_BIG + moment, side="right")
    offset, positive = _listed(labels, LABEL_CODES, outcomes)
    unknown_offset, unknown = _listed(labels, CENSORED_CODES, outcomes)
    return Samples(
        frame=labels.select(SUBJECT_ID, PREDICTION_TIME),
        row=row,
        start=store.offset[row],
        cut=np.maximum(cut, store.offset[row]),
        moment=moment,
        split=store.split[row],
        positive_offset=offset,
        positive=positive,
        unknown_offset=unknown_offset,
        unknown=unknown,
        n_outcomes=len(outcomes),
        value=labels[VALUE].to_numpy() if VALUE in labels.columns else None,
    )


def _rows(store: TokenStore, subjects: NDArray[np.int64]) -> NDArray[np.int64]:
    row = np.searchsorted(store.subject, subjects)
    known = store.subject[np.minimum(row, len(store.subject) - 1)] == subjects
    if not known.all():
        raise ArtifactError(
            f"{int((~known).sum())} of {len(known)} samples are of subjects that the token store does not hold: "
            "label and tokenize the same events"
        )
    return row.astype(np.int64)


def _listed(
    labels: pl.DataFrame, column: str, outcomes: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each sample's outcomes in `column` start, and their positions."""
    if column not in labels.columns:
        return np.zeros(labels.height + 1, dtype=np.int64), np.zeros(0, dtype=np.int64)
    index = pl.DataFrame(
        {OUTCOME: outcomes, "index": range(len(outcomes))}, schema={OUTCOME: pl.String, "index": pl.Int64}
    )
    pairs = (
        labels.select(pl.int_range(pl.len(), dtype=pl.Int64).alias("sample"), pl.col(column).alias(OUTCOME))
        .explode(OUTCOME, empty_as_null=False)
        .join(index, on=OUTCOME)
        .unique(["sample", "index"])
        .sort("sample", "index")
    )
    counts = np.bincount(pairs["sample"].to_numpy(), minlength=labels.height)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), pairs["index"].to_numpy()
