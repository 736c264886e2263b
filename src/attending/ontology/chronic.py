"""AHRQ's chronic condition indicator: whether a diagnosis is a chronic condition (ICD-9-CM 2015, ICD-10-CM v2023.1).

A heading, or a code of another year, has the flag that all known codes below its longest known prefix share, and
none where they differ. ICD-10 codes that AHRQ has not determined have none.
"""

from functools import cache

from attending.ontology import _icd_tables as tables
from attending.ontology._prefixes import Prefixes
from attending.ontology.icd_tree import ICD9CM, ICD10CM, System

_FLAGS = {"1": True, "0": False}
_SHORTEST = 3


@cache
def is_chronic(system: System, code: str) -> bool | None:
    """Say whether a diagnosis, without dot, is chronic; None where that is not known."""
    if system not in (ICD9CM, ICD10CM):
        return None
    indicators = _indicators(system)
    found = indicators.values.get(code)
    if found is None:
        shared = indicators.counts(code, _SHORTEST)
        found = next(iter(shared)) if len(shared) == 1 else None
    return _FLAGS.get(found) if found else None


@cache
def _indicators(system: System) -> Prefixes:
    return Prefixes(tables.icd9_chronic() if system == ICD9CM else tables.icd10_chronic())
