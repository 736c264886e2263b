"""How well the best model serves each group, and how far apart groups are; hidden cells stay hidden."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attending.report import comparison
from attending.report.comparison import NOTHING, Interval
from attending.report.names import SEXES, sentence
from attending.report.suppression import FLOOR

Json = Mapping[str, Any]
HEADINGS = {
    "sex": "Sex",
    "age": "Age at the prediction",
    "race": "Race or ethnicity",
    "insurance": "Insurance",
    "hospital": "Hospital",
    "year": "Year of the prediction",
    "stays": "Stays until the prediction",
}
METRICS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier",
    "expected_over_observed": "Expected / observed",
    "calibration_intercept": "Intercept",
    "calibration_slope": "Slope",
}
RATES = {
    "sensitivity": "Sensitivity",
    "false_positive_rate": "False alerts",
    "ppv": "PPV",
    "alert_rate": "Alerts",
    "net_benefit": "Net benefit",
}
GAPS = {
    "auroc": "AUROC",
    "demographic_parity_difference": "share of alerts (demographic parity)",
    "equal_opportunity_difference": "sensitivity (equal opportunity)",
    "equalised_odds_difference": "sensitivity or false alerts (equalised odds)",
}
HIDDEN_COUNT = "hidden"


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group: its counts, its metrics, its rates at the threshold; neither where it has a small cell."""

    name: str
    counts: list[str]
    metrics: list[Interval]
    rates: list[Interval]
    is_small: bool


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """The groups of one attribute, and what is said of their gaps."""

    heading: str
    groups: list[Group]
    gaps: list[tuple[str, Interval]]

    @property
    def has_rates(self) -> bool:
        """Whether any group has a rate that is shown."""
        return any(value.estimate is not None for group in self.groups for value in group.rates)


@dataclass(frozen=True, kw_only=True)
class SubgroupTable:
    """All attributes of one model."""

    model: str = ""
    note: str = ""
    metrics: list[str] = field(default_factory=lambda: list(METRICS.values()))
    rates: list[str] = field(default_factory=lambda: list(RATES.values()))
    attributes: list[Attribute] = field(default_factory=list)


def subgroup_table(found: Json, metrics: comparison.Metrics) -> SubgroupTable:
    """Lay out what `subgroups.json` holds of the best model; nothing where there is none."""
    model = comparison.best_model(metrics) if found else ""
    if model not in found.get("models", {}):
        return SubgroupTable()
    of_model = found["models"][model]
    unit = "pairs of sample and outcome, all outcomes pooled" if found["pooled"] else "samples"
    threshold = (found["thresholds"].get(model) or {}).get(found["rule"])
    at = (
        ""
        if threshold is None
        else f" Rates are at the threshold {threshold:.3f}, chosen on tuning data ({found['rule']})."
    )
    return SubgroupTable(
        model=model,
        note=f"Events and metrics are of {unit}.{at} Groups with fewer than {FLOOR} subjects, events or non-events are "
        "not shown, nor any count or rate from which theirs could be worked out.",
        attributes=[
            Attribute(
                heading=HEADINGS.get(name, sentence(name)),
                groups=[_group(name, group, of_model[name]["groups"], found["rule"]) for group in groups],
                gaps=[
                    (GAPS[gap], Interval.of(value))
                    for gap, value in of_model[name]["gaps"].items()
                    if value["estimate"] is not None
                ],
            )
            for name, groups in found["attributes"].items()
        ],
    )


def group_name(attribute: str, group: str) -> str:
    """Return a group's name as people write it."""
    if attribute == "sex":
        return SEXES.get(group) or sentence(group)
    if attribute == "race" and group.isupper():
        return group.replace("_", " ").title()
    return sentence(group) if group[:1].islower() or group.isupper() else group


def _group(attribute: str, group: Json, results: Json, rule: str) -> Group:
    values = results.get(group["group"]) or {}
    at = (values.get("at") or {}).get(rule) or {}
    counts = [_count(group[key]) for key in ("n_subjects", "n_samples", "n_positive")]
    share = group["prevalence"]
    return Group(
        name=group_name(attribute, group["group"]),
        counts=[*counts, NOTHING if share is None else f"{100 * share:.1f} %"],
        metrics=[Interval.of(values.get(name)) for name in METRICS],
        rates=[Interval.of(at.get(name)) for name in RATES],
        is_small=bool(group["suppressed"]),
    )


def _count(count: int | None) -> str:
    return HIDDEN_COUNT if count is None else f"{count:,}"
