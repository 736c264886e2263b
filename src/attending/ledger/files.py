"""Find the files of a source: those its tables name, those that are absent, and those nothing reads.

A table's `path` is matched, whatever the case of its letters, against the file's path below the source's folder
without `.csv`, `.tsv`, `.txt`, `.parquet` and `.gz`. `*` stands for anything within a name and `**/` for any
folders; a path with either may match many files. The files of a folder `person/` are the parts of the table
`person`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from attending.errors import SourceError
from attending.ledger.lines import LineCount, blocks
from attending.ledger.table import Source, Table
from attending.ledger.units import Unit, fingerprint_of

_GROWTH = {".gz": 5, ".parquet": 6}
"""How many bytes of text a compressed byte stands for, about: enough to choose the number of shards."""
_TABLES = (".csv", ".tsv", ".txt", ".parquet")
_TEXT = {".csv", ".txt", ".json", ".md", ".tsv", ".ndjson", ".yaml"}


@dataclass(frozen=True)
class Other:
    """A file that no table reads: its name in the ledger, and where it is."""

    name: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class Found:
    """What there is of a source in a folder."""

    units: list[Unit]
    others: list[Other]


def find(source: Source, folder: Path) -> Found:
    """Match the source's tables to what is in the folder.

    Raises:
        SourceError: if the folder is not there, a table is there twice, or two tables claim one file.
    """
    if source.units is None and not folder.exists():
        raise SourceError(f"expected the folder of {source.name} at {folder}; there is none: check the path")
    here = _files(folder) if folder.exists() else {}
    if source.units is not None:
        units = list(source.units())
    else:
        units = [unit for table in source.tables for unit in _units(table, here, folder)]
    taken: dict[str, str] = {}
    for unit in units:
        if unit.name in taken:
            raise SourceError(
                f"{unit.name} in {folder} is read by two tables, {taken[unit.name]} and {', '.join(unit.tables)}: "
                "give each table a path of its own"
            )
        taken[unit.name] = ", ".join(unit.tables)
    others = [Other(name, path) for name, path in here.items() if name not in taken]
    return Found(units=units, others=others)


def require(source: Source, units: Sequence[Unit], folders: Sequence[Path]) -> None:
    """See that there is anything to read, and every table without which the source cannot be read.

    Raises:
        SourceError: naming the tables that are in none of the folders.
    """
    present = {name for unit in units for name in unit.tables}
    needed = [table for table in source.tables if table.required and table.name not in present]
    if not needed and units:
        return
    needed = needed or [table for table in source.tables if not table.dictionary]
    here = [name for folder in folders for name in _files(folder)]
    seen = ", ".join(here[:8]) + (" …" if len(here) > 8 else "")
    some = "; ".join(table.where for table in needed if table.required) or "at least one of " + ", ".join(
        table.where for table in needed
    )
    forms = "" if source.units else " (.csv, .csv.gz or .parquet)"
    raise SourceError(
        f"{source.name} needs {some}{forms} in {' or '.join(map(str, folders))}; "
        f"found {seen or 'no file'}: point at the folder that holds these tables"
    )


def text_bytes(path: Path) -> int:
    """Estimate the size of a file's content as text."""
    return path.stat().st_size * _GROWTH.get(path.suffix, 1)


def count_lines(path: Path) -> int:
    """Count the lines of a text file; what is not text has none."""
    name = path.name.removesuffix(".gz")
    if Path(name).suffix.lower() not in _TEXT:
        return 0
    physical = LineCount()
    for _ in physical.watch(blocks(path, 2**22)):
        pass
    return physical.n_lines


def _files(folder: Path) -> dict[str, Path]:
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    root = folder.parent if folder.is_file() else folder
    names = {path.relative_to(root).as_posix(): path for path in paths}
    return {name: path for name, path in names.items() if not name.startswith(".")}


def _units(table: Table, here: dict[str, Path], folder: Path) -> list[Unit]:
    names = _names(table.path, here)
    whole = [name for name in names if _stem(name).lower() == table.path.lower()]
    if len(whole) > 1:
        raise SourceError(
            f"the table {table.name} is in {folder} twice, as {' and '.join(whole)}: remove one"
        )
    return [
        Unit(
            name=name,
            tables=(table.name,),
            n_bytes=text_bytes(here[name]),
            fingerprint=fingerprint_of(here[name]),
            path=here[name],
        )
        for name in names
    ]


def _names(pattern: str, here: dict[str, Path]) -> list[str]:
    matches = _pattern(pattern).fullmatch
    return [name for name in here if matches(name) or (_is_table(name) and matches(_stem(name)))]


def _is_table(name: str) -> bool:
    return name.lower().removesuffix(".gz").endswith(_TABLES)


def _stem(name: str) -> str:
    lower = name.lower()
    for ending in (".gz", *_TABLES):
        if lower.endswith(ending):
            lower = lower.removesuffix(ending)
            if ending != ".gz":
                break
    return name[: len(lower)]


@cache
def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*)", path)
    pattern = "".join({"**/": "(?:[^/]+/)*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts)
    may_be_folder = "" if "*" in path or path.endswith(_TABLES) else "(?:/[^/]+)?"
    return re.compile(pattern + may_be_folder, re.IGNORECASE)
