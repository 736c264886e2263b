"""One ingest under way: map every unit, reduce every shard, and make the account.

All state is files below one folder, `rows/`, so that an interrupted ingest goes on where it stopped, an engine may
run its tasks anywhere, and more files can be merged into a finished ingest whose rows were kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from attending.engine.local import Engine
from attending.errors import SourceError
from attending.ledger import accounts, quarantine, staging
from attending.ledger.accounts import Account
from attending.ledger.context import Context
from attending.ledger.quarantine import Tally
from attending.ledger.reading import Done, Part, Tail, read
from attending.ledger.shard import Shard, ShardCounts, assemble, context_of, shard_folder
from attending.ledger.staging import Fates, Place, Receipt, staging_file
from attending.ledger.table import Link, Source, Table
from attending.ledger.units import Unit

FINE_SHARDS = 64


@dataclass(kw_only=True)
class Work:
    """The units of a source on their way to events at `out`.

    tails       what is known of each unit that was read, by its number
    first       units before this one were read by an earlier ingest, whose rows are here
    fine_bytes  text of a shard while there are at most `FINE_SHARDS`: less memory where few shards cost little
    """

    source: Source
    units: list[Unit]
    out: Path
    shard_bytes: int
    part_bytes: int
    block_bytes: int
    tails: dict[int, Tail] = field(default_factory=dict)
    first: int = 0
    fine_bytes: int = 16 * 2**20

    @property
    def rows(self) -> Path:
        """Where typed rows are."""
        return self.out / "rows"

    @property
    def tables(self) -> dict[str, Table]:
        """The source's tables by name."""
        return {table.name: table for table in self.source.tables}

    @property
    def n_shards(self) -> int:
        """How many shards the text makes: a power of two, so that more data split shards and move nothing else."""
        tables = self.tables
        size = sum(
            unit.n_bytes for unit in self.units if not all(tables[name].dictionary for name in unit.tables)
        )
        fine = min(FINE_SHARDS, _power_of_two(size / self.fine_bytes))
        return max(fine, _power_of_two(size / self.shard_bytes))

    def map(self, engine: Engine) -> None:
        """Read every unit that was not read before: first those that others find their subjects by."""
        links = {table.name: table.link for table in self.source.tables if table.link is not None}
        leading = {link.table for link in links.values()}
        new = range(self.first, len(self.units))
        first = [number for number in new if leading & set(self.units[number].tables)]
        self._read(first, self._place({}), engine)
        paths = self._write_links(links)
        place = self._place(paths)
        later = [number for number in new if number not in set(first)]
        self._read(sorted({*later, *self._waiting(links)}), place, engine)

    def reduce(self, engine: Engine) -> list[ShardCounts]:
        """Assemble every shard that is not finished.

        Raises:
            SourceError: if there is no subject at all.
        """
        chunks = self._chunks()
        names = self._chunk_names()
        shared = {
            table.name: path
            for table in self.source.tables
            if table.unique and (path := staging.write_shared(self.rows, table, names.get(table.name, [])))
        }
        tasks = [
            Shard(
                number=number,
                n_shards=self.n_shards,
                tables=self.source.tables,
                chunks=chunks,
                subjects=self.source.subjects,
                shared=shared,
                rows=self.rows,
                out=self.out,
            )
            for number in range(self.n_shards)
        ]
        shards: list[ShardCounts] = engine.map(assemble, tasks, "assembling shards")
        if not sum(shard.n_subjects for shard in shards):
            raise SourceError(self._nobody())
        return shards

    def touched(self) -> set[int]:
        """Return the shards that new rows belong to: all, where new rows name codes."""
        touched: set[int] = set()
        for receipt in self._receipts():
            if max(map(int, receipt.units), default=-1) < self.first and receipt.chunk not in self._again:
                continue
            for name, rows in receipt.tables.items():
                if len(rows) != self.n_shards and any(rows):
                    return set(range(self.n_shards))
                touched |= {shard for shard, n in enumerate(rows) if n}
                if self.tables[name].dictionary and any(rows):
                    return set(range(self.n_shards))
        return touched

    def accounts(self, shards: Sequence[ShardCounts]) -> tuple[list[Account], dict[str, int]]:
        """Return the account of every unit and of every table that is absent, and the events of each table."""
        events = {
            table.name: sum(shard.events.get(table.name, 0) for shard in shards)
            for table in self.source.tables
            if not table.dictionary
        }
        fates = self._fates()
        alone = {name for name in events if sum(name in unit.tables for unit in self.units) == 1}
        own = [
            self._account(
                number,
                unit,
                fates.get(number, []),
                shards,
                sum(events[name] for name in unit.tables if name in alone),
            )
            for number, unit in enumerate(self.units)
        ]
        present = {name for unit in self.units for name in unit.tables}
        absent = [
            Account(file=table.where, table=table.name, status=accounts.ABSENT)
            for table in self.source.tables
            if table.name not in present
        ]
        return [*own, *absent], events

    def dictionaries(self) -> Context:
        """Return the rows of dictionaries, by table."""
        return context_of(self.source.tables, self._chunks())

    def shard_files(self, name: str) -> list[Path]:
        """Return a file of every shard that has it."""
        paths = (shard_folder(self.rows, number) / name for number in range(self.n_shards))
        return [path for path in paths if path.exists()]

    # Map -------------------------------------------------------------------------------------------

    def _place(self, links: Mapping[str, Path]) -> Place:
        names = {self.source.subjects} if self.source.subjects else set(self.tables)
        return Place(
            rows=self.rows,
            n_shards=self.n_shards,
            links=dict(links),
            names_subjects=frozenset(name for name in names if name),
        )

    def _read(self, numbers: Sequence[int], place: Place, engine: Engine) -> None:
        parts = sorted(self._parts(numbers, place), key=_size, reverse=True)
        done: list[Done] = engine.map(read, parts, "reading tables") if parts else []
        for one in done:
            self.tails |= one.tails

    def _parts(self, numbers: Sequence[int], place: Place) -> list[Part]:
        parts: list[Part] = []
        small: dict[int, Unit] = {}

        def close() -> None:
            if small:
                parts.append(self._part(dict(small), place))
                small.clear()

        for number in numbers:
            unit = self.units[number]
            if unit.reader is not None and unit.n_bytes < self.block_bytes:
                if sum(one.n_bytes for one in small.values()) + unit.n_bytes > self.block_bytes:
                    close()
                small[number] = unit
                continue
            n_parts = max(1, ceil(unit.n_bytes / self.part_bytes))
            parts += [self._part({number: unit}, place, part, n_parts) for part in range(n_parts)]
        close()
        return parts

    def _part(self, units: dict[int, Unit], place: Place, number: int = 0, n_parts: int = 1) -> Part:
        names = {name for unit in units.values() for name in unit.tables}
        return Part(
            units=units,
            tables={name: self.tables[name] for name in sorted(names)},
            place=place,
            number=number,
            n_parts=n_parts,
            block_bytes=self.block_bytes,
        )

    def _write_links(self, links: Mapping[str, Link]) -> dict[str, Path]:
        chunks = self._chunk_names()
        written = {
            link: staging.write_link(self.rows, link, chunks.get(link.table, []))
            for link in set(links.values())
        }
        return {name: written[link] for name, link in links.items()}

    def _waiting(self, links: Mapping[str, Link]) -> set[int]:
        """Return earlier units with rows that found no subject, and may find one now; they are read again.

        Raises:
            SourceError: if one is not there any more.
        """
        self._again: set[str] = set()
        reasons = {staging.no_such(link.key) for link in links.values()}
        waiting = {
            int(unit)
            for receipt in self._receipts()
            for unit, fates in receipt.units.items()
            if int(unit) < self.first and reasons & set(fates.quarantined)
        }
        for number in sorted(waiting):
            unit = self.units[number]
            if unit.path is None or not unit.path.exists():
                raise SourceError(
                    f"rows of {unit.name} had no subject and may have one now, so it must be read again, but it is "
                    "not where it was: put it back, or ingest all folders anew"
                )
        for receipt in self._receipts():
            if waiting & set(map(int, receipt.units)):
                self._again.add(receipt.chunk)
                staging.forget(self.rows, receipt.chunk)
        return waiting

    # What the receipts say ---------------------------------------------------------------------------

    def _receipts(self) -> list[Receipt]:
        return staging.read_receipts(self.rows)

    def _chunk_names(self) -> dict[str, list[str]]:
        names: dict[str, list[str]] = {}
        for receipt in self._receipts():
            for table in receipt.tables:
                names.setdefault(table, []).append(receipt.chunk)
        return names

    def _chunks(self) -> dict[str, list[Path]]:
        return {
            table: [staging_file(self.rows, table, chunk) for chunk in chunks]
            for table, chunks in self._chunk_names().items()
        }

    def _fates(self) -> dict[int, list[Fates]]:
        fates: dict[int, list[Fates]] = {}
        for receipt in self._receipts():
            for unit, one in receipt.units.items():
                fates.setdefault(int(unit), []).append(one)
        return fates

    def _account(
        self, number: int, unit: Unit, fates: list[Fates], shards: Sequence[ShardCounts], events: int
    ) -> Account:
        tail, key = self.tails[number], str(number)
        named = [name for name in unit.tables if self.tables[name].dictionary]
        accepted = sum(shard.accepted.get(key, 0) for shard in shards)
        if named:
            frames = (self.dictionaries()[name] for name in named)
            accepted += sum(
                int(one.filter(one[quarantine.UNIT_OF_ROW] == number)[quarantine.N_LINES_OF_ROW].sum())
                for one in frames
            )
        kinds: dict[str, int] = {}
        for one in fates:
            for kind, n in one.not_read.items():
                kinds[kind] = kinds.get(kind, 0) + n
        return Account(
            file=unit.name,
            table=unit.tables[0] if len(unit.tables) == 1 else "",
            status=tail.status,
            lines=tail.n_lines,
            header=tail.header,
            accepted=accepted,
            quarantined=_all(fates, shards, "quarantined", key),
            blank=tail.blank + sum(one.blank for one in fates),
            not_read=sum(kinds.values()),
            kinds=dict(sorted(kinds.items())),
            values=_all(fates, shards, "values", key),
            parsed=quarantine.add(one.parsed for one in fates),
            missing_columns=tail.missing,
            events=events,
        )

    def _nobody(self) -> str:
        needed = " and ".join(table.where for table in self.source.tables if table.required)
        found = quarantine.add(one.quarantined for fates in self._fates().values() for one in fates)
        return (
            f"{self.source.name} holds no subject that can be read: look into {needed or 'its tables'}; "
            f"lines set aside: {quarantine.reasons(found) or 'none'}"
        )


def _all(fates: Sequence[Fates], shards: Sequence[ShardCounts], name: str, unit: str) -> Tally:
    mapped = [getattr(one, name) for one in fates]
    reduced = [getattr(shard, name).get(unit, {}) for shard in shards]
    return quarantine.add([*mapped, *reduced])


def _power_of_two(least: float) -> int:
    return int(2 ** max(0, ceil(least) - 1).bit_length())


def _size(part: Part) -> float:
    return sum(unit.n_bytes for unit in part.units.values()) / part.n_parts
