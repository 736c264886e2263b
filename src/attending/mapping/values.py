"""Values of a mapping: text and numbers from columns and literals, changed step by step.

    F                            the text itself; `$$F` is text that begins with `$`
    $column                      what stands in the column (see `names.py`)
    {value: V, change: [STEPS], missing: V}
    {first: [V, V]}              the first that is there
    {join: [V, V], by: " "}      all of them, one after another; missing if one is missing

The steps of `change`, in their order:

    strip · upper · lower        no blanks around it · letter case
    remove: "."                  without this text
    replace: {OLD: NEW}          with other text in its place
    keep: 3                      the first characters only
    pad: 11                      filled with zeros on the left
    extract: "([0-9]+)"          the first group of a regular expression, missing where it is not found
    map: {1: M, 2: F}            these values by others; the rest stays
    only: {1: M, 2: F}           these values by others; the rest is missing
    times: 2.54 · plus: -273.15  a number of another unit
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

import polars as pl

from attending.errors import nearest
from attending.mapping.names import Names, Want
from attending.mapping.place import Place, Plain

Kinds = Mapping[str, pl.DataType]
"""The types of the frame's columns."""

_WORDS = ("strip", "upper", "lower")
_STEPS = ("remove", "replace", "keep", "pad", "extract", "map", "only", "times", "plus")
_NUMERIC = ("times", "plus")
_FORMS = ("value", "first", "join")


class Value(Protocol):
    """Something that every line has, or lacks."""

    def text(self, kinds: Kinds) -> pl.Expr:
        """Return it as text."""
        ...

    def number(self, kinds: Kinds) -> pl.Expr:
        """Return it as a number; text that is none is missing."""
        ...


@dataclass(frozen=True)
class Literal:
    """The same text on every line."""

    words: str

    def text(self, kinds: Kinds) -> pl.Expr:
        """Return the text."""
        return pl.lit(self.words)

    def number(self, kinds: Kinds) -> pl.Expr:
        """Return the number that the text is."""
        return _as_number(pl.lit(self.words))


@dataclass(frozen=True)
class Field:
    """What stands in a column of the frame."""

    column: str

    def text(self, kinds: Kinds) -> pl.Expr:
        """Return its text; a whole number has no point."""
        found = pl.col(self.column)
        dtype = kinds[self.column]
        if dtype == pl.String:
            return found
        words = found.cast(pl.String)
        return words.str.replace(r"\.0$", "") if dtype.is_float() else words

    def number(self, kinds: Kinds) -> pl.Expr:
        """Return its number."""
        found = pl.col(self.column)
        return _as_number(found) if kinds[self.column] == pl.String else found.cast(pl.Float64)


@dataclass(frozen=True)
class First:
    """The first value that is there."""

    values: tuple[Value, ...]

    def text(self, kinds: Kinds) -> pl.Expr:
        """Return it as text."""
        return pl.coalesce(value.text(kinds) for value in self.values)

    def number(self, kinds: Kinds) -> pl.Expr:
        """Return it as a number."""
        return pl.coalesce(value.number(kinds) for value in self.values)


@dataclass(frozen=True)
class Joined:
    """Several values as one text."""

    values: tuple[Value, ...]
    by: str

    def text(self, kinds: Kinds) -> pl.Expr:
        """Return the text."""
        return pl.concat_str([value.text(kinds) for value in self.values], separator=self.by)

    def number(self, kinds: Kinds) -> pl.Expr:
        """Return the number that the text is."""
        return _as_number(self.text(kinds))


@dataclass(frozen=True)
class Changed:
    """A value after some steps; `missing` stands in for one that is not there."""

    value: Value
    steps: tuple[tuple[str, Any], ...]
    missing: Value | None = None

    def text(self, kinds: Kinds) -> pl.Expr:
        """Return it as text."""
        if self._numeric:
            return self.number(kinds).cast(pl.String).str.replace(r"\.0$", "")
        result = self._changed(self.value.text(kinds))
        return result if self.missing is None else pl.coalesce(result, self.missing.text(kinds))

    def number(self, kinds: Kinds) -> pl.Expr:
        """Return it as a number."""
        if all(step in _NUMERIC for step, _ in self.steps):
            result = self.value.number(kinds)
        else:
            result = _as_number(self._changed(self.value.text(kinds)))
        for step, by in self.steps:
            if step in _NUMERIC:
                result = result * by if step == "times" else result + by
        return result if self.missing is None else pl.coalesce(result, self.missing.number(kinds))

    @property
    def _numeric(self) -> bool:
        return any(step in _NUMERIC for step, _ in self.steps)

    def _changed(self, text: pl.Expr) -> pl.Expr:
        for step, argument in self.steps:
            text = text if step in _NUMERIC else _step(text, step, argument)
        return text


def parse(raw: Plain, place: Place, names: Names, want: Want = "text") -> Value:
    """Read a value.

    Raises:
        ConfigError: if it has none of the forms above.
    """
    if isinstance(raw, dict):
        return _form(raw, place, names, want)
    if isinstance(raw, str) and raw.startswith("$") and not raw.startswith("$$"):
        found = names.find(raw[1:], want, place)
        return (
            Literal(scalar(found.constant, place)) if found.frame_column == "" else Field(found.frame_column)
        )
    return Literal(scalar(raw, place))


