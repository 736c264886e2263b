"""What is measured in a window: how often a predicate holds, or the least, greatest or last number beside it.

`death`, `count(visit)`, `min(potassium)`, `max(creatinine)`, `last(creatinine)`; with a comparison a yes or no:
`max(creatinine) >= 1.5`.
"""

import re
from dataclasses import dataclass

from attending.errors import nearest
from attending.mapping.place import Place
from attending.mapping.place import Plain as Yaml

COUNT, MIN, MAX, LAST = KINDS = ("count", "min", "max", "last")
COMPARISONS = (">=", "<=", ">", "<")
_MEASURE = re.compile(r"\s*(?:(\w+)\s*\(\s*(\w+)\s*\)|(\w+))\s*(?:(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)\s*)?")
_RANGE = re.compile(r"\(?([^,()]*),([^,()]*)\)?")


@dataclass(frozen=True, kw_only=True)
class Measure:
    """`kind` of the predicate's events in a window; `called`: written `kind(predicate)`, not as the bare name."""

    kind: str
    predicate: str
    called: bool = True

    def __str__(self) -> str:
        return f"{self.kind}({self.predicate})" if self.called else self.predicate


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A window must have a measure from `low` to `high`, both inclusive."""

    measure: Measure
    low: float | None
    high: float | None

    def __str__(self) -> str:
        low = "" if self.low is None else f"{self.low:g} ≤ "
        return f"{low}{self.measure}" + ("" if self.high is None else f" ≤ {self.high:g}")


@dataclass(frozen=True, kw_only=True)
class Label:
    """An outcome: whether a measure of a window compares so, whether a predicate occurs, or a number itself."""

    name: str
    window: str
    measure: Measure
    comparison: str | None = None
    than: float = 0.0

    @property
    def is_number(self) -> bool:
        """Whether the measure itself is what is predicted."""
        return self.comparison is None and self.measure.called

    @property
    def is_final(self) -> bool:
        """Whether a yes stays a yes whatever follows in the window."""
        kind, up = self.measure.kind, self.comparison in (None, ">", ">=")
        return (kind in (COUNT, MAX) and up) or (kind == MIN and not up)


def limits(has: Yaml, place: Place) -> tuple[Limits, ...]:
    """Return what stands below `has`: measures and `(min, max)`.

    Raises:
        ConfigError: if a range is none, or empty.
    """
    if has is None:
        return ()
    if not isinstance(has, dict):
        raise place.error(f"expected predicates and ranges below 'has'; got {type(has).__name__}")
    return tuple(_limits(str(text), value, place[text]) for text, value in has.items())


def labels(value: Yaml, window: str, place: Place) -> tuple[Label, ...]:
    """Return the outcomes that `label` names: one, a list of them, or a mapping of names to them."""
    if isinstance(value, str):
        return (_label(None, value, window, place),)
    if isinstance(value, list) and value:
        return tuple(_label(None, one, window, place[number]) for number, one in enumerate(value))
    if isinstance(value, dict) and value:
        return tuple(_label(str(name), one, window, place[name]) for name, one in value.items())
    raise place.error("expected a predicate, a list of predicates, or 'NAME: predicate' pairs as label")


def _limits(text: str, value: Yaml, place: Place) -> Limits:
    measure, comparison, _ = _measure(text, place)
    if comparison:
        raise place.error(f"expected '{measure}: (min, max)'; got a comparison")
    if isinstance(value, list | tuple) and len(value) == 2:
        ends = ["" if one is None else str(one) for one in value]
    else:
        found = _RANGE.fullmatch(str(value).strip())
        if found is None:
            raise place.error(f"expected a range such as '(1, None)' for '{text}'; got '{value}'")
        ends = [found[1], found[2]]
    low, high = (_number(end, measure, place) for end in ends)
    if low is None and high is None:
        raise place.error(f"the range of '{text}' limits nothing")
    if low is not None and high is not None and low > high:
        raise place.error(f"no number lies in the range of '{text}'")
    return Limits(measure=measure, low=low, high=high)


def _number(text: str, measure: Measure, place: Place) -> float | None:
    text = text.strip()
    if text.lower() in ("none", "null", ""):
        return None
    try:
        number = float(text)
    except ValueError:
        raise place.error(f"expected a number or None in the range of '{measure}'; got '{text}'") from None
    if measure.kind == COUNT and number != int(number):
        raise place.error(f"expected a whole number in the range of '{measure}'; got '{text}'")
    return number


def _label(name: str | None, value: Yaml, window: str, place: Place) -> Label:
    if not isinstance(value, str):
        raise place.error(f"expected a predicate as label; got {type(value).__name__}")
    measure, comparison, than = _measure(value, place)
    plain = str(measure) if comparison is None else f"{measure} {comparison} {than:g}"
    return Label(name=name or plain, window=window, measure=measure, comparison=comparison, than=than)


def _measure(text: str, place: Place) -> tuple[Measure, str | None, float]:
    found = _MEASURE.fullmatch(text)
    if found is None:
        raise place.error(f"expected a predicate, or such as 'max(creatinine) >= 1.5'; got '{text}'")
    kind, inner, name, comparison, than = found.groups()
    if kind and kind not in KINDS:
        raise place.error(f"no measure '{kind}' of a window{nearest(kind, list(KINDS))}")
    measure = Measure(kind=kind or COUNT, predicate=inner or name, called=kind is not None)
    return measure, comparison, float(than or 0)
