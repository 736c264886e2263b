"""A patient's timeline: which past events raised or lowered the predicted chance of an outcome.

    base + Σ contributions = logit          probability = 1 / (1 + exp(−logit))

Visits are placed in time before the prediction, each with the sum of its contributions; its events are chips shaded
by theirs. Long visits and long histories show the strongest and say what the rest sums to, so that what is shown
always adds up. Patients are numbered, times are relative: no id and no date is shown.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from attending import schema as s
from attending.report.names import kind_name, readable

SAMPLE, DAYS, VALUE_TEXT, HAPPENED = "sample", "days", "value_text", "happened"
BACKGROUND = -1
N_CHIPS, N_VISITS = 8, 9
WIDTH, LEFT, RIGHT, TOP, HALF, AXIS_ROOM = 960.0, 30.0, 120.0, 26.0, 52.0, 34.0
TOLERANCE = 5e-3
UNITS = (
    (360.0, 365.25, "year", 1),
    (60.0, 30.44, "month", 0),
    (14.0, 7.0, "week", 0),
    (1.0, 1.0, "day", 0),
)
SHORT_KINDS = {
    s.DIAGNOSIS: "Dx",
    s.PROCEDURE: "Px",
    s.MEDICATION: "Rx",
    s.LAB: "Lab",
}


@dataclass(frozen=True, kw_only=True)
class Chip:
    """One event; `strength` is 0 to 100, the depth of its shade."""

    name: str
    kind: str
    value: str
    text: str
    title: str
    raises: bool
    strength: int


@dataclass(frozen=True, kw_only=True)
class VisitCard:
    """One visit: when it was, what it contributes, its strongest events and the sum of the rest."""

    number: str
    when: str
    total: str
    raises: bool
    chips: list[Chip]
    n_more: int = 0
    more: str = ""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A visit on the time line: a stem from the line to `y`."""

    x: float
    y: float
    number: str
    raises: bool
    title: str


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The time line itself: stems, ticks and the middle line."""

    bars: list[Bar]
    ticks: list[tuple[float, str]]
    width: float = WIDTH
    height: float = TOP + 2 * HALF + AXIS_ROOM
    middle: float = TOP + HALF
    left: float = LEFT
    right: float = WIDTH - RIGHT


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """All that is shown of one explained prediction."""

    heading: str
    outcome: str
    code: str
    probability: str
    base_probability: str
    probability_share: float
    base_share: float
    base: str
    total: str
    logit: str
    identity: str
    is_exact: bool
    happened: bool | None
    strip: Strip
    cards: list[VisitCard] = field(default_factory=list)
    n_events: int = 0


@dataclass(frozen=True)
class _Visit:
    ordinal: int
    days: float
    events: list[dict[str, object]]

    @property
    def total(self) -> float:
        return math.fsum(_contribution(event) for event in self.events)


class Patients:
    """Numbers patients in the order in which they are first shown."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def number(self, subject: int) -> int:
        """Return the number of a subject."""
        return self._numbers.setdefault(subject, len(self._numbers) + 1)


def timelines(samples: pl.DataFrame, events: pl.DataFrame, patients: Patients, n: int) -> list[Timeline]:
    """Return the first `n` explained samples as timelines."""
    return [
        timeline(sample, events.filter(pl.col(SAMPLE) == sample[SAMPLE]), patients)
        for sample in samples.head(n).iter_rows(named=True)
    ]


def timeline(sample: dict[str, object], events: pl.DataFrame, patients: Patients) -> Timeline:
    """Lay out one explained sample."""
    visits = _visits(events)
    base, logit, probability = (float(str(sample[key])) for key in (s.BASE, s.LOGIT, s.PROBABILITY))
    total = math.fsum(visit.total for visit in visits)
    is_exact = abs(base + total - logit) <= TOLERANCE * max(1.0, abs(logit))
    outcome = str(sample[s.DESCRIPTION] or readable(str(sample[s.OUTCOME])))
    happened = sample.get(HAPPENED)
    return Timeline(
        heading=f"Patient {patients.number(int(str(sample[s.SUBJECT_ID])))}",
        outcome=outcome,
        code=str(sample[s.OUTCOME]).split(s.SEPARATOR)[-1],
        probability=percent(probability),
        base_probability=percent(_sigmoid(base)),
        probability_share=round(100 * probability, 2),
        base_share=round(100 * _sigmoid(base), 2),
        base=signed(base),
        total=signed(total),
        logit=signed(logit),
        identity=_identity(base, total, logit, is_exact),
        is_exact=is_exact,
        happened=None if happened is None else bool(happened),
        strip=_strip(visits),
        cards=_cards(visits),
        n_events=events.height,
    )


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign, a real minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def percent(share: float) -> str:
    """Return a probability as a clinician reads it."""
    if 0 < share < 0.001:
        return "<0.1 %"
    return f"{100 * share:.1f} %"


def before(days: float) -> str:
    """Return a time before the prediction in words: -90 days is "3 months before"."""
    for least, size, name, digits in UNITS:
        if -days >= least:
            number = f"{-days / size:.{digits}f}".removesuffix(".0")
            return f"{number} {name}{'' if number == '1' else 's'} before"
    return "at the prediction"


