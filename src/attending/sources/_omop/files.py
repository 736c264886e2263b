"""Find OMOP's tables in a folder: where each is, and how its files are written.

OHDSI's vocabularies come with tabs between fields and with quotes that mean nothing, whatever the file is called.
"""

import gzip
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

_ENDINGS = re.compile(r"(\.csv|\.tsv|\.txt|\.parquet)?(\.gz)?$", re.IGNORECASE)
_BEFORE = r"(?:\d\w{0,2}_|cdm_|omop_|omop_cdm_)?"


@dataclass(frozen=True, kw_only=True)
class Header:
    """What is seen of a table before it is read: its path without endings, its columns, how it separates fields."""

    path: str
    columns: tuple[str, ...] = ()
    separator: str = ","
    quoted: bool = True


def find(folder: Path, names: Iterable[str]) -> dict[str, Header]:
    """Return the header of each table that is below `folder`."""
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    stems = {path: path.with_name(_ENDINGS.sub("", path.name)) for path in files if _is_table(path)}
    found: dict[str, Header] = {}
    for name in names:
        whole = re.compile(_BEFORE + name, re.IGNORECASE).fullmatch
        places = [(stem, path) for path, stem in stems.items() if whole(stem.name)]
        places += [(stem.parent, path) for path, stem in stems.items() if whole(stem.parent.name)]
        if places:
            place, path = min(places, key=lambda one: (len(one[0].parts), len(one[0].name), one[1]))
            found[name] = _header(folder / path, place.as_posix())
    return found


def _is_table(path: Path) -> bool:
    match = _ENDINGS.search(path.name)
    return match is not None and match[1] is not None


def _header(file: Path, path: str) -> Header:
    """Read the first line; what cannot be read has no columns, and the ledger says why."""
    try:
        if file.suffix.lower() == ".parquet":
            return Header(path=path, columns=tuple(name.lower() for name in pl.read_parquet_schema(file)))
        with (gzip.open if file.suffix.lower() == ".gz" else open)(file, "rb") as opened:
            line = opened.readline(2**20).decode("utf-8-sig", errors="replace").strip("\r\n")
    except (pl.exceptions.PolarsError, OSError, EOFError):
        return Header(path=path)
    tabs = "\t" in line
    columns = tuple(name.strip('"').lower() for name in line.split("\t" if tabs else ","))
    return Header(path=path, columns=columns, separator="\t" if tabs else ",", quoted=not tabs)
