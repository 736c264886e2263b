"""Calibration, spread of risk, discrimination and net benefit of the best models, as figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attending.report import comparison
from attending.report.figures import N_COLOURS, Line, Plot

BASELINE_COLOUR = N_COLOURS
RISK_TICKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
Population = Mapping[str, Any]
Values = Sequence[float | None]


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The figures of all outcomes together and of single ones, which colour is which model, and a word on them."""

    plots: list[Plot] = field(default_factory=list)
    of_outcomes: list[Plot] = field(default_factory=list)
    legend: list[tuple[str, int]] = field(default_factory=list)
    note: str = ""


def plots(curves: Mapping[str, Any], metrics: comparison.Metrics, n: int) -> Curves:
    """Lay out the curves of the best `n` models, the best baseline among them."""
    pooled: Population = curves.get("pooled") or {}
    drawn = {name: at for name, at in colours(metrics, n).items() if (pooled.get("models") or {}).get(name)}
    if not drawn:
        return Curves()
    binary = metrics["n_outcomes"] == 1
    outcomes = [
        _calibration(each, drawn, key=f"outcome-{at}") for at, each in enumerate(curves.get("outcomes", []))
    ]
    return Curves(
        plots=[
            _calibration(pooled, drawn, key="calibration"),
            _risk(pooled, next(iter(drawn.items())), curves["risk_edges"]),
            _roc(pooled, drawn, curves["false_positive_rates"]),
            _net_benefit(pooled, drawn, curves["thresholds"]),
        ],
        of_outcomes=[plot for plot in outcomes if len(plot.lines) > 1],
        legend=list(drawn.items()),
        note="Held-out predictions." if binary else "Held-out predictions, all outcomes pooled.",
    )


def colours(metrics: comparison.Metrics, n: int) -> dict[str, int]:
    """Return the models that are drawn, best first, then baselines, and their colours: the best baseline is grey."""
    best = metrics.get("best_baseline")
    order = sorted(comparison.rows(metrics), key=lambda row: row.is_baseline)
    shown = [row.name for row in order if row.name != best][: max(0, n - bool(best))]
    colours = {name: 1 + at % (N_COLOURS - 1) for at, name in enumerate(shown)}
    return colours | ({best: BASELINE_COLOUR} if best else {})


def _calibration(population: Population, colours: Mapping[str, int], *, key: str) -> Plot:
    lines = []
    for name, colour, curve in _of_models(population, colours, "calibration"):
        x, y, low, high = (_floats(curve[part]) for part in ("predicted", "observed", "low", "high"))
        lines.append(Line(name=name, x=x, y=y, low=low, high=high, colour=colour))
    top = _round_up(max([0.05, *(max(np.nanmax(line.x), np.nanmax(line.y)) for line in lines)]))
    diagonal = Line(name="perfect", x=[0, top], y=[0, top], colour=0, dashed=True)
    return Plot(
        key=key,
        heading=population.get("description", "Calibration"),
        caption="Smoothed share observed at each predicted probability, with a 95 % band. On the dashed line, "
        "a predicted 20 % happens 20 times in 100.",
        x_label="predicted probability",
        y_label="observed share",
        lines=[diagonal, *lines],
        x_range=(0, top),
        y_range=(0, top),
    )


def _risk(population: Population, model: tuple[str, int], edges: Sequence[float]) -> Plot:
    name, colour = model
    risk = population["models"][name]["risk"]
    place = np.sqrt(np.asarray(edges)).tolist()
    shares = {kind: _floats(risk[kind], scale=100) for kind in ("negative", "positive")}
    return Plot(
        key="risk",
        heading="Distribution of predicted risk",
        caption=f"{name}. Solid: the outcome happened. Dashed: it did not. The risk axis is stretched where risks are "
        "low; bins of fewer than 11 are left open.",
        x_label="predicted probability",
        y_label="share of samples, %",
        lines=[
            Line(
                name="did not happen", x=place, y=shares["negative"], colour=colour, dashed=True, stairs=True
            ),
            Line(name="happened", x=place, y=shares["positive"], colour=colour, stairs=True),
        ],
        x_range=(0, 1),
        x_ticks=[(float(np.sqrt(tick)), f"{100 * tick:g} %") for tick in RISK_TICKS],
    )


def _roc(population: Population, colours: Mapping[str, int], rates: Sequence[float]) -> Plot:
    chance = Line(name="chance", x=[0, 1], y=[0, 1], colour=0, dashed=True)
    models = _of_models(population, colours, "roc")
    return Plot(
        key="roc",
        heading="Discrimination",
        caption="How many of those with the outcome are found, against how many without it raise an alarm. "
        "Dashed: chance.",
        x_label="1 − specificity",
        y_label="sensitivity",
        lines=[chance, *(Line(name=name, x=rates, y=_floats(y), colour=at) for name, at, y in models)],
        x_range=(0, 1),
        y_range=(0, 1),
    )


def _net_benefit(population: Population, colours: Mapping[str, int], thresholds: Sequence[float]) -> Plot:
    models = [(name, at, _floats(y)) for name, at, y in _of_models(population, colours, "net_benefit")]
    prevalence = population.get("prevalence") or max((np.nanmax(y) for _, _, y in models), default=0.1)
    useful = [np.flatnonzero(np.asarray(y) > 0.02 * prevalence) for _, _, y in models]
    last = max([9, *(int(places[-1]) + 3 for places in useful if len(places))])
    everyone = Line(name="treat all", x=thresholds, y=_floats(population["treat_all"]), colour=0, dashed=True)
    no_one = Line(name="treat none", x=[0, 1], y=[0, 0], colour=0)
    return Plot(
        key="benefit",
        heading="Decision curve",
        caption="Net benefit of acting above each threshold. Dashed: acting on everyone. The flat line: on no one.",
        x_label="threshold probability",
        y_label="net benefit",
        lines=[everyone, no_one, *(Line(name=name, x=thresholds, y=y, colour=at) for name, at, y in models)],
        x_range=(0, thresholds[min(last, len(thresholds) - 1)]),
        y_range=(-0.12 * prevalence, 1.08 * prevalence),
    )


def _of_models(population: Population, colours: Mapping[str, int], kind: str) -> list[tuple[str, int, Any]]:
    """Return the curve of each drawn model that has one, the best on top."""
    models = population["models"]
    found = [(name, colour, models[name][kind]) for name, colour in colours.items() if models.get(name)]
    return found[::-1]


def _floats(values: Values, scale: float = 1.0) -> list[float]:
    """Return the values with gaps where they are hidden."""
    return [float("nan") if value is None else scale * value for value in values]


def _round_up(value: float) -> float:
    step = 0.1 if value > 0.3 else 0.05
    return float(min(1.0, np.ceil(value / step - 1e-9) * step))