def _visits(events: pl.DataFrame) -> list[_Visit]:
    """Return the visits in order of time; what is not of a visit is the background, first."""
    is_timed = pl.col(DAYS).is_not_null() & (pl.col(s.VISIT).fill_null(BACKGROUND) >= 0)
    ordinal = pl.when(is_timed).then(s.VISIT).otherwise(BACKGROUND)
    ordered = events.with_columns(ordinal.alias(s.VISIT)).sort(s.VISIT, maintain_order=True)
    return [
        _Visit(
            ordinal=int(group.item(0, s.VISIT)),
            days=float(group.sort(DAYS, nulls_last=False).item(-1, DAYS) or 0.0),
            events=list(group.iter_rows(named=True)),
        )
        for group in ordered.partition_by(s.VISIT, maintain_order=True)
    ]


def _cards(visits: Sequence[_Visit]) -> list[VisitCard]:
    """Return the strongest visits in order of time, and one card for the rest."""
    strongest = sorted(visits, key=lambda visit: (-abs(visit.total), -visit.ordinal))[:N_VISITS]
    kept = [visit for visit in visits if visit in strongest]
    rest = [visit for visit in visits if visit not in strongest]
    scale = max((abs(_contribution(event)) for visit in visits for event in visit.events), default=0.0)
    cards = [_card(visit, scale) for visit in kept]
    return [_rest_card(rest), *cards] if rest else cards


def _card(visit: _Visit, scale: float) -> VisitCard:
    order = sorted(visit.events, key=lambda event: (-abs(_contribution(event)), str(event[s.CODE])))
    n_chips = N_CHIPS if len(order) > N_CHIPS + 1 else len(order)  # "1 more" takes the room of the one
    rest = math.fsum(_contribution(event) for event in order[n_chips:])
    background = visit.ordinal == BACKGROUND
    return VisitCard(
        number="" if background else str(visit.ordinal + 1),
        when="Background" if background else before(visit.days),
        total=signed(visit.total),
        raises=visit.total >= 0,
        chips=[_chip(event, scale) for event in order[:n_chips]],
        n_more=len(order) - n_chips,
        more=signed(rest, 3),
    )


def _rest_card(rest: Iterable[_Visit]) -> VisitCard:
    rest = list(rest)
    total = math.fsum(visit.total for visit in rest)
    return VisitCard(
        number="…",
        when=f"{len(rest)} more visit{'s' if len(rest) > 1 else ''}",
        total=signed(total),
        raises=total >= 0,
        chips=[],
        n_more=sum(len(visit.events) for visit in rest),
        more=signed(total, 3),
    )


def _chip(event: dict[str, object], scale: float) -> Chip:
    contribution, code = _contribution(event), str(event[s.CODE])
    kind = code.split(s.SEPARATOR)[0]
    share = math.sqrt(abs(contribution) / scale) if scale > 0 else 0.0
    name = str(event[s.DESCRIPTION] or "") or readable(code)
    value = str(event.get(VALUE_TEXT) or "")
    return Chip(
        name=name,
        kind=SHORT_KINDS.get(kind, ""),
        value=value,
        text=signed(contribution),
        title=f"{kind_name(kind)}: {name}{f', {value}' if value else ''} — contributes {signed(contribution, 4)}",
        raises=contribution >= 0,
        strength=round(100 * share),
    )


def _strip(visits: Sequence[_Visit]) -> Strip:
    timed = [visit for visit in visits if visit.ordinal != BACKGROUND]
    span = max([-visit.days for visit in timed] + [1.0])
    scale = max((abs(visit.total) for visit in timed), default=0.0) or 1.0
    room = WIDTH - LEFT - RIGHT

    def place(days: float) -> float:
        return round(LEFT + room * (1 + days / span), 1)

    middle = TOP + HALF
    bars = [
        Bar(
            x=place(visit.days),
            y=round(middle - HALF * visit.total / scale, 1),
            number=str(visit.ordinal + 1),
            raises=visit.total >= 0,
            title=f"Visit {visit.ordinal + 1}, {before(visit.days)}: {len(visit.events)} events, "
            f"sum {signed(visit.total, 4)}",
        )
        for visit in timed
    ]
    return Strip(bars=bars, ticks=[(place(-days), text) for days, text in _ticks(span)])


def _ticks(span: float) -> list[tuple[float, str]]:
    """Return three to six round times before the prediction, in days, with their words."""
    units = ((365.25, "y"), (30.44, "mo"), (7.0, "w"), (1.0, "d"))
    size, letter = next((unit for unit in units if span / unit[0] >= 2), units[-1])
    step = next((step for step in (1, 2, 3, 5, 10, 20) if span / size / step <= 6), 50)
    return [(size * at, f"−{at} {letter}") for at in range(step, int(span / size) + 1, step)]


def _identity(base: float, total: float, logit: float, is_exact: bool) -> str:
    shown = f"base {signed(base, 3)} + contributions {signed(total, 3)} = {signed(base + total, 3)}"
    if is_exact:
        return f"{shown}, the logit ({signed(logit, 3)})"
    return f"{shown}, but the logit is {signed(logit, 3)}: this method leaves {signed(logit - base - total, 3)} unexplained"


def _contribution(event: dict[str, object]) -> float:
    return float(str(event[s.ATTRIBUTION]))


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))
