"""What each metric's name means, for people and for plots: one meaning each."""

import re
from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "target", "none"]
Bounds = tuple[float | None, float | None]
SHARE: Bounds = (0.0, 1.0)
POSITIVE: Bounds = (0.0, None)
ANY: Bounds = (None, None)


@dataclass(frozen=True)
class Definition:
    """A metric in words and as a formula, which way is better, the value of perfection, its interval's bounds."""

    label: str
    meaning: str
    formula: str
    better: Better
    target: float | None
    bounds: Bounds = SHARE


_AREA = "probability that a sample with the outcome scores above one without, ties counting half"
_AREA_FORMULA = "(pairs of one with and one without in the right order + half of those tied) / pairs"
_PRECISION = "average precision: precision averaged over recall"
_PRECISION_FORMULA = "Σ over distinct scores, highest first: (recall − recall before) · precision"
_MACRO = "mean over outcomes of"
_MICRO = "over all pairs of sample and outcome"
_CURVE = "distance of the probability from the calibration curve"
_DEFINITIONS = {
    "macro_auroc": Definition(
        "AUROC, macro", f"{_MACRO} the {_AREA}", f"{_MACRO} {_AREA_FORMULA}", "higher", 1
    ),
    "macro_auprc": Definition(
        "AUPRC, macro", f"{_MACRO} {_PRECISION}", f"{_MACRO} {_PRECISION_FORMULA}", "higher", 1
    ),
    "micro_auroc": Definition(
        "AUROC, micro", f"{_MICRO}: the {_AREA}", f"{_MICRO}: {_AREA_FORMULA}", "higher", 1
    ),
    "micro_auprc": Definition(
        "AUPRC, micro", f"{_MICRO}: {_PRECISION}", f"{_MICRO}: {_PRECISION_FORMULA}", "higher", 1
    ),
    "auroc": Definition("AUROC", _AREA, _AREA_FORMULA, "higher", 1),
    "auprc": Definition(
        "AUPRC", f"{_PRECISION}; a random score has the prevalence", _PRECISION_FORMULA, "higher", 1
    ),
    "weighted_f1": Definition(
        "Weighted F1",
        "F1 of each outcome, weighted by how often it happens, at one threshold chosen on tuning data",
        "Σ S · F1 / Σ S over outcomes; F1 = 2 TP / (P + S); TP, P, S: hits, alerts, events of an outcome",
        "higher",
        1,
    ),
    "weighted_f1_oracle_k": Definition(
        "Weighted F1, true count known",
        "the same where each sample is given as many outcomes as truly happen: the w-F1 of CGL and Chet",
        "Σ S · F1 / Σ S over outcomes, predicting the |y| highest scores of each sample",
        "higher",
        1,
    ),
    "prevalence": Definition(
        "Prevalence", "share of pairs in which the outcome happens", "events / pairs", "none", None
    ),
    "brier": Definition(
        "Brier score", "mean squared error of the probability", "mean of (p − y)²", "lower", 0
    ),
    "scaled_brier": Definition(
        "Scaled Brier score",
        "1 − Brier / Brier of the prevalence",
        "1 − Brier / (π · (1 − π)), π the prevalence",
        "higher",
        1,
        (None, 1.0),
    ),
    "expected_over_observed": Definition(
        "Expected / observed",
        "predicted over observed events; above 1 is overprediction",
        "Σ p / Σ y",
        "target",
        1,
        POSITIVE,
    ),
    "calibration_intercept": Definition(
        "Calibration intercept",
        "shift in log-odds that sets the mean right, slope 1",
        "a in logit P(y) = a + logit p, by maximum likelihood",
        "target",
        0,
        ANY,
    ),
    "calibration_slope": Definition(
        "Calibration slope",
        "below 1 the probabilities are too extreme",
        "b in logit P(y) = a + b · logit p, by maximum likelihood",
        "target",
        1,
        ANY,
    ),
    "ici": Definition("ICI", f"mean {_CURVE}", "mean of |p − c(p)|, c by loess", "lower", 0),
    "e50": Definition("E50", f"median {_CURVE}", "median of |p − c(p)|, c by loess", "lower", 0),
    "e90": Definition(
        "E90", "90th percentile of that distance", "90th percentile of |p − c(p)|, c by loess", "lower", 0
    ),
    "emax": Definition("Emax", f"largest {_CURVE}", "maximum of |p − c(p)|, c by loess", "lower", 0),
    "smooth_ece": Definition(
        "Smooth ECE",
        "calibration error of residuals smoothed as widely as the error is large",
        "∫ |mean of (p − y) · K_σ(t, p)| dt, at the σ that equals it",
        "lower",
        0,
    ),
    "net_benefit": Definition(
        "Net benefit",
        "true alerts less false ones, at the price that the threshold sets; per sample",
        "TP / n − FP / n · t / (1 − t)",
        "higher",
        None,
        (None, 1.0),
    ),
    "sensitivity": Definition(
        "Sensitivity", "share of those with the outcome who get an alert", "TP / (TP + FN)", "higher", 1
    ),
    "specificity": Definition(
        "Specificity", "share of those without the outcome who get none", "TN / (TN + FP)", "higher", 1
    ),
    "ppv": Definition("PPV", "share of alerts that are right", "TP / (TP + FP)", "higher", 1),
    "npv": Definition("NPV", "share of those without an alert who stay well", "TN / (TN + FN)", "higher", 1),
    "alerts_per_100": Definition(
        "Alerts per 100", "alerts among 100 samples", "100 · (TP + FP) / n", "none", None, (0.0, 100.0)
    ),
    "likelihood_ratio_positive": Definition(
        "LR+",
        "how many times an alert multiplies the odds of the outcome",
        "sensitivity / (1 − specificity)",
        "higher",
        None,
        POSITIVE,
    ),
    "number_needed_to_evaluate": Definition(
        "Number needed to evaluate",
        "alerts looked at for one true positive",
        "1 / PPV",
        "lower",
        1,
        (1.0, None),
    ),
    "mae": Definition(
        "MAE",
        "mean distance of the predicted number from the observed one",
        "mean of |p − y|",
        "lower",
        0,
        POSITIVE,
    ),
    "rmse": Definition(
        "RMSE", "the same, large distances counting more", "√ of the mean of (p − y)²", "lower", 0, POSITIVE
    ),
    "median_absolute_error": Definition(
        "Median absolute error",
        "distance that half of the samples stay below",
        "median of |p − y|",
        "lower",
        0,
        POSITIVE,
    ),
    "mean_error": Definition(
        "Mean error", "bias: above 0 predictions are too high", "mean of p − y", "target", 0, ANY
    ),
    "r2": Definition(
        "R²",
        "share of the spread that is explained; 0 is the mean for everyone",
        "1 − Σ (p − y)² / Σ (y − ȳ)²",
        "higher",
        1,
        (None, 1.0),
    ),
    "slope_of_observed": Definition(
        "Slope of observed on predicted",
        "below 1 predictions are too extreme",
        "b in y = a + b · p, by least squares",
        "target",
        1,
        ANY,
    ),
    "intercept_of_observed": Definition(
        "Intercept of observed on predicted",
        "what is observed where 0 is predicted, beside that slope",
        "a in y = a + b · p, by least squares",
        "target",
        0,
        ANY,
    ),
    "mean_absolute_log_error": Definition(
        "Mean absolute log error",
        "mean distance of logarithms: relative errors, long and short alike",
        "mean of |ln(1 + p) − ln(1 + y)|",
        "lower",
        0,
        POSITIVE,
    ),
    "msle": Definition(
        "MSLE",
        "mean squared distance of logarithms",
        "mean of (ln(1 + p) − ln(1 + y))²",
        "lower",
        0,
        POSITIVE,
    ),
    "share_within_one_day": Definition(
        "Share within a day",
        "share of predictions at most one day off",
        "mean of 1[|p − y| ≤ 1]",
        "higher",
        1,
    ),
    "kappa": Definition(
        "Kappa of ten bins of days",
        "agreement beyond chance, nearer bins counting more",
        "1 − Σ |i − j| O / Σ |i − j| E, bins as in Harutyunyan 2019",
        "higher",
        1,
        (-1.0, 1.0),
    ),
    "ipcw_auroc": Definition(
        "AUROC at the horizon",
        "probability that one with the event by then was given a higher risk than one without, ties counting half",
        "AUROC with weights 1 / G(T−) of those with an event, 1 / G(h−) of those still there",
        "higher",
        1,
    ),
    "ipcw_brier": Definition(
        "Brier score at the horizon",
        "mean squared error of the risk, those who left early made up for",
        "Σ w (p − y)² / Σ w",
        "lower",
        0,
    ),
    "scaled_ipcw_brier": Definition(
        "Scaled Brier score at the horizon",
        "1 − Brier / Brier of the cumulative incidence",
        "1 − Brier / (F · (1 − F)), F by Aalen-Johansen",
        "higher",
        1,
        (None, 1.0),
    ),
    "expected_over_incidence": Definition(
        "Expected / observed at the horizon",
        "mean risk over the cumulative incidence; above 1 is overprediction",
        "mean of p / F(h)",
        "target",
        1,
        POSITIVE,
    ),
    "concordance": Definition(
        "Concordance up to the horizon",
        "probability that who has the event first was given the higher risk, ties counting half",
        "Σ v (1[r_i > r_j] + ½ · 1[r_i = r_j]) / Σ v, v = 1 / (G(T_i−) · G(min(T_i, T_j)−))",
        "higher",
        1,
    ),
    "integrated_brier": Definition(
        "Integrated Brier score",
        "mean over time of the Brier scores at all horizons, along straight lines",
        "∫ Brier(h) dh / (last horizon − first)",
        "lower",
        0,
    ),
}
_AT_K = (
    (
        r"recall_at_(\d+)",
        "Recall@{k}",
        "hits among the {k} first / outcomes that happen, mean over samples",
        "mean over samples of hits@{k} / |y|",
    ),
    (
        r"hit_rate_at_(\d+)_min",
        "Hit rate@{k}",
        "hits among the {k} first / min({k}, outcomes that happen), mean over samples",
        "mean over samples of hits@{k} / min({k}, |y|)",
    ),
    (
        r"code_accuracy_at_(\d+)",
        "Code accuracy@{k}",
        "hits among the {k} first / outcomes that happen, pooled over samples",
        "Σ hits@{k} / Σ |y|",
    ),
)
NAMES = (*_DEFINITIONS, "recall_at_K", "hit_rate_at_K_min", "code_accuracy_at_K")


def definition(metric: str) -> Definition:
    """Return the definition of a metric by name.

    Raises:
        KeyError: for a name that is no metric.
    """
    for pattern, *words in _AT_K:
        found = re.fullmatch(pattern, metric)
        if found:
            label, meaning, formula = (of_words.format(k=found[1]) for of_words in words)
            return Definition(label, meaning, formula, "higher", 1)
    return _DEFINITIONS[metric]


def name_of(metric: str) -> str:
    """Return the name under which a metric stands in `NAMES`: its cut-off, if it has one, is K."""
    return re.sub(r"_at_\d+", "_at_K", metric)
