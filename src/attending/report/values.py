"""Predicted numbers: what was observed in groups of alike predictions, as figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attending.report.figures import Figure, Line, Plot, draw

Json = Mapping[str, Any]
N_SPREADS = 2


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """The figures of a task that predicts a number; empty for any other."""

    note: str = ""
    figures: list[Figure] = field(default_factory=list)
    legend: list[tuple[str, int]] = field(default_factory=list)


def predicted(found: Json, colours: Mapping[str, int]) -> Predicted:
    """Lay out `values.json`; `colours` are those of the models that are drawn, best first."""
    models: Json = found.get("models") or {}
    drawn = {name: colour for name, colour in colours.items() if models.get(name)}
    if not drawn:
        return Predicted()
    unit = f", {found['unit']}" if found.get("unit") else ""
    plots = [_means(models, drawn, unit)]
    plots += [_spread(models[name], name, drawn[name], unit) for name in _spreads(drawn)]
    return Predicted(
        note="Held-out samples in groups of alike predictions, each model with groups of its own.",
        figures=[draw(plot) for plot in plots],
        legend=list(drawn.items()),
    )


def _spreads(drawn: Mapping[str, int]) -> list[str]:
    """Return the best model and the best baseline, which stands last."""
    names = list(drawn)
    return list(dict.fromkeys([names[0], names[-1]]))[:N_SPREADS]


def _means(models: Json, drawn: Mapping[str, int], unit: str) -> Plot:
    lines = [_line(models[name], name, colour, "observed", ("low", "high")) for name, colour in drawn.items()]
    return _plot(
        "values",
        "Observed against predicted",
        "Means of each group, observed ones with a 95 % interval. On the dashed line they are equal.",
        lines[::-1],
        unit,
    )


def _spread(groups: list[Json], name: str, colour: int, unit: str) -> Plot:
    line = _line(groups, name, colour, "observed", ("first_quartile", "third_quartile"))
    return _plot(
        f"spread-{name}",
        f"Spread around the predictions of {name}",
        "Mean of each group; the middle half of what was observed lies in the band.",
        [line],
        unit,
    )


def _line(groups: list[Json], name: str, colour: int, y: str, band: tuple[str, str]) -> Line:
    x, middle, low, high = ([float(group[key]) for group in groups] for key in ("predicted", y, *band))
    return Line(name=name, x=x, y=middle, low=low, high=high, colour=colour, points=True)


def _plot(key: str, heading: str, caption: str, lines: list[Line], unit: str) -> Plot:
    ends = [value for line in lines for value in (*line.x, *(line.low or ()), *(line.high or ()))]
    low, high = min(ends), max(ends)
    margin = 0.04 * (high - low) or 1.0
    span = (low - margin, high + margin)
    return Plot(
        key=key,
        heading=heading,
        caption=caption,
        x_label=f"predicted{unit}",
        y_label=f"observed{unit}",
        lines=[Line(name="equal", x=list(span), y=list(span), colour=0, dashed=True), *lines],
        x_range=span,
        y_range=span,
    )
