"""Weighted F1 of predicted sets of outcomes, with bootstrap replicates, from sums of weights per outcome.

How many samples of each subject are hits, alerts and events of an outcome is a sparse table; weighted sums of all
replicates are one product. One threshold serves all scopes: it is one rule, looked at from three sides.
"""

import numpy as np

from attending.evaluate.bootstrap import Bootstrap, Replicated, SparseTable, widening
from attending.evaluate.samples import ALL, Samples
from attending.metrics.ratio import Array, Floats
from attending.metrics.weighted_f1 import choose_threshold, first_true_count, of_sums

WEIGHTED_F1, WEIGHTED_F1_ORACLE_K = "weighted_f1", "weighted_f1_oracle_k"


def f1_threshold(tuning: Samples, probability: Array) -> float:
    """Return the threshold of the largest weighted F1 on tuning data; NaN where nothing happens in them."""
    return choose_threshold(probability, tuning.labels, tuning.pairs(ALL))


def weighted_f1s(
    samples: Samples, probability: Array, mask: Array, threshold: float, bootstrap: Bootstrap
) -> dict[str, Replicated]:
    """Return both weighted F1 over the pairs of `mask` (n, K); undefined without a threshold, or an event."""
    happened = samples.labels & mask
    undefined = Replicated.undefined(bootstrap.n_replicates)
    found = dict.fromkeys((WEIGHTED_F1, WEIGHTED_F1_ORACLE_K), undefined)
    if not happened.any():
        return found
    events = _table(samples, happened, bootstrap)
    predicted = {WEIGHTED_F1_ORACLE_K: first_true_count(probability, samples.labels, mask)}
    if np.isfinite(threshold):
        predicted[WEIGHTED_F1] = mask & (probability >= threshold)
    wider = widening(len(np.unique(samples.owner[happened.any(axis=1)])))
    for name, alerts in predicted.items():
        tables = [_table(samples, alerts & happened, bootstrap), _table(samples, alerts, bootstrap), events]
        estimate = of_sums(*(_whole(table) for table in tables))[0]
        found[name] = Replicated.centred(float(estimate), bootstrap.reduce(tables, of_sums), wider)
    return found


def _table(samples: Samples, pairs: Array, bootstrap: Bootstrap) -> SparseTable:
    sample, outcome = np.nonzero(pairs)
    return bootstrap.table(outcome, samples.owner[sample], samples.n_outcomes)


def _whole(table: SparseTable) -> Floats:
    return np.asarray(table.sum(axis=1), np.float64).reshape(-1, 1)
