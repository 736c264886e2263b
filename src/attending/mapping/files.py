"""Compare a mapping with the files it describes, and find in them what its codes mean."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from attending.errors import ConfigError, SourceError
from attending.ledger import lines, typed
from attending.ledger.arrow import DAMAGE, frame_of
from attending.ledger.context import Context
from attending.ledger.files import find
from attending.ledger.headers import in_words
from attending.ledger.table import Source, Table
from attending.mapping.descriptions import Described, Labels, labels_of, name_codes
from attending.mapping.source import Read

_BLOCK = 2**22
_UNREADABLE: tuple[type[BaseException], ...] = (SourceError, *DAMAGE)


def described(read: Read, folder: Path) -> Source:
    """Return the source, which names the codes of the files in `folder`."""
    return dataclasses.replace(read.source, describe=Describe(read=read, folder=folder))


def checked(read: Read, folder: Path, path: Path) -> Source:
    """Return the source for the files in `folder`, whose columns are looked for; `path` is the mapping.

    Raises:
        ConfigError: naming a column that a file does not have, and where the mapping asks for it.
    """
    for table, file in _files(read.source, folder):
        _check(read, table, file, folder)
    inside = path.resolve().is_relative_to(folder.resolve())
    beside = frozenset({path.resolve().relative_to(folder.resolve()).as_posix()} if inside else ())
    return dataclasses.replace(described(read, folder), metadata=beside)


@dataclass(frozen=True)
class Describe:
    """Names codes by the rows of dictionaries, and by the rows that the events were made of."""

    read: Read
    folder: Path

    def __call__(self, codes: pl.Series, dictionaries: Context) -> pl.DataFrame:
        """Return description and parent codes of each of the unique `codes`."""
        labels = labels_of(self.read.namings, dictionaries)
        for table, file in _files(self.read.source, self.folder):
            described = self.read.described.get(table.name)
            if described is not None:
                _add(labels, described, table, file)
        return name_codes(codes, labels)


def _files(source: Source, folder: Path) -> Iterator[tuple[Table, Path]]:
    """Yield each table with each of its files, in the order of the tables."""
    tables = {table.name: table for table in source.tables}
    for unit in find(source, folder).units:
        if unit.path is not None:
            yield tables[unit.tables[0]], unit.path


def _check(read: Read, table: Table, file: Path, folder: Path) -> None:
    optional = read.optional[table.name]
    if optional == "all":
        return
    try:
        names = _header(table, file)
    except _UNREADABLE:
        return  # the ledger says what is wrong with it
    lower = {name.lower() for name in names}
    for column in table.columns:
        if lower and column.name.lower() not in lower and column.name not in optional:
            place = read.columns.place(table.name, column.name)
            raise ConfigError(
                f"the mapping asks for the column '{column.name}' ({place}), which "
                f"{file.relative_to(folder).as_posix() if file != folder else file.name} does not have"
                f"; it has {in_words(names, column.name, [one.name for one in table.columns])}: name it below "
                "'optional' if a file may lack it"
            )


def _header(table: Table, file: Path) -> list[str]:
    if file.suffix.lower() == ".parquet":
        return list(pq.read_schema(file).names)
    header, _ = lines.open_chunks(lines.blocks(file, _BLOCK), 0, 1, table.dialect)
    return header.names if header is not None else []


def _add(labels: Labels, described: Described, table: Table, file: Path) -> None:
    """Add what the rows of a file say of their codes; what was said first stays."""
    try:
        for frame in _frames(described, table, file):
            described.add(labels, frame)
    except _UNREADABLE:
        return  # names are a convenience; the ledger says what is wrong with the file


def _frames(described: Described, table: Table, file: Path) -> Iterator[pl.DataFrame]:
    """Yield the columns that names need, as text, block by block."""
    if file.suffix.lower() == ".parquet":
        parquet = pq.ParquetFile(file)
        names = [name for name in parquet.schema_arrow.names if name in described.columns]
        for batch in parquet.iter_batches(columns=names):
            frame = frame_of(batch)
            texts = (typed.readable(one, "text").cast(pl.String) for one in frame)
            yield _complete(pl.DataFrame(list(texts)), described)
        return
    header, chunks = lines.open_chunks(lines.blocks(file, _BLOCK), 0, 1, table.dialect)
    for chunk in chunks if header is not None else ():
        assert header is not None
        fields = [f"field_{place}" for place in range(len(header.names))]
        frame = pl.read_csv(
            chunk.data,
            has_header=False,
            schema=dict.fromkeys(fields, pl.String()),
            separator=header.dialect.separator,
            quote_char='"' if header.dialect.quoted else None,
        )
        lower = [name.lower() for name in header.names]
        places = {name: lower.index(name.lower()) for name in described.columns if name.lower() in lower}
        named = frame.select(pl.col(fields[place]).alias(name) for name, place in places.items())
        yield _complete(named, described)


def _complete(frame: pl.DataFrame, described: Described) -> pl.DataFrame:
    absent = [column for column in described.columns if column not in frame.columns]
    return frame.with_columns(pl.lit(None, pl.String).alias(column) for column in absent)
