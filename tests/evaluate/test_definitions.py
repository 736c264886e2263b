"""Every metric has one definition, one row in docs/metrics.md, and a test against an independent implementation."""

import re
from pathlib import Path

import pytest

from attending.evaluate.definitions import NAMES, definition, name_of

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
ROWS = [line for line in DOCUMENT.splitlines() if line.startswith("| `")]
# What each metric is held against, and by which test.
ORACLES = {
    "auroc": ("roc_auc_score", "test_discrimination"),
    "auprc": ("average_precision_score", "test_discrimination"),
    "recall": ("recall_score", "test_ranking"),
    "hit_rate": ("by_hand", "test_ranking"),
    "code_accuracy": ("recall_score", "test_ranking"),
    "weighted_f1": ("f1_score", "test_weighted_f1"),
    "brier": ("brier_score_loss", "test_calibration"),
    "scaled_brier": ("r2_score", "test_calibration"),
    "expected_over_observed": ("np.average", "test_calibration"),
    "calibration_intercept": ("sm.GLM", "test_calibration"),
    "calibration_slope": ("sm.GLM", "test_calibration"),
    **dict.fromkeys(("ici", "e50", "e90", "emax"), ("lowess", "test_calibration")),
    "smooth_ece": ("smECE_sigma", "test_smooth_ece"),
    "net_benefit": ("dca", "test_decision"),
    "sensitivity": ("true_positive_rate", "test_decision"),
    "specificity": ("true_negative_rate", "test_decision"),
    **dict.fromkeys(("ppv", "npv", "number_needed_to_evaluate"), ("precision_score", "test_decision")),
    "alerts_per_100": ("selection_rate", "test_decision"),
    "likelihood_ratio_positive": ("class_likelihood_ratios", "test_decision"),
    "mae": ("mean_absolute_error", "test_regression"),
    "rmse": ("root_mean_squared_error", "test_regression"),
    "median_absolute_error": ("median_absolute_error", "test_regression"),
    "mean_error": ("np.mean", "test_regression"),
    "r2": ("r2_score", "test_regression"),
    **dict.fromkeys(("slope_of_observed", "intercept_of_observed"), ("linregress", "test_regression")),
    "mean_absolute_log_error": ("mean_absolute_error", "test_regression"),
    "msle": ("mean_squared_log_error", "test_regression"),
    "share_within_one_day": ("np.mean", "test_regression"),
    "kappa": ("cohen_kappa_score", "test_regression"),
    "ipcw_auroc": ("cumulative_dynamic_auc", "test_survival"),
    "ipcw_brier": ("brier_score", "test_survival"),
    **dict.fromkeys(
        ("scaled_ipcw_brier", "expected_over_incidence"),
        ("cumulative_incidence_competing_risks", "test_survival"),
    ),
    "concordance": ("concordance_index_ipcw", "test_survival"),
    "integrated_brier": ("integrated_brier_score", "test_survival"),
}


def row_of(name):
    found = [row for row in ROWS if f"`{name}`" in row.split("|")[1]]
    assert len(found) == 1, f"{name}: {len(found)} rows in docs/metrics.md"
    return found[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_has_its_words_and_one_row_with_formula_and_oracle(name):
    words = definition(name.replace("_K", "_10"))
    assert words.label
    assert words.meaning
    assert words.formula
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row_of(name))[1:-1]]
    assert len(cells) == 4
    assert cells[1]
    assert cells[3]


def test_the_document_has_no_row_of_what_is_no_metric():
    named = {name for row in ROWS for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "prevalence"])
def test_a_metric_is_held_against_another_implementation(name):
    base = re.sub(r"^(macro|micro)_|_at_K(_min)?$|_oracle_k$", "", name)
    oracle, file = ORACLES[base]
    assert oracle in (ROOT / "tests" / "metrics" / f"{file}.py").read_text(encoding="utf-8")


def test_a_cut_off_is_part_of_no_name():
    assert name_of("recall_at_20") == "recall_at_K"
    assert name_of("hit_rate_at_5_min") == "hit_rate_at_K_min"
    assert name_of("auroc") == "auroc"
