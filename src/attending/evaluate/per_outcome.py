"""A table of every outcome: how often it happens, and how well a model foresees it.

Cells of 1 to 10 samples are hidden: counts, and whatever gives a count away, become null and `suppressed` true.
New onset and recurrence add up to the whole, so where one of the two is hidden the other is too.
"""

from typing import Any

import numpy as np
import polars as pl

from attending.evaluate.comparison import number
from attending.evaluate.samples import NEW_ONSET, RECURRENT, Samples, small
from attending.evaluate.scores import Scores
from attending.metrics.ratio import Array, ratio
from attending.schema import (
    AUPRC,
    AUROC,
    BRIER,
    DESCRIPTION,
    EXPECTED_OVER_OBSERVED,
    HIGH,
    LOW,
    MODEL,
    N_POSITIVE,
    N_SAMPLES,
    OUTCOME,
    PER_OUTCOME,
    PREVALENCE,
    SCOPE,
    SUPPRESSED,
)


def per_outcome(
    model: str,
    samples: Samples,
    probability: Array,
    scores: Scores,
    outcomes: pl.DataFrame,
    confidence: float,
) -> pl.DataFrame:
    """Return one row for each scope and outcome of a model, small cells hidden."""
    parts = {scope: _counts(samples, probability, scope) for scope in samples.scopes}
    hidden = _hidden(parts)
    rows = [
        {
            MODEL: model,
            SCOPE: scope,
            OUTCOME: outcome,
            DESCRIPTION: description,
            SUPPRESSED: bool(hidden[scope][at]),
        }
        | {name: None if hidden[scope][at] else _plain(values[at]) for name, values in counts.items()}
        | _areas(scores, scope, at, confidence)
        for scope, counts in parts.items()
        for at, (outcome, description) in enumerate(outcomes.select(OUTCOME, DESCRIPTION).iter_rows())
    ]
    schema = PER_OUTCOME.columns
    return PER_OUTCOME.check(pl.DataFrame(rows, schema=schema).select(list(schema)), "the outcomes' metrics")


def _counts(samples: Samples, probability: Array, scope: str) -> dict[str, Array]:
    mask = samples.pairs(scope)
    n, positive = mask.sum(axis=0), (samples.labels & mask).sum(axis=0)
    error = np.where(mask, probability.astype(np.float64) - samples.labels, 0)
    expected = np.where(mask, probability, 0).sum(axis=0, dtype=np.float64)
    return {
        N_SAMPLES: n,
        N_POSITIVE: positive,
        PREVALENCE: ratio(positive, n),
        BRIER: ratio(np.einsum("ij,ij->j", error, error), n),
        EXPECTED_OVER_OBSERVED: ratio(expected, positive),
    }


def _hidden(parts: dict[str, dict[str, Array]]) -> dict[str, Array]:
    hidden = {
        scope: small(counts[N_POSITIVE]) | small(counts[N_SAMPLES] - counts[N_POSITIVE])
        for scope, counts in parts.items()
    }
    if RECURRENT in hidden:
        hidden[NEW_ONSET] = hidden[RECURRENT] = hidden[NEW_ONSET] | hidden[RECURRENT]
    return hidden


def _areas(scores: Scores, scope: str, outcome: int, confidence: float) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for name, value in zip((AUROC, AUPRC), scores.outcomes[scope].get(outcome, ()), strict=False):
        low, high = value.interval(confidence)
        clipped = (value.estimate, max(low, 0.0), min(high, 1.0))
        keys = (name, f"{name}_{LOW}", f"{name}_{HIGH}")
        entries |= dict(zip(keys, map(number, clipped), strict=True))
    return {key: entries.get(key) for key in PER_OUTCOME.columns if key.startswith((AUROC, AUPRC))}


def _plain(value: Any) -> float | int | None:  # noqa: ANN401 - a numpy scalar of either kind
    return int(value) if isinstance(value, np.integer) else number(value)
