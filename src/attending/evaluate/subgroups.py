"""How well a model serves each group of subjects: performance, calibration, net benefit, and the gaps between groups.

Everything is on held-out samples, with intervals from the same replicates of subjects as everywhere. Thresholds are
chosen on tuning data, for all groups alike. With several outcomes the pairs of sample and outcome are pooled: a mean
over outcomes would rest on a handful of events of each in each group.

A group with a small cell is hidden whole (`suppressed`). Where its counts could be worked out from the others and the
total, the counts of further groups are hidden too, and all rates that would give them away (`counts_hidden`); what is
left of those is rounded to three places, so that no fraction can be recognised (see `small_cells`).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import cpu_count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, unused-ignore]

from attending.evaluate.attributes import Attribute, attributes
from attending.evaluate.bootstrap import Bootstrap, Replicated, widening
from attending.evaluate.config import CONFIDENCE
from attending.evaluate.evidence import Evidence
from attending.evaluate.in_brief import in_brief
from attending.evaluate.pooled import Pairs
from attending.evaluate.rounded import rounded
from attending.evaluate.samples import ALL, SMALLEST_CELL, Samples
from attending.evaluate.small_cells import hide
from attending.metrics.decision import Confusion, choose_thresholds, net_benefit
from attending.metrics.fairness import gaps_of_counts, largest_gap
from attending.metrics.ratio import Array, Floats, ratio
from attending.schema import HELD_OUT, N_POSITIVE, N_SAMPLES, PREVALENCE, SUPPRESSED, TUNING

RULE = "youden"  # of the rates; net benefit is given at the threshold of every rule
N_SUBJECTS, COUNTS_HIDDEN, GROUP, GAPS, AT = "n_subjects", "counts_hidden", "group", "gaps", "at"
SIGNED = ("calibration_intercept", "calibration_slope", "net_benefit")


@dataclass(frozen=True)
class _Division:
    """An attribute on held-out samples: `counts` (g, 4), who is `few` (hidden whole) and whose counts are `hidden`."""

    attribute: Attribute
    member: NDArray[np.intp]
    counts: Array
    few: NDArray[np.bool_]
    hidden: NDArray[np.bool_]

    @property
    def n(self) -> int:
        return len(self.attribute.groups)


def subgroups(evidence: Evidence) -> dict[str, Any] | None:
    """Return each attribute's groups and, by model, their metrics and gaps; None where there is nothing to divide."""
    samples = evidence.held_out.samples
    if evidence.target == "value" or samples.has_small_class:
        return None
    found = attributes(evidence.events, [evidence.held_out.frame])
    divisions = [_divide(samples, attribute) for attribute in found]
    divisions = [division for division in divisions if (~division.few).sum() > 1]
    if not divisions:
        return None
    models, thresholds = {}, {}
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(cpu_count()) as executor:
        for model, probability in evidence.predictions[HELD_OUT].items():
            thresholds[model] = _thresholds(evidence.tuning.samples, evidence.predictions[TUNING][model])
            describe = partial(_describe, samples, probability, thresholds[model], evidence.bootstrap)
            described = executor.map(describe, divisions)
            models[model] = {
                division.attribute.name: of_model
                for division, of_model in zip(divisions, described, strict=True)
            }
    return {
        "confidence": CONFIDENCE,
        "rule": RULE,
        "pooled": not samples.is_binary,
        "thresholds": {
            model: {rule: rounded(at, 6) for rule, at in of.items()} for model, of in thresholds.items()
        },
        "attributes": {division.attribute.name: _groups(samples, division) for division in divisions},
        "models": models,
    }


def _divide(samples: Samples, attribute: Attribute) -> _Division:
    member, known, n = attribute.members[0], samples.pairs(ALL), len(attribute.groups)
    answered = known.any(axis=1)
    subjects = np.unique(np.stack([member[answered], samples.owner[answered]]), axis=1)[0]
    positive, total = (samples.labels & known).sum(axis=1), known.sum(axis=1)
    counts = np.stack(
        [
            np.bincount(subjects, minlength=n),
            np.bincount(member[answered], minlength=n),
            np.bincount(member, positive, minlength=n).astype(np.int64),
            np.bincount(member, total - positive, minlength=n).astype(np.int64),
        ],
        axis=1,
    )
    few = np.asarray((counts < SMALLEST_CELL).any(axis=1))
    return _Division(attribute, member, counts, few, hide(counts) | few)


def _groups(samples: Samples, division: _Division) -> list[dict[str, Any]]:
    groups = []
    for at, name in enumerate(division.attribute.groups):
        n_subjects, n_samples, positive, negative = (int(count) for count in division.counts[at])
        counts: dict[str, Any] = {N_SUBJECTS: n_subjects, N_SAMPLES: n_samples, N_POSITIVE: positive}
        counts |= {PREVALENCE: rounded(positive / max(1, positive + negative), 4)}
        flags = {SUPPRESSED: bool(division.few[at]), COUNTS_HIDDEN: bool(division.hidden[at])}
        groups.append({GROUP: name} | (dict.fromkeys(counts) if division.hidden[at] else counts) | flags)
    return groups


