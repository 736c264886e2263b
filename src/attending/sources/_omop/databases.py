"""Read OMOP tables from a database: Arrow batches, a range of persons at a time.

A table is cut into ranges of `person_id` that hold about one block of text each, at quantiles of the persons; the
vocabulary tables at quantiles of their own first column. So memory is that of a block, several workers share one
table, and PostgreSQL can use the index that the CDM prescribes. Rows are numbered in the order of the person and of
the row's own number, which is what the ledger and the quarantine give as their line.
"""

# ruff: noqa: S608 - queries hold quoted names and whole numbers only

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import polars as pl

from attending.errors import SourceError
from attending.ledger.quarantine import LINE_OF_ROW, N_LINES_OF_ROW
from attending.ledger.sieve import Rejected
from attending.ledger.table import Table
from attending.ledger.units import Block, Unit, fingerprint_of
from attending.sources._omop.connection import Place, fetch, literal, quoted

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection

MISSING_COLUMN = "missing column"
_WHOLE_NUMBERS = ("int", "bigint", "smallint", "hugeint", "ubigint", "uinteger")
_SAMPLE = 1000
_COUNTS_A_QUERY = 400


@dataclass(frozen=True, kw_only=True)
class Located:
    """A table of the database: where it is, what its columns are called there, and whether its key is a number."""

    schema: str
    table: str
    columns: dict[str, str]
    types: dict[str, str]

    @property
    def sql(self) -> str:
        """Its name in a query."""
        return f"{quoted(self.schema)}.{quoted(self.table)}"


def place(database: str, schema: str, vocabulary_schema: str) -> Place:
    """Return a database."""
    return Place(database=database, schema=schema, vocabulary_schema=vocabulary_schema or schema)


