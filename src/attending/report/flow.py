"""The cohort flow as a drawing: from raw lines to the predictions of each split.

A step that leaves out 1 to 10 subjects or predictions is drawn together with the next one, so that the
difference of two boxes never shows a small cell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from textwrap import wrap
from typing import Any

from attending.report.suppression import HIDDEN, SMALL, is_small

WIDTH, BOX, SIDE, GAP, PAD, LINE = 900, 470, 340, 30, 15, 20
HEADING_LETTERS = 52


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box at (x, y) with a heading and lines of text; `style` is a class of the style sheet."""

    x: float
    y: float
    width: float
    height: float
    headings: list[str]
    lines: list[str]
    style: str = "main"

    @property
    def middle(self) -> float:
        """The horizontal middle."""
        return self.x + self.width / 2


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """Boxes and the arrows between them (paths in SVG's notation)."""

    height: float
    boxes: list[Box] = field(default_factory=list)
    arrows: list[str] = field(default_factory=list)
    width: float = WIDTH


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is left after a step, and what the step left out."""

    label: str
    n_subjects: int
    n_samples: int
    left_out: str = ""


def steps(flow: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Return the steps of `flow.json` as they may be shown: none leaves out 1 to 10."""
    shown: list[Step] = []
    waiting: list[str] = []
    for record in flow:
        label = str(record["step"])
        now = Step(label=label, n_subjects=int(record["n_subjects"]), n_samples=int(record["n_samples"]))
        if shown and _gives_away(shown[-1], now):
            waiting.append(label)
            continue
        left_out = _left_out(shown[-1], now) if shown else ""
        shown.append(_joined(now, waiting, left_out))
        waiting = []
    if waiting and shown:  # the last steps left out only a few: what stood before them is not shown
        label = "; ".join([shown.pop().label, *waiting])
        last = Step(label=label, n_subjects=int(flow[-1]["n_subjects"]), n_samples=int(flow[-1]["n_samples"]))
        shown.append(replace(last, left_out=_left_out(shown[-1], last) if shown else ""))
    return shown


def draw(source: Box | None, shown: Sequence[Step], splits: Sequence[tuple[str, ...]]) -> Drawing:
    """Lay out the flow: the source on top, a box per step with what it left out at its side, the splits below."""
    boxes, arrows, y = [], [], 1.0
    if source:
        boxes.append(source)
        y += source.height + GAP
    for step in shown:
        box = _box(step, y)
        if boxes:
            arrows.append(_down(boxes[-1].y + boxes[-1].height, box.y))
        boxes.append(box)
        y += box.height + GAP
    sides = [_side(step, box) for step, box in zip(shown, boxes[-len(shown) :], strict=True) if step.left_out]
    arrows += [f"M{BOX / 2},{side.y + side.height / 2:g}H{side.x - 2:g}" for side in sides]
    below = _split_boxes(splits, y + GAP / 2)
    arrows += [f"M{BOX / 2},{y - GAP:g}V{y - 8:g}H{box.middle:g}V{box.y - 2:g}" for box in below]
    return Drawing(
        height=max(box.y + box.height for box in boxes + below) + 2,
        boxes=boxes + sides + below,
        arrows=arrows,
    )


def source_box(heading: str, lines: list[str]) -> Box:
    """Return the topmost box."""
    return Box(x=1, y=1, width=BOX, height=_height(lines), headings=[heading], lines=lines, style="source")


def _gives_away(before: Step, now: Step) -> bool:
    subjects, samples = before.n_subjects - now.n_subjects, before.n_samples - now.n_samples
    return is_small(subjects) or (subjects == 0 and is_small(samples))


def _left_out(before: Step, now: Step) -> str:
    subjects, samples = before.n_subjects - now.n_subjects, before.n_samples - now.n_samples
    parts = [f"{subjects:,} subjects"] * (subjects > 0) + [f"{samples:,} samples"] * (samples > 0)
    return ", ".join(parts)


def _joined(step: Step, waiting: list[str], left_out: str) -> Step:
    label = "; ".join([*waiting, step.label])
    return Step(label=label, n_subjects=step.n_subjects, n_samples=step.n_samples, left_out=left_out)


def _box(step: Step, y: float) -> Box:
    small = is_small(step.n_subjects)
    subjects = SMALL if small else f"{step.n_subjects:,}"
    samples = HIDDEN if small else f"{step.n_samples:,}"
    lines = [f"{subjects} subjects" + (f" · {samples} samples" if step.n_samples else "")]
    headings = wrap(step.label[:1].upper() + step.label[1:], HEADING_LETTERS)
    return Box(x=1, y=y, width=BOX, height=_height([*headings[1:], *lines]), headings=headings, lines=lines)


def _side(step: Step, box: Box) -> Box:
    lines = [step.left_out]
    height = _height(lines) - 8
    y = box.y - GAP / 2 - height / 2
    return Box(
        x=WIDTH - SIDE - 1, y=y, width=SIDE, height=height, headings=["Left out"], lines=lines, style="side"
    )


def _split_boxes(splits: Sequence[tuple[str, ...]], y: float) -> list[Box]:
    width = (WIDTH - 2 - 20 * (len(splits) - 1)) / max(1, len(splits))
    return [
        Box(
            x=1 + at * (width + 20),
            y=y,
            width=width,
            height=_height(lines),
            headings=[name],
            lines=lines,
            style="split",
        )
        for at, (name, *lines) in enumerate(splits)
    ]


def _down(start: float, end: float) -> str:
    return f"M{BOX / 2},{start:g}V{end - 2:g}"


def _height(lines: Sequence[str]) -> float:
    return 2 * PAD + LINE * len(lines) + 12
