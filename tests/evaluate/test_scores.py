"""Scores of whole models: estimates are the plain metrics, scopes hold what they say, order is nothing."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from attending.errors import ArtifactError
from attending.evaluate.bootstrap import Bootstrap
from attending.evaluate.comparison import best_of, headline_metric, long_table, summarise
from attending.evaluate.config import Config
from attending.evaluate.curves import curves, populations
from attending.evaluate.definitions import definition
from attending.evaluate.per_outcome import per_outcome
from attending.evaluate.samples import SCOPES, Samples, check_probabilities
from attending.evaluate.scores import score
from attending.evaluate.sets import f1_threshold
from attending.evaluate.truth import combine
from attending.metrics import calibration, ranking
from attending.metrics.discrimination import auroc, average_precision
from attending.metrics.smooth_ece import smooth_ece
from attending.metrics.weighted_f1 import choose_threshold, weighted_f1, weighted_f1_oracle_k

CONFIG = Config(n_replicates=60, ks=(2, 3))
THRESHOLD = 0.3


def drawn(seed=0, n_subjects=60, visits=3, n_outcomes=5):
    generator = np.random.default_rng(seed)
    owner = np.repeat(np.arange(n_subjects) * 3 + 100, visits)
    truth = generator.random((len(owner), n_outcomes)).astype(np.float32) ** 2
    labels, history = generator.random(truth.shape) < truth, generator.random(truth.shape) < 0.4
    return Samples(owner, labels, history), truth


def scored(samples, probability, config=CONFIG):
    bootstrap = Bootstrap(samples.n_subjects, config.n_replicates, seed=0)
    with ThreadPoolExecutor(2) as executor:
        return score(samples, probability, bootstrap, config, executor, f1_threshold=THRESHOLD)


@pytest.mark.parametrize("scope", SCOPES)
def test_estimates_are_the_plain_metrics_of_the_pairs_in_scope(scope):
    samples, p = drawn()
    pairs, metrics = samples.pairs(scope), scored(samples, p).metrics[scope]
    columns = [(p[pairs[:, at], at], samples.labels[pairs[:, at], at]) for at in range(5)]
    expected = {
        "macro_auroc": np.mean([auroc(*column) for column in columns]),
        "macro_auprc": np.mean([average_precision(*column) for column in columns]),
        "micro_auroc": auroc(p[pairs], samples.labels[pairs]),
        "micro_auprc": average_precision(p[pairs], samples.labels[pairs]),
        "prevalence": samples.labels[pairs].mean(),
        "brier": calibration.brier(p[pairs], samples.labels[pairs]),
        "expected_over_observed": calibration.expected_over_observed(p[pairs], samples.labels[pairs]),
        "calibration_intercept": calibration.calibration_intercept(p[pairs], samples.labels[pairs]),
        "calibration_slope": calibration.calibration_slope(p[pairs], samples.labels[pairs]),
        "smooth_ece": smooth_ece(p[pairs], samples.labels[pairs]),
        "weighted_f1": weighted_f1(np.where(pairs, p, -1), samples.labels & pairs, THRESHOLD),
        "weighted_f1_oracle_k": weighted_f1_oracle_k(np.where(pairs, p, -1), samples.labels & pairs),
        "recall_at_2": ranking.recall_at_k(np.where(pairs, p, -1), samples.labels & pairs, 2),
        "hit_rate_at_2_min": ranking.hit_rate_at_k_min(np.where(pairs, p, -1), samples.labels & pairs, 2),
        "code_accuracy_at_3": ranking.code_accuracy_at_k(np.where(pairs, p, -1), samples.labels & pairs, 3),
    }
    for name, value in expected.items():
        assert metrics[name].estimate == pytest.approx(value, abs=1e-6), name  # float32 probabilities
        low, high = metrics[name].interval(0.95)
        assert low < value < high, name


def test_ties_at_zero_are_never_taken_from_outside_the_scope():
    samples, p = drawn()
    metrics = scored(samples, np.zeros_like(p)).metrics["new_onset"]
    first = np.argsort(~samples.pairs("new_onset"), axis=1, kind="stable")[:, :2]
    in_scope = samples.labels & samples.pairs("new_onset")
    hits, positive = np.take_along_axis(in_scope, first, axis=1).sum(axis=1), in_scope.sum(axis=1)
    expected = (hits / np.maximum(positive, 1))[positive > 0].mean()
    assert metrics["recall_at_2"].estimate == pytest.approx(expected, abs=1e-12)


def test_what_is_not_known_is_in_no_metric():
    samples, p = drawn()
    known = np.random.default_rng(3).random(p.shape) < 0.8
    labels = samples.labels & known
    part = Samples(samples.subject, labels, samples.history, known)
    other = np.where(known, p, 1 - p)  # whatever is predicted of the unknown
    before, after = scored(part, p), scored(part, other)
    for scope in SCOPES:
        pairs = part.pairs(scope)
        assert before.metrics[scope]["brier"].estimate == pytest.approx(
            calibration.brier(p[pairs], labels[pairs]), abs=1e-6
        )
        for name, value in before.metrics[scope].items():
            assert after.metrics[scope][name].estimate == pytest.approx(value.estimate, abs=1e-12), name


def test_the_threshold_of_weighted_f1_comes_from_tuning_data_and_without_one_there_is_none():
    samples, p = drawn()
    known = np.random.default_rng(3).random(p.shape) < 0.8
    tuning = Samples(samples.subject, samples.labels & known, samples.history, known)
    assert f1_threshold(tuning, p) == choose_threshold(p, tuning.labels, known)
    bootstrap = Bootstrap(samples.n_subjects, 20, seed=0)
    with ThreadPoolExecutor(2) as executor:
        metrics = score(samples, p, bootstrap, CONFIG, executor).metrics["all"]
    assert np.isnan(metrics["weighted_f1"].estimate)
    assert np.isfinite(metrics["weighted_f1_oracle_k"].estimate)


def test_replicates_of_weighted_f1_are_the_metric_under_their_weights():
    samples, p = drawn()
    found, bootstrap = scored(samples, p).metrics["all"], Bootstrap(samples.n_subjects, 60, seed=0)
    weights = np.concatenate(bootstrap.blocks, axis=1)[samples.owner]
    for name, metric in (("weighted_f1", weighted_f1), ("weighted_f1_oracle_k", weighted_f1_oracle_k)):
        given = (THRESHOLD,) if name == "weighted_f1" else ()
        exact = np.array([metric(p, samples.labels, *given, weights[:, at]) for at in range(60)])
        got = found[name].values
        assert got - got.mean() == pytest.approx(exact - exact.mean(), abs=1e-6)


def test_a_binary_task_has_its_own_metrics():
    samples, p = drawn(n_outcomes=1, n_subjects=150)
    metrics = scored(samples, p).metrics
    assert list(metrics) == ["all"]
    found, y = metrics["all"], samples.labels[:, 0]
    assert found["auroc"].estimate == pytest.approx(auroc(p[:, 0], y), abs=1e-12)
    assert found["scaled_brier"].estimate == pytest.approx(calibration.scaled_brier(p[:, 0], y), abs=1e-9)
    assert not {"micro_auroc", "macro_auroc", "recall_at_2"} & set(found)
    assert headline_metric(samples, CONFIG) == "auroc"


def test_the_order_of_rows_changes_nothing():
    samples, p = drawn()
    order = np.random.default_rng(5).permutation(samples.n)
    moved = Samples(samples.subject[order], samples.labels[order], samples.history[order])
    before, after = scored(samples, p), scored(moved, p[order])
    for scope, metrics in before.metrics.items():
        for name, value in metrics.items():
            other = after.metrics[scope][name]
            assert other.estimate == pytest.approx(value.estimate, abs=1e-9)
            assert other.values == pytest.approx(value.values, abs=1e-9)


def test_the_order_of_models_changes_nothing_and_a_baseline_differs_from_itself_by_zero():
    samples, p = drawn()
    scores = {"popularity": scored(samples, p), "better": scored(samples, np.sqrt(p))}
    summary = summarise(scores, "popularity", 0.95)
    assert summary == summarise(dict(reversed(scores.items())), "popularity", 0.95)
    for metrics in summary["popularity"].values():
        for entry in metrics.values():
            assert entry["difference"] == {"estimate": 0, "low": 0, "high": 0}
            assert entry["gap_to_ceiling"] is None
    table = long_table(summary)
    assert len(table) == 2 * sum(len(metrics) for metrics in summary["better"].values())


def test_only_outcomes_with_enough_samples_of_both_classes_are_scored_whatever_the_model():
    samples, p = drawn()
    samples.labels[:, 0] = False
    samples.labels[:9, 0] = True
    samples.labels[:, 1] = True
    assert samples.scored_outcomes("all", 10) == [2, 3, 4]
    assert list(scored(samples, p).outcomes["all"]) == [2, 3, 4]
    assert samples.scored_outcomes("all", 9) == [0, 2, 3, 4]


def test_nothing_to_score_is_undefined_and_never_an_error():
    samples, p = drawn(n_subjects=2, visits=1)
    samples.labels[:] = False
    metrics = scored(samples, p).metrics
    assert np.isnan(metrics["all"]["macro_auroc"].estimate)
    assert np.isnan(metrics["all"]["recall_at_2"].estimate)
    assert headline_metric(samples, CONFIG) == "micro_auroc"
    summary = summarise({"one": scored(samples, p)}, None, 0.95)
    assert summary["one"]["all"]["micro_auroc"]["estimate"] is None


@pytest.mark.parametrize("constant", [0.0, 0.25, 1.0])
def test_constant_predictions_are_scored(constant):
    samples, p = drawn()
    metrics = scored(samples, np.full_like(p, constant)).metrics["all"]
    assert metrics["macro_auroc"].estimate == 0.5
    assert metrics["micro_auroc"].interval(0.95) == pytest.approx((0.5, 0.5))
    assert np.isnan(metrics["calibration_slope"].estimate)


def test_one_subject_has_an_interval_of_no_width():
    samples, p = drawn(n_subjects=1, visits=50)
    assert np.ptp(scored(samples, p).metrics["all"]["macro_auroc"].values) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.1])
def test_values_that_are_no_probability_are_refused_by_model_and_number(wrong):
    _, p = drawn()
    p[3, 2] = p[5, 1] = wrong
    with pytest.raises(ArtifactError, match=r"the model 'retain'; got 2 of 900 values"):
        check_probabilities("retain", p, 180, 5)
    with pytest.raises(ArtifactError, match="180 samples × 4 outcomes; got 180 × 5"):
        check_probabilities("retain", p, 180, 4)


def test_the_best_baseline_is_chosen_on_tuning_data_or_else_by_order():
    samples, p = drawn()
    worse = np.random.default_rng(9).random(p.shape).astype(np.float32)
    found = {"popularity": p, "gbm_counts": worse, "retain": p}
    assert best_of(["gbm_counts", "popularity"], samples, found, CONFIG) == ("popularity", "tuning")
    nobody = Samples(samples.subject[:0], samples.labels[:0], samples.history[:0])
    empty = {name: value[:0] for name, value in found.items()}
    assert best_of(["gbm_counts", "popularity"], nobody, empty, CONFIG) == ("gbm_counts", "order")
    assert best_of([], samples, {"retain": p}, CONFIG) == (None, None)


def test_small_cells_are_hidden_with_the_part_that_would_give_them_away():
    import polars as pl

    samples, p = drawn(n_outcomes=2, n_subjects=80)
    samples.labels[:, 0] = False
    samples.labels[:60, 0] = True
    samples.history[:, 0] = False
    samples.history[:5, 0] = True  # 5 recurrences: small, so the new onsets would tell
    outcomes = pl.DataFrame({"outcome": ["a", "b"], "description": ["A", "B"]})
    table = per_outcome("m", samples, p, scored(samples, p), outcomes, 0.95)
    of_first = {row["scope"]: row for row in table.filter(pl.col("outcome") == "a").iter_rows(named=True)}
    assert of_first["all"]["n_positive"] == 60
    for scope in ("new_onset", "recurrent"):
        assert of_first[scope]["suppressed"]
        for name in ("n_samples", "n_positive", "prevalence", "brier", "expected_over_observed"):
            assert of_first[scope][name] is None
    assert not table.filter(pl.col("outcome") == "b")["suppressed"].any()


def test_a_binary_task_with_few_events_does_not_tell_how_many():
    samples, p = drawn(n_outcomes=1)
    samples.labels[:] = False
    samples.labels[:5] = True
    metrics = scored(samples, p).metrics["all"]
    assert "auroc" in metrics
    assert not {"prevalence", "scaled_brier"} & set(metrics)


def test_curves_stand_for_eleven_samples_or_are_hidden():
    samples, p = drawn(n_subjects=150)
    bootstrap = Bootstrap(samples.n_subjects, 60, 0)
    assert populations(samples)[0] == [0, 1, 2, 3, 4]
    found = curves(samples, p, [0], bootstrap, 0.95)
    for low, middle, high in zip(
        *(found["calibration"][name] for name in ("low", "observed", "high")), strict=True
    ):
        assert low - 0.05 <= middle <= high + 0.05
    for group in found["calibration_groups"]:
        assert group["suppressed"] == (group["observed"] is None)
        assert group["suppressed"] or group["n"] >= 11
    n_positive = samples.labels[:, 0].sum()
    for share in found["risk"]["positive"]:
        assert share is None or share == 0 or share * n_positive > 10.5
    assert len(found["roc"]) == 101
    samples.labels[:, 1] = False
    samples.labels[:10, 1] = True
    assert curves(samples, p, [1], bootstrap, 0.95) is None
    assert [1] not in populations(samples)


def test_every_metric_has_a_definition():
    samples, p = drawn()
    for found in (scored(samples, p), scored(*_first_outcome(samples, p))):
        for metrics in found.metrics.values():
            for name in metrics:
                assert definition(name).label
    with pytest.raises(KeyError):
        definition("accuracy")


def _first_outcome(samples, p):
    return Samples(samples.subject, samples.labels[:, :1], samples.history[:, :1]), p[:, :1]


def test_an_outcome_happens_if_any_of_its_conditions_is_recorded_with_one_of_its_codes():
    p = np.array([[0.2, 0.5, 1.0]])
    shares = np.array([[1.0, 0.0], [0.4, 0.6], [0.0, 1.0]])
    assert combine(p, shares) == pytest.approx(np.array([[1 - 0.8 * 0.8, 1 - 0.7 * 0.0]]), abs=1e-9)
