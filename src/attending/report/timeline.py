"""A patient's timeline: which past events raised or lowered the predicted chance of an outcome.

    base + Σ contributions = logit          probability = 1 / (1 + exp(−logit))

Visits are placed in time before the prediction, each with the sum of its contributions; its events are chips shaded
by theirs. Long visits and long histories show the strongest and say what the rest sums to, so that what is shown
always adds up. Patients are numbered, times are relative: no id and no date is shown.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from attending import schema as s
from attending.report.names import kind_name, readable

BACKGROUND = -1
FOR_LIFE = (s.SEX, s.BIRTH)
REPEATS = "repeats"
N_CHIPS, N_VISITS = 8, 9
WORTH_A_CHIP = 0.02
NODE, SMALL_NODE = 9.0, 4.0
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
    radius: float
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


@dataclass(frozen=True, kw_only=True)
class Event:
    """A code, with one value, as often as it occurs in a visit, and what it contributes in all."""

    code: str
    name: str
    value: str
    n: int
    contribution: float


@dataclass(frozen=True, kw_only=True)
class Visit:
    """What happened in one visit; its ordinal counts from 0, `BACKGROUND` is what belongs to no visit."""

    ordinal: int
    days: float
    events: list[Event]

    @property
    def total(self) -> float:
        """The sum of the visit's contributions."""
        return math.fsum(event.contribution for event in self.events)

    @property
    def n_events(self) -> int:
        """How many events the visit has, repeats counted."""
        return sum(event.n for event in self.events)


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
        timeline(sample, events.filter(pl.col(s.SAMPLE) == sample[s.SAMPLE]), patients)
        for sample in samples.head(n).iter_rows(named=True)
    ]


def timeline(sample: dict[str, Any], events: pl.DataFrame, patients: Patients) -> Timeline:
    """Lay out one explained sample."""
    visits = _visits(events)
    kept = _strongest(visits)
    base, logit, probability = sample[s.BASE], sample[s.LOGIT], sample[s.PROBABILITY]
    total = math.fsum(visit.total for visit in visits)
    is_exact = abs(base + total - logit) <= TOLERANCE * max(1.0, abs(logit))
    outcome = sample[s.DESCRIPTION] or readable(sample[s.OUTCOME])
    happened = sample.get(s.HAPPENED)
    return Timeline(
        heading=f"Patient {patients.number(sample[s.SUBJECT_ID])}",
        outcome=outcome,
        code=sample[s.OUTCOME].split(s.SEPARATOR)[-1],
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
        strip=_strip(visits, kept),
        cards=_cards(visits, kept),
        n_events=events.height,
    )


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign, a real minus; what rounds to zero has none."""
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text if text.strip("+−0.") else text[1:]


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


def _visits(events: pl.DataFrame) -> list[Visit]:
    """Return the visits in order of time; what is not of a visit, or holds for life, is the background, first."""
    days = pl.col(s.DAYS).cast(pl.Float64).fill_nan(None)
    kind = pl.col(s.CODE).str.split(s.SEPARATOR).list.first()
    is_timed = days.is_not_null() & (pl.col(s.VISIT).fill_null(BACKGROUND) >= 0) & ~kind.is_in(FOR_LIFE)
    value = (
        pl.col(s.VALUE_TEXT)
        if s.VALUE_TEXT in events.columns
        else pl.lit(None, pl.String).alias(s.VALUE_TEXT)
    )
    repeats = (
        events.with_columns(
            pl.when(is_timed).then(s.VISIT).otherwise(BACKGROUND).alias(s.VISIT), days, value.fill_null("")
        )
        .group_by(s.VISIT, s.CODE, s.DESCRIPTION, s.VALUE_TEXT, maintain_order=True)
        .agg(pl.col(s.ATTRIBUTION).cast(pl.Float64).sum(), pl.max(s.DAYS), pl.len().alias(REPEATS))
        .sort(s.VISIT, maintain_order=True)
    )
    groups = repeats.partition_by(s.VISIT, maintain_order=True)
    first = -1 if groups and groups[0].item(0, s.VISIT) == BACKGROUND else 0
    return [_visit(ordinal, group) for ordinal, group in enumerate(groups, start=first)]


def _visit(ordinal: int, group: pl.DataFrame) -> Visit:
    rows = list(group.iter_rows(named=True))
    days = max((row[s.DAYS] for row in rows if row[s.DAYS] is not None), default=0.0)
    return Visit(ordinal=ordinal, days=days, events=[_event(row) for row in rows])


def _event(row: dict[str, Any]) -> Event:
    return Event(
        code=row[s.CODE],
        name=_name(row[s.CODE], row[s.DESCRIPTION] or ""),
        value=row[s.VALUE_TEXT],
        n=row[REPEATS],
        contribution=row[s.ATTRIBUTION],
    )


def _name(code: str, description: str) -> str:
    """Return the event's description, if it says more than the code does."""
    kind = code.split(s.SEPARATOR)[0]
    if kind in (s.SEX, s.RACE) or not description or s.SEPARATOR in description or description.isupper():
        return readable(code)
    return description.removeprefix(f"{kind_name(kind)}: ") if kind in SHORT_KINDS else description


