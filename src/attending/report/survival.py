"""Time to event: how many have the event by when, and what each model's risks are worth at each horizon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from attending.report import comparison
from attending.report.comparison import Interval
from attending.report.figures import N_COLOURS, Figure, Line, Plot, draw

Json = Mapping[str, Any]
COLUMNS = {
    "ipcw_auroc": "AUROC",
    "concordance": "Concordance",
    "ipcw_brier": "Brier",
    "scaled_ipcw_brier": "Scaled Brier",
    "expected_over_incidence": "Expected / observed",
}
FIRST = "ipcw_auroc"
INTEGRATED = "integrated_brier"
EVENT_COLOUR, DEATH_COLOUR = 1, N_COLOURS
Row = tuple[str, Interval, bool, list[Interval]]


@dataclass(frozen=True, kw_only=True)
class HorizonTable:
    """One horizon: how many have the event by then, and a line a model: its name, difference, whether it is marked."""

    heading: str
    facts: str
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class TimeToEvent:
    """What the section holds; empty where the task has no time to event."""

    note: str = ""
    columns: list[str] = field(default_factory=list)
    tables: list[HorizonTable] = field(default_factory=list)
    integrated: list[tuple[str, Interval]] = field(default_factory=list)
    incidence: list[Figure] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    legend: list[tuple[str, int]] = field(default_factory=list)


def time_to_event(found: Json, metrics: comparison.Metrics, colours: Mapping[str, int]) -> TimeToEvent:
    """Lay out `survival.json`; `colours` are those of the models that are drawn."""
    if not found:
        return TimeToEvent()
    tables = [_table(each, metrics) for each in found["horizons"]]
    incidence = _incidence(found["curves"])
    plots = [plot for each in found["horizons"] if (plot := _calibration(each, colours))]
    integrated = sorted(found["integrated"].items(), key=lambda item: item[1][INTEGRATED]["estimate"])
    return TimeToEvent(
        note=_note(found),
        columns=list(COLUMNS.values()),
        tables=tables,
        integrated=[(model, Interval.of(values[INTEGRATED])) for model, values in integrated],
        incidence=[draw(incidence)] if incidence else [],
        figures=[draw(plot) for plot in plots],
        legend=list(colours.items()),
    )


def _note(found: Json) -> str:
    dead = (
        "Who died counts among those who left."
        if found.get("death") == "censored"
        else "Who died first counts as free of the event."
    )
    return (
        f"All {found['n_samples']:,} held-out predictions count, those of subjects who left early too: others who "
        f"stayed as long and longer make up for them. {dead} This holds if leaving does not depend on what "
        "would have come."
    )


def _table(horizon: Json, metrics: comparison.Metrics) -> HorizonTable:
    models: Json = horizon["models"]

    def place(name: str) -> tuple[float, str]:
        estimate = models[name][FIRST]["estimate"]
        return (1.0 if estimate is None else -estimate, name)

    best = metrics.get("best_baseline")
    rows: list[Row] = []
    for name in sorted(models, key=place):
        difference = models[name][FIRST].get("difference") or {}
        corrected = difference.get("p_holm")
        survives = corrected is not None and corrected <= comparison.ALPHA
        shown = Interval.of({} if name == best else difference)
        rows.append((name, shown, survives, [Interval.of(models[name][key]) for key in COLUMNS]))
    return HorizonTable(heading=str(horizon["description"]), facts=_facts(horizon), rows=rows)


def _facts(horizon: Json) -> str:
    if not horizon["is_reached"]:
        return "Nobody is followed for so long: there is no answer."
    if not horizon["is_enough"]:
        return "Too few have the event, or are known not to, for anything to be told."
    facts = [f"{_percent(horizon['incidence'])} have the event by then"]
    if (horizon.get("competing_incidence") or {}).get("estimate"):
        facts.append(f"{_percent(horizon['competing_incidence'])} die first")
    counts = horizon.get("counts")
    if counts:
        seen = [f"{counts['happened']:,} events"]
        seen += [f"{counts['competed']:,} deaths before one"] if counts["competed"] else []
        seen += [f"{counts['left']:,} left before", f"{counts['there']:,} were still there"]
        facts.append(f"seen: {', '.join(seen)}")
    return "; ".join(facts) + "."


def _percent(interval: Json) -> str:
    low, estimate, high = (100 * float(interval[key]) for key in ("low", "estimate", "high"))
    return f"{estimate:.1f} % ({low:.1f}–{high:.1f})"


def _incidence(curves: Json) -> Plot | None:
    drawn = [
        _line(curve, name, colour, dashed)
        for name, colour, dashed, curve in (
            ("event", EVENT_COLOUR, False, curves.get("event")),
            ("death", DEATH_COLOUR, True, curves.get("competing")),
        )
        if curve
    ]
    if not drawn:
        return None
    return Plot(
        key="incidence",
        heading="How many, and when",
        caption="Cumulative incidence (Aalen-Johansen) with a 95 % band."
        + (" Solid: the event. Dashed: death before it." if len(drawn) > 1 else ""),
        x_label="days after the prediction",
        y_label="share, %",
        lines=drawn,
        x_range=(0, max(line.x[-1] for line in drawn)),
        y_range=(0, 1.05 * max(max(line.high or [1]) for line in drawn)),
    )


def _line(curve: Json, name: str, colour: int, dashed: bool) -> Line:
    y, low, high = ([100 * value for value in curve[key]] for key in ("estimate", "low", "high"))
    return Line(name=name, x=curve["days"], y=y, low=low, high=high, colour=colour, dashed=dashed)


def _calibration(horizon: Json, colours: Mapping[str, int]) -> Plot | None:
    found = [(name, colour, horizon["calibration"].get(name)) for name, colour in colours.items()]
    lines = [_points(name, colour, groups) for name, colour, groups in found if groups][::-1]
    if not lines:
        return None
    top = 1.05 * max(max([*line.x, *(line.high or [])]) for line in lines)
    diagonal = Line(name="perfect", x=[0, top], y=[0, top], colour=0, dashed=True)
    return Plot(
        key=f"horizon-{horizon['days']:g}",
        heading=f"Calibration at {horizon['days']:g} days",
        caption="In groups of alike risk, at least 11 events each: mean predicted risk and the share observed "
        "(Aalen-Johansen) with its 95 % interval.",
        x_label="predicted risk, %",
        y_label="observed, %",
        lines=[diagonal, *lines],
        x_range=(0, top),
        y_range=(0, top),
    )


def _points(name: str, colour: int, groups: Sequence[Json]) -> Line:
    x, y, low, high = (
        [100 * float(group[key]) for group in groups] for key in ("predicted", "estimate", "low", "high")
    )
    return Line(name=name, x=x, y=y, low=low, high=high, colour=colour, points=True)
