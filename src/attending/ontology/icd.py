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

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from typing import Literal

from attending.ontology import _icd_tables as tables
from attending.ontology import icd_tree
from attending.ontology._ccsr_names import NAMES
from attending.ontology._prefixes import Prefixes
from attending.ontology.icd_tree import ICD9_PROCEDURES, ICD9CM, ICD10_PROCEDURES, ICD10CM, System
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
SYSTEM_OF_PREFIX: dict[str, System] = {
    DIAGNOSIS_ICD9: ICD9CM,
    DIAGNOSIS_ICD10: ICD10CM,
    PROCEDURE_ICD9: ICD9_PROCEDURES,
    PROCEDURE_ICD10: ICD10_PROCEDURES,
}
_PREFIX_OF_SYSTEM = {system: prefix for prefix, system in SYSTEM_OF_PREFIX.items()}
GROUPS: dict[System, str] = {ICD9CM: CCS, ICD10CM: CCSR}
_SHORTEST = 3
_N_EXAMPLES = 2
_PREGNANCY = "O"  # its chapter repeats every other; it names a group only where nothing else does


def group(codes: Iterable[str], vocabulary: Vocabulary) -> dict[str, str]:
    """Return the group of each of the event `codes`; every code has exactly one."""
    groupings: dict[str, Callable[[str], str]] = {"full": str, "three_character": three_character, "ccs": ccs}
    grouping = groupings[vocabulary]
    return {code: grouping(code) for code in set(codes)}


def three_character(code: str) -> str:
    """Return the category of a diagnosis, as an event code; any other code is returned as it is."""
    system, bare = split(code)
    if system is None or system not in GROUPS:
        return code
    return _join(_PREFIX_OF_SYSTEM[system], icd_tree.category(system, bare))


def ccs(code: str) -> str:
    """Return the CCSR or CCS group of a diagnosis; any other code is returned as it is."""
    system, bare = split(code)
    if system is None or system not in GROUPS:
        return code
    found = nearest_group(system, bare)
    if found:
        return _join(GROUPS[system], found)
    return _join(GROUPS[system], UNMAPPED, icd_tree.category(system, bare))


def describe(code: str) -> str | None:
    """Return the title of an ICD event code or of a group, or None if it has none.

    A code that is in no table has the title of the nearest heading above it.
    """
    system, bare = split(code)
    if system is None:
        return _describe_group(code)
    return icd_tree.title(system, bare) or icd_tree.nearest_title(system, bare)


def description(code: str) -> str:
    """Return the title of an ICD event code or of a group; where there is none, the code itself."""
    return describe(code) or code


def parents(code: str) -> list[str]:
    """Return the vocabulary terms that an ICD event code stands for: `ICD10CM/I50.9`, `CCSR/CIR019`."""
    system, bare = split(code)
    if system is None:
        return []
    grouped = [ccs(code).replace(SEPARATOR, "/")] if system in GROUPS else []
    return [icd_tree.term(system, bare), *grouped]


def split(code: str) -> tuple[System | None, str]:
    """Split an ICD event code into its system and the code without dot; other codes have no system."""
    prefix, _, bare = code.rpartition(SEPARATOR)
    system = SYSTEM_OF_PREFIX.get(prefix)
    return (system, icd_tree.bare(bare)) if system else (None, code)


@cache
def nearest_group(system: System, bare: str) -> str | None:
    """Return the CCS or CCSR category of a diagnosis, or None; a code not listed takes its prefix's commonest."""
    table = _table(system)
    found = table.values.get(bare)
    if found is None:
        below = table.counts(bare, _SHORTEST)
        found = max(sorted(below), key=below.__getitem__) if below else None
    return found


def is_listed(system: System, bare: str) -> bool:
    """Say whether AHRQ's table lists a diagnosis itself, not only codes that share its prefix."""
    return bare in _table(system).values


def _join(*parts: str) -> str:
    return SEPARATOR.join(parts)


@cache
def _table(system: System) -> Prefixes:
    return Prefixes(tables.ccsr() if system == ICD10CM else tables.ccs()[0])


@cache
def _describe_group(name: str) -> str | None:
    kind, _, category = name.partition(SEPARATOR)
    if category.startswith(UNMAPPED):
        prefix = DIAGNOSIS_ICD10 if kind == CCSR else DIAGNOSIS_ICD9
        return describe(_join(prefix, category.rpartition(SEPARATOR)[2]))
    if kind == CCS:
        return tables.ccs()[1].get(category)
    if kind == CCSR:
        return NAMES.get(category) or _describe_ccsr(category)
    return None


def _describe_ccsr(category: str) -> str | None:
    """Name a CCSR group by the headings that are most wholly its own: the public table has no names."""
    table = _table(ICD10CM)
    held = Counter(code[:3] for code, found in table.values.items() if found == category)
    share = {heading: n_held / len(list(table.below(heading))) for heading, n_held in held.items()}
    typical = sorted(
        held, key=lambda heading: (heading[0] == _PREGNANCY, -share[heading], -held[heading], heading)
    )
    names = [_part_name(heading, share[heading], category) for heading in typical[:_N_EXAMPLES]]
    return "; ".join(names) + (" …" if len(held) > _N_EXAMPLES else "") or None


def _part_name(heading: str, share: float, category: str) -> str:
    title = icd_tree.nearest_title(ICD10CM, heading)
    if share > 0.5 and title:
        return title
    table = _table(ICD10CM)
    first = next(code for code in table.below(heading) if table.values[code] == category)
    return tables.icd10_titles().get(first, heading)
