"""The four ICD classifications as trees: chapters, blocks, categories, subcategories, codes.

A node is a code without dot (`I509`, `I50`) or a range (`I30-I5A`, `420-429`). Systems have the names that MEDS and
OMOP use; so has a term, `ICD10CM/I50.9`:

    ICD9CM      chapter 390-459, block 420-429, category 428, subcategory 4282, code 42823
    ICD10CM     chapter I00-I99, block I30-I5A, category I50, subcategory I502, code I5023
    ICD9Proc    chapter 35-39, category 38, subcategory 389, code 3893
    ICD10PCS    section 0, body system 02, table 021, code 02100Z9

A code that is in no table, such as one of another year, stands below the longest prefix that is. One that is longer
than any code of its system can be is no such code, as five digits among ICD-9 procedures are, and stands nowhere.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from attending.ontology import _icd_tables as tables

System = Literal["ICD9CM", "ICD10CM", "ICD9Proc", "ICD10PCS"]
ICD9CM: System = "ICD9CM"
ICD10CM: System = "ICD10CM"
ICD9_PROCEDURES: System = "ICD9Proc"
ICD10_PROCEDURES: System = "ICD10PCS"
SYSTEMS: tuple[System, ...] = (ICD9CM, ICD10CM, ICD9_PROCEDURES, ICD10_PROCEDURES)


@dataclass(frozen=True)
class _Tables:
    titles: Callable[[], dict[str, str]]
    headings: Callable[[], tables.Headings]
    n_category: int  # characters of a category
    n_longest: int  # characters of the longest code
    dot: int | None  # where the dot is written


_TABLES: dict[System, _Tables] = {
    ICD9CM: _Tables(tables.icd9_titles, tables.icd9_headings, 3, 5, 3),
    ICD10CM: _Tables(tables.icd10_titles, tables.icd10_headings, 3, 7, 3),
    ICD9_PROCEDURES: _Tables(tables.icd9_procedure_titles, tables.icd9_procedure_headings, 2, 4, 2),
    ICD10_PROCEDURES: _Tables(tables.icd10_procedure_titles, tables.icd10_procedure_headings, 3, 7, None),
}


def bare(code: str) -> str:
    """Return a code as the tables spell it: no dot, upper case, no spaces around."""
    return code.replace(".", "").strip().upper()


def dotted(system: System, node: str) -> str:
    """Return a node as the classification prints it: `I509` is `I50.9`, `E8490` of ICD-9 is `E849.0`."""
    place = _TABLES[system].dot
    if place is None or "-" in node:
        return node
    place += system == ICD9CM and node.startswith("E")
    return f"{node[:place]}.{node[place:]}" if len(node) > place else node


def term(system: System, node: str) -> str:
    """Return a node as a term of its vocabulary, such as `ICD10CM/I50.9`."""
    return f"{system}/{dotted(system, node)}"


def category(system: System, code: str) -> str:
    """Return the category of a code: its first characters."""
    return code[: _TABLES[system].n_category + (system == ICD9CM and code.startswith("E"))]


def title(system: System, node: str) -> str | None:
    """Return the title of a code, heading, block or chapter, or None if the tables do not have it."""
    held = _TABLES[system]
    return held.titles().get(node) or held.headings().titles.get(node)


def nearest_title(system: System, code: str) -> str | None:
    """Return the title of the nearest heading of one code and more, at or above `code`; None if there is none.

    A heading of ICD-9 procedures that has no title of its own is named after its first code.
    """
    if len(code) > _TABLES[system].n_longest:
        return None
    for length in range(len(code), _TABLES[system].n_category - 1, -1):
        found = title(system, code[:length]) or _after_its_first_code(system, code[:length])
        if found:
            return found
    return None


def ancestors(system: System, code: str) -> list[str]:
    """Return the nodes above `code`, the nearest first; none if its category is unknown."""
    top = category(system, code)
    above = _TABLES[system].headings().above.get(top)
    if above is None or ("-" not in code and len(code) > _TABLES[system].n_longest):
        return [] if "-" not in code else list(_above_range(system).get(code, ()))
    nodes = _nodes(system)
    between = [code[:length] for length in range(len(code) - 1, len(top) - 1, -1) if code[:length] in nodes]
    return [*between, *above]


def is_known(system: System, node: str) -> bool:
    """Say whether the tables have a node."""
    return node in _nodes(system) or title(system, node) is not None


def chapter(system: System, code: str) -> str | None:
    """Return the chapter, or of ICD-10-PCS the section, that holds `code`."""
    above = ancestors(system, code)
    if above:
        return above[-1]
    return code if is_known(system, code) else None


def block(system: System, code: str) -> str | None:
    """Return the block that holds a code of ICD-9-CM or ICD-10-CM; a block of one category is that category."""
    ranges = [node for node in ancestors(system, code) if "-" in node]
    if len(ranges) == 2:
        return ranges[0]
    return category(system, code) if ranges else None


def children(system: System, node: str) -> list[str]:
    """Return the nodes right below `node`."""
    return _children(system).get(node, [])


def codes(system: System) -> Iterable[str]:
    """Return all codes that can be billed."""
    return _TABLES[system].titles().keys()


@cache
def _nodes(system: System) -> frozenset[str]:
    held = _TABLES[system]
    between: set[str] = set()
    if system == ICD9_PROCEDURES:
        between = {code[:length] for code in held.titles() for length in range(2, len(code))}
    return frozenset(held.titles()) | frozenset(held.headings().titles) | between


@cache
def _above_range(system: System) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for above in _TABLES[system].headings().above.values():
        for place, node in enumerate(above):
            found[node] = above[place + 1 :]
    return found


@cache
def _children(system: System) -> dict[str, list[str]]:
    below = defaultdict(list)
    above_range = _above_range(system)
    for node in sorted(_nodes(system)):
        above = above_range[node] if node in above_range else ancestors(system, node)
        if above:
            below[above[0]].append(node)
    return dict(below)


@cache
def _after_its_first_code(system: System, node: str) -> str | None:
    if system != ICD9_PROCEDURES:
        return None
    titles = tables.icd9_procedure_titles()
    first = next((titles[code] for code in sorted(titles) if code.startswith(node)), None)
    return f"{first} and related" if first else None
