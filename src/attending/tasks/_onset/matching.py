"""Which event codes are a case of a disease, and which only rule it out for the time to come.

A disease is a ready definition, a list of codes or their beginnings, or a node of an ontology:

    codes    DIAGNOSIS//ICD//10//I50 and all below it; dots do not matter. What is no ICD code must be followed by `//`
             or end there: `CHRONIC_CONDITION//CANCER`
    node     a term above the codes (`ontology.terms`): `ICD10CM/I50`, `ICD10CM/I30-I5A`, `CCSR/CIR019`,
             `ELIXHAUSER/depression`, `SNOMED/84114007`; with the user's vocabulary files, what these say.
             `CCS/108`, of ICD-9, holds ICD-10 codes by their ICD-9 equivalents, too

A suspicion on arrival (`ADMITTING_DIAGNOSIS`) is never an onset.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl
from polars import col

from attending.ontology import icd, icd9, terms
from attending.ontology._codes import BARE, DRUG, SYSTEM, parsed
from attending.ontology.icd_tree import ICD9CM, ICD10CM
from attending.ontology.vocabularies import Vocabularies
from attending.schema import CODE, PARENT_CODES, SEPARATOR
from attending.tasks._onset.definitions import FLAG, Definition

CASE, PRIOR = "case", "prior"
_SUSPICION = "ADMITTING"
_CCS = re.compile(r"CCS/(\d+)$")


def node_term(node: str) -> str:
    """Return a node as a term: `CCS 108`, `CCS//108` and `CCS/108` are one."""
    return re.sub(r"^([A-Za-z0-9_]+)(?://|\s+)(?=\S)", r"\1/", node.strip())


def by_definition(codes: Sequence[str], definition: Definition) -> dict[str, str]:
    """Return what each code that the definition knows is: a case or prior."""
    found: dict[str, str] = {}
    rows = parsed(pl.Series(codes, dtype=pl.String))
    for kind, nine, ten, snomed, flags in (
        (
            PRIOR,
            definition.prior_icd9,
            definition.prior_icd10,
            definition.prior_snomed,
            definition.prior_flags,
        ),
        (CASE, definition.icd9, definition.icd10, definition.snomed, definition.flags),
    ):
        matches = (
            ((col(SYSTEM) == ICD9CM) & _starts(nine))
            | ((col(SYSTEM) == ICD10CM) & _starts(ten))
            | ((col(SYSTEM) == "SNOMED") & col(BARE).is_in(snomed))
            | col(CODE).is_in([SEPARATOR.join((FLAG, flag)) for flag in flags])
        )
        found |= dict.fromkeys(rows.filter(matches.fill_null(value=False))[CODE].to_list(), kind)
    return _without_suspicions(found)


def by_codes(codes: Iterable[str], starts: Sequence[str]) -> list[str]:
    """Return the codes that are, or lie below, one of `starts`."""
    given = [_undotted(start) for start in starts]
    return [code for code in codes if any(_is_below(_undotted(code), start) for start in given)]


def by_node(codes: Sequence[str], nodes: Sequence[str], vocabularies: Path | None = None) -> list[str]:
    """Return the codes that have one of the nodes above them."""
    wanted = [node_term(node) for node in nodes]
    groups = {found[1] for node in wanted if (found := _CCS.fullmatch(node))}
    rows = parsed(pl.Series(codes, dtype=pl.String)).filter(col(DRUG).is_null())
    own = Vocabularies.load([vocabularies]) if vocabularies else None
    if own is None:  # without files of the user's, only codes of a vocabulary have anything above them
        rows = rows.filter(col(SYSTEM).is_not_null())
    described = terms.describe(rows[CODE], vocabularies=own)
    below = described.filter(col(PARENT_CODES).list.eval(pl.element().is_in(wanted)).list.any())[
        CODE
    ].to_list()
    tens = (code for code in rows[CODE] if groups and icd.split(code)[0] == ICD10CM)
    more = [code for code in tens if groups.intersection(icd9.ccs_of(code))]
    return list(dict.fromkeys([*below, *more]))


def as_cases(codes: Iterable[str]) -> dict[str, str]:
    """Return codes as cases, suspicions as prior."""
    return _without_suspicions(dict.fromkeys(codes, CASE))


def _without_suspicions(found: dict[str, str]) -> dict[str, str]:
    return {code: PRIOR if code.startswith(_SUSPICION) else kind for code, kind in found.items()}


def _starts(prefixes: tuple[str, ...]) -> pl.Expr:
    return pl.any_horizontal(pl.lit(value=False), *(col(BARE).str.starts_with(prefix) for prefix in prefixes))


def _undotted(code: str) -> str:
    system, bare = icd.split(code)
    return SEPARATOR.join((code.rpartition(SEPARATOR)[0], bare)) if system else code


def _is_below(code: str, start: str) -> bool:
    if not code.startswith(start):
        return False
    return (
        icd.split(code)[0] is not None or len(code) == len(start) or code[len(start) :].startswith(SEPARATOR)
    )
