"""Ingest a made-up folder with damaged files, and see that whatever comes of it is an answer or adds up."""

import io
import json
import os
import shutil
import time
import traceback
from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path

import meds
import polars as pl
import pyarrow.parquet as pq

from attending import registry
from attending.config import Component
from attending.engine.local import Local
from attending.errors import AttendingError, LedgerError
from attending.ledger import reading
from attending.ledger.files import find
from attending.ledger.reading import Part
from attending.ledger.staging import Place
from attending.ledger.table import Source
from attending.ledger.units import Unit
from attending.schema import AVAILABLE_TIME, ORIGIN, SUBJECT_ID, TIME
from attending.stages.ingest import ingest
from damage.text import MARK
from folders import component, events_of, made_up

ENGINE = Local(1)
LONGEST = 120  # seconds: an ingest of a few hundred lines that takes longer hangs


@dataclass(kw_only=True)
class Tally:
    """What became of damaged files: refused with a sentence that names them, or read."""

    damaged: int = 0
    refused: int = 0
    ingests: int = 0
    seconds: float = 0.0


@dataclass(kw_only=True)
class Trials:
    """A folder whose files can be damaged, and what comes of it as it is.

    files    what each file that is read holds, as bytes
    leaves   those whose rows no other table looks into
    """

    raw: Path
    work: Path
    component: Component
    files: dict[str, bytes]
    tables: dict[str, tuple[str, ...]]
    leaves: frozenset[str]
    events: pl.DataFrame
    tally: Tally = field(default_factory=Tally)

    def attempt(self, damaged: Mapping[str, bytes]) -> None:
        """Ingest the folder with `damaged` in place of its files; take back each file that is refused by name."""
        left = dict(damaged)
        self.tally.damaged += len(left)
        started = time.monotonic()
        folder, out = self.work / "raw", self.work / "out"
        try:
            while True:
                _fill(folder, self.raw, left)
                self.tally.ingests += 1
                refused = self._ingest(folder, out, left)
                if refused is None:
                    self._check(out, left)
                    return
                assert refused, "nothing is damaged, and it is refused"
                self.tally.refused += len(refused)
                left = {name: content for name, content in left.items() if name not in refused}
        finally:
            self.tally.seconds += time.monotonic() - started
            for path in self.work.iterdir():
                shutil.rmtree(path)

    def attempt_mapping(self) -> None:
        """Ingest the folder by a mapping that is damaged: it may be refused, and name what it likes."""
        self.tally.damaged += 1
        started = time.monotonic()
        try:
            with redirect_stderr(io.StringIO()):
                ingest(self.component, self.raw, self.work / "out", engine=ENGINE)
            self.tally.ingests += 1
            self._see_accounts(self.work / "out")
        except LedgerError:
            raise
        except AttendingError as error:
            assert str(error)
            self.tally.refused += 1
        finally:
            assert time.monotonic() - started < LONGEST
            self.tally.seconds += time.monotonic() - started
            for path in self.work.iterdir():
                shutil.rmtree(path)

    def _ingest(self, folder: Path, out: Path, left: Mapping[str, bytes]) -> set[str] | None:
        """Return the files that are refused, or None."""
        started, told = time.monotonic(), io.StringIO()
        try:
            with redirect_stderr(told):
                ingest(self.component, folder, out, engine=ENGINE)
        except LedgerError:
            raise
        except AttendingError as error:
            self._see_no_value("".join(traceback.format_exception(error)))
            named = {name for name in left if name in str(error)}
            assert named or "no subject" in str(error), str(error)
            return named or {name for name in left if name not in self.leaves} or set(left)
        finally:
            assert time.monotonic() - started < LONGEST
        self._see_no_value(told.getvalue())
        return None

    def _check(self, out: Path, left: Mapping[str, bytes]) -> None:
        events = self._see_accounts(out)
        ledger = (out / "ledger.json").read_text()
        for account in json.loads(ledger)["files"]:
            name = account["file"]
            if name in left and name.endswith((".csv", ".ndjson")):
                assert account["lines"] == left[name].count(b"\n") + (left[name][-1:] not in (b"", b"\n"))
        self._see_no_value(ledger + (out / "manifest.json").read_text())
        for path in (out / "quarantine").glob("*.parquet"):
            self._see_no_value(str(pl.read_parquet(path).to_dicts()))
        if all(name in self.leaves for name in left):
            self._see_the_rest_whole(events, left)

    def _see_accounts(self, out: Path) -> pl.DataFrame:
        """See that lines add up and that the events are MEDS, sorted, and known when they happened or later."""
        for account in json.loads((out / "ledger.json").read_text())["files"]:
            fates = sum(account[fate] for fate in ("header", "accepted", "blank", "not_read"))
            aside = sum(n for columns in account["quarantined"].values() for n in columns.values())
            assert fates + aside == account["lines"]
        for path in sorted((out / "data").glob("*.parquet")):
            meds.DataSchema.validate(pq.read_table(path))
        events = events_of(out)
        assert events.equals(events.sort(SUBJECT_ID, TIME, nulls_last=False, maintain_order=True))
        assert (events[AVAILABLE_TIME].is_null() == events[TIME].is_null()).all()
        assert (events[AVAILABLE_TIME] >= events[TIME]).all()
        for column in (TIME, AVAILABLE_TIME):
            assert events[column].dt.year().is_between(1, 9999).all()
        return events

    def _see_the_rest_whole(self, events: pl.DataFrame, left: Mapping[str, bytes]) -> None:
        touched = {table for name in left for table in self.tables[name]}
        others = sorted({table for tables in self.tables.values() for table in tables} - touched)
        kept = pl.col(ORIGIN).is_in(others)
        found, expected = events.filter(kept), self.events.filter(kept)
        assert found.equals(expected), f"{found.height} events of whole tables, not {expected.height}"

    def _see_no_value(self, text: str) -> None:
        assert MARK not in text, "a value is told: " + text.replace(MARK, "<<HERE>>")[:3000]


