"""Find the files of a source: those its tables name, those that are absent, and those nothing reads."""

from dataclasses import dataclass
from pathlib import Path

from attending.errors import SourceError
from attending.ledger.lines import LineCount, blocks
from attending.ledger.table import Source, Table

_GROWTH = {".gz": 5, ".parquet": 6}
"""How many bytes of text a compressed byte stands for, about: enough to choose the number of shards."""
_TEXT = {".csv", ".txt", ".json", ".md", ".tsv", ".ndjson"}


@dataclass(frozen=True, kw_only=True)
class Found:
    """The files of a source."""

    present: dict[str, Path]
    absent: list[Table]
    others: list[Path]


def find(source: Source, folder: Path) -> Found:
    """Match the source's tables to files.

    Raises:
        SourceError: if the folder or a required table is not there, or a table is there twice.
    """
    if not folder.is_dir():
        raise SourceError(f"expected the folder of {source.name} at {folder}; there is none: check the path")
    here = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    present = {table.name: path for table in source.tables if (path := _file(table, here, folder))}
    absent = [table for table in source.tables if table.name not in present]
    _require(source, absent, folder, list(here))
    taken = set(present.values())
    others = [path for name, path in here.items() if path not in taken and not name.startswith(".")]
    return Found(present=present, absent=absent, others=others)


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


def _file(table: Table, here: dict[str, Path], folder: Path) -> Path | None:
    names = [table.path] if table.path.endswith(".parquet") else [f"{table.path}.csv", f"{table.path}.csv.gz"]
    found = [here[name] for name in names if name in here]
    if len(found) > 1:
        raise SourceError(
            f"the table {table.name} is in {folder} twice, as {' and '.join(names)}: remove one"
        )
    return found[0] if found else None


def _require(source: Source, absent: list[Table], folder: Path, here: list[str]) -> None:
    needed = [f"{table.path}.csv or {table.path}.csv.gz" for table in absent if table.required]
    if needed:
        seen = ", ".join(here[:8]) + (" …" if len(here) > 8 else "")
        raise SourceError(
            f"{source.name} needs {'; '.join(needed)} in {folder}; found {seen or 'no file'}: "
            "point at the folder that holds these tables"
        )
