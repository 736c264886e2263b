"""A comparison, or an external validation, as one HTML file that needs nothing else."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from attending import report
from attending.compare.multiverse import as_table
from attending.compare.table import Line, Table, Value, table
from attending.compare.validation import as_tables
from attending.report import comparison
from attending.report.forest import Forest, forest

HERE = Path(__file__).parent
REPORT = Path(report.__file__).parent


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading, words below it, and tables."""

    anchor: str
    heading: str
    about: str
    tables: list[Table] = field(default_factory=list)
    plot: Forest | None = None
    verdict: str = ""
    folded: list[tuple[str, Table]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the template reads."""

    kicker: str
    title: str
    lede: str
    sections: list[Section]
    code_version: str


def comparison_page(result: dict[str, Any], code_version: str) -> Page:
    """Lay out a comparison of runs."""
    name = comparison.metric_name(result["headline"])
    names = [run["name"] for run in result["runs"]]
    runs = Table(
        groups=[],
        columns=["Folder", "Code", "Samples left out", "Outcomes left out"],
        lines=[_run(run) for run in result["runs"]],
    )
    sections = [
        Section(
            anchor="models",
            heading="Models compared",
            about=f"{name}, best first. Dashed: the best baseline.",
            verdict=comparison.verdict(result),
            plot=forest(result),
            tables=[table(result)],
            folded=[
                (comparison.scope_name(result, scope), _metrics(result, scope))
                for scope in comparison.scopes(result)
            ],
        ),
        *multiverse_sections(result),
        Section(anchor="runs", heading="The runs", about="Where each was read from.", tables=[runs]),
    ]
    return Page(
        kicker="Comparison",
        title=" against ".join(names)
        if len(names) == 2
        else f"{len(names)} run{'s' * (len(names) > 1)} compared",
        lede=f"{len(result['models'])} models, all scored on the same {result['n_samples']:,} held-out samples of "
        f"{result['n_subjects']:,} subjects.",
        sections=sections,
        code_version=code_version,
    )


def validation_page(result: dict[str, Any], tables: dict[str, Table], code_version: str) -> Page:
    """Lay out an external validation; `tables` are the case mix and the prevalences."""
    area, codes = comparison.Interval.of(result["domain"]["auroc"]), result["codes"]
    return Page(
        kicker="External validation",
        title=f"{result['run']} on other data",
        lede=f"{len(result['models'])} models of the run, as they were trained there, on all "
        f"{result['external']['n_samples']:,} samples of {result['external']['n_subjects']:,} other subjects. "
        "Outcomes, vocabulary and thresholds are the run's own.",
        sections=[
            Section(
                anchor="results",
                heading="How the models do",
                about="Best on the other data first.",
                tables=as_tables(result),
            ),
            Section(
                anchor="domain",
                heading="Are they the same kind of patients?",
                about="",
                verdict=f"AUROC of a classifier that tells the two data sets apart: {area.full()}; "
                f"{result['domain']['words']}.",
            ),
            Section(
                anchor="codes",
                heading="Codes that the run knows",
                about=f"Of {codes['n_codes']:,} codes in the other data, {codes['n_known']:,} are in the vocabulary, "
                f"{codes['n_by_ancestor']:,} fall back to a broader code, and {codes['n_unknown']:,} are unknown: "
                f"{_percent(codes['share_of_events_unknown'])} of events say nothing to the models.",
            ),
            Section(anchor="case-mix", heading="Case mix", about="", tables=[tables["case_mix"]]),
            Section(
                anchor="prevalence", heading="How often it happens", about="", tables=[tables["prevalences"]]
            ),
        ],
        code_version=code_version,
    )


def multiverse_sections(result: dict[str, Any]) -> list[Section]:
    """Return a section for each run that was repeated over splits and seeds."""
    return [
        Section(
            anchor=f"multiverse-{at}",
            heading=f"Other splits, other seeds: {name}",
            about="How far each model's result moves when only the split, or only the seed of training, changes.",
            tables=[as_table(found)],
        )
        for at, (name, found) in enumerate(result.get("multiverse", {}).items())
    ]


def html(content: Page) -> str:
    """Return the page as one self-contained HTML file."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([HERE, REPORT]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = Markup((REPORT / "style.css").read_text(encoding="utf-8"))  # noqa: S704
    return environment.get_template("page.html").render(page=content, style=style).lstrip()


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _run(run: dict[str, Any]) -> Line:
    cells = [
        run["folder"],
        run["code_version"],
        f"{run['n_samples_left_out']:,}",
        f"{run['n_outcomes_left_out']:,}",
    ]
    return Line(name=run["name"], tag="", cells=[Value(text=text) for text in cells])


def _metrics(result: dict[str, Any], scope: str) -> Table:
    models = [row.name for row in comparison.rows(result)]
    lines = []
    for name in comparison.metric_names(result, scope):
        found = [comparison.Interval.of(result["models"][model][scope].get(name)) for model in models]
        cells = [Value(text=value.text(), interval=value.range()) for value in found]
        lines.append(Line(name=comparison.metric_name(name), tag="", cells=cells))
    return Table(groups=[], columns=models, lines=lines)
