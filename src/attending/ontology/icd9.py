"""ICD-10-CM diagnoses as ICD-9-CM: by CMS's equivalence mapping, or by a file of the user's.

One ICD-9 code stands for one ICD-10 code, so that two eras of a record can be read as one vocabulary:

    CMS's mapping    of several alternatives one in the CCS category that most of them are in, and of these the first
                     that says "unspecified", else the first: I10 is 401.9, not the malignant 401.0 that is listed
                     first. Of codes that must stand together, the first. A code that is not listed takes what most
                     codes share under its longest known prefix
    a user's file    what it says, the last row of a code: columns `ICD10` and `ICD9`, as of Chet's `icd10-icd9.csv`, or
                     CMS's own format. `NoDx` is no code

A code that neither lists is looked up once more with a `1` at its end, as the Chet protocol does; a code without any
equivalent has none. CCS of ICD-9 then groups both: `ccs_of`.
"""

import csv
import gzip
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from polars import col

from attending.errors import SourceError
from attending.ontology import _icd_tables as tables
from attending.ontology import gem, icd
from attending.ontology._prefixes import Prefixes
from attending.ontology.icd_tree import ICD9CM, ICD10CM, bare
from attending.schema import DIAGNOSIS_ICD9, SEPARATOR

NO_DIAGNOSIS = "NODX"
_SHORTEST = 3


def as_icd9(codes: Iterable[str], mapping: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the ICD-9 event code of each ICD diagnosis; what has none, or is no ICD diagnosis, is left out.

    `mapping` goes from ICD-10 to ICD-9, without dots (`read`); without it, CMS's is taken.
    """
    found: dict[str, str] = {}
    for code in set(codes):
        system, spelled = icd.split(code)
        if system == ICD9CM:
            found[code] = SEPARATOR.join((DIAGNOSIS_ICD9, spelled))
        elif system == ICD10CM:
            target = (
                _by_file(spelled, mapping) if mapping is not None else next(iter(equivalents(spelled)), None)
            )
            if target:
                found[code] = SEPARATOR.join((DIAGNOSIS_ICD9, target))
    return found


def read(path: Path) -> dict[str, str]:
    """Read a mapping from ICD-10 to ICD-9.

    Raises:
        SourceError: if there is no such file, it has no columns ICD10 and ICD9, and is not in CMS's format either.
    """
    if not path.is_file():
        raise SourceError(f"expected a file at {path}, a mapping from ICD-10 to ICD-9; there is none")
    with (
        gzip.open(path, "rt", encoding="utf-8-sig")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8-sig") as file
    ):
        rows = csv.reader(file)
        header = [name.strip().strip("'\"").lower() for name in next(rows, [])]
        places = [
            next((at for at, name in enumerate(header) if name.startswith(key)), -1)
            for key in ("icd10", "icd9")
        ]
        if min(places) >= 0:
            pairs = [(bare(row[places[0]]), bare(row[places[1]])) for row in rows if len(row) > max(places)]
            return {source: target for source, target in pairs if source}
    try:
        mapping = gem.read(path)
    except SourceError:
        raise SourceError(
            f"expected columns ICD10 and ICD9, or lines of CMS's mapping, in {path}, a mapping to ICD-9"
        ) from None
    first = mapping.filter(~col(gem.NO_MAP)).unique(gem.SOURCE, keep="first", maintain_order=True)
    return dict(first.select(gem.SOURCE, gem.TARGET).iter_rows())


@cache
def equivalents(code: str) -> tuple[str, ...]:
    """Return the ICD-9 codes that stand for an ICD-10 diagnosis, without dots; several only where all must stand."""
    table = _cms()
    for spelled in (code, code + "1"):
        if spelled in table.values:
            return tuple(table.values[spelled].split())
    below = table.counts(code, _SHORTEST)
    return tuple(max(sorted(below), key=below.__getitem__).split()) if below else ()


def ccs_of(code: str) -> tuple[str, ...]:
    """Return the CCS categories of ICD-9-CM that a diagnosis is in, of ICD-10 by its equivalents: mostly one."""
    system, spelled = icd.split(code)
    codes = (spelled,) if system == ICD9CM else equivalents(spelled) if system == ICD10CM else ()
    groups = (icd.nearest_group(ICD9CM, one) for one in codes)
    return tuple(dict.fromkeys(group for group in groups if group))


def _by_file(code: str, mapping: Mapping[str, str]) -> str | None:
    target = mapping.get(code) or mapping.get(code + "1")
    return None if target in (None, "", NO_DIAGNOSIS) else target


@cache
def _cms() -> Prefixes:
    """Return what stands for each code that CMS lists: the most typical alternative, or else the first combination."""
    rows = gem.pairs("icd10_to_icd9").filter(~col(gem.NO_MAP))
    alone = rows.filter(~col(gem.COMBINATION)).group_by(gem.SOURCE, maintain_order=True).agg(gem.TARGET)
    together = rows.filter(col(gem.COMBINATION), col(gem.SCENARIO) == 1)
    together = together.unique([gem.SOURCE, gem.CHOICE_LIST], keep="first", maintain_order=True)
    combined = together.group_by(gem.SOURCE, maintain_order=True).agg(gem.TARGET)
    table = {source: " ".join(targets) for source, targets in combined.iter_rows()}
    return Prefixes(table | {source: _typical(targets) for source, targets in alone.iter_rows()})


def _typical(targets: list[str]) -> str:
    if len(targets) == 1:
        return targets[0]
    groups = [icd.nearest_group(ICD9CM, target) for target in targets]
    common = max(groups, key=groups.count)  # of equally common groups the first
    held = [target for target, group in zip(targets, groups, strict=True) if group == common]
    titles = tables.icd9_titles()
    return next((target for target in held if "unspecified" in titles.get(target, "").lower()), held[0])