def columns(where: Place, names: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the columns, in lower case, of those tables that are there."""
    return {name: tuple(found.columns) for name, found in _located(where, names).items()}


def units(where: Place, tables: Sequence[Table]) -> list[Unit]:
    """Return what is read: the tables that are there.

    Raises:
        SourceError: if a required table lacks a required column.
    """
    located = _located(where, tuple(table.name for table in tables))
    persons = located.get("person")
    made = []
    with where.opened() as connection:
        for table in tables:
            found = located.get(table.name)
            if found is None:
                continue
            present = tuple(column.name for column in table.columns if column.name.lower() in found.columns)
            void = next((one.name for one in table.columns if one.required and one.name not in present), "")
            if void and table.required:
                raise SourceError(
                    f"expected a column '{void}' in the table {table.name} of {where.name}; it has "
                    f"{', '.join(found.columns) or 'none'}: restore the column, or its name"
                )
            reader = Rows(
                where=where,
                table=table.name,
                located=found,
                names=present,
                key=_key(table, found),
                persons=None if table.dictionary or table.required else persons,
                void=void,
            )
            count = reader.counted(connection)
            made.append(
                Unit(
                    name=f"{where.name}/{found.schema}.{found.table}",
                    tables=(table.name,),
                    n_bytes=ceil(count * reader.width(connection)),
                    fingerprint=_fingerprint(where, found, connection, count),
                    reader=reader,
                )
            )
    return made


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Reads one table, a range of its key at a time.

    names       the columns that are read, as OMOP names them
    key         the column that is cut into ranges; empty if it is not a whole number, and the table is one block
    persons     the table whose persons give the ranges; None: the table itself
    void        a required column that the table lacks: no row can be read
    """

    where: Place
    table: str
    located: Located
    names: tuple[str, ...]
    key: str
    persons: Located | None
    void: str

    def blocks(self, number: int, n_parts: int, block_bytes: int) -> Iterator[Block]:
        """Yield the ranges whose index leaves the remainder `number`."""
        with self.where.opened() as connection:
            bounds = self._bounds(connection, block_bytes)
            firsts = self._firsts(connection, bounds)
            for index in range(number, len(bounds) + 1, n_parts):
                yield self._block(connection, index, bounds, firsts)

    def count(self) -> int:
        """Count the rows."""
        with self.where.opened() as connection:
            return self.counted(connection)

    def counted(self, connection: "Connection") -> int:
        """Count the rows over an open connection."""
        return int(fetch(connection, f"SELECT count(*) AS n FROM {self.located.sql}")["n"][0])

    def width(self, connection: "Connection") -> float:
        """Return about how many bytes of text a row has."""
        rows = fetch(connection, f"SELECT {self._columns()} FROM {self.located.sql} LIMIT {_SAMPLE}")
        return len(rows.write_csv(include_header=False)) / rows.height if rows.height else 0.0

    def _columns(self) -> str:
        chosen = [f"{quoted(self.located.columns[name])} AS {quoted(name)}" for name in self.names]
        return ", ".join(chosen) or "NULL AS nothing"

    def _bounds(self, connection: "Connection", block_bytes: int) -> list[int]:
        """Return where the ranges meet: the first key of every range but the first."""
        n_blocks = ceil(self.counted(connection) * self.width(connection) / block_bytes)
        if not self.key or n_blocks < 2:
            return []
        of, column = self.located, self.located.columns[self.key]
        if self.persons is not None:
            of, column = self.persons, self.persons.columns["person_id"]
        key = quoted(column)
        n = int(fetch(connection, f"SELECT count({key}) AS n FROM {of.sql}")["n"][0])
        step = max(1, ceil(n / n_blocks))
        ranked = f"SELECT {key} AS k, row_number() OVER (ORDER BY {key}) AS n FROM {of.sql} WHERE {key} IS NOT NULL"
        found = fetch(
            connection, f"SELECT DISTINCT k FROM ({ranked}) AS ranked WHERE n % {step} = 0 ORDER BY k"
        )
        return [int(bound) for bound in found["k"].to_list()]

    def _firsts(self, connection: "Connection", bounds: list[int]) -> list[int]:
        """Return how many rows stand before each range."""
        firsts = [0]
        for start in range(0, len(bounds), _COUNTS_A_QUERY):
            some = bounds[start : start + _COUNTS_A_QUERY]
            sums = ", ".join(
                f"count(CASE WHEN {self._before(bound)} THEN 1 END) AS n{place}"
                for place, bound in enumerate(some)
            )
            firsts += [int(n) for n in fetch(connection, f"SELECT {sums} FROM {self.located.sql}").row(0)]
        return firsts

    def _before(self, bound: int) -> str:
        key = quoted(self.located.columns[self.key])
        return f"({key} IS NULL OR {key} < {bound})"

    def _block(self, connection: "Connection", index: int, bounds: list[int], firsts: list[int]) -> Block:
        conditions = []
        if index:
            conditions.append(f"NOT {self._before(bounds[index - 1])}")
        if index < len(bounds):
            conditions.append(self._before(bounds[index]))
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        query = f"SELECT {self._columns()} FROM {self.located.sql}{where}{self._order()}"
        rows = fetch(connection, query)
        lines = pl.Series(LINE_OF_ROW, range(firsts[index] + 1, firsts[index] + rows.height + 1), pl.UInt32)
        if self.void:
            rejected = [Rejected(line, 1, MISSING_COLUMN, self.void) for line in lines.to_list()]
            return Block(index=index, rows={}, rejected=rejected, n_lines=rows.height)
        counted = rows.select(self.names).with_columns(lines, pl.lit(1, pl.UInt32).alias(N_LINES_OF_ROW))
        return Block(index=index, rows={self.table: counted}, n_lines=rows.height)

    def _order(self) -> str:
        """Order by the key and the row's own number; where it has none, by all that is read."""
        first = [self.key] if self.key else []
        own = f"{self.table}_id"
        rest = [own] if own in self.located.columns else [name for name in self.names if name != self.key]
        names = [quoted(self.located.columns[name]) for name in (*first, *rest)]
        return " ORDER BY " + ", ".join(f"{name} NULLS FIRST" for name in names) if names else ""


def _key(table: Table, found: Located) -> str:
    name = table.columns[0].name
    kind = found.types.get(name, "").lower()
    return name if kind.startswith(_WHOLE_NUMBERS) else ""


def _located(where: Place, names: tuple[str, ...]) -> dict[str, Located]:
    """Find the tables: those of persons in the schema, the vocabulary's in its own or the same one."""
    query = (
        "SELECT table_schema, table_name, column_name, data_type, current_schema() AS usual "
        "FROM information_schema.columns ORDER BY table_schema, table_name, ordinal_position"
    )
    with where.opened() as connection:
        every = fetch(connection, query)
    found: dict[str, Located] = {}
    for schema in dict.fromkeys((where.schema, where.vocabulary_schema)):
        usual = pl.lit(schema) if schema else pl.col("usual")
        here = every.filter(pl.col("table_schema") == usual)
        for (at, table), rows in here.group_by("table_schema", "table_name", maintain_order=True):
            name = str(table).lower()
            if name in names and name not in found:
                lower = [column.lower() for column in rows["column_name"].to_list()]
                found[name] = Located(
                    schema=str(at),
                    table=str(table),
                    columns=dict(zip(lower, rows["column_name"].to_list(), strict=True)),
                    types=dict(zip(lower, rows["data_type"].to_list(), strict=True)),
                )
    return found


def _fingerprint(where: Place, found: Located, connection: "Connection", count: int) -> str:
    """Return what changes when the table does: of a file, its state; else of PostgreSQL's record of its rows."""
    if where.file is not None:
        return fingerprint_of(where.file)
    kind = fetch(
        connection,
        f"SELECT c.relkind::text AS kind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE n.nspname = {literal(found.schema)} AND c.relname = {literal(found.table)}",
    )["kind"][0]
    state = "xmin::text::bigint" if kind == "r" else "hashtext(t::text)::bigint"
    total = fetch(connection, f"SELECT coalesce(sum({state}), 0)::text AS total FROM {found.sql} AS t")[
        "total"
    ][0]
    return f"{count}-{total}"
