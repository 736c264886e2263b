"""ICD codes as events spell them: their names, and the groups that a task may predict instead of codes.

Event codes are `DIAGNOSIS//ICD//10//I509` and `PROCEDURE//ICD//9//3961`. Diagnoses group in three ways:

    full               the code itself
    three_character    its category: `DIAGNOSIS//ICD//10//I50`, and of ICD-9's external causes `…//9//E849`
    ccs                AHRQ's clinical classification: `CCSR//CIR019` of ICD-10-CM, `CCS//108` of ICD-9-CM

A code is never dropped. One that AHRQ's table does not list (a heading such as I50, a code of another year)
takes the group that most codes share under its longest known prefix, down to three characters; failing that
it is a group of its own category, `CCSR//UNMAPPED//XYZ`. A code that is not a diagnosis is its own group.

All functions work on strings: map the unique codes of a table once, then join.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from itertools import takewhile
from typing import Literal

from attending.ontology import _icd_tables as tables
from attending.ontology._ccsr_names import NAMES
from attending.schema import (
    DIAGNOSIS_ICD9,
    DIAGNOSIS_ICD10,
    PROCEDURE_ICD9,
    PROCEDURE_ICD10,
    SEPARATOR,
)

Vocabulary = Literal["full", "three_character", "ccs"]

CCS = "CCS"
CCSR = "CCSR"
UNMAPPED = "UNMAPPED"
_N_EXAMPLES = 2
_PREGNANCY = "O"  # its chapter repeats every other; it names a group only where nothing else does


def group(codes: Iterable[str], vocabulary: Vocabulary) -> dict[str, str]:
    """Return the group of each of the event `codes`; every code has exactly one."""
    groupings: dict[str, Callable[[str], str]] = {"full": str, "three_character": three_character, "ccs": ccs}
    grouping = groupings[vocabulary]
    return {code: grouping(code) for code in set(codes)}


def three_character(code: str) -> str:
    """Return the category of a diagnosis, as an event code; any other code is returned as it is."""
    system, bare = _split(code)
    if system not in (DIAGNOSIS_ICD9, DIAGNOSIS_ICD10):
        return code
    return _join(system, _category(system, bare))


def ccs(code: str) -> str:
    """Return the CCSR or CCS group of a diagnosis; any other code is returned as it is."""
    system, bare = _split(code)
    if system == DIAGNOSIS_ICD10:
        name, found = CCSR, _nearest_group(bare, CCSR)
    elif system == DIAGNOSIS_ICD9:
        name, found = CCS, _nearest_group(bare, CCS)
    else:
        return code
    return _join(name, found) if found else _join(name, UNMAPPED, _category(system, bare))


def describe(code: str) -> str | None:
    """Return the title of an ICD event code or of a group, or None if it has none."""
    system, bare = _split(code)
    if system == DIAGNOSIS_ICD10:
        return tables.icd10_titles().get(bare) or tables.icd10_heading(bare)
    if system == DIAGNOSIS_ICD9:
        return tables.icd9_titles().get(bare) or _icd9_heading(bare)
    if system == PROCEDURE_ICD10:
        return tables.icd10_procedure_titles().get(bare)
    if system == PROCEDURE_ICD9:
        return tables.icd9_procedure_titles().get(bare)
    return _describe_group(code)


def description(code: str) -> str:
    """Return the title of an ICD event code or of a group; where there is none, the code itself."""
    return describe(code) or code


def parents(code: str) -> list[str]:
    """Return the vocabulary terms that an ICD event code stands for, such as `ICD10CM/I50.9`."""
    system, bare = _split(code)
    if system == DIAGNOSIS_ICD10:
        return [f"ICD10CM/{_dotted(bare, 3)}", ccs(code).replace(SEPARATOR, "/")]
    if system == DIAGNOSIS_ICD9:
        place = len(_category(system, bare))
        return [f"ICD9CM/{_dotted(bare, place)}", ccs(code).replace(SEPARATOR, "/")]
    if system == PROCEDURE_ICD10:
        return [f"ICD10PCS/{bare}"]
    if system == PROCEDURE_ICD9:
        return [f"ICD9Proc/{_dotted(bare, 2)}"]
    return []


def _split(code: str) -> tuple[str, str]:
    """Split an ICD event code into its system and the code without dot; other codes have no system."""
    system, _, bare = code.rpartition(SEPARATOR)
    if system in (DIAGNOSIS_ICD9, DIAGNOSIS_ICD10, PROCEDURE_ICD9, PROCEDURE_ICD10):
        return system, bare.replace(".", "").upper()
    return "", code


def _join(*parts: str) -> str:
    return SEPARATOR.join(parts)


def _category(system: str, bare: str) -> str:
    long = system == DIAGNOSIS_ICD9 and bare.startswith("E")
    return bare[: 4 if long else 3]


def _dotted(bare: str, place: int) -> str:
    return f"{bare[:place]}.{bare[place:]}" if len(bare) > place else bare


def _table(name: str) -> dict[str, str]:
    return tables.ccsr() if name == CCSR else tables.ccs()[0]


@cache
def _ordered(name: str) -> list[str]:
    return sorted(_table(name))


@cache
def _nearest_group(bare: str, name: str) -> str | None:
    """Look `bare` up; else take the group that most codes have under its longest prefix with any."""
    found = _table(name).get(bare)
    if found:
        return found
    for length in range(len(bare), 2, -1):
        below = Counter(_table(name)[code] for code in _starting_with(bare[:length], name))
        if below:
            return max(sorted(below), key=below.__getitem__)
    return None


def _starting_with(prefix: str, name: str) -> list[str]:
    codes = _ordered(name)
    first = bisect_left(codes, prefix)
    return list(takewhile(lambda code: code.startswith(prefix), codes[first:]))


@cache
def _icd9_heading(bare: str) -> str | None:
    """Name a category by its first code: the public ICD-9-CM tables title billable codes only."""
    for length in range(len(bare), 2, -1):
        titles = (title for code, title in tables.icd9_titles().items() if code.startswith(bare[:length]))
        first = next(titles, None)
        if first:
            return f"{first} and related"
    return None


@cache
def _describe_group(name: str) -> str | None:
    kind, _, category = name.partition(SEPARATOR)
    if category.startswith(UNMAPPED):
        system = DIAGNOSIS_ICD10 if kind == CCSR else DIAGNOSIS_ICD9
        return describe(_join(system, category.rpartition(SEPARATOR)[2]))
    if kind == CCS:
        return tables.ccs()[1].get(category)
    if kind == CCSR:
        return NAMES.get(category) or _describe_ccsr(category)
    return None


def _describe_ccsr(category: str) -> str | None:
    """Name a CCSR group by the headings that are most wholly its own: the public table has no names."""
    held = Counter(code[:3] for code, found in tables.ccsr().items() if found == category)
    share = {heading: n_held / len(_starting_with(heading, CCSR)) for heading, n_held in held.items()}
    typical = sorted(
        held, key=lambda heading: (heading[0] == _PREGNANCY, -share[heading], -held[heading], heading)
    )
    names = [_part_name(heading, share[heading], category) for heading in typical[:_N_EXAMPLES]]
    return "; ".join(names) + (" …" if len(held) > _N_EXAMPLES else "") or None


def _part_name(heading: str, share: float, category: str) -> str:
    title = tables.icd10_heading(heading)
    if share > 0.5 and title:
        return title
    first = next(code for code in _starting_with(heading, CCSR) if tables.ccsr()[code] == category)
    return tables.icd10_titles().get(first, heading)
