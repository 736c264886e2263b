"""Recalibration learns from tuning data alone, and mends on held-out data what is wrong in the same way."""

import dataclasses

import numpy as np
import pytest
from made_evidence import evidence
from sklearn.metrics import brier_score_loss, roc_auc_score

from attending.evaluate.recalibration import recalibration
from attending.metrics.recalibration import fit_intercept, fit_isotonic


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return evidence(tmp_path_factory.mktemp("events"), n_subjects=300, shift=1.0)


@pytest.fixture(scope="module")
def found(made):
    return recalibration(made)


def pairs(made, split, model):
    cohort = getattr(made, split)
    known = cohort.samples.known
    return made.predictions[split][model][known].astype(float), cohort.samples.labels[known]


def test_before_and_after_are_the_metrics_of_the_probabilities(made, found):
    p, y = pairs(made, "held_out", "shifted")
    moved = fit_intercept(*pairs(made, "tuning", "shifted"))(p)
    model = found["models"]["shifted"]
    after = model["maps"]["intercept"]["after"]
    assert model["before"]["brier"]["estimate"] == pytest.approx(brier_score_loss(y, p), abs=1e-5)
    assert after["brier"]["estimate"] == pytest.approx(brier_score_loss(y, moved), abs=1e-5)
    assert after["expected_over_observed"]["estimate"] == pytest.approx(moved.sum() / y.sum(), abs=1e-5)
    stepped = fit_isotonic(*pairs(made, "tuning", "shifted"))(p)
    isotonic = model["maps"]["isotonic"]["after"]
    assert isotonic["auroc"]["estimate"] == pytest.approx(roc_auc_score(y, stepped), abs=1e-5)


def test_a_shift_is_mended_and_a_right_model_is_left_alone(found):
    shifted, right = found["models"]["shifted"], found["models"]["right"]
    assert shifted["before"]["calibration_intercept"]["high"] < -0.5
    for name, of_map in shifted["maps"].items():
        after = of_map["after"]["calibration_intercept"]
        assert after["low"] < 0.1 < 0.3 + after["high"], name
        assert abs(after["estimate"]) < 0.25, name
        assert of_map["change"]["brier"]["high"] < 0, name
    assert abs(right["maps"]["intercept"]["settings"]["intercept"]) < 0.2
    assert right["maps"]["intercept_and_slope"]["settings"]["slope"] == pytest.approx(1, abs=0.2)


def test_maps_that_keep_the_order_keep_the_auroc(found):
    for model in found["models"].values():
        for name in ("intercept", "intercept_and_slope"):
            after = model["maps"][name]["after"]["auroc"]
            assert after["estimate"] == pytest.approx(model["before"]["auroc"]["estimate"], abs=2e-5)


def test_held_out_labels_change_no_map(made, found):
    turned = dataclasses.replace(made.held_out.samples, labels=~made.held_out.samples.labels)
    again = recalibration(
        dataclasses.replace(made, held_out=dataclasses.replace(made.held_out, samples=turned))
    )
    for model, of_model in found["models"].items():
        for name, of_map in of_model["maps"].items():
            assert again["models"][model]["maps"][name]["settings"] == of_map["settings"]


def test_outcomes_get_intercepts_of_their_own_where_tuning_data_hold_enough(tmp_path):
    made = evidence(tmp_path, n_subjects=150, n_outcomes=3)
    for split in ("tuning", "held_out"):
        moved = made.predictions[split]["right"]
        made.predictions[split]["right"] = 1 / (1 + np.exp([-1, 1, 0]) * (1 - moved) / moved)
    made.tuning.samples.labels[40:, 2] = False  # too few events for an intercept of its own
    maps = recalibration(made)["models"]["right"]["maps"]
    assert maps["intercept_of_outcomes"]["settings"]["n_outcomes"] == 2
    own, shared = (
        maps[name]["after"]["brier"]["estimate"] for name in ("intercept_of_outcomes", "intercept")
    )
    assert own < shared - 0.005


def test_one_class_in_tuning_data_means_no_recalibration(made):
    nothing = dataclasses.replace(made.tuning.samples, labels=made.tuning.samples.labels & False)
    silent = dataclasses.replace(made, tuning=dataclasses.replace(made.tuning, samples=nothing))
    assert recalibration(silent) is None
