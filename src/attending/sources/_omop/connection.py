"""Open DuckDB or PostgreSQL through ADBC, to read only, and say nothing of how.

No password stands in a file that is written or in a message: settings hold none (`check`), a name is host, database
and table, and an error of a driver is told by its type and SQLSTATE only, because its text may quote the connection.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pyarrow as pa

from attending.errors import SourceError

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection

DUCKDB, POSTGRES, VARIABLE = "duckdb:", ("postgresql://", "postgres://"), "env:"
_DRIVERS = "install the drivers: pip install adbc-driver-manager adbc-driver-postgresql duckdb"
_FORMS = (
    "expected duckdb:FILE, postgresql://HOST/DATABASE or env:NAME, an environment variable that holds either"
)


def check(database: str) -> None:
    """Refuse what is no database, and a password in the settings, which are written into manifests.

    Raises:
        ValueError: saying what to do; never with what was given.
    """
    if not database or database.startswith((DUCKDB, VARIABLE)):
        return
    if not database.startswith(POSTGRES):
        raise ValueError(_FORMS)
    parts = urlsplit(database)
    if parts.password is not None or any("password" in name for name in parse_qs(parts.query)):
        raise ValueError(
            "a password in the settings would be written into manifests: put the address into an environment "
            "variable and give env:NAME, or keep the password in ~/.pgpass"
        )


@dataclass(frozen=True, kw_only=True)
class Place:
    """A database as the settings name it; an address is looked up only when it is opened."""

    database: str
    schema: str
    vocabulary_schema: str

    @property
    def address(self) -> str:
        """The address itself, which may hold a password.

        Raises:
            SourceError: if the environment variable is not set, or holds no address.
        """
        if not self.database.startswith(VARIABLE):
            return self.database
        variable = self.database.removeprefix(VARIABLE)
        address = os.environ.get(variable, "")
        if not address.startswith((DUCKDB, *POSTGRES)):
            raise SourceError(
                f"expected the address of a database in the environment variable {variable}; {_FORMS}"
            )
        return address

    @property
    def file(self) -> Path | None:
        """The file of a DuckDB database."""
        address = self.address
        return Path(address.removeprefix(DUCKDB)).expanduser() if address.startswith(DUCKDB) else None

    @property
    def name(self) -> str:
        """The database in words that may be shown: the file's name, or host and database."""
        if self.file is not None:
            return self.file.name
        parts = urlsplit(self.address)
        host = parts.hostname or "local"
        return f"{host}{parts.path.rstrip('/') or '/default'}"

    @contextmanager
    def opened(self) -> Iterator["Connection"]:
        """Open a connection that only reads.

        Raises:
            SourceError: if a driver is absent, or the database cannot be opened or read.
        """
        try:
            from adbc_driver_manager import Error
        except ImportError:
            raise SourceError(f"cannot open the database {self.name}: {_DRIVERS}") from None
        if self.file is not None and not self.file.exists():
            raise SourceError(f"expected a DuckDB file at {self.file}; there is none: check the path")
        try:
            connection = self._connect()
            try:
                yield connection
            finally:
                connection.close()
        except Error as error:
            state = getattr(error, "sqlstate", None)
            told = f"{type(error).__name__}{f', SQLSTATE {state}' if state else ''}"
            raise SourceError(
                f"cannot read the database {self.name}: {told}; check the address, the rights and the schema"
            ) from None

    def _connect(self) -> "Connection":
        try:
            if self.file is not None:
                return _open_duckdb(self.file)
            from adbc_driver_postgresql import dbapi as postgresql
        except ImportError:
            raise SourceError(f"cannot open the database {self.name}: {_DRIVERS}") from None
        connection = postgresql.connect(self.address)
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        return connection


def _open_duckdb(file: Path) -> "Connection":
    from adbc_driver_duckdb import driver_path
    from adbc_driver_manager import dbapi

    options = {"path": str(file), "access_mode": "READ_ONLY", "threads": "1"}
    return dbapi.connect(driver=driver_path(), entrypoint="duckdb_adbc_init", db_kwargs=options)


def fetch(connection: "Connection", query: str) -> pl.DataFrame:
    """Run a query and return its rows, which come as Arrow batches.

    PostgreSQL's `numeric` has no Arrow type; the driver gives its digits as text of a type of its own.
    """
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows = cursor.fetch_arrow_table()
    for place, field in enumerate(rows.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            rows = rows.set_column(place, field.name, rows[place].cast(field.type.storage_type))
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    return frame


def quoted(name: str) -> str:
    """Write a name in a query."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Write a text in a query."""
    return "'" + text.replace("'", "''") + "'"
