"""Ingest a source folder: raw tables in, sorted events by shard out, and every line accounted for.

The form is map and reduce by files. Map reads a part of one file into typed rows by shard; reduce assembles
one shard's events. Both are pure and idempotent, so an interrupted ingest resumes and any engine may run them.
"""

import shutil
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import polars as pl

from attending import registry
from attending.artifact import (
    Manifest,
    Recipe,
    folder_fingerprint,
    is_current,
    read_manifest,
    write_json,
    writing,
)
from attending.config import Component, Settings
from attending.engine import shuffle
from attending.engine.local import Engine
from attending.errors import SourceError
from attending.ledger import accounts, files, metadata, quarantine
from attending.ledger.accounts import Account
from attending.ledger.files import Found
from attending.ledger.quarantine import N_LINES_OF_ROW
from attending.ledger.reading import Counts, Part, add, read
from attending.ledger.shard import CODES_FILE, SUBJECTS_FILE, Shard, ShardCounts, assemble, staged_schema
from attending.ledger.table import Context, Source, Table
from attending.progress import say
from attending.splits import Split

KIND = "events"
LEDGER = "ledger.json"
_STAGING = "staging"


class Sizes(Settings):
    """How finely the work is cut. It decides memory and the number of shards, not what the events are.

    block_bytes   read and parsed at a time, of text
    shard_bytes   text that one shard stands for, about
    part_bytes    text of one file that one worker reads; larger files are shared
    """

    block_bytes: int = 16 * 2**20
    shard_bytes: int = 64 * 2**20
    part_bytes: int = 1024 * 2**20


