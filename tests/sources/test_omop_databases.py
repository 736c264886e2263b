"""OMOP from DuckDB and from a real PostgreSQL server: the same events as from files, and no password anywhere."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from adbc_driver_manager import dbapi

from attending.config import Component
from attending.engine.local import Local
from attending.errors import ConfigError, SourceError
from attending.registry import load
from attending.stages.ingest import Sizes, ingest
from raw import omop

SECRET = "open-sesame"
SMALL = Sizes(block_bytes=2_000, part_bytes=4_000, shard_bytes=40_000)
PROGRAMS = [Path(found).parent for name in ("initdb",) if (found := shutil.which(name))]
PROGRAMS += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def read(where: Path, out: Path, sizes: Sizes | None = None, **settings: object) -> pl.DataFrame:
    ingest(Component(name="omop", **settings), where, out, engine=Local(1), sizes=sizes)
    events = pl.concat([pl.read_parquet(path) for path in sorted((out / "data").glob("*.parquet"))])
    return events.sort("subject_id", maintain_order=True)


def frames() -> dict[str, pl.DataFrame]:
    made = {}
    for name, rows in omop.tables().items():
        frame = pl.DataFrame(rows, infer_schema_length=None)
        made[name] = frame.with_columns(pl.selectors.by_dtype(pl.Null).cast(pl.String))
    return made


def fill(connection: dbapi.Connection, schema: str | None = None) -> None:
    with connection.cursor() as cursor:
        for name, frame in frames().items():
            cursor.adbc_ingest(
                name, frame.to_arrow(compat_level=pl.CompatLevel.oldest()), db_schema_name=schema
            )
    connection.commit()


def readers(database: str) -> dict[str, object]:
    config = load("sources", "omop").Config(database=database)
    found = load("sources", "omop").source(Path(), config).units()
    return {unit.tables[0]: unit for unit in found}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return omop.write(tmp_path_factory.mktemp("omop") / "raw")


@pytest.fixture(scope="module")
def from_files(folder) -> pl.DataFrame:
    return read(folder, folder.parent / "events")


@pytest.fixture(scope="module")
def duckdb_file(tmp_path_factory) -> Path:
    from adbc_driver_duckdb import dbapi as duckdb

    file = tmp_path_factory.mktemp("duckdb") / "cdm.duckdb"
    with duckdb.connect(str(file)) as connection:
        fill(connection)
    return file


@pytest.fixture(scope="module")
def server() -> Iterator[Path]:
    """Start PostgreSQL in a folder of its own that only a local socket leads to; yield the folder of the socket."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="attending-pg-", dir="/tmp"))
    user = pwd.getpwnam("nobody").pw_name if os.getuid() == 0 else None  # the server refuses to run as root
    if user:
        shutil.chown(folder, user)
    data = folder / "data"

    def run(*command: object, quiet: bool = True) -> None:
        subprocess.run(command, user=user, cwd=folder, check=True, capture_output=quiet, timeout=120)

    run(PROGRAMS[0] / "initdb", "-D", data, "-U", "cdm", "--auth=trust", "--no-sync", "-E", "UTF8")
    (data / "pg_hba.conf").write_text("local all locked scram-sha-256\nlocal all all trust\n")
    settings = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    control = (PROGRAMS[0] / "pg_ctl", "-D", data, "-w")
    run(*control, "-l", folder / "log", "-o", settings, "start", quiet=False)
    try:
        yield folder
    finally:
        run(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def uri(server: Path, user: str = "cdm", database: str = "postgres") -> str:
    return f"postgresql://{user}@/{database}?host={server}"


@pytest.fixture(scope="module")
def postgres(server) -> str:
    """Fill the database; as in real ones, identifiers and values have the types that the CDM gives them."""
    from adbc_driver_postgresql import dbapi as postgresql

    with postgresql.connect(uri(server)) as connection:
        fill(connection)
        with connection.cursor() as cursor:
            for statement in (
                "ALTER TABLE measurement ALTER value_as_number TYPE numeric, ALTER person_id TYPE integer",
                "ALTER TABLE drug_exposure ALTER quantity TYPE numeric",
                "CREATE INDEX ON measurement (person_id)",
                f"CREATE ROLE locked LOGIN PASSWORD '{SECRET}'",
                "CREATE SCHEMA vocabulary",
                "ALTER TABLE concept SET SCHEMA vocabulary",
                "ALTER TABLE concept_ancestor SET SCHEMA vocabulary",
                "ALTER TABLE concept_relationship SET SCHEMA vocabulary",
                "GRANT USAGE ON SCHEMA vocabulary TO locked",
                "GRANT SELECT ON ALL TABLES IN SCHEMA public, vocabulary TO locked",
            ):
                cursor.execute(statement)
        connection.commit()
    return uri(server)


# The same events ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [None, SMALL], ids=["one block", "many blocks, parts and shards"])
def test_a_duckdb_file_gives_the_events_of_the_files(duckdb_file, from_files, tmp_path, sizes):
    assert read(duckdb_file, tmp_path / "out", sizes).equals(from_files)


@pytest.mark.parametrize("sizes", [None, SMALL], ids=["one block", "many blocks, parts and shards"])
def test_postgresql_gives_the_events_of_the_files(postgres, from_files, tmp_path, sizes):
    events = read(tmp_path, tmp_path / "out", sizes, database=postgres, vocabulary_schema="vocabulary")
    assert events.equals(from_files)


def test_an_address_may_stand_where_a_folder_could(duckdb_file, monkeypatch):
    monkeypatch.setenv("CDM_DATABASE", f"duckdb:{duckdb_file}")
    module = load("sources", "omop")
    names = set()
    for folder in (duckdb_file, Path(f"duckdb:{duckdb_file}"), Path("env:CDM_DATABASE")):
        units = module.source(folder, module.Config()).units()
        names.add(tuple(unit.name for unit in units))
    assert len(names) == 1
    assert "cdm.duckdb/main.person" in names.pop()


def test_a_schema_that_has_no_persons_is_told(postgres, tmp_path):
    with pytest.raises(SourceError, match="person"):
        read(tmp_path, tmp_path / "out", database=postgres, database_schema="vocabulary")


# Ranges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["duckdb", "postgres"])
def test_blocks_are_the_same_for_any_number_of_parts(where, request):
    database = f"duckdb:{request.getfixturevalue('duckdb_file')}" if where == "duckdb" else None
    units = readers(database or request.getfixturevalue("postgres"))
    reader = units["measurement"].reader
    alone = list(reader.blocks(0, 1, 2_000))
    shared = [block for number in range(3) for block in reader.blocks(number, 3, 2_000)]
    shared.sort(key=lambda block: block.index)
    assert len(alone) > 2
    assert [block.index for block in shared] == [block.index for block in alone]
    for one, other in zip(alone, shared, strict=True):
        assert one.rows["measurement"].equals(other.rows["measurement"])
    lines = pl.concat([block.rows["measurement"]["_line"] for block in alone])
    assert lines.to_list() == list(range(1, reader.count() + 1))


def test_a_block_holds_about_as_much_as_asked_for(duckdb_file):
    unit = readers(f"duckdb:{duckdb_file}")["note"]
    sizes = [len(block.rows["note"].write_csv()) for block in unit.reader.blocks(0, 1, 1_500)]
    assert len(sizes) > 2
    assert max(sizes) < 2 * 1_500


def test_rows_of_nobody_and_of_strangers_are_accounted_for(duckdb_file, tmp_path):
    from adbc_driver_duckdb import dbapi as duckdb

    file = shutil.copy(duckdb_file, tmp_path / "cdm.duckdb")
    with duckdb.connect(str(file)) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE note SET person_id = NULL WHERE note_id = 100")
        cursor.execute("UPDATE note SET person_id = 999 WHERE note_id = 101")
        cursor.execute("ALTER TABLE specimen DROP COLUMN person_id")
        connection.commit()
    read(file, tmp_path / "out", SMALL)
    aside = pl.read_parquet(tmp_path / "out" / "quarantine" / "*.parquet", missing_columns="insert")
    counted = dict(aside.group_by("reason").len().iter_rows())
    assert counted == {
        "missing required value": 1,
        "no such subject": 1,
        "missing column": len(omop.tables()["specimen"]),
    }


def test_a_changed_row_changes_the_fingerprint(postgres):
    from adbc_driver_postgresql import dbapi as postgresql

    before = readers(postgres)
    with postgresql.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE note SET note_text = note_text WHERE note_id = 100")
        connection.commit()
    after = readers(postgres)
    changed = [name for name in before if before[name].fingerprint != after[name].fingerprint]
    assert changed == ["note"]


# Passwords ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "database",
    [f"postgresql://me:{SECRET}@db.hospital/cdm", f"postgresql://db.hospital/cdm?user=me&password={SECRET}"],
)
def test_a_password_in_the_settings_is_refused_and_not_repeated(database, tmp_path):
    with pytest.raises(ConfigError, match="env:NAME") as caught:
        read(tmp_path, tmp_path / "out", database=database)
    assert SECRET not in str(caught.value)


