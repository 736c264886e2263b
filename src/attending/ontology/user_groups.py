"""Groups of diagnoses that a file of the user's defines: phecodes, and AHRQ's multi-level CCS.

Neither table is shipped. Phecodes come from the maps as they are published (PheWAS Catalog: versions 1.2 and X), which
name an ICD-9 or ICD-10 code and its phecode; a folder may hold one of each. Of several phecodes of a code the first
counts. A code without a phecode is no outcome.

Multi-level CCS comes from AHRQ's `ccs_multi_dx_tool_2015.csv`: `7.2.11` of level 3 lies in `7.2` of level 2. Where a
code's branch ends early, its deepest level stands. The table is of ICD-9-CM; an ICD-10 code is read as its ICD-9
equivalent. A code not listed takes what most codes share under its longest known prefix.
"""

import csv
import gzip
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from polars import col

from attending.errors import SourceError
from attending.ontology import icd, icd9, icd_tree
from attending.ontology._prefixes import Prefixes
from attending.ontology._vocabulary_files import CODE, DESCRIPTION
from attending.ontology._vocabulary_groups import icd_system
from attending.ontology.icd_tree import ICD9CM
from attending.ontology.vocabularies import Vocabularies
from attending.schema import SEPARATOR

PHECODE = "PHECODE"
CCS_LEVELS = "CCS_MULTI_LEVEL"
N_LEVELS = 4
_SHORTEST = 3
_MAP = "phecode_map"
_Phecodes = dict[tuple[str | None, str], str]


def phecodes(codes: Iterable[str], path: Path) -> dict[str, str]:
    """Return the phecode of each ICD diagnosis, `PHECODE//428.2`; a code that has none is left out.

    Raises:
        SourceError: if `path` holds no map of phecodes.
    """
    table, _ = _phecodes(path, fingerprint(path))
    found: dict[str, str] = {}
    for code in set(codes):
        system, spelled = icd.split(code)
        phecode = table.get((system, spelled)) or table.get((None, spelled)) if system in icd.GROUPS else None
        if phecode:
            found[code] = SEPARATOR.join((PHECODE, phecode))
    return found


def multi_level(codes: Iterable[str], path: Path, level: int) -> dict[str, str]:
    """Return the category of each ICD diagnosis at a level from 1 to 4, `CCS_MULTI_LEVEL//7.2.11`.

    Raises:
        SourceError: if the file at `path` is not AHRQ's.
    """
    table = _levels(path, fingerprint(path))[0]
    return {code: _category(one, table, level) for code, one in icd9.as_icd9(codes).items()}


def description(group: str, path: Path) -> str | None:
    """Return the name that the file gives a phecode or a category; None where it gives none."""
    kind, _, name = group.partition(SEPARATOR)
    names = _phecodes(path, fingerprint(path))[1] if kind == PHECODE else _levels(path, fingerprint(path))[1]
    return names.get(name)


@cache
def _hashed(path: Path, changed: tuple[float, ...]) -> str:
    content = hashlib.sha256()
    for file in _files(path):
        content.update(file.name.encode() + b"\0" + file.read_bytes())
    return content.hexdigest()[:16]


def fingerprint(path: Path) -> str:
    """Return a hash of the content of a file, or of all files of a folder.

    Raises:
        SourceError: if there is none.
    """
    if not path.exists():
        raise SourceError(f"expected a file or folder at {path}; there is none")
    return _hashed(path, tuple(file.stat().st_mtime for file in _files(path)))


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


@cache
def _phecodes(path: Path, content: str) -> tuple[_Phecodes, dict[str, str]]:
    files = [file for file in Vocabularies.load([path]).files if file.kind == _MAP]
    if not files:
        raise SourceError(
            f"expected a map of phecodes at {path}: a table with a column 'phecode' and one of ICD codes"
        )
    table: _Phecodes = {}
    names: dict[str, str] = {}
    for file in files:
        rows = file.scan().with_columns(icd_system(file).alias("system")).collect()
        for system, code, phecode in rows.select("system", CODE, "phecode").iter_rows():
            if code and phecode:
                table.setdefault((system, icd_tree.bare(code)), phecode)
        if DESCRIPTION in rows.columns:
            named = rows.filter(col(DESCRIPTION) != "", col("phecode") != "").select("phecode", DESCRIPTION)
            for phecode, name in named.unique("phecode", keep="first", maintain_order=True).iter_rows():
                names.setdefault(phecode, name)
    return table, names


def _category(code: str, table: Prefixes, level: int) -> str:
    bare = icd.split(code)[1]
    found = table.values.get(bare)
    if found is None:
        below = table.counts(bare, _SHORTEST)
        found = max(sorted(below), key=below.__getitem__) if below else None
    if found is None:
        return SEPARATOR.join((CCS_LEVELS, icd.UNMAPPED, icd_tree.category(ICD9CM, bare)))
    return SEPARATOR.join((CCS_LEVELS, ".".join(found.split(".")[:level])))


@cache
def _levels(path: Path, content: str) -> tuple[Prefixes, dict[str, str]]:
    """Return the deepest category of each code, and the name of each category."""
    deepest: dict[str, str] = {}
    names: dict[str, str] = {}
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8-sig") as file:
        rows = csv.reader(file, quotechar="'")
        header = [name.strip("\"' ").lower() for name in next(rows, [])]
        wanted = ["icd-9-cm code", *(f"ccs lvl {level}" for level in range(1, N_LEVELS + 1))]
        missing = [name for name in wanted if name not in header]
        if missing:
            raise SourceError(f"expected a column '{missing[0].upper()}' in {path}, AHRQ's multi-level CCS")
        for row in rows:
            values = dict(zip(header, (value.strip("\"' ") for value in row), strict=False))
            for name in wanted[1:]:
                category = values.get(name)
                if category:
                    deepest[icd_tree.bare(values[wanted[0]])] = category
                    names.setdefault(category, values.get(f"{name} label", ""))
    return Prefixes(deepest), {category: name for category, name in names.items() if name}
