"""Everything that is on the page, in the order in which it is read, and the page as one HTML file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from attending.report import comparison, curves, flow, forest, method, outcomes, thresholds
from attending.report.audit import AuditTable, audit_table
from attending.report.conformal import ConformalTable, conformal_table
from attending.report.coverage import CoverageTable, coverage_table
from attending.report.evidence import Attributions, Evidence
from attending.report.figures import Figure, draw
from attending.report.ledger import LedgerTable, ledger_table
from attending.report.method import ModelSettings
from attending.report.names import sentence
from attending.report.recalibration import RecalibrationTable, recalibration_table
from attending.report.settings import ReportConfig
from attending.report.subgroups import SubgroupTable, subgroup_table
from attending.report.suppression import HIDDEN
from attending.report.survival import TimeToEvent, time_to_event
from attending.report.table_one import Row, TableOne, table_one
from attending.report.timeline import Patients, Timeline, timelines
from attending.report.values import Predicted, predicted

HERE = Path(__file__).parent
SPLIT_NAMES = {"train": "Train", "tuning": "Tuning", "held_out": "Held-out"}
SECTIONS = (
    ("result", "The result"),
    ("cohort", "Who is in the study"),
    ("ledger", "Every line"),
    ("models", "Models compared"),
    ("curves", "Probabilities"),
    ("survival", "Time to event"),
    ("values", "Predicted, observed"),
    ("recalibration", "Recalibration"),
    ("conformal", "Sets"),
    ("subgroups", "Subgroups"),
    ("outcomes", "Outcomes"),
    ("patients", "Single predictions"),
    ("audit", "Leakage"),
    ("method", "Method"),
    ("basis", "Basis and limits"),
)
EXPLAINERS = {
    "contributions": "These are the model's own exact contributions: nothing is approximated.",
    "integrated_gradients": "Integrated gradients: contributions along the path from an empty history to the real one.",
}


@dataclass(frozen=True, kw_only=True)
class TableOneView:
    """Table 1 with the names of its columns."""

    header: list[tuple[str, str]]
    rows: list[Row]


@dataclass(frozen=True, kw_only=True)
class MetricTable:
    """Every metric of one scope: a line a metric, a column a model."""

    heading: str
    columns: list[str]
    rows: list[tuple[str, str, list[comparison.Interval]]]


@dataclass(frozen=True, kw_only=True)
class PatientGroup:
    """The timelines of one explanation."""

    heading: str
    note: str
    timelines: list[Timeline]


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the template reads."""

    title: str
    study: str
    summary: str
    contents: list[tuple[str, str]]
    cards: list[comparison.Card]
    verdict: str
    audit: AuditTable
    subgroups: SubgroupTable
    recalibration: RecalibrationTable
    conformal: ConformalTable
    flow: flow.Drawing
    table_one: TableOneView
    ledger: LedgerTable
    coverage: CoverageTable
    headline: str
    scopes: dict[str, str]
    ceiling: dict[str, comparison.Interval]
    models: list[comparison.ModelRow]
    multiplicity: str
    seconds: dict[str, str]
    forest: forest.Forest
    metric_tables: list[MetricTable]
    figures: list[Figure]
    outcome_figures: list[Figure]
    thresholds: thresholds.ThresholdTable
    curve_legend: list[tuple[str, int]]
    curves_note: str
    survival: TimeToEvent
    values: Predicted
    outcomes: outcomes.OutcomeTable
    patients: list[PatientGroup]
    method: list[tuple[str, str]]
    settings: list[ModelSettings]
    study_yaml: str
    basis: list[tuple[str, str]]
    limits: list[str]
    code_version: str
    fingerprint: str
    anchors: set[str] = field(default_factory=set)