def _strongest(visits: Sequence[Visit]) -> list[Visit]:
    """Return the visits that are shown in full, in order of time."""
    ranked = sorted(visits, key=lambda visit: (-abs(visit.total), -visit.ordinal))
    n_visits = N_VISITS if len(visits) > N_VISITS + 1 else len(visits)
    kept = {visit.ordinal for visit in ranked[:n_visits]}
    return [visit for visit in visits if visit.ordinal in kept]


def _cards(visits: Sequence[Visit], kept: Sequence[Visit]) -> list[VisitCard]:
    """Return the kept visits in order of time, and one card for the rest."""
    scale = max((abs(event.contribution) for visit in visits for event in visit.events), default=0.0)
    cards = [_card(visit, scale) for visit in kept]
    rest = [visit for visit in visits if visit not in kept]
    return [*cards, _rest_card(rest, scale)] if rest else cards


def _card(visit: Visit, scale: float) -> VisitCard:
    order = sorted(visit.events, key=lambda event: (-abs(event.contribution), event.code, event.value))
    n_chips = _n_chips(order, scale)
    rest = order[n_chips:]
    when = "Background" if visit.ordinal == BACKGROUND else before(visit.days)
    return VisitCard(
        number="" if visit.ordinal == BACKGROUND else str(visit.ordinal + 1),
        when=when[:1].upper() + when[1:],
        total=signed(visit.total, _digits(scale)),
        raises=visit.total >= 0,
        chips=[_chip(event, scale) for event in order[:n_chips]],
        n_more=sum(event.n for event in rest),
        more=signed(math.fsum(event.contribution for event in rest), 3),
    )


def _n_chips(order: Sequence[Event], scale: float) -> int:
    """Return how many of a visit's events, strongest first, are worth a chip; "1 more" takes the room of the one."""
    n_strong = sum(abs(event.contribution) >= WORTH_A_CHIP * scale for event in order)
    n_chips = min(N_CHIPS, max(2, n_strong))
    return n_chips if len(order) > n_chips + 1 else len(order)


def _rest_card(rest: Sequence[Visit], scale: float) -> VisitCard:
    total = math.fsum(visit.total for visit in rest)
    return VisitCard(
        number="…",
        when=f"{len(rest)} more visits, each weaker than those above",
        total=signed(total, _digits(scale)),
        raises=total >= 0,
        chips=[],
        n_more=sum(visit.n_events for visit in rest),
        more=signed(total, 3),
    )


def _chip(event: Event, scale: float) -> Chip:
    kind = event.code.split(s.SEPARATOR)[0]
    words = [event.name, event.value, f"{event.n} times" if event.n > 1 else ""]
    what = ", ".join(word for word in words if word)
    return Chip(
        name=event.name,
        kind=SHORT_KINDS.get(kind, ""),
        value=" ".join(word for word in (event.value, f"×{event.n}" if event.n > 1 else "") if word),
        text=signed(event.contribution, _digits(scale)),
        title=f"{kind_name(kind)}: {what}, contributes {signed(event.contribution, 4)}",
        raises=event.contribution >= 0,
        strength=round(100 * math.sqrt(abs(event.contribution) / scale)) if scale > 0 else 0,
    )


def _digits(scale: float) -> int:
    """Return how many decimals contributions need where the strongest is `scale`."""
    return 2 if scale >= 0.095 else 3


def _strip(visits: Sequence[Visit], kept: Sequence[Visit]) -> Strip:
    timed = [visit for visit in visits if visit.ordinal != BACKGROUND]
    span = max([-visit.days for visit in timed] + [1.0])
    scale = max((abs(visit.total) for visit in timed), default=0.0) or 1.0
    room = WIDTH - LEFT - RIGHT

    def place(days: float) -> float:
        return LEFT + room * (1 + days / span)

    radii = [NODE if visit in kept else SMALL_NODE for visit in timed]
    places = _apart([place(visit.days) for visit in timed], radii, LEFT + room)
    middle = TOP + HALF
    bars = [
        Bar(
            x=round(x, 1),
            y=round(middle - HALF * visit.total / scale, 1),
            radius=NODE if visit in kept else SMALL_NODE,
            number=str(visit.ordinal + 1) if visit in kept else "",
            raises=visit.total >= 0,
            title=f"Visit {visit.ordinal + 1}, {before(visit.days)}: {visit.n_events} events, "
            f"sum {signed(visit.total, 4)}",
        )
        for visit, x in zip(timed, places, strict=True)
    ]
    return Strip(bars=bars, ticks=[(round(place(-days), 1), text) for days, text in _ticks(span)])


def _apart(places: Sequence[float], radii: Sequence[float], last: float) -> list[float]:
    """Move nodes that would cover each other just as far apart as they need to be, where there is room."""
    if not places or LEFT + 2 * sum(radii) > last:
        return list(places)
    moved = list(places)
    for at in range(1, len(moved)):
        moved[at] = max(moved[at], moved[at - 1] + radii[at - 1] + radii[at] + 1)
    moved[-1] = min(moved[-1], last)
    for at in range(len(moved) - 2, -1, -1):
        moved[at] = min(moved[at], moved[at + 1] - radii[at] - radii[at + 1] - 1)
    return moved


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
    rest = signed(logit - base - total, 3)
    return f"{shown}, but the logit is {signed(logit, 3)}: this method leaves {rest} unexplained"


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))