def scalar(raw: Plain, place: Place) -> str:
    """Return a literal as text.

    Raises:
        ConfigError: if YAML has made something of it that its text does not tell.
    """
    if isinstance(raw, bool) or raw is None:
        raise place.error(f"YAML reads this as {raw}: put it in quotes if it is text")
    if isinstance(raw, int | float):
        return str(raw)
    if isinstance(raw, date | datetime):
        return raw.isoformat(sep=" ") if isinstance(raw, datetime) else raw.isoformat()
    if isinstance(raw, str):
        return raw[1:] if raw.startswith("$$") else raw
    raise place.error(f"expected text, a number or '$column'; got {type(raw).__name__}")


def items(raw: Plain, place: Place, what: str) -> list[tuple[Any, Place]]:
    """Return the items of a list and their places.

    Raises:
        ConfigError: if it is none, or empty.
    """
    if not isinstance(raw, list | tuple) or not raw:
        raise place.error(f"expected a list of {what}; got {type(raw).__name__}")
    return [(item, place[position]) for position, item in enumerate(raw)]


def only(raw: dict[Any, Any], known: tuple[str, ...], place: Place) -> None:
    """Refuse a mapping that has other keys than `known`.

    Raises:
        ConfigError: with the nearest key.
    """
    for key in raw:
        if key not in known:
            raise place[key].error(f"unknown key '{key}'{nearest(str(key), list(known))}")


def _form(raw: dict[Any, Any], place: Place, names: Names, want: Want) -> Value:
    chosen = next((form for form in _FORMS if form in raw), None)
    if chosen is None:
        key = next(iter(raw), "nothing")
        raise place.error(
            f"expected one of {', '.join(_FORMS)}; got '{key}'{nearest(str(key), list(_FORMS))}"
        )
    only(raw, (chosen, "change", "missing", *(("by",) if chosen == "join" else ())), place)
    steps = _steps(raw.get("change", []), place["change"])
    if want == "key" and (chosen != "value" or steps):
        want = "text"
    inside: Want = "text" if any(step not in _NUMERIC for step, _ in steps) else want
    if chosen == "value":
        value = parse(raw["value"], place["value"], names, inside)
    else:
        parts = items(raw[chosen], place[chosen], "values")
        parsed = tuple(parse(part, at, names, "text" if chosen == "join" else inside) for part, at in parts)
        value = First(parsed) if chosen == "first" else Joined(parsed, scalar(raw.get("by", ""), place["by"]))
    missing = parse(raw["missing"], place["missing"], names, want) if "missing" in raw else None
    return Changed(value, steps, missing) if steps or missing else value


def _steps(raw: Plain, place: Place) -> tuple[tuple[str, Any], ...]:
    if not raw:
        return ()
    return tuple(_read_step(step, at) for step, at in items(raw, place, "steps"))


def _read_step(raw: Plain, place: Place) -> tuple[str, Any]:
    known = [*_WORDS, *_STEPS]
    name, argument = next(iter(raw.items())) if isinstance(raw, dict) and len(raw) == 1 else (raw, None)
    if name not in known or (name in _WORDS) == isinstance(raw, dict):
        raise place.error(f"expected a step such as 'strip' or 'remove: \".\"'{nearest(str(name), known)}")
    return str(name), _argument(str(name), argument, place)


def _argument(step: str, raw: Plain, place: Place) -> Plain:
    at = place[step]
    match step:
        case "map" | "only" | "replace":
            if not isinstance(raw, dict) or not raw:
                raise at.error("expected a mapping of old values to new ones")
            return tuple((scalar(old, at), scalar(new, at[old])) for old, new in raw.items())
        case "keep" | "pad":
            if not isinstance(raw, int) or isinstance(raw, bool) or raw < 1:
                raise at.error("expected a whole number of characters")
            return raw
        case "times" | "plus":
            if not isinstance(raw, int | float) or isinstance(raw, bool):
                raise at.error("expected a number")
            return float(raw)
        case "extract":
            return pattern(raw, at)
        case "remove":
            return scalar(raw, at)
        case _:
            return None


def pattern(raw: Plain, place: Place) -> str:
    """Return a regular expression that polars can search with.

    Raises:
        ConfigError: if it is none.
    """
    words = scalar(raw, place)
    try:
        re.compile(words)
        pl.Series([""]).str.contains(words)
    except (re.error, pl.exceptions.PolarsError):
        raise place.error("expected a regular expression without look-around") from None
    return words


def _step(text: pl.Expr, step: str, argument: Plain) -> pl.Expr:
    match step:
        case "strip":
            stripped = text.str.strip_chars()
            return pl.when(stripped != "").then(stripped)
        case "upper":
            return text.str.to_uppercase()
        case "lower":
            return text.str.to_lowercase()
        case "remove":
            return text.str.replace_all(argument, "", literal=True)
        case "keep":
            return text.str.slice(0, argument)
        case "pad":
            return text.str.zfill(argument)
        case "extract":
            return text.str.extract(argument, 1 if re.compile(argument).groups else 0)
        case "replace":
            for old, new in argument:
                text = text.str.replace_all(old, new, literal=True)
            return text
        case "map":
            return text.replace(dict(argument))
        case _:
            return text.replace_strict(dict(argument), default=None, return_dtype=pl.String)


def _as_number(text: pl.Expr) -> pl.Expr:
    number = text.str.strip_chars().cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)
