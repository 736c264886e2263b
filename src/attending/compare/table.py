"""The one table: a line a model, best first, as words and as numbers."""

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from attending.compare.runs import COSTS, MS_PER_SAMPLE, N_PARAMETERS, TRAIN_SECONDS
from attending.evaluate.samples import ALL
from attending.report.comparison import (
    ALPHA,
    MARK,
    NOTHING,
    Cell,
    Interval,
    ModelRow,
    metric_name,
    rows,
    scope_name,
    scopes,
)
from attending.schema import DIFFERENCE, ESTIMATE, HIGH, LOW, METRIC, MODEL, P_HOLM, SCOPE, TO_BEST, P

REFERENCE = "reference"
COST_NAMES = {N_PARAMETERS: "Parameters", TRAIN_SECONDS: "Train, s", MS_PER_SAMPLE: "ms/sample"}


@dataclass(frozen=True, kw_only=True)
class Value:
    """One cell: a number in words, its interval, and the mark of a difference that survives."""

    text: str
    interval: str = ""
    mark: str = ""

    @property
    def line(self) -> str:
        """The cell as one line."""
        return f"{self.text}{self.mark}" + (f" ({self.interval})" if self.interval else "")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A model: its name, what it is beside a model, and its cells."""

    name: str
    tag: str
    cells: list[Value]


@dataclass(frozen=True, kw_only=True)
class Table:
    """The table as it is shown; `groups` are the headings above the columns, with how many each spans."""

    groups: list[tuple[str, int]]
    columns: list[str]
    lines: list[Line]
    notes: list[str] = field(default_factory=list)


def table(result: dict[str, Any]) -> Table:
    """Lay out the headline: in all samples with both differences, in each other scope with one, and the costs."""
    shown = scopes(result)
    name = metric_name(result["headline"])
    groups, columns = [], []
    for scope in shown:
        heads = [name, *_differences(result, scope)]
        groups.append((scope_name(result, scope), len(heads)))
        columns += heads
    return Table(
        groups=[*groups, ("Cost", len(COSTS))],
        columns=[*columns, *COST_NAMES.values()],
        lines=[_line(result, row, shown) for row in rows(result)],
        notes=notes(result),
    )


def notes(result: dict[str, Any]) -> list[str]:
    """Return what must stand below the table."""
    n_left_out = sum(run["n_samples_left_out"] for run in result["runs"])
    n_outcomes = sum(run["n_outcomes_left_out"] for run in result["runs"])
    about = (
        f"{result['n_samples']:,} held-out samples of {result['n_subjects']:,} subjects, {result['n_outcomes']:,} "
        f"outcome{'' if result['n_outcomes'] == 1 else 's'}: the same for every model. Intervals are 95 %, from "
        f"{result['n_replicates']:,} bootstrap samples of subjects; differences are paired."
    )
    found = [about, _references(result)]
    found += [words for words in [survivors(result)] if words]
    if n_left_out or n_outcomes:
        each = "; ".join(
            f"{run['n_samples_left_out']:,} held-out samples and {run['n_outcomes_left_out']:,} outcomes "
            f"of {run['name']}"
            for run in result["runs"]
        )
        found.append(f"Not in all runs, and left out: {each}.")
    twice = [
        f"{name} ({', '.join(of['runs'])})" for name, of in result["entries"].items() if len(of["runs"]) > 1
    ]
    if twice:
        found.append(f"Predicts the same, to the bit, in several runs and stands once: {', '.join(twice)}.")
    return found


def survivors(result: dict[str, Any]) -> str:
    """Say in words which differences survive how many there are, and how they are marked."""
    shown = rows(result)
    cells = [
        row.cells[scope] for scope in scopes(result) for row in shown if row.name != result["best_baseline"]
    ]
    to_best = [row.cells[ALL] for row in shown if row.name != result["best_model"]]
    counts = []
    if result["best_baseline"] and cells:
        n = sum(cell.survives for cell in cells)
        counts.append(f"{n} of {len(cells)} differences to {result['best_baseline']}")
    if result["best_model"] and to_best:
        n = sum(cell.to_best_survives for cell in to_best)
        counts.append(f"{n} of {len(to_best)} to {result['best_model']}")
    if not counts:
        return ""
    smallest = (len(shown) - 1) / (result["n_replicates"] + 1)
    too_few = (
        f" {result['n_replicates']} replicates are too few for any to survive." if smallest > ALPHA else ""
    )
    return (
        f"{MARK} survives Holm's correction for the {len(shown) - 1} comparisons of its column (corrected p ≤ {ALPHA}, "
        f"from the paired bootstrap): {', '.join(counts)}. A difference without {MARK} may be chance, even where its "
        f"own interval excludes zero.{too_few}"
    )


def wide(result: dict[str, Any]) -> pl.DataFrame:
    """Return the table with every number in a column of its own, best model first."""
    lines = []
    for rank, row in enumerate(rows(result), start=1):
        entry = result["entries"][row.name]
        line: dict[str, Any] = {"rank": rank, "name": row.name, MODEL: entry["model"]}
        line |= {"runs": " ".join(entry["runs"]), "is_baseline": row.is_baseline, METRIC: result["headline"]}
        for scope in scopes(result):
            values = result["models"][row.name][scope][result["headline"]]
            line |= {f"{scope}_{key}": values[key] for key in (ESTIMATE, LOW, HIGH)}
            line |= _flat(values, DIFFERENCE, scope) | _flat(values, TO_BEST, scope)
        lines.append(line | {cost: entry[cost] for cost in COSTS})
    return pl.DataFrame(lines, infer_schema_length=None)


def long(result: dict[str, Any]) -> pl.DataFrame:
    """Return one row for each model, scope and metric."""
    found = [
        {"name": row.name, SCOPE: scope, METRIC: metric}
        | {key: values[key] for key in (ESTIMATE, LOW, HIGH)}
        | _flat(values, DIFFERENCE)
        | _flat(values, TO_BEST)
        for row in rows(result)
        for scope, metrics in result["models"][row.name].items()
        for metric, values in metrics.items()
    ]
    return pl.DataFrame(found, infer_schema_length=None)


def _differences(result: dict[str, Any], scope: str) -> list[str]:
    heads = ["Δ best baseline"] if result["best_baseline"] else []
    return heads + (["Δ best model"] if scope == ALL and result["best_model"] else [])


def _line(result: dict[str, Any], row: ModelRow, shown: list[str]) -> Line:
    entry, cells = result["entries"][row.name], []
    for scope in shown:
        cell = row.cells[scope]
        cells.append(Value(text=cell.value.text(), interval=cell.value.range()))
        if result["best_baseline"]:
            cells.append(_difference(cell.difference, cell.survives, row.is_best_baseline))
        if scope == ALL and result["best_model"]:
            cells.append(_to_best(cell, row.name == result["best_model"]))
    tag = "best baseline" if row.is_best_baseline else "baseline" if row.is_baseline else ""
    tag = "best model on tuning" if row.name == result["best_model"] else tag
    return Line(name=row.name, tag=tag, cells=cells + [_cost(cost, entry[cost]) for cost in COSTS])


def _to_best(cell: Cell, is_reference: bool) -> Value:
    return _difference(cell.to_best, cell.to_best_survives, is_reference)


def _difference(difference: Interval | None, survives: bool, is_reference: bool) -> Value:
    if is_reference:
        return Value(text=REFERENCE)
    if difference is None:
        return Value(text=NOTHING)
    return Value(text=difference.text(True), interval=difference.range(True), mark=MARK if survives else "")


def _cost(cost: str, value: float | None) -> Value:
    if value is None or (cost == N_PARAMETERS and not value):  # what is not a weight is not counted as one
        return Value(text=NOTHING)
    if cost == N_PARAMETERS:
        return Value(text=f"{value:,.0f}")
    return Value(text=f"{value:,.1f}" if value >= 1 else f"{value:.2f}")


def _references(result: dict[str, Any]) -> str:
    baseline, best = result["best_baseline"], result["best_model"]
    words = []
    if baseline:
        by = (
            "chosen on tuning data"
            if result["best_baseline_decided_by"] == "tuning"
            else "no tuning data decided"
        )
        words.append(f"Best baseline: {baseline} ({by}).")
    if best:
        words.append(f"Best model: {best} (chosen on tuning data; held-out data have no say).")
    words.append("Training seconds as measured in each run; prediction in milliseconds a sample, in batches.")
    return " ".join(words)


def _flat(values: dict[str, Any], key: str, scope: str = "") -> dict[str, float | None]:
    prefix = f"{scope}_{key}" if scope else key
    found = values.get(key) or {}
    names = {ESTIMATE: prefix, LOW: f"{prefix}_{LOW}", HIGH: f"{prefix}_{HIGH}"}
    names |= {P: f"{prefix}_{P}", P_HOLM: f"{prefix}_{P_HOLM}"}
    return {name: found.get(part) for part, name in names.items()}
