"""What a threshold means on held-out subjects, for the one outcome of a binary task; chosen on tuning data."""

from typing import Any

import numpy as np

from attending.evaluate.bootstrap import Bootstrap, Replicated, n_in_smaller_class, subject_sums, widening
from attending.evaluate.comparison import interval, number
from attending.evaluate.definitions import definition
from attending.evaluate.samples import ALL, Samples
from attending.metrics.decision import Confusion, choose_thresholds, confusion, net_benefit, threshold_table
from attending.metrics.ratio import Array
from attending.schema import HIGH, LOW


def thresholds(
    tuning: tuple[Samples, Array], held_out: tuple[Samples, Array], bootstrap: Bootstrap, confidence: float
) -> dict[str, dict[str, Any]]:
    """Return, for each rule, the threshold and its table with intervals on held-out data.

    A rule that the tuning data cannot answer (one class only) is left out.
    """
    known = tuning[0].pairs(ALL)[:, 0]
    chosen = choose_thresholds(tuning[1][known, 0], tuning[0].labels[known, 0])
    samples, probability = held_out
    return {
        rule: {"threshold": threshold, **_table(samples, probability[:, 0], threshold, bootstrap, confidence)}
        for rule, threshold in chosen.items()
        if number(threshold) is not None
    }


def _table(
    samples: Samples, probability: Array, threshold: float, bootstrap: Bootstrap, confidence: float
) -> dict[str, Any]:
    known = samples.pairs(ALL)[:, 0]
    happened, alert = samples.labels[known, 0], probability[known].astype(np.float64) >= threshold
    owner = samples.owner[known]
    wider = widening(n_in_smaller_class(happened, owner))
    cells = [happened & alert, ~happened & alert, happened & ~alert, ~happened & ~alert]
    sums = np.stack([subject_sums(cell, owner, samples.n_subjects) for cell in cells])
    replicates = Confusion(*bootstrap.totals(sums))
    whole = confusion(probability[known], happened, threshold)
    values = threshold_table(replicates) | {"net_benefit": net_benefit(replicates, threshold)}
    estimates = threshold_table(whole) | {"net_benefit": net_benefit(whole, threshold)}
    return {
        name: _within(interval(Replicated(float(estimates[name][0]), values[name], wider), confidence), name)
        for name in values
    }


def _within(entry: dict[str, float | None], name: str) -> dict[str, float | None]:
    """Keep an interval that was widened within what is possible."""
    lowest, highest = definition(name).bounds
    low, high = entry[LOW], entry[HIGH]
    if low is not None and lowest is not None:
        low = max(low, lowest)
    if high is not None and highest is not None:
        high = min(high, highest)
    return entry | {LOW: low, HIGH: high}
