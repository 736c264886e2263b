"""What each metric's name means, for people and for plots: one meaning each."""

import re
from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower", "target", "none"]


@dataclass(frozen=True)
class Definition:
    """A metric in words, which way is better, the value of perfection, and the bounds of its interval."""

    label: str
    meaning: str
    better: Better
    target: float | None
    bounds: tuple[float | None, float | None] = (0.0, 1.0)


_AREA = "probability that a sample with the outcome scores above one without, ties counting half"
_PRECISION = "average precision: precision averaged over recall"
_DEFINITIONS = {
    "macro_auroc": Definition("AUROC, macro", f"mean over outcomes of the {_AREA}", "higher", 1),
    "macro_auprc": Definition("AUPRC, macro", f"mean over outcomes of {_PRECISION}", "higher", 1),
    "micro_auroc": Definition(
        "AUROC, micro", f"over all pairs of sample and outcome: the {_AREA}", "higher", 1
    ),
    "micro_auprc": Definition(
        "AUPRC, micro", f"over all pairs of sample and outcome: {_PRECISION}", "higher", 1
    ),
    "auroc": Definition("AUROC", _AREA, "higher", 1),
    "auprc": Definition("AUPRC", f"{_PRECISION}; a random score has the prevalence", "higher", 1),
    "prevalence": Definition("Prevalence", "share of pairs in which the outcome happens", "none", None),
    "brier": Definition("Brier score", "mean squared error of the probability", "lower", 0),
    "scaled_brier": Definition(
        "Scaled Brier score", "1 − Brier / Brier of the prevalence", "higher", 1, (None, 1.0)
    ),
    "expected_over_observed": Definition(
        "Expected / observed",
        "predicted over observed events; above 1 is overprediction",
        "target",
        1,
        (0.0, None),
    ),
    "calibration_intercept": Definition(
        "Calibration intercept",
        "shift in log-odds that sets the mean right, slope 1",
        "target",
        0,
        (None, None),
    ),
    "calibration_slope": Definition(
        "Calibration slope", "below 1 the probabilities are too extreme", "target", 1, (None, None)
    ),
    "ici": Definition("ICI", "mean distance of the probability from the calibration curve", "lower", 0),
    "e50": Definition("E50", "median distance of the probability from the calibration curve", "lower", 0),
    "e90": Definition("E90", "90th percentile of that distance", "lower", 0),
    "emax": Definition("Emax", "largest distance of the probability from the calibration curve", "lower", 0),
}
_AT_K = (
    (r"recall_at_(\d+)", "Recall@{k}", "hits among the {k} first / outcomes that happen, mean over samples"),
    (
        r"hit_rate_at_(\d+)_min",
        "Hit rate@{k}",
        "hits among the {k} first / min({k}, outcomes that happen), mean over samples",
    ),
    (
        r"code_accuracy_at_(\d+)",
        "Code accuracy@{k}",
        "hits among the {k} first / outcomes that happen, pooled over samples",
    ),
)


def definition(metric: str) -> Definition:
    """Return the definition of a metric by name.

    Raises:
        KeyError: for a name that is no metric.
    """
    for pattern, label, meaning in _AT_K:
        found = re.fullmatch(pattern, metric)
        if found:
            k = found[1]
            return Definition(label.format(k=k), meaning.format(k=k), "higher", 1)
    return _DEFINITIONS[metric]
