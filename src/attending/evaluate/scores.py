"""One model's metrics, each with its bootstrap replicates, over all scopes."""

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from attending.evaluate.bootstrap import Bootstrap, Replicated, n_in_smaller_class, subject_sums, widening
from attending.evaluate.config import Config
from attending.evaluate.discrimination import discrimination, mean_over_outcomes
from attending.evaluate.pooled import MICRO, Pairs, pooled
from attending.evaluate.samples import Samples
from attending.evaluate.sets import weighted_f1s
from attending.metrics import ranking
from attending.metrics.calibration import scale_brier
from attending.metrics.ratio import Array, Floats, ratio

Metrics = dict[str, Replicated]


@dataclass(frozen=True)
class Scores:
    """`metrics` by scope and name; `outcomes` by scope and outcome: AUROC and average precision."""

    metrics: dict[str, Metrics]
    outcomes: dict[str, dict[int, list[Replicated]]]


def score(
    samples: Samples,
    probability: Array,
    bootstrap: Bootstrap,
    config: Config,
    executor: Executor,
    f1_threshold: float = math.nan,
) -> Scores:
    """Return all metrics of `probability` (n, K); threads of `executor` share the work.

    `f1_threshold` is chosen on tuning data (`sets.f1_threshold`); without one there is no weighted F1.
    """
    of_pairs = {
        scope: executor.submit(_pair_metrics, samples, probability, scope, bootstrap, config)
        for scope in samples.scopes
    }
    of_sets = {
        scope: executor.submit(
            weighted_f1s, samples, probability, samples.pairs(scope), f1_threshold, bootstrap
        )
        for scope in (() if samples.is_binary else samples.scopes)
    }
    of_outcomes = {
        scope: dict(
            zip(
                outcomes,
                executor.map(_outcome(samples, probability, scope, bootstrap), outcomes),
                strict=True,
            )
        )
        for scope, outcomes in _scored(samples, config).items()
    }
    metrics = {
        scope: _discrimination_metrics(samples, list(of_outcomes[scope].values()), bootstrap)
        | (of_sets[scope].result() if scope in of_sets else {})
        | future.result()
        for scope, future in of_pairs.items()
    }
    return Scores(metrics, of_outcomes)


def _scored(samples: Samples, config: Config) -> dict[str, list[int]]:
    if samples.is_binary:
        return {scope: [0] for scope in samples.scopes}
    return {scope: samples.scored_outcomes(scope, config.min_positives) for scope in samples.scopes}


def _outcome(
    samples: Samples, probability: Array, scope: str, bootstrap: Bootstrap
) -> Callable[[int], list[Replicated]]:
    pairs = samples.pairs(scope)

    def of_outcome(outcome: int) -> list[Replicated]:
        rows = np.flatnonzero(pairs[:, outcome])
        return discrimination(
            probability[rows, outcome], samples.labels[rows, outcome], samples.owner[rows], bootstrap
        )

    return of_outcome


def _discrimination_metrics(
    samples: Samples, outcomes: list[list[Replicated]], bootstrap: Bootstrap
) -> Metrics:
    if samples.is_binary:
        return dict(zip(("auroc", "auprc"), outcomes[0], strict=True))
    mean = partial(mean_over_outcomes, n_replicates=bootstrap.n_replicates, n_subjects=bootstrap.n_subjects)
    return {
        "macro_auroc": mean([outcome[0] for outcome in outcomes]),
        "macro_auprc": mean([outcome[1] for outcome in outcomes]),
    }


def _pair_metrics(
    samples: Samples, probability: Array, scope: str, bootstrap: Bootstrap, config: Config
) -> Metrics:
    mask = samples.pairs(scope)
    of_pairs = pooled(Pairs.of(probability, samples.labels, samples.owner, mask), bootstrap)
    ratios = _ratios(samples, probability, mask, config, bootstrap)
    if samples.is_binary:
        labels, owner = samples.labels[mask], samples.owner[mask[:, 0]]
        ratios["scaled_brier"] = _scaled_brier(ratios, widening(n_in_smaller_class(labels, owner)))
        of_pairs = {name: value for name, value in of_pairs.items() if name not in MICRO}
    if samples.has_small_class:  # these give the count away
        ratios = {name: value for name, value in ratios.items() if name not in ("prevalence", "scaled_brier")}
    return ratios | of_pairs


def _ratios(
    samples: Samples, probability: Array, mask: Array, config: Config, bootstrap: Bootstrap
) -> Metrics:
    """Return the metrics that are a ratio of two sums over samples."""
    terms = _error_terms(samples, probability, mask)
    if not samples.is_binary:
        terms |= _ranking_terms(samples, probability, mask, config.ks)
    by_subject = np.stack(
        [subject_sums(term, samples.owner, samples.n_subjects) for pair in terms.values() for term in pair]
    )
    totals, whole = bootstrap.totals(by_subject), by_subject.sum(axis=1)
    values, estimates = ratio(totals[0::2], totals[1::2]), ratio(whole[0::2], whole[1::2])
    counted = (by_subject[0::2] != 0) | (by_subject[1::2] != 0)
    wider = [widening(n_subjects) for n_subjects in counted.sum(axis=1).tolist()]
    return {
        name: Replicated.centred(float(estimates[at]), values[at], wider[at]) for at, name in enumerate(terms)
    }


def _error_terms(samples: Samples, probability: Array, mask: Array) -> dict[str, tuple[Floats, Floats]]:
    happened = (samples.labels & mask).sum(axis=1).astype(np.float64)
    n_pairs = mask.sum(axis=1).astype(np.float64)
    error = np.where(mask, probability.astype(np.float64) - samples.labels, 0)
    expected = np.where(mask, probability, 0).sum(axis=1, dtype=np.float64)
    return {
        "prevalence": (happened, n_pairs),
        "brier": (np.einsum("ij,ij->i", error, error), n_pairs),
        "expected_over_observed": (expected, happened),
    }


def _ranking_terms(
    samples: Samples, probability: Array, mask: Array, ks: tuple[int, ...]
) -> dict[str, tuple[Floats, Floats]]:
    hits = ranking.hits_at(probability, samples.labels, ks, mask)
    n_positive = (samples.labels & mask).sum(axis=1)
    terms: dict[str, tuple[Floats, Floats]] = {}
    for column, k in enumerate(ks):
        terms |= ranking.terms(hits[:, column], n_positive, k)
    return terms


def _scaled_brier(ratios: Metrics, wider: float) -> Replicated:
    brier, prevalence = ratios["brier"], ratios["prevalence"]
    estimate = float(scale_brier(brier.estimate, prevalence.estimate))
    return Replicated.centred(estimate, scale_brier(brier.values, prevalence.values), wider)