def _thresholds(tuning: Samples, probability: Array) -> dict[str, float]:
    known = tuning.pairs(ALL)
    chosen = choose_thresholds(probability[known], tuning.labels[known])
    return {rule: threshold for rule, threshold in chosen.items() if np.isfinite(threshold)}


def _describe(
    samples: Samples,
    probability: Array,
    thresholds: dict[str, float],
    bootstrap: Bootstrap,
    division: _Division,
) -> dict[str, Any]:
    """Return the metrics of every group of a division, and the gaps between them."""
    known = samples.pairs(ALL)
    metrics: list[dict[str, Any] | None] = []
    areas: list[Replicated] = []
    for at in range(division.n):
        if division.few[at]:
            metrics.append(None)
            continue
        rows = np.flatnonzero(division.member == at)
        pairs = Pairs.of(probability[rows], samples.labels[rows], samples.owner[rows], known[rows])
        found = in_brief(pairs, bootstrap)
        areas.append(found["auroc"])
        places = 3 if division.hidden[at] else 4
        metrics.append({name: _interval(name, value, places) for name, value in found.items()} | {AT: {}})
    gaps = {"auroc": _gap(areas)}
    for rule, threshold in thresholds.items():
        whole, replicates = _confusions(samples, probability, threshold, division, bootstrap)
        shown = np.flatnonzero(~hide(whole.T, also=division.hidden))
        for at in shown.tolist():
            of_group = metrics[at]
            assert of_group is not None
            of_group[AT][rule] = _rates(
                whole[:, at], replicates[:, at], threshold, rule, int(division.counts[at, 0])
            )
        if rule == RULE and len(shown) > 1:
            gaps |= _rate_gaps(whole[:, shown], replicates[:, shown])
    return {
        "groups": dict(zip(division.attribute.groups, metrics, strict=True)),
        GAPS: {name: _interval(name, value, 4) for name, value in gaps.items()},
    }


def _confusions(
    samples: Samples, probability: Array, threshold: float, division: _Division, bootstrap: Bootstrap
) -> tuple[Floats, Floats]:
    """Return tp, fp, fn, tn of each group (4, g), and in each replicate (4, g, B)."""
    known, n = samples.pairs(ALL), bootstrap.n_subjects
    alert = probability.astype(np.float64) >= threshold
    cells = (
        alert & samples.labels,
        alert & ~samples.labels,
        ~alert & samples.labels,
        ~alert & ~samples.labels,
    )
    place = division.member * n + samples.owner
    sums = np.concatenate(
        [np.bincount(place, (cell & known).sum(axis=1), minlength=division.n * n) for cell in cells]
    ).reshape(4 * division.n, n)
    return sums.sum(axis=1).reshape(4, -1), bootstrap.totals(sums).reshape(4, division.n, -1)


def _rates(whole: Floats, replicates: Floats, threshold: float, rule: str, n_subjects: int) -> dict[str, Any]:
    estimates, values = (_of_counts(Confusion(*counts), threshold) for counts in (whole, replicates))
    wanted = estimates if rule == RULE else ("net_benefit",)
    wider = widening(n_subjects)
    return {
        name: _interval(name, Replicated(float(estimates[name]), values[name], wider), 4) for name in wanted
    }


def _of_counts(counts: Confusion, threshold: float) -> dict[str, Floats]:
    total = counts.tp + counts.fp + counts.fn + counts.tn
    return {
        "sensitivity": ratio(counts.tp, counts.tp + counts.fn),
        "false_positive_rate": ratio(counts.fp, counts.fp + counts.tn),
        "ppv": ratio(counts.tp, counts.tp + counts.fp),
        "alert_rate": ratio(counts.tp + counts.fp, total),
        "net_benefit": net_benefit(counts, threshold),
    }


def _gap(groups: list[Replicated]) -> Replicated:
    values = largest_gap(np.stack([group.values for group in groups]))
    estimate = largest_gap(np.array([[group.estimate] for group in groups]))[0]
    return Replicated.centred(float(estimate), values, max(group.widening for group in groups))


def _rate_gaps(whole: Floats, replicates: Floats) -> dict[str, Replicated]:
    estimates, values = gaps_of_counts(*whole[..., None]), gaps_of_counts(*replicates)
    return {name: Replicated.centred(float(estimates[name][0]), values[name]) for name in estimates}


def _interval(name: str, value: Replicated, places: int) -> dict[str, float | None]:
    low, high = value.interval(CONFIDENCE)
    if name not in SIGNED:
        low, high = max(low, 0.0), high if name == "expected_over_observed" else min(high, 1.0)
    return {
        key: rounded(end, places) for key, end in (("estimate", value.estimate), ("low", low), ("high", high))
    }