def page(evidence: Evidence, config: ReportConfig, study: dict[str, Any]) -> Page:
    """Lay out the evidence as a page."""
    metrics, about = evidence.metrics, method.About(evidence, config, study)
    first_table, ledger = table_one(evidence.counts, evidence.names), ledger_table(evidence.ledger)
    drawn = curves.plots(evidence.curves, metrics, config.n_curves)
    figures = [draw(plot) for plot in drawn.plots]
    table = outcomes.outcome_table(evidence.per_outcome, metrics, evidence.names, config.n_outcomes)
    patients = _patients(evidence.attributions, config.n_timelines)
    audit = audit_table(evidence.audit)
    colours = curves.colours(metrics, config.n_curves)
    survival = time_to_event(evidence.parts.get("survival", {}), metrics, colours)
    values = predicted(evidence.parts.get("values", {}), colours)
    empty = {"survival": not survival.tables, "values": not values.figures}
    empty |= {
        "audit": not audit.rows,
        "curves": not figures,
        "outcomes": not table.rows,
        "patients": not patients,
    }
    parts = evidence.parts
    subgroups = subgroup_table(parts.get("subgroups", {}), metrics)
    recalibrated = recalibration_table(parts.get("recalibration", {}), metrics)
    conformal = conformal_table(parts.get("conformal", {}), metrics)
    empty |= {"subgroups": not subgroups.attributes, "recalibration": not recalibrated.rows}
    empty |= {"conformal": not conformal.rows}
    models = comparison.rows(metrics)
    return Page(
        title=config.title or about.title(),
        study=str(study.get("name") or "A study"),
        summary=about.summary(first_table, ledger),
        contents=[(anchor, name) for anchor, name in SECTIONS if not empty.get(anchor)],
        cards=comparison.cards(metrics),
        verdict=comparison.verdict(metrics),
        audit=audit,
        subgroups=subgroups,
        recalibration=recalibrated,
        conformal=conformal,
        flow=_flow(evidence, first_table, ledger),
        table_one=TableOneView(header=_header(first_table), rows=first_table.rows),
        ledger=ledger,
        coverage=coverage_table(evidence.codes),
        headline=comparison.metric_name(metrics["headline"]),
        scopes={scope: comparison.scope_name(metrics, scope) for scope in comparison.scopes(metrics)},
        ceiling=comparison.ceiling(metrics),
        models=models,
        multiplicity=comparison.multiplicity(metrics),
        seconds=about.seconds(),
        forest=forest.forest(metrics),
        metric_tables=[_metric_table(metrics, scope) for scope in comparison.scopes(metrics)],
        figures=figures,
        outcome_figures=[draw(plot) for plot in drawn.of_outcomes],
        thresholds=thresholds.threshold_table(metrics),
        curve_legend=drawn.legend,
        curves_note=drawn.note,
        survival=survival,
        values=values,
        outcomes=table,
        patients=patients,
        method=about.method(first_table),
        settings=about.settings(),
        study_yaml=about.study_yaml(),
        basis=about.basis(first_table),
        limits=about.limits(),
        code_version=evidence.evaluation.code_version,
        fingerprint=f"metrics {evidence.evaluation.fingerprint[:12]}",
    )


def html(content: Page) -> str:
    """Return the page as one self-contained HTML file."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = Markup((HERE / "style.css").read_text(encoding="utf-8"))  # noqa: S704
    return environment.get_template("template.html").render(page=content, style=style).lstrip()


def _header(table: TableOne) -> list[tuple[str, str]]:
    return [(SPLIT_NAMES[split], size) for split, size in zip(table.splits, table.sizes, strict=True)]


def _flow(evidence: Evidence, table: TableOne, ledger: LedgerTable) -> flow.Drawing:
    predictions = table.rows[0].cells
    splits = [
        (name, f"{size} subjects", *([] if n == HIDDEN else [f"{n} samples"]))
        for (name, size), n in zip(_header(table), predictions, strict=True)
    ]
    return flow.draw(_source(evidence, ledger), flow.steps(evidence.flow), splits)


def _source(evidence: Evidence, ledger: LedgerTable) -> flow.Box:
    n_events = evidence.events.counts.get("events", evidence.events.counts.get("n_events"))
    lines = [f"{n_events:,} events"] if isinstance(n_events, int) else []
    if not ledger.n_files:
        return flow.source_box("Events", lines)
    sums = ledger.sums
    fates = f"{sums.get('accepted', 0):,} accepted · {sums.get('quarantined', 0):,} quarantined"
    return flow.source_box(f"{ledger.n_files} source files, {sums.get('lines', 0):,} lines", [fates, *lines])


def _metric_table(metrics: comparison.Metrics, scope: str) -> MetricTable:
    models = [row.name for row in comparison.rows(metrics)]
    results = [metrics["models"][model].get(scope, {}) for model in models]
    return MetricTable(
        heading=comparison.scope_name(metrics, scope),
        columns=models,
        rows=[
            (
                comparison.metric_name(name),
                comparison.meaning(metrics, name),
                [comparison.Interval.of(values.get(name)) for values in results],
            )
            for name in comparison.metric_names(metrics, scope)
        ],
    )


def _patients(found: Sequence[Attributions], n: int) -> list[PatientGroup]:
    patients = Patients()
    return [
        PatientGroup(
            heading=f"Explained: {each.model}, by {sentence(each.method).lower()}",
            note=EXPLAINERS.get(each.method, ""),
            timelines=timelines(each.samples, each.events, patients, n),
        )
        for each in found
        if each.samples.height
    ]