def trials(source: str, folder: Path, *, raw: Path | None = None, given: Component | None = None) -> Trials:
    """Write the made-up folder of a source, or take `raw`, and ingest it as it is."""
    if raw is None:
        raw = made_up(source).write(folder / "whole") or folder / "whole"
    given = given or component(source, raw)
    ingest(given, raw, folder / "events", engine=ENGINE)
    described, units = _units(given, raw)
    looked_into = {table.name for table in described.tables if table.reference or table.dictionary}
    looked_into |= {table.link.table for table in described.tables if table.link} | {described.subjects or ""}
    (folder / "work").mkdir()
    return Trials(
        raw=raw,
        work=folder / "work",
        component=given,
        files={unit.name: (raw / unit.name).read_bytes() for unit in units},
        tables={unit.name: unit.tables for unit in units},
        leaves=frozenset(unit.name for unit in units if not looked_into & set(unit.tables)),
        events=events_of(folder / "events"),
    )


def refused(given: Trials, name: str, content: bytes) -> bool:
    """Say whether the map step alone refuses a file; it may not do anything else but read it."""
    folder = given.work / "alone"
    _fill(folder, given.raw, {name: content}, only=name)
    try:
        described, units = _units(given.component, folder)
        place = Place(rows=folder / "rows", n_shards=1)
        (unit,) = units
        tables = {table.name: table for table in described.tables}
        reading.read(Part(units={0: unit}, tables=tables, place=place))
    except LedgerError:
        raise
    except AttendingError as error:
        given._see_no_value("".join(traceback.format_exception(error)))
        assert name in str(error)
        given.tally.damaged += 1
        given.tally.refused += 1
        return True
    finally:
        shutil.rmtree(folder)
    return False


def _units(given: Component, folder: Path) -> tuple[Source, list[Unit]]:
    described = registry.load("sources", given.name).source(folder, given.config("sources"))
    return described, find(described, folder).units


def _fill(folder: Path, raw: Path, damaged: Mapping[str, bytes], only: str = "") -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for path in raw.rglob("*"):
        name = path.relative_to(raw).as_posix()
        if path.is_dir() or (only and name != only):
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name in damaged:
            target.write_bytes(damaged[name])
        else:
            os.link(path, target)
