"""Sets of outcomes that miss no more than agreed: what was promised, what held-out subjects missed, how large."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attending.report import comparison
from attending.report.comparison import NOTHING
from attending.report.subgroups import HEADINGS, group_name

Json = Mapping[str, Any]
HIDDEN = "hidden"


@dataclass(frozen=True, kw_only=True)
class ConformalTable:
    """What the sets of a few models miss at each level, and those of the best model in each group."""

    note: str = ""
    guarantee: str = ""
    size: str = ""
    rows: list[tuple[str, list[str]]] = field(default_factory=list)
    model: str = ""
    group_share: str = ""
    groups: list[tuple[str, list[tuple[str, list[str]]]]] = field(default_factory=list)


def conformal_table(found: Json, metrics: comparison.Metrics) -> ConformalTable:
    """Lay out what `conformal.json` holds of the best model and the best baseline; nothing where there is none."""
    if not found:
        return ConformalTable()
    best = comparison.best_model(metrics)
    names = [name for name in dict.fromkeys([best, metrics.get("best_baseline")]) if name in found["models"]]
    if not names:
        return ConformalTable()
    is_binary = found["n_outcomes"] == 1
    rows = [
        (str(name), [_percent(level["alpha"]), *_cells(level, is_binary)])
        for name in names
        for level in found["models"][name]["levels"]
    ]
    n = found["n_tuning_subjects"]
    return ConformalTable(
        note="A set holds the outcomes whose probability is at or above a cut; cuts are chosen on "
        f"{'few' if n is None else format(n, ',')} tuning subjects. "
        "Missed is the share of what happens that no set held, averaged within each subject, then over subjects.",
        guarantee=found["guarantee"],
        size="Samples with an alert" if is_binary else f"In a set, of {found['n_outcomes']}",
        rows=rows,
        model=str(names[0]),
        group_share=_percent(found["group_alpha"]),
        groups=[
            (HEADINGS.get(name, name), [_group(name, group, of, is_binary) for group, of in groups.items()])
            for name, groups in found["models"][names[0]]["groups"].items()
        ],
    )


def _group(attribute: str, name: str, found: Json, is_binary: bool) -> tuple[str, list[str]]:
    own = [NOTHING] * 2 if found["own"] is None else _cells(found["own"], is_binary)
    return group_name(attribute, name), [*_cells(found["common"], is_binary), *own]


def _cells(level: Json, is_binary: bool) -> list[str]:
    return [_interval(level["missed"], True), _interval(level["set_size"], is_binary)]


def _interval(value: Json | None, is_share: bool) -> str:
    if value is None:
        return HIDDEN
    estimate, low, high = (
        (100 if is_share else 1) * (value[key] or 0) for key in ("estimate", "low", "high")
    )
    return f"{estimate:.1f}{' %' if is_share else ''} ({low:.1f}–{high:.1f})"


def _percent(share: float) -> str:
    return f"{100 * share:g} %"
