"""The forest plot: every model's headline with its 95 % interval, one panel a scope.

The panel shows the models that compete at a scale at which their intervals can be seen. A model far behind them stands
at the edge as an arrow with its value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

from attending.report.axis import Axis, axis
from attending.report.comparison import (
    Interval,
    Metrics,
    ModelRow,
    ceiling,
    is_lower_better,
    rows,
    scope_name,
    scopes,
)

WIDTH, NAMES, TOP, ROW, FOOT, MARGIN = 1000.0, 150.0, 34.0, 32.0, 34.0, 46.0
N_COMPETING = 3
FAR = 0.5


@dataclass(frozen=True, kw_only=True)
class Dot:
    """An estimate: where it and its interval lie, and the words shown on hover; `edge` is a value beyond the panel."""

    y: float
    x: float
    low: float
    high: float
    is_baseline: bool
    title: str
    edge: str = ""
    right: bool = False


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One scope: its axis, its dots, and the lines of the best baseline and of the ceiling."""

    heading: str
    axis: Axis
    dots: list[Dot]
    reference: float | None
    ceiling: float | None


@dataclass(frozen=True, kw_only=True)
class Forest:
    """The whole plot."""

    width: float
    height: float
    top: float
    labels: list[tuple[float, str, bool]]
    panels: list[Panel] = field(default_factory=list)


def forest(metrics: Metrics) -> Forest:
    """Lay out the forest plot of the headline, best model first."""
    lines, shown = rows(metrics), scopes(metrics)
    heights = [TOP + ROW * (at + 0.5) for at in range(len(lines))]
    space = (WIDTH - NAMES) / max(1, len(shown))
    truth = ceiling(metrics)
    panels = [
        _panel(
            scope,
            scope_name(metrics, scope),
            lines,
            heights,
            truth.get(scope),
            lower=is_lower_better(metrics, metrics["headline"]),
            left=NAMES + space * at + MARGIN / 2,
            width=space - MARGIN,
        )
        for at, scope in enumerate(shown)
    ]
    labels = [(y, line.name, line.is_baseline) for y, line in zip(heights, lines, strict=True)]
    return Forest(width=WIDTH, height=TOP + ROW * len(lines) + FOOT, top=TOP, labels=labels, panels=panels)


def competing(estimates: Sequence[float]) -> list[float]:
    """Return the estimates without those so far behind that leaving one off more than halves the span."""
    kept = sorted(estimates, reverse=True)
    while len(kept) > N_COMPETING and (kept[0] - kept[-2]) < FAR * (kept[0] - kept[-1]):
        kept.pop()
    return kept


def _panel(
    scope: str,
    heading: str,
    lines: Sequence[ModelRow],
    heights: Sequence[float],
    truth: Interval | None,
    *,
    lower: bool,
    left: float,
    width: float,
) -> Panel:
    values = [line.cells[scope].value for line in lines]
    top = truth.estimate if truth else None
    scale = axis(_range(values, lower) + ([top] if top is not None else []), left=left, width=width)
    dots = [_dot(line, value, y, scale) for line, value, y in zip(lines, values, heights, strict=True)]
    references = [line.cells[scope].value.estimate for line in lines if line.is_best_baseline]
    reference = references[0] if references else None
    return Panel(
        heading=heading,
        axis=scale,
        dots=[dot for dot in dots if dot],
        reference=scale.place(reference) if _is_within(reference, scale) else None,
        ceiling=None if top is None else scale.place(top),
    )


def _range(values: Sequence[Interval], lower: bool) -> list[float]:
    """Return the ends of the intervals of the competing models; where `lower` is better, the others are too high."""
    sign = -1 if lower else 1
    kept = set(competing([sign * value.estimate for value in values if value.estimate is not None]))
    of_kept = [value for value in values if value.estimate is not None and sign * value.estimate in kept]
    return [end for value in of_kept for end in _ends(value)]


def _is_within(value: float | None, scale: Axis) -> TypeGuard[float]:
    return value is not None and scale.low <= value <= scale.high


def _dot(line: ModelRow, value: Interval, y: float, scale: Axis) -> Dot | None:
    if value.estimate is None:
        return None
    title = f"{line.name}: {value.full()}"
    if not _is_within(value.estimate, scale):
        right = value.estimate > scale.high
        x = scale.left + scale.width * right
        edge = value.text()
        return Dot(y=y, x=x, low=x, high=x, is_baseline=line.is_baseline, title=title, edge=edge, right=right)
    low, high = (scale.place(min(max(end, scale.low), scale.high)) for end in _ends(value))
    return Dot(
        y=y, x=scale.place(value.estimate), low=low, high=high, is_baseline=line.is_baseline, title=title
    )


def _ends(value: Interval) -> tuple[float, float]:
    estimate = value.estimate or 0.0
    return (estimate if value.low is None else value.low, estimate if value.high is None else value.high)