def ingest(
    source: Component,
    folder: Path,
    out: Path,
    *,
    engine: Engine,
    split: Split | None = None,
    seed: int = 0,
    keep_raw: bool = False,
    sizes: Sizes | None = None,
) -> Manifest:
    """Read the tables of `source` in `folder` and write an events artifact at `out`.

    `keep_raw` writes the text of quarantined lines beside them: that is patient data.

    Raises:
        SourceError: if the folder, a required table, or a required column of one is not there.
        LedgerError: if the lines of a file do not add up.
    """
    split, sizes = split or Split(), sizes or Sizes()
    config = source.config("sources")
    described: Source = registry.load("sources", source.name).source(folder, config)
    found = files.find(described, folder)
    recipe = Recipe(
        kind=KIND,
        config={
            "source": {"name": source.name} | config.to_dict(),
            "split": split.to_dict(),
            "keep_raw": keep_raw,
            "sizes": sizes.to_dict(),
        },
        parents={"source": folder_fingerprint(folder)},
        seed=seed,
    )
    if is_current(out, recipe):
        return read_manifest(out, KIND)
    with writing(out, recipe) as writer:
        run = _Run(source=described, found=found, folder=folder, out=writer.path, sizes=sizes)
        counted = run.map(engine)
        shards = run.reduce(engine, counted)
        ledger = run.accounts(counted, shards)
        accounts.check(ledger)
        n_codes, n_subjects = run.describe(split, seed)
        run.write_quarantine(keep_raw=keep_raw)
        write_json(writer.path / LEDGER, accounts.to_json(ledger))
        run.clear()
        writer.counts = _counts(ledger, shards, n_subjects, n_codes)
    _tell(ledger, out)
    return read_manifest(out, KIND)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One ingest under way."""

    source: Source
    found: Found
    folder: Path
    out: Path
    sizes: Sizes

    @property
    def staging(self) -> Path:
        return self.out / "staging"

    @property
    def tables(self) -> list[Table]:
        """The tables whose files are there, in the source's order."""
        return [table for table in self.source.tables if table.name in self.found.present]

    @property
    def n_shards(self) -> int:
        size = sum(
            files.text_bytes(self.found.present[table.name]) for table in self.tables if not table.dictionary
        )
        return max(1, ceil(size / self.sizes.shard_bytes))

    def map(self, engine: Engine) -> dict[str, Counts]:
        """Read every part of every table, the largest files first; return the counts of each table."""
        parts = [part for table in self.tables for part in self._parts(table)]
        parts.sort(key=lambda part: -files.text_bytes(part.path) / part.n_parts)
        counted: dict[str, list[Counts]] = {}
        for part, counts in zip(parts, engine.map(read, parts, "reading tables"), strict=True):
            counted.setdefault(part.table.name, []).append(counts)
        return {name: add(counts) for name, counts in counted.items()}

    def reduce(self, engine: Engine, counted: dict[str, Counts]) -> list[ShardCounts]:
        """Assemble every shard.

        Raises:
            SourceError: if there is no subject at all.
        """
        tasks = [
            Shard(
                number=number,
                tables=tuple(table for table in self.source.tables if not table.dictionary),
                chunks={name: counts.chunks for name, counts in counted.items()},
                subjects=self.source.subjects,
                staging=self.staging,
                out=self.out,
            )
            for number in range(self.n_shards)
        ]
        shards = engine.map(assemble, tasks, "assembling shards")
        if not sum(shard.n_subjects for shard in shards):
            required = (
                " and ".join(table.path for table in self.source.tables if table.required) or "its tables"
            )
            set_aside = quarantine.reasons(quarantine.add(counts.quarantined for counts in counted.values()))
            raise SourceError(
                f"{self.source.name} in {self.folder} holds no subject that can be read: look into {required}; "
                f"lines set aside: {set_aside or 'none'}"
            )
        return shards

    def accounts(self, counted: dict[str, Counts], shards: list[ShardCounts]) -> list[Account]:
        """Return the account of every file: those of tables, tables that are absent, files nothing reads."""
        own = [self._account(table, counted[table.name], shards) for table in self.tables]
        absent = [
            Account(file=table.path, table=table.name, status=accounts.ABSENT) for table in self.found.absent
        ]
        return [*own, *absent, *(self._other(path) for path in self.found.others)]

    def describe(self, split: Split, seed: int) -> tuple[int, int]:
        """Write what stands beside the events; return the number of codes and of subjects."""
        beside = self.out / "metadata"
        shards = [self.staging / "shards" / f"{number:03}" for number in range(self.n_shards)]
        given = self.source.splits(self.folder)
        codes = [shard / CODES_FILE for shard in shards]
        subjects = [shard / SUBJECTS_FILE for shard in shards]
        metadata.write_dataset(beside / "dataset.json", self.source.name)
        n_codes = metadata.write_codes(beside / "codes.parquet", codes, self.source, self._dictionaries())
        splits = beside / "subject_splits.parquet"
        return n_codes, metadata.write_splits(splits, subjects, given, split.to_dict(), seed)

    def write_quarantine(self, *, keep_raw: bool) -> None:
        """Write a file of what was set aside for each table that has any."""
        for table in self.tables:
            path = self.found.present[table.name]
            name = table.name.replace("/", "_")
            parts = sorted((self.staging / name).glob("*.quarantine.parquet"))
            parts += sorted(self.staging.glob(f"shards/*/{name}.quarantine.parquet"))
            if parts:
                raw_from = path if keep_raw and path.suffix != ".parquet" else None
                target = self.out / "quarantine" / f"{name}.parquet"
                metadata.write_quarantine(target, parts, self._name(path), raw_from)

    def clear(self) -> None:
        """Remove what only the way needed, and what a kill may have left half written."""
        shutil.rmtree(self.staging)
        for unfinished in self.out.rglob(".*.tmp"):
            unfinished.unlink()

    def _parts(self, table: Table) -> list[Part]:
        path = self.found.present[table.name]
        n_parts = max(1, ceil(files.text_bytes(path) / self.sizes.part_bytes))
        return [
            Part(
                table=table,
                path=path,
                staging=self.staging,
                n_shards=1 if table.dictionary else self.n_shards,
                number=number,
                n_parts=n_parts,
                block_bytes=self.sizes.block_bytes,
            )
            for number in range(n_parts)
        ]

    def _account(self, table: Table, counts: Counts, shards: list[ShardCounts]) -> Account:
        found = [shard.quarantined.get(table.name, {}) for shard in shards]
        values = [shard.values.get(table.name, {}) for shard in shards]
        rows = sum(shard.accepted.get(table.name, 0) for shard in shards)
        return Account(
            file=self._name(self.found.present[table.name]),
            table=table.name,
            status=counts.status,
            lines=counts.n_lines,
            header=counts.header,
            accepted=int(self._dictionary(table)[N_LINES_OF_ROW].sum()) if table.dictionary else rows,
            quarantined=quarantine.add([counts.quarantined, *found]),
            blank=counts.blank,
            values=quarantine.add([counts.values, *values]),
            missing_columns=counts.missing,
            events=sum(shard.events.get(table.name, 0) for shard in shards),
        )

    def _other(self, path: Path) -> Account:
        name = self._name(path)
        status = accounts.METADATA if name in self.source.metadata else accounts.NOT_READ
        n_lines = files.count_lines(path)
        return Account(file=name, status=status, lines=n_lines, not_read=n_lines)

    def _dictionaries(self) -> Context:
        return {table.name: self._dictionary(table) for table in self.source.tables if table.dictionary}

    def _dictionary(self, table: Table) -> pl.DataFrame:
        chunks = sorted((self.staging / table.name).glob("*.arrow"))
        rows = [shuffle.read(chunk, 0) for chunk in chunks]
        return pl.concat(rows) if rows else staged_schema(table)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


def _counts(
    ledger: list[Account], shards: list[ShardCounts], n_subjects: int, n_codes: int
) -> dict[str, Any]:
    """Return the counts of the manifest."""
    return {
        "subjects": n_subjects,
        "events": sum(shard.n_events for shard in shards),
        "visits": sum(shard.n_visits for shard in shards),
        "codes": n_codes,
        "lines": sum(account.lines for account in ledger),
        "quarantined": sum(quarantine.total(account.quarantined) for account in ledger),
        "n_shards": len(shards),
        "tables": {account.table: account.events for account in ledger if account.events},
    }


def _tell(ledger: list[Account], out: Path) -> None:
    """Say what a person should know before trusting the result."""
    absent = [account.file for account in ledger if account.status == accounts.ABSENT]
    if absent:
        say(f"  not in the folder, and left out: {', '.join(absent)}")
    for account in ledger:
        if account.status == accounts.EMPTY:
            say(f"  {account.file} is empty")
        if account.missing_columns:
            say(f"  {account.file} lacks {', '.join(account.missing_columns)}")
        if account.quarantined:
            n_lines = quarantine.total(account.quarantined)
            say(f"  {account.file}: {n_lines} lines set aside ({quarantine.reasons(account.quarantined)})")
        if account.values:
            n_values = quarantine.total(account.values)
            say(f"  {account.file}: {n_values} values set aside ({quarantine.reasons(account.values)})")
    if any(account.quarantined or account.values for account in ledger):
        say(f"  where and why: {out / 'quarantine'}")
