"""Turn a mapping into a source."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attending.config import parse
from attending.errors import ConfigError
from attending.ledger import table as ledger
from attending.mapping import spec, tables
from attending.mapping.columns import Columns
from attending.mapping.descriptions import Described, Naming
from attending.mapping.names import Names
from attending.mapping.place import Place, Plain
from attending.mapping.times import zone_of
from attending.mapping.values import parse as value


@dataclass(frozen=True, kw_only=True)
class Read:
    """A mapping that was read.

    source      what it describes, still without the names of its codes
    columns     what every column is used for, and where that is asked for
    optional    by table, the columns that a file may lack
    namings     by dictionary, what its rows name
    described   by table, what its rows say of their codes
    """

    source: ledger.Source
    columns: Columns
    optional: Mapping[str, tuple[str, ...] | str]
    namings: dict[str, tuple[Naming, ...]]
    described: dict[str, Described]


def read(path: Path) -> Read:
    """Read a mapping.

    Raises:
        ConfigError: if it cannot be read, or naming a key that does not fit, its file and its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"expected a mapping that describes the tables at {path}; there is none: write it there, or say where it "
            "is with source.mapping=FILE (docs/data/tables.md has the language)"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the mapping {path}: {type(error).__name__}") from None
    values, lines = parse(text, str(path))
    return from_values(values, Place(str(path), lines))


def from_values(values: Plain, place: Place) -> Read:
    """Read a mapping from plain values.

    Raises:
        ConfigError: naming a key that does not fit, its file and its line.
    """
    mapping = place.build(spec.Mapping, values)
    columns = Columns()
    dictionaries = {
        name: _Dictionary.read(name, raw, place["dictionaries"][name], columns)
        for name, raw in mapping.dictionaries.items()
    }
    parsed = _tables(mapping, place, columns)
    looked_into = {join.table for one in parsed for join in one.joins}
    looked_into |= {one.link.table for one in parsed if one.link} | {mapping.subjects or ""}
    compiled = [tables.compiled(one, columns, reference=one.name in looked_into) for one in parsed]
    compiled += [one.compiled(columns) for one in dictionaries.values()]
    return Read(
        source=ledger.Source(name=mapping.name, tables=tuple(compiled), subjects=mapping.subjects),
        columns=columns,
        optional={one.name: one.spec.optional for one in parsed}
        | {name: one.spec.optional for name, one in dictionaries.items()},
        namings={name: one.namings for name, one in dictionaries.items() if one.namings},
        described={one.name: described for one in parsed if (described := tables.described(one))},
    )


def _tables(mapping: spec.Mapping, place: Place, columns: Columns) -> list[tables.Parsed]:
    """Read all tables, then let their columns agree."""
    zone = zone_of(mapping.time_zone, place["time_zone"])
    parsed: list[tables.Parsed] = []
    for name, raw in mapping.tables.items():
        at, known = place["tables"][name], [one.name for one in parsed]
        if name in mapping.dictionaries:
            raise at.error(f"'{name}' is a table and a dictionary: rename one")
        one = tables.read(name, raw, at, known, list(mapping.dictionaries), zone)
        columns.declare(name, one.spec, at)
        columns.use(one.names.uses)
        parsed.append(one)
    if not parsed:
        raise place["tables"].error("expected at least one table")
    if mapping.subjects is not None:
        tables.expect(mapping.subjects, [one.name for one in parsed], place["subjects"], "table")
    columns.join(pair for one in parsed for pair in one.pairs)
    return parsed


@dataclass(frozen=True, kw_only=True)
class _Dictionary:
    name: str
    spec: spec.Dictionary
    namings: tuple[Naming, ...]

    @classmethod
    def read(cls, name: str, raw: Plain, place: Place, columns: Columns) -> "_Dictionary":
        """Read a dictionary and note its columns."""
        one = place.build(spec.Dictionary, raw)
        names = Names(table=name)
        namings = []
        for number, each in enumerate(one.names):
            at = place["names"][number]
            given = at.build(spec.Name, each)
            code = tables.code(given.code, at["code"], names)
            namings.append(Naming(code=code, name=value(given.name, at["name"], names)))
        columns.declare(name, one, place)
        columns.use(names.uses)
        return cls(name=name, spec=one, namings=tuple(namings))

    def compiled(self, columns: Columns) -> ledger.Table:
        """Return the table that the ledger reads."""
        return ledger.Table(
            name=self.name,
            path=self.spec.file or self.name,
            columns=columns.of(self.name, self.spec),
            required=self.spec.required,
            dictionary=True,
            separator=self.spec.separator,
        )
