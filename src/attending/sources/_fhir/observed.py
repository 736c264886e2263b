"""What an observation found: its value of one of many types, and what kind of observation it is."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import polars as pl

from attending.ontology import fhir
from attending.schema import LAB
from attending.sources._fhir import codes, resources
from attending.sources._fhir.resources import Concept, Quantity

_TEXT = pl.String()
COMPONENT = pl.Struct(
    {
        "code": _TEXT,
        "description": _TEXT,
        "number": pl.Float64(),
        "unit": _TEXT,
        "value": _TEXT,
        "words": _TEXT,
    }
)
_CATEGORIES = {"vital-signs": "VITAL", "laboratory": LAB}


class Found(NamedTuple):
    """The value of an observation: a number and its unit, text to be parsed, or words."""

    number: float | None = None
    unit: str | None = None
    value: str | None = None
    words: str | None = None

    @property
    def nothing(self) -> bool:
        """Say whether there is no value."""
        return self.number is None and self.value is None and self.words is None


def prefix(categories: Iterable[Concept] | None) -> str:
    for concept in categories or ():
        for coding in concept.coding or ():
            if coding.code in _CATEGORIES:
                return _CATEGORIES[coding.code]
    return codes.OBSERVATION.prefix if categories else ""


def prefix_of(one: resources.Valued, given: str) -> str:
    """Return what the code begins with: a LOINC code without a category is a laboratory's."""
    if given or one.code is None:
        return given
    systems = {fhir.vocabulary(coding.system or "") for coding in one.code.coding or ()}
    return LAB if "LOINC" in systems else ""


def part(one: resources.Component, given: str) -> dict[str, Any]:
    code = codes.OBSERVATION.code(one.code, prefix_of(one, given))
    return {"code": code.code, "description": code.description} | found(one)._asdict()


def found(one: resources.Valued) -> Found:
    if one.value_quantity is not None:
        return _quantity(one.value_quantity)
    if one.value_codeable_concept is not None:
        return Found(words=codes.words(one.value_codeable_concept))
    if one.value_string is not None:
        return Found(value=one.value_string or None)
    if one.value_integer is not None:
        return Found(number=float(one.value_integer))
    if one.value_boolean is not None:
        return Found(words=str(one.value_boolean).lower())
    return Found(words=_composite(one))


def _quantity(one: Quantity) -> Found:
    unit = (one.code if one.system == fhir.UCUM else None) or one.unit or one.code
    if one.value is None:
        return Found()
    if one.comparator:
        return Found(unit=unit, value=f"{one.comparator}{one.value:.15g}")
    return Found(number=one.value, unit=unit)


def _composite(one: resources.Valued) -> str | None:
    if one.value_range is not None:
        return _two(one.value_range.low, "-", one.value_range.high)
    if one.value_ratio is not None:
        return _two(one.value_ratio.numerator, ":", one.value_ratio.denominator)
    if one.value_period is not None:
        return f"{one.value_period.start or ''}/{one.value_period.end or ''}"
    return one.value_date_time or one.value_time


def _two(first: Quantity | None, sign: str, second: Quantity | None) -> str | None:
    texts = [
        f"{one.value:.15g}" if one is not None and one.value is not None else "" for one in (first, second)
    ]
    return sign.join(texts) if any(texts) else None
