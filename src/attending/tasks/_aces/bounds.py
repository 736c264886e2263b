"""Where a window starts and ends, as text: `trigger + 24h`, `start -> discharge`, `end <- admission`, `NULL`.

A point of time is a name: `trigger`, or `WINDOW.start`, `WINDOW.end`. A bound says which point it is counted from and
how: moved by a span of time, moved to the next or the last event that satisfies a predicate, or not at all.
"""

import re
from dataclasses import dataclass

from attending.mapping.place import Place

TRIGGER = "trigger"
START, END = "start", "end"
RECORD_START, RECORD_END, ANY_EVENT = SPECIAL = ("_RECORD_START", "_RECORD_END", "_ANY_EVENT")
_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_UNIT_WORDS = {
    "w": "w|wks?|weeks?",
    "d": "d|dys?|days?",
    "h": "h|hrs?|hours?",
    "m": "m|mins?|minutes?",
    "s": "s|secs?|seconds?",
}
_AMOUNT = re.compile(
    r"\s*(\d+(?:\.\d+)?)\s*(?:"
    + "|".join(f"(?P<{u}>{words})" for u, words in _UNIT_WORDS.items())
    + r")\b,?",
    re.IGNORECASE,
)
_RUN_TOGETHER = re.compile(r"(?<=[A-Za-z])(?=\d)")
_CLOCK = re.compile(r"\d+(?::\d\d){1,3}")
_REFERENCE = re.compile(r"(\w+)(?:\.(\w+))?")
_OPERATORS = re.compile(r"(->|<-|\+|-)")


@dataclass(frozen=True, kw_only=True)
class Bound:
    """An end of a window: from `reference`, moved by `shift` microseconds, or to the nearest event of `predicate`."""

    reference: str
    shift: int = 0
    predicate: str | None = None
    forward: bool = True

    @property
    def window(self) -> str | None:
        """The window that is referred to; none for the trigger."""
        name, _, end = self.reference.rpartition(".")
        return name if end in (START, END) and name else None


def read(value: object, *, window: str, end: str, place: Place) -> Bound:
    """Return the bound that the text of `window`'s `end` ("start" or "end") states.

    Raises:
        ConfigError: if it is no such text, or the window would run backwards in time.
    """
    other = f"{window}.{END if end == START else START}"
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "null", "none")):
        limit = RECORD_START if end == START else RECORD_END
        return Bound(reference=other, predicate=limit, forward=end == END)
    if not isinstance(value, str):
        raise place.error(f"expected text such as 'trigger + 24h' here; got {type(value).__name__}")
    word, operator, rest = _parts(value, place)
    reference = _reference(word, window, place)
    backward = operator in ("<-", "-")
    if operator in ("->", "<-"):
        bound = Bound(reference=reference, predicate=_predicate(rest, place), forward=not backward)
    elif operator:
        shift = microseconds(rest, place)
        bound = Bound(
            reference=reference, shift=-shift if backward else shift, forward=not backward or not shift
        )
    else:
        bound = Bound(reference=reference)
    if reference == f"{window}.{end}":
        raise place.error(f"the {end} of the window '{window}' refers to itself")
    moves = bool(bound.shift or bound.predicate)
    if reference == other and moves and bound.forward != (end == END):
        order = "before it starts" if end == END else "after it ends"
        raise place.error(f"the window '{window}' would {end} {order}: '{value}'")
    return bound


def microseconds(text: str, place: Place) -> int:
    """Return a span of time such as `24h`, `30 days`, `1d 12h`, `90 minutes` or `12:30:00` in microseconds.

    Raises:
        ConfigError: if it is none; months and years are none, for they differ in length.
    """
    text = text.strip()
    if _CLOCK.fullmatch(text):
        numbers = [int(part) for part in reversed(text.split(":"))]
        return 1_000_000 * sum(n * unit for n, unit in zip(numbers, (1, 60, 3_600, 86_400), strict=False))
    rest, total = _RUN_TOGETHER.sub(" ", text), 0.0
    while rest.strip():
        found = _AMOUNT.match(rest)
        if found is None:
            break
        unit = next(name for name in _UNITS if found[name])
        total += float(found[1]) * _UNITS[unit]
        rest = rest[found.end() :]
    if rest.strip() or not text:
        raise place.error(
            f"expected a span of time such as '24h', '30 days' or '1d 12h'; got '{text}' (units: weeks, days, hours, "
            "minutes 'm', seconds; a month is written '30d', a year '365d')"
        )
    return round(1_000_000 * total)


def _parts(text: str, place: Place) -> tuple[str, str, str]:
    """Cut `trigger + 24h` into what is referred to, how, and by what."""
    pieces = [piece.strip() for piece in _OPERATORS.split(text)]
    if len(pieces) == 1:
        return pieces[0], "", ""
    if len(pieces) != 3:
        raise place.error(f"expected one of '+', '-', '->' and '<-' in '{text}'")
    return pieces[0], pieces[1], pieces[2]


def _reference(word: str, window: str, place: Place) -> str:
    found = _REFERENCE.fullmatch(word)
    if word in (START, END):
        return f"{window}.{word}"
    if word == TRIGGER:
        return TRIGGER
    if found is None or found[2] not in (START, END):
        raise place.error(
            f"expected 'trigger', 'start', 'end', 'WINDOW.start' or 'WINDOW.end' in a bound; got '{word}'"
        )
    return word


def _predicate(word: str, place: Place) -> str:
    if not re.fullmatch(r"\w+", word):
        raise place.error(f"expected the name of a predicate after the arrow; got '{word}'")
    return word
