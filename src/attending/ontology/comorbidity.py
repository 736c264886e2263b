"""Elixhauser's and Charlson's comorbidities, of ICD-9-CM and ICD-10 diagnoses, and their scores.

Codes: Quan et al., Coding algorithms for defining comorbidities in ICD-9-CM and ICD-10 administrative data, Medical
Care 43 (2005) 1130-1139 (its "enhanced ICD-9-CM" and ICD-10 columns). Weights:

    van_walraven   of Elixhauser: van Walraven et al., Medical Care 47 (2009) 626-633
    charlson       of Charlson: Charlson et al., Journal of Chronic Diseases 40 (1987) 373-383
    quan           of Charlson: Quan et al., American Journal of Epidemiology 173 (2011) 676-682

`comorbidities.tsv` holds all of it: index, category, ICD-9 and ICD-10 prefixes without dot (`4254-4259` is each of the
six), weights. A severe form takes the place of its mild form before anything is counted or weighed. Rules that need
more than codes (whether a condition was present on admission, age points) are the caller's.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Literal

import polars as pl
from polars import col

from attending.ontology import icd
from attending.ontology.icd_tree import ICD9CM, ICD10CM, System
from attending.schema import CODE

Index = Literal["elixhauser", "charlson"]
Weights = Literal["van_walraven", "charlson", "quan"]
SCORE = "score"
_PREFIX_LENGTHS = (3, 5)
_WEIGHTS: dict[Weights, tuple[Index, int]] = {
    "van_walraven": ("elixhauser", 0),
    "charlson": ("charlson", 0),
    "quan": ("charlson", 1),
}
_MILD_OF_SEVERE = {
    "diabetes_complicated": "diabetes_uncomplicated",
    "hypertension_complicated": "hypertension_uncomplicated",
    "metastatic_cancer": "solid_tumor_without_metastasis",
    "metastatic_solid_tumor": "malignancy",
    "moderate_or_severe_liver_disease": "mild_liver_disease",
}


def categories(index: Index) -> list[str]:
    """Return the names of an index's comorbidities, in the order of its paper."""
    return [row[1] for row in _rows() if row[0] == index]


def of_code(code: str, index: Index) -> tuple[str, ...]:
    """Return the comorbidities that an event code counts as: mostly none or one, at times two."""
    system, bare = icd.split(code)
    return of_bare(system, bare, index) if system else ()


def of_bare(system: System, bare: str, index: Index) -> tuple[str, ...]:
    """Return the comorbidities that a diagnosis without dot counts as."""
    prefixes = _prefixes(index, system)
    found: tuple[str, ...] = ()
    for length in range(_PREFIX_LENGTHS[0], min(_PREFIX_LENGTHS[1], len(bare)) + 1):
        more = prefixes.get(bare[:length])
        if more:
            found += more
    return tuple(dict.fromkeys(found)) if len(found) > 1 else found


def without_mild_forms(present: Iterable[str]) -> set[str]:
    """Leave out the mild form of each comorbidity whose severe form is there."""
    found = set(present)
    return found - {mild for severe, mild in _MILD_OF_SEVERE.items() if severe in found}


def score(present: Iterable[str], weights: Weights) -> int:
    """Return the weighted sum of the comorbidities that are present."""
    of_category = weights_of(weights)
    return sum(of_category[name] for name in without_mild_forms(present))


def weights_of(weights: Weights) -> dict[str, int]:
    """Return the weight of each comorbidity."""
    index, place = _WEIGHTS[weights]
    return {row[1]: int(row[4].split()[place]) for row in _rows() if row[0] == index}


def table(events: pl.DataFrame, by: list[str], weights: Weights) -> pl.DataFrame:
    """Return one row for each group of `events` (code and the columns `by`): each comorbidity, and the score.

    Mild forms are left out where the severe form is there. A group without any comorbidity has a row too.
    """
    index = _WEIGHTS[weights][0]
    names = categories(index)
    unique = events[CODE].unique()
    found = pl.Series("found", [of_code(code, index) for code in unique.to_list()], pl.List(pl.String))
    known = pl.DataFrame([unique, found])
    present = events.select(*by, CODE).join(known, on=CODE, how="left")
    held = pl.col("found").explode()
    rows = present.group_by(by, maintain_order=True).agg((held == name).any().alias(name) for name in names)
    rows = rows.with_columns(pl.col(names).fill_null(value=False))
    mild = {mild: severe for severe, mild in _MILD_OF_SEVERE.items() if severe in names}
    rows = rows.with_columns(col(mild_one) & ~col(severe) for mild_one, severe in mild.items())
    weight = weights_of(weights)
    total = pl.sum_horizontal(col(name).cast(pl.Int32) * weight[name] for name in names)
    return rows.with_columns(total.alias(SCORE))


@cache
def _prefixes(index: Index, system: System) -> dict[str, tuple[str, ...]]:
    place = {ICD9CM: 2, ICD10CM: 3}.get(system)
    found: dict[str, tuple[str, ...]] = {}
    for row in _rows() if place else []:
        if row[0] == index:
            for prefix in _expanded(row[place or 0]):
                found[prefix] = (*found.get(prefix, ()), row[1])
    return found


def _expanded(ranges: str) -> Iterable[str]:
    """Write `394-397` as 394, 395, 396, 397; both ends share their first letter."""
    for part in ranges.split():
        low, _, high = part.partition("-")
        letter = low[0] if low[0].isalpha() else ""
        digits = len(low) - len(letter)
        first, last = int(low[len(letter) :]), int((high or low)[len(letter) :])
        yield from (f"{letter}{number:0{digits}d}" for number in range(first, last + 1))


@cache
def _rows() -> list[list[str]]:
    text = files("attending.ontology").joinpath("comorbidities.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]
