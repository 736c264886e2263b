"""What counts as an event of a kind: plain predicates match rows, derived ones combine others at one time.

Plain: a code (a text, `{regex: …}`, `{any: [...]}`), limits of the number beside it, values of other columns.
Derived: `or(a, b)`, `and(a, b)`, `not(a)` and any nesting of them. A derived predicate holds or does not hold at each
time of a subject's record; a plain one counts the rows that match there.
"""

import re
from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import Field

from attending.config import Settings
from attending.errors import nearest
from attending.mapping.place import Place
from attending.mapping.place import Plain as Yaml
from attending.schema import CODE, NUMERIC_VALUE

OPERATORS = ("and", "or", "not")


class PlainKeys(Settings):
    """The keys of a plain predicate, as YAML has them."""

    code: Any
    value_min: float | None = None
    value_max: float | None = None
    value_min_inclusive: bool | None = None
    value_max_inclusive: bool | None = None
    static: bool = False
    other_cols: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Plain:
    """Rows whose code is `code`, or one of `codes`, or matches `regex`, and whose other columns fit."""

    name: str
    place: Place
    codes: tuple[str, ...] = ()
    regex: str | None = None
    low: float | None = None
    high: float | None = None
    low_inclusive: bool = False
    high_inclusive: bool = False
    static: bool = False
    columns: tuple[tuple[str, Any], ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every row of a matching code counts."""
        return self.low is None and self.high is None and not self.columns and not self.static

    def matching(self, codes: pl.Series) -> pl.Series:
        """Return those of the unique `codes` that match."""
        return codes.filter(codes.str.contains(self.regex) if self.regex else codes.is_in(list(self.codes)))

    def rows(self, codes: pl.Series) -> pl.Expr:
        """Return whether a row counts; `codes` are the unique codes of the rows."""
        holds = [pl.col(CODE).is_in(self.matching(codes).implode())]
        value = pl.col(NUMERIC_VALUE)
        if self.low is not None:
            holds.append(value >= self.low if self.low_inclusive else value > self.low)
        if self.high is not None:
            holds.append(value <= self.high if self.high_inclusive else value < self.high)
        holds += [pl.col(column) == wanted for column, wanted in self.columns]
        return pl.all_horizontal(holds).fill_null(False)


@dataclass(frozen=True, kw_only=True)
class Derived:
    """Times at which `operator` holds of the `inputs`: names of predicates, or further combinations."""

    operator: str
    inputs: tuple["str | Derived", ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every predicate that is named, once."""
        below = (one.names if isinstance(one, Derived) else (one,) for one in self.inputs)
        return tuple(dict.fromkeys(name for names in below for name in names))


Predicate = Plain | Derived


def read(name: str, values: Yaml, place: Place, *, static: bool = False) -> Predicate:
    """Return the predicate that stands at `place`.

    Raises:
        ConfigError: naming what does not fit, and where.
    """
    if not isinstance(values, dict):
        raise place.error(f"expected 'code: …' or 'expr: …' for the predicate '{name}'; got {values!r}")
    if "expr" not in values:
        return _plain(name, values, place, static)
    if static:
        raise place.error(f"the demographic '{name}' needs a code: a combination of others has none")
    for key in values:
        if key != "expr":
            raise place[key].error(f"a predicate with 'expr' takes no other key; got '{key}'")
    return expression(values["expr"], place["expr"])


def expression(text: Yaml, place: Place) -> Derived:
    """Return what a text such as `or(death, and(discharge, not(home)))` says.

    Raises:
        ConfigError: if it is no such text.
    """
    if not isinstance(text, str):
        raise place.error(f"expected text such as 'or(discharge, death)'; got {type(text).__name__}")
    words = re.findall(r"\w+|[(),]|[^\s\w(),]+", text)
    found, rest = _term(words, text, place)
    if rest or isinstance(found, str):
        raise place.error(f"expected one 'and(…)', 'or(…)' or 'not(…)'; got '{text}'")
    return found


def _term(words: list[str], text: str, place: Place) -> tuple[str | Derived, list[str]]:
    """Read one name or combination, and return it and the words after it."""
    if not words or not re.fullmatch(r"\w+", words[0]):
        raise place.error(f"expected the name of a predicate in '{text}'; got '{words[0] if words else ''}'")
    operator, rest = words[0], words[1:]
    if not rest or rest[0] != "(":
        return operator, rest
    if operator not in OPERATORS:
        raise place.error(f"no operator '{operator}' in '{text}'{nearest(operator, list(OPERATORS))}")
    inputs: list[str | Derived] = []
    while rest[:1] and rest[0] in ("(", ","):
        one, rest = _term(rest[1:], text, place)
        inputs.append(one)
    if rest[:1] != [")"]:
        raise place.error(f"a bracket is not closed in '{text}'")
    if (len(inputs) == 1) != (operator == "not"):
        raise place.error(
            f"'{operator}(…)' takes {'one predicate' if operator == 'not' else 'two or more'}: '{text}'"
        )
    return Derived(operator=operator, inputs=tuple(inputs)), rest[1:]


def _plain(name: str, values: dict[str, Any], place: Place, static: bool) -> Plain:
    known, others = _columns(values, place)
    keys = place.build(PlainKeys, known)
    codes, regex = _code(keys.code, place["code"])
    if keys.value_min is not None and keys.value_max is not None and keys.value_min > keys.value_max:
        raise place["value_max"].error(f"no number lies between {keys.value_min:g} and {keys.value_max:g}")
    return Plain(
        name=name,
        place=place,
        codes=codes,
        regex=regex,
        low=keys.value_min,
        high=keys.value_max,
        low_inclusive=bool(keys.value_min_inclusive),
        high_inclusive=bool(keys.value_max_inclusive),
        static=static or keys.static,
        columns=tuple((others | keys.other_cols).items()),
    )


def _columns(values: dict[str, Any], place: Place) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the language's own keys from names of other columns; a key that looks misspelt is an error."""
    own = list(PlainKeys.model_fields)
    known = {key: value for key, value in values.items() if key in own}
    others = {key: value for key, value in values.items() if key not in own}
    for key, value in others.items():
        hint = nearest(str(key), [*own, "expr"])
        if "did you mean" in hint or not isinstance(value, str | int | float):
            raise place[key].error(f"unknown key '{key}' of a predicate{hint}")
    return known, others


def _code(code: Yaml, place: Place) -> tuple[tuple[str, ...], str | None]:
    """Return the codes that are meant, or the pattern that they match."""
    if isinstance(code, str) and code:
        return (code,), None
    if not isinstance(code, dict):
        raise place.error(
            f"expected a code as text, {{regex: …}} or {{any: […]}}; got {type(code).__name__}: use quotes"
        )
    if len(code) != 1 or next(iter(code)) not in ("regex", "any"):
        raise place.error(f"expected one of 'regex' and 'any' below 'code'; got {', '.join(map(str, code))}")
    (kind, value), *_ = code.items()
    if kind == "any":
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            raise place["any"].error("expected a list of codes, each a text in quotes")
        return tuple(value), None
    if not isinstance(value, str) or not value:
        raise place["regex"].error("expected a pattern as text")
    try:
        pl.Series([""]).str.contains(value)
    except pl.exceptions.ComputeError:
        raise place["regex"].error(f"'{value}' is not a regular expression") from None
    return (), value