def test_a_database_by_environment_leaves_no_trace_of_its_password(
    postgres, server, tmp_path, monkeypatch, capsys
):
    address = uri(server, user=f"locked:{SECRET}")
    monkeypatch.setenv("CDM_DATABASE", address)
    settings = {"database": "env:CDM_DATABASE", "vocabulary_schema": "vocabulary"}
    events = read(tmp_path, tmp_path / "out", **settings)
    assert events.height
    for path in (path for path in (tmp_path / "out").rglob("*") if path.is_file()):
        assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in "".join(capsys.readouterr())
    place = load("sources", "omop").databases.place("env:CDM_DATABASE", "", "")
    assert SECRET not in repr(place)


def test_a_refused_password_is_an_error_that_names_the_database_only(postgres, server, tmp_path, monkeypatch):
    monkeypatch.setenv("CDM_DATABASE", uri(server, user="locked:not-the-password"))
    with pytest.raises(SourceError, match="local/postgres") as caught:
        read(tmp_path, tmp_path / "out", database="env:CDM_DATABASE")
    assert "not-the-password" not in str(caught.value)
    assert "locked" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_variable_that_is_not_set_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("CDM_DATABASE", raising=False)
    with pytest.raises(SourceError, match="CDM_DATABASE"):
        read(tmp_path, tmp_path / "out", database="env:CDM_DATABASE")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SourceError, match=r"absent\.duckdb"):
        read(tmp_path, tmp_path / "out", database=f"duckdb:{tmp_path / 'absent.duckdb'}")


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / "broken.duckdb").write_text("not a database")
    with pytest.raises(SourceError, match=r"broken\.duckdb"):
        read(tmp_path, tmp_path / "out", database=f"duckdb:{tmp_path / 'broken.duckdb'}")
