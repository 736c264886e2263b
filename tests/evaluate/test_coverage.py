"""A small part of benchmarks/coverage.py: intervals hold the known truth about as often as they say."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
TOGETHER = 0.92, 0.98  # of all metrics and cohorts; metrics of one cohort agree, so this is no tighter
LEAST = 0.8  # of one metric, with a standard error of 3 %, and the least of dozens


@pytest.fixture(scope="module")
def coverage():
    spec = importlib.util.spec_from_file_location("coverage_of_intervals", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.N_TRUTH = 20_000
    yield module
    del sys.modules[spec.name]


def check(found, names, scopes, n_expected):
    held = {key: np.mean(np.array(places) == 0) for key, places in found.items() if places}
    checked = {key: share for key, share in held.items() if key[2] in names and key[1] in scopes}
    assert len(checked) == n_expected
    assert TOGETHER[0] <= np.mean(list(checked.values())) <= TOGETHER[1]
    assert {key: share for key, share in checked.items() if share < LEAST} == {}


@pytest.mark.slow
def test_intervals_of_one_outcome_and_of_differences_hold_the_truth(coverage):
    names = ("auroc", "auprc", "brier", "scaled_brier", "expected_over_observed", "calibration_intercept")
    names += ("calibration_slope", "net_benefit (youden)", "sensitivity (youden)")
    found = coverage.coverage(coverage.Setting(200, (-1.0,)), n_cohorts=150, n_replicates=200)
    check(found, names, ("all",), 7 * 3 + 2 * 2)


@pytest.mark.slow
def test_intervals_of_several_outcomes_hold_the_truth_also_of_new_onset_alone(coverage):
    names = (
        "macro_auroc",
        "weighted_f1",
        "weighted_f1_oracle_k",
        "brier",
        "calibration_slope",
    )
    setting = coverage.Setting(60, (-0.9, -0.6, -0.3, 0.0))
    check(coverage.coverage(setting, n_cohorts=40, n_replicates=100), names, ("all", "new_onset"), 5 * 3 * 2)
