"""Degenerate input: every metric has a defined answer or none, never a warning, and never NaN where it is defined."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from attending.errors import ArtifactError
from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.config import Config
from attending.evaluate.curves import curves, populations, reference
from attending.evaluate.definitions import definition
from attending.evaluate.samples import Samples, check_probabilities
from attending.evaluate.scores import score
from attending.evaluate.sets import f1_threshold
from attending.evaluate.thresholds import thresholds
from attending.metrics import calibration, calibration_curve, decision, discrimination, ranking, weighted_f1
from attending.metrics.smooth_ece import smooth_ece

NAN = float("nan")
CONFIG = Config(n_replicates=30, ks=(1, 2))
OF_ONE = {
    "auroc": discrimination.auroc,
    "auprc": discrimination.average_precision,
    "brier": calibration.brier,
    "scaled_brier": calibration.scaled_brier,
    "expected_over_observed": calibration.expected_over_observed,
    "calibration_intercept": calibration.calibration_intercept,
    "calibration_slope": calibration.calibration_slope,
    "ici": lambda p, y: calibration_curve.curve_errors(p, y)["ici"],
    "emax": lambda p, y: calibration_curve.curve_errors(p, y)["emax"],
    "smooth_ece": smooth_ece,
    "net_benefit": lambda p, y: float(decision.net_benefit(decision.confusion(p, y, 0.25), 0.25)[0]),
    "sensitivity": lambda p, y: float(
        decision.threshold_table(decision.confusion(p, y, 0.25))["sensitivity"][0]
    ),
    "specificity": lambda p, y: float(
        decision.threshold_table(decision.confusion(p, y, 0.25))["specificity"][0]
    ),
}
# What each metric says, in the order of OF_ONE; None: any finite number.
CASES = {
    "nothing": ([], [], [NAN] * 13),
    "one sample with": ([0.5], [1], [NAN, 1, 0.25, NAN, 0.5, NAN, NAN, NAN, NAN, 0.5, 1, 1, NAN]),
    "one sample without": ([0.5], [0], [NAN, NAN, 0.25, NAN, NAN, NAN, NAN, NAN, NAN, 0.5, -1 / 3, NAN, 0]),
    "one class": ([0.1, 0.3], [0, 0], [NAN, NAN, 0.05, NAN, NAN, NAN, NAN, NAN, NAN, 0.2, -1 / 6, NAN, 0.5]),
    "constant": ([0.5] * 4, [1, 0, 1, 0], [0.5, 0.5, 0.25, 0, 1, 0, NAN, 0, 0, 0, 1 / 3, 1, 0]),
    "tied": ([0.2, 0.2, 0.8, 0.8], [1, 0, 1, 0], [0.5, 0.5, 0.34, -0.36, 1, 0, None, 0.3, 0.3, None, 1 / 6, 0.5, 0.5]),
    "separable": ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], [1, 1, 0.025, 0.9, 1, 0, NAN, None, None, None, 0.5, 1, 1]),
    "certain and right": ([0.0, 1.0], [0, 1], [1, 1, 0, 1, 1, 0, NAN, None, None, 0, 0.5, 1, 1]),
    "certain and wrong": ([1.0, 0.0], [0, 1], [0, 0.5, 1, -3, 1, 0, NAN, None, None, None, -1 / 6, 0, 0]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_metric_of_one_outcome_answers_or_has_no_answer(case):
    p, y, expected = CASES[case]
    for (name, metric), value in zip(OF_ONE.items(), expected, strict=True):
        found = metric(np.array(p), np.array(y, bool))
        if value is None:
            assert np.isfinite(found), name
        else:
            assert found == pytest.approx(value, abs=1e-9, nan_ok=True), name


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0), (1, 1)])
def test_ranking_of_nothing_has_no_answer(shape):
    p, y = np.zeros(shape), np.zeros(shape, bool)
    for metric in (ranking.recall_at_k, ranking.hit_rate_at_k_min, ranking.code_accuracy_at_k):
        assert np.isnan(metric(p, y, 2))
    assert np.isnan([weighted_f1.weighted_f1(p, y, 0.5), weighted_f1.weighted_f1_oracle_k(p, y)]).all()
    assert np.isnan(weighted_f1.choose_threshold(p, y))


def drawn(n_subjects=40, visits=2, n_outcomes=3):
    generator = np.random.default_rng(0)
    p = generator.random((n_subjects * visits, n_outcomes)).astype(np.float32)
    labels, history = generator.random(p.shape) < p, generator.random(p.shape) < 0.4
    return Samples(np.repeat(np.arange(n_subjects), visits), labels, history), p


def change(samples, p, *, labels=None, history=None, probability=None, known=None):
    return (
        Samples(
            samples.subject,
            samples.labels if labels is None else labels,
            samples.history if history is None else history,
            known,
        ),
        p if probability is None else probability,
    )


def never(samples, p):
    labels = samples.labels.copy()
    labels[:, 0] = False
    return change(samples, p, labels=labels)


def first(samples, p, rows=slice(None), outcomes=slice(None)):
    part = samples.labels[rows, outcomes], samples.history[rows, outcomes]
    return Samples(samples.subject[rows], *part), p[rows, outcomes]


NOTHING, EVERYTHING = np.zeros((80, 3), bool), np.ones((80, 3), bool)
WHOLE = {
    "as it is": lambda s, p: (s, p),
    "an outcome never happens": never,
    "nothing happens": lambda s, p: change(s, p, labels=NOTHING),
    "all happens": lambda s, p: change(s, p, labels=EVERYTHING),
    "constant": lambda s, p: change(s, p, probability=np.full_like(p, 0.3)),
    "zeros": lambda s, p: change(s, p, probability=np.zeros_like(p)),
    "ones": lambda s, p: change(s, p, probability=np.ones_like(p)),
    "two values": lambda s, p: change(s, p, probability=np.round(p)),
    "the truth": lambda s, p: change(s, p, probability=s.labels.astype(np.float32)),
    "nothing is known": lambda s, p: change(s, p, labels=NOTHING, known=NOTHING),
    "little is known": lambda s, p: change(s, p, labels=s.labels & (p < 0.1), known=p < 0.1),
    "no history": lambda s, p: change(s, p, history=NOTHING),
    "all is history": lambda s, p: change(s, p, history=EVERYTHING),
    "one subject": lambda s, p: (Samples(np.zeros(80), s.labels, s.history), p),
    "one sample": lambda s, p: first(s, p, rows=slice(1)),
    "no sample": lambda s, p: first(s, p, rows=slice(0)),
    "one outcome": lambda s, p: first(s, p, outcomes=slice(1)),
    "one outcome, one sample": lambda s, p: first(s, p, slice(1), slice(1)),
    "one outcome, no sample": lambda s, p: first(s, p, slice(0), slice(1)),
}
DEFINED = {
    "as it is": "all",
    "constant": "all but calibration_slope",
    "zeros": "all but calibration_slope",
    "ones": "all but calibration_slope",
    "two values": "all",
    "the truth": "all but calibration_slope",
    "one subject": "all",
    "an outcome never happens": "all",
    "no history": "all",
    "all is history": "all",
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_whole_evaluation_answers_or_has_no_answer_and_never_warns(case):
    samples, p = WHOLE[case](*drawn())
    bootstrap = Bootstrap(samples.n_subjects, CONFIG.n_replicates, seed=0)
    threshold = f1_threshold(samples, p)
    with ThreadPoolExecutor(2) as executor:
        scores = score(samples, p, bootstrap, CONFIG, executor, threshold)
    for population in populations(samples):
        reference(samples, population)
        curves(samples, p, population, bootstrap, 0.95)
    if samples.is_binary:
        for rule in thresholds((samples, p), (samples, p), bootstrap, 0.95).values():
            for name in set(rule) - {"threshold"}:
                lowest, highest = definition(name).bounds
                ends = [value for value in rule[name].values() if value is not None]
                assert all((lowest is None or value >= lowest) for value in ends), name
                assert all((highest is None or value <= highest + 1e-12) for value in ends), name
    exceptions = DEFINED.get(case, "").removeprefix("all but ").split()
    for scope, metrics in scores.metrics.items():
        for name, value in metrics.items():
            low, high = value.interval(0.95)
            assert np.isnan([low, high]).all() or low <= high, name
            lowest, highest = definition(name).bounds
            assert not value.estimate < (-np.inf if lowest is None else lowest) - 1e-9, name
            assert not value.estimate > (np.inf if highest is None else highest) + 1e-9, name
            if case in DEFINED and scope == "all" and name not in exceptions:
                assert np.isfinite([value.estimate, low, high]).all(), name
            if case == "no sample" or case.startswith("nothing"):
                assert np.isnan(value.estimate) or name in ("prevalence", "brier"), name


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.01, 1.01])
def test_what_is_no_probability_is_an_error_that_names_the_model(wrong):
    samples, p = drawn()
    p[0, 0] = wrong
    with pytest.raises(ArtifactError, match="model 'gru'; got 1 of 240 values"):
        check_probabilities("gru", p, samples.n, 3)
