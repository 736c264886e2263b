"""Statistical figures as SVG that takes the colours of the page, in light and in dark, and holds no date.

matplotlib draws in marker colours, and the colours are then replaced by the style sheet's own. Text stays text.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_COLOURS = 6
MARKERS = {
    "#010101": "var(--ink)",
    "#010102": "var(--soft)",
    "#010103": "var(--muted)",
    "#010104": "var(--line)",
    **{f"#0201{at:02x}": f"var(--series-{at})" for at in range(1, N_COLOURS + 1)},
}
INK, SOFT, MUTED, LINE = list(MARKERS)[:4]
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.solid_capstyle": "round",
    "path.simplify": True,
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve; `low` and `high` are its band; colour 1 to 6, or 0 for a thin line of reference.

    Of stairs, `x` are the edges: one more than `y`. Where single `points` were measured they are dots on the line.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dashed: bool = False
    stairs: bool = False
    points: bool = False


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure before it is drawn."""

    key: str
    heading: str
    caption: str
    x_label: str
    y_label: str
    lines: list[Line] = field(default_factory=list)
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    x_ticks: list[tuple[float, str]] | None = None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawn figure with its words."""

    heading: str
    caption: str
    svg: Markup


def draw(plot: Plot) -> Figure:
    """Draw a plot as inline SVG: the same plot gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context({**STYLE, "svg.hashsalt": plot.key}):
        canvas = Canvas(figsize=(4.9, 3.5), layout="constrained")
        FigureCanvasSVG(canvas)
        axes = canvas.add_subplot()
        for line in plot.lines:
            _add(axes, line)
        axes.set(xlabel=plot.x_label, ylabel=plot.y_label, xlim=plot.x_range, ylim=plot.y_range)
        if plot.x_ticks:
            axes.set_xticks(*zip(*plot.x_ticks, strict=True))
        axes.patch.set_visible(False)
        text = io.StringIO()
        canvas.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return Figure(heading=plot.heading, caption=plot.caption, svg=_inline(text.getvalue(), plot))


def _add(axes: "Axes", line: Line) -> None:
    colour = f"#0201{line.colour:02x}" if line.colour else MUTED
    style: dict[str, Any] = {
        "linestyle": (0, (4, 3)) if line.dashed else "-",
        "linewidth": 1.9 if line.colour else 1.0,
    }
    if line.stairs:
        axes.stairs(line.y, line.x, color=colour, baseline=None, **style)
        return
    axes.plot(line.x, line.y, color=colour, marker="o" if line.points else "", markersize=4, **style)
    if line.low is not None and line.high is not None:
        band = np.asarray(line.low, float), np.asarray(line.high, float)
        axes.fill_between(line.x, *band, color=colour, alpha=0.16, linewidth=0)


def _inline(svg: str, plot: Plot) -> Markup:
    """Return matplotlib's file as an element of the page: no header, ids of its own, colours of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{plot.key}-", svg)
    svg = re.sub(r" ?font-family: [^;\"]*;?", "", svg)
    for marker, colour in MARKERS.items():
        svg = svg.replace(marker, colour)
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{Markup.escape(plot.heading)}"', 1))  # noqa: S704
