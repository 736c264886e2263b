"""Decisions against scikit-learn, dcurves, fairlearn and golden values."""

import numpy as np
import pandas as pd
import pytest
from dcurves import dca
from fairlearn import metrics as fairness
from sklearn.metrics import class_likelihood_ratios, confusion_matrix, precision_score

from attending.metrics.decision import (
    RULES,
    choose_thresholds,
    confusion,
    net_benefit,
    net_benefit_of_all,
    threshold_table,
)


def drawn(seed=0, n=300, levels=20):
    generator = np.random.default_rng(seed)
    p = generator.integers(0, levels + 1, n) / levels
    return p, generator.random(n) < p, generator.gamma(1.0, size=n)


def test_counts_equal_those_of_scikit_learn_with_alerts_at_the_threshold_itself():
    p, y, w = drawn()
    for threshold in (0.0, 0.25, 0.5, 1.0):
        tn, fp, fn, tp = confusion_matrix(y, p >= threshold, sample_weight=w, labels=[False, True]).ravel()
        got = confusion(p, y, threshold, w)
        assert [got.tp[0], got.fp[0], got.fn[0], got.tn[0]] == pytest.approx([tp, fp, fn, tn], abs=1e-9)


def test_golden_table_holds():
    # Recipe, by hand at .5: alerts .5 .6 .9 hold TP 2, FP 1; below stand FN 1, TN 2.
    p, y = [0.5, 0.6, 0.9, 0.1, 0.2, 0.3], [1, 0, 1, 1, 0, 0]
    table = {name: value[0] for name, value in threshold_table(confusion(p, y, 0.5)).items()}
    assert table == pytest.approx(
        {
            "sensitivity": 2 / 3,
            "specificity": 2 / 3,
            "ppv": 2 / 3,
            "npv": 2 / 3,
            "alerts_per_100": 50,
            "likelihood_ratio_positive": 2,
            "number_needed_to_evaluate": 1.5,
        }
    )
    # Net benefit at .25: alerts .5 .6 .9 .3: TP 2/6 − FP 2/6 · (1/3).
    assert net_benefit(confusion(p, y, 0.25), 0.25)[0] == pytest.approx(2 / 6 - 2 / 18)


@pytest.mark.parametrize("seed", range(3))
def test_net_benefit_equals_that_of_dcurves(seed):
    p, y, _ = drawn(seed, levels=1000)
    at = np.arange(1, 100) / 100
    p = np.where(np.isin(p, at), p + 0.0005, p)  # dcurves alerts above a threshold, we at it
    found = dca(pd.DataFrame({"y": y.astype(int), "p": p}), "y", ["p"], thresholds=at)
    of_model, of_all, of_none = (found[found["model"] == name].net_benefit for name in ("p", "all", "none"))
    assert net_benefit(confusion(p, y, at), at) == pytest.approx(of_model.to_numpy(), abs=1e-9)
    assert net_benefit_of_all(y.mean(), at) == pytest.approx(of_all.to_numpy(), abs=1e-9)
    assert (of_none == 0).all()


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_the_table_of_a_threshold_equals_scikit_learn_and_fairlearn(threshold):
    p, y, w = drawn(3)
    alert, given = p >= threshold, {"sample_weight": w}
    expected = {
        "sensitivity": fairness.true_positive_rate(y, alert, **given),
        "specificity": fairness.true_negative_rate(y, alert, **given),
        "ppv": precision_score(y, alert, **given),
        "npv": precision_score(~y, ~alert, **given),
        "alerts_per_100": 100 * fairness.selection_rate(y, alert, **given, pos_label=True),
        "likelihood_ratio_positive": class_likelihood_ratios(y, alert, **given)[0],
        "number_needed_to_evaluate": 1 / precision_score(y, alert, **given),
    }
    table = {name: value[0] for name, value in threshold_table(confusion(p, y, threshold, w)).items()}
    assert table == pytest.approx(expected, abs=1e-9)


def test_treating_all_is_an_alert_at_every_prediction():
    p, y, w = drawn(2)
    thresholds = np.linspace(0.05, 0.95, 19)
    everyone = confusion(np.ones(len(p)), y, thresholds, w)
    prevalence = np.average(y, weights=w)
    assert net_benefit(everyone, thresholds) == pytest.approx(
        net_benefit_of_all(prevalence, thresholds), abs=1e-12
    )
    assert (net_benefit(confusion(p, y, thresholds, w), thresholds) <= prevalence + 1e-12).all()


def test_order_changes_nothing_and_integer_weights_are_repetition():
    p, y, _ = drawn(4)
    weights = np.random.default_rng(1).integers(0, 4, len(p))
    order, repeated = np.random.default_rng(0).permutation(len(p)), np.repeat(np.arange(len(p)), weights)
    value = confusion(p, y, [0.3, 0.6], weights)
    for other in (
        confusion(p[order], y[order], [0.3, 0.6], weights[order]),
        confusion(p[repeated], y[repeated], [0.3, 0.6]),
    ):
        assert np.array_equal(
            [value.tp, value.fp, value.fn, value.tn], [other.tp, other.fp, other.fn, other.tn]
        )


def test_thresholds_keep_the_promise_of_their_rule():
    p, y, _ = drawn(6, n=500, levels=100)
    chosen = choose_thresholds(p, y)
    table = threshold_table(confusion(p, y, [chosen[rule] for rule in RULES]))
    every = threshold_table(confusion(p, y, np.unique(p)))
    assert table["sensitivity"][1] >= 0.8
    assert table["specificity"][2] >= 0.9
    best = (every["sensitivity"] + every["specificity"]).max()
    assert table["sensitivity"][0] + table["specificity"][0] == pytest.approx(best)
    higher = np.unique(p)[np.unique(p) > chosen["sensitivity_80"]]
    assert (threshold_table(confusion(p, y, higher))["sensitivity"] < 0.8).all()
    lower = np.unique(p)[np.unique(p) < chosen["specificity_90"]]
    assert (threshold_table(confusion(p, y, lower))["specificity"] < 0.9).all()


def test_a_constant_prediction_cannot_spare_anyone_unless_no_one_is_alerted():
    chosen = choose_thresholds([0.4] * 6, [1, 0, 0, 0, 0, 1])
    assert chosen["youden"] == 0.4
    assert chosen["specificity_90"] > 0.4


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], [0], []])
def test_what_has_no_meaning_is_nan_without_a_warning(labels):
    p = np.full(len(labels), 0.4)
    assert np.isnan(list(choose_thresholds(p, labels).values())).all()
    table = threshold_table(confusion(p, labels, 0.5))
    assert np.isnan(table["ppv"]).all()
    assert np.isnan(net_benefit(confusion(p, labels, 1.0), 1.0)).all()
