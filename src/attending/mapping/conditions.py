"""Conditions of a mapping: which lines make an event. A missing value fulfils none, but `missing` and `is_not`.

$column                              it is there
{missing: V}                         it is not
{value: V, is: L}                    it is this, or one of a list
{value: V, is_not: L}                it is not this, nor one of a list
{value: V, matches: "^4"}            a regular expression is found in it
{value: V, at_least: 1, below: 5}    it is a number within limits (at_least, above, at_most, below)
{any: [C, C]} · {all: [C, C]} · {none: [C, C]}
[C, C]                               all of them
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any, Protocol

import polars as pl

from attending.ledger.table import words
from attending.mapping.names import Names
from attending.mapping.place import Place, Plain
from attending.mapping.values import Field, Kinds, Value, items, only, parse, pattern, scalar

_LIMITS: dict[str, Callable[[pl.Expr, float], pl.Expr]] = {
    "at_least": lambda value, limit: value >= limit,
    "above": lambda value, limit: value > limit,
    "at_most": lambda value, limit: value <= limit,
    "below": lambda value, limit: value < limit,
}
_WORDS = ("is", "is_not", "matches")
_GROUPS = ("any", "all", "none")


class Condition(Protocol):
    """Something that is so, or not, of every line."""

    def holds(self, kinds: Kinds) -> pl.Expr:
        """Return whether it holds, never null."""
        ...


@dataclass(frozen=True)
class There:
    """A value is there."""

    value: Value

    def holds(self, kinds: Kinds) -> pl.Expr:
        """Return whether the value is not missing."""
        there = self.value.text(kinds).is_not_null()
        said = words(self.value.column) if isinstance(self.value, Field) else ""
        return there | pl.col(said).is_not_null() if said in kinds else there


@dataclass(frozen=True)
class Among:
    """A value is one of some texts."""

    value: Value
    texts: tuple[str, ...]

    def holds(self, kinds: Kinds) -> pl.Expr:
        """Return whether it is."""
        return self.value.text(kinds).is_in(self.texts).fill_null(False)


@dataclass(frozen=True)
class Matches:
    """A regular expression is found in a value."""

    value: Value
    pattern: str

    def holds(self, kinds: Kinds) -> pl.Expr:
        """Return whether it is."""
        return self.value.text(kinds).str.contains(self.pattern).fill_null(False)


@dataclass(frozen=True)
class Within:
    """A number is within limits."""

    value: Value
    limits: tuple[tuple[str, float], ...]

    def holds(self, kinds: Kinds) -> pl.Expr:
        """Return whether it is."""
        number = self.value.number(kinds)
        return reduce(and_, (_LIMITS[name](number, limit) for name, limit in self.limits)).fill_null(False)


@dataclass(frozen=True)
class Group:
    """Some conditions together."""

    how: str
    conditions: tuple[Condition, ...]

    def holds(self, kinds: Kinds) -> pl.Expr:
        """Return whether all, any or none of them holds."""
        each = [condition.holds(kinds) for condition in self.conditions]
        if self.how == "all":
            return reduce(and_, each)
        some = reduce(or_, each)
        return some if self.how == "any" else ~some


def read(raw: Plain, place: Place, names: Names) -> Condition:
    """Read a condition.

    Raises:
        ConfigError: if it has none of the forms above.
    """
    if isinstance(raw, list | tuple):
        return _group("all", raw, place, names)
    if isinstance(raw, str) and raw.startswith("$"):
        return There(parse(raw, place, names, "any"))
    if not isinstance(raw, dict):
        raise place.error("expected a condition such as '$column' or {value: $column, is: 1}")
    group = next((name for name in _GROUPS if name in raw), None)
    if group is not None:
        only(raw, (group,), place)
        return _group(group, raw[group], place[group], names)
    if "missing" in raw:
        only(raw, ("missing",), place)
        return Group("none", (There(parse(raw["missing"], place["missing"], names, "any")),))
    return _test(raw, place, names)


def _group(how: str, raw: Plain, place: Place, names: Names) -> Condition:
    return Group(how, tuple(read(one, at, names) for one, at in items(raw, place, "conditions")))


def _test(raw: dict[Any, Any], place: Place, names: Names) -> Condition:
    only(raw, ("value", *_WORDS, *_LIMITS), place)
    if "value" not in raw:
        raise place.error("a condition needs the key 'value'")
    tests: list[Condition] = []
    limits = tuple((name, _limit(raw[name], place[name])) for name in _LIMITS if name in raw)
    if limits:
        tests.append(Within(parse(raw["value"], place["value"], names, "number"), limits))
    if any(word in raw for word in _WORDS):
        value = parse(raw["value"], place["value"], names)
        if "is" in raw:
            tests.append(Among(value, _texts(raw["is"], place["is"])))
        if "is_not" in raw:
            tests.append(Group("none", (Among(value, _texts(raw["is_not"], place["is_not"])),)))
        if "matches" in raw:
            tests.append(Matches(value, pattern(raw["matches"], place["matches"])))
    if not tests:
        raise place.error(f"a condition needs one of the keys {', '.join((*_WORDS, *_LIMITS))}")
    return tests[0] if len(tests) == 1 else Group("all", tuple(tests))


def _texts(raw: Plain, place: Place) -> tuple[str, ...]:
    if isinstance(raw, list | tuple):
        return tuple(scalar(one, at) for one, at in items(raw, place, "values"))
    return (scalar(raw, place),)


def _limit(raw: Plain, place: Place) -> float:
    if not isinstance(raw, int | float) or isinstance(raw, bool):
        raise place.error("expected a number")
    return float(raw)
