"""Read FHIR's files: ndjson, where a record is a line, and JSON documents, where it is an entry of the bundle.

Each record is decoded by itself. One that is not JSON, or holds an element of the wrong type, is rejected and
costs nothing but itself; one of a kind that no table reads is counted by its kind.

A `Bundle` that stands in one line of ndjson is a list of deletions, as Bulk Data writes them. In a bundle, an
entry whose request is DELETE is one.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Union

import msgspec
import polars as pl

from attending.ledger import lines
from attending.ledger.keys import keys
from attending.ledger.quarantine import LINE_OF_ROW, N_LINES_OF_ROW
from attending.ledger.sieve import NOT_UTF8, Rejected
from attending.ledger.units import Block
from attending.ontology.fhir import OWN_CODES
from attending.sources._fhir import clock
from attending.sources._fhir.addresses import OWN_ID, Addresses
from attending.sources._fhir.resources import READ, Bundle, CodeSystem, Entry, Kind, Manifest, Resource
from attending.sources._fhir.rows import MOMENTS, ROWS, Row, Unreadable

DELETED = "deleted"
DELETED_COLUMNS: dict[str, pl.DataType] = {"urls": pl.List(pl.String())}
NOT_JSON, TOO_DEEP, TOO_LONG = "not valid JSON", "nested too deeply", "line too long"
WRONG_TYPE, NO_TYPE, NO_RESOURCE = "element of the wrong type", "no resource type", "no resource"
DATA_IN_LINE = "a bundle of data in one line"
LONGEST_LINE = 64 * 2**20
_OVERLONG = b"too long"
_TYPE = re.compile(r"[A-Z][A-Za-z]{2,39}")
_PATH = re.compile(r"at `\$\.?([^`]*)`")
_UNKNOWN_TYPE = "unknown type"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ANY: object = Union.__getitem__((*READ, Bundle))
SCHEMAS: dict[str, dict[str, pl.DataType]] = {
    **{kind.__name__: ROWS[kind].columns for kind in READ},
    DELETED: DELETED_COLUMNS,
}


Json = bytes | msgspec.Raw


@cache
def _decoder(kind: object) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(kind)


def _is_utf8(data: Json) -> bool:
    """Say so here: from version 0.23 on msgspec tells text that is not UTF-8 no longer from what is not JSON."""
    try:
        bytes(data).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _resource(data: Json) -> Resource | Bundle:
    found: Resource | Bundle = _decoder(_ANY).decode(data)
    return found


@dataclass
class Gathered:
    """The records of a block, as they come."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    not_read: dict[str, int] = field(default_factory=dict)
    n_blank: int = 0
    n_lines: int = 0

    def line(self, data: bytes, line: int, at: Addresses) -> None:
        """Take a line of ndjson."""
        self.n_lines += 1
        if not data.strip():
            self.n_blank += 1
            return
        resource = self._decoded(data, line)
        if isinstance(resource, Bundle):
            self._deletions(resource, line)
        elif resource is not None:
            self._resource(resource, line, at)

    def entry(self, entry: Entry | None, line: int, at: Addresses) -> None:
        """Take an entry of a bundle; None is one that cannot be read."""
        self.n_lines += 1
        if entry is None:
            self._reject(line, WRONG_TYPE, "entry")
        elif entry.request is not None and entry.request.method == "DELETE":
            self._keep(DELETED, line, ([entry.request.url],))
        elif isinstance(entry.resource, msgspec.UnsetType):
            self._reject(line, NO_RESOURCE)
        else:
            resource = self._decoded(entry.resource, line)
            if isinstance(resource, Bundle):
                self._count("Bundle")
            elif resource is not None:
                resource.id = resource.id or _last(entry.full_url)
                self._resource(resource, line, at)

    def document(self, reason: str) -> None:
        """Give up a whole document."""
        self.n_lines += 1
        self._reject(1, reason)

    def block(self, index: int, zone: str | None) -> Block:
        """Return the block of what came."""
        return Block(
            index=index,
            rows={name: self._frame(name, zone) for name in self.rows},
            rejected=self.rejected,
            n_blank=self.n_blank,
            not_read=dict(sorted(self.not_read.items())),
            n_lines=self.n_lines,
        )

    def _decoded(self, data: Json, line: int) -> Resource | Bundle | None:
        """Return the resource; or count it, or reject it, and return None."""
        try:
            return _resource(data)
        except msgspec.ValidationError as error:
            self._other(data, line, error)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._reject(line, TOO_LONG if data == _OVERLONG else NOT_JSON if _is_utf8(data) else NOT_UTF8)
        except RecursionError:
            self._reject(line, TOO_DEEP)
        return None

    def _other(self, data: Json, line: int, error: msgspec.ValidationError) -> None:
        """Tell a kind that is not read from one that is, with an element of the wrong type."""
        try:
            kind = _decoder(Kind).decode(data).resource_type
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            kind = None
        if not kind:
            self._untyped(data, line)
        elif kind in SCHEMAS or kind == "Bundle":
            found = _PATH.search(str(error))
            self._reject(line, WRONG_TYPE, re.sub(r"\[[^]]*\]", "", found[1]) if found else "")
        else:
            self._count(kind if _TYPE.fullmatch(kind) else _UNKNOWN_TYPE)

    def _untyped(self, data: Json, line: int) -> None:
        """Know the manifest of an export, which is no resource."""
        try:
            is_manifest = _decoder(Manifest).decode(data) != Manifest()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            is_manifest = False
        if is_manifest:
            self._count("manifest")
        else:
            self._reject(line, NO_TYPE)

    def _resource(self, resource: Resource, line: int, at: Addresses) -> None:
        kind = type(resource)
        if isinstance(resource, CodeSystem) and resource.url != OWN_CODES:
            self._count(kind.__name__)
            return
        try:
            row = ROWS[kind].row(resource, at)
        except Unreadable as error:
            self._reject(line, str(error))
        else:
            self._keep(kind.__name__, line, row)

    def _deletions(self, bundle: Bundle, line: int) -> None:
        entries = [_entry(data) for data in bundle.entry or ()]
        urls = [
            entry.request.url
            for entry in entries
            if entry is not None and entry.request is not None and entry.request.method == "DELETE"
        ]
        if len(urls) == len(entries):
            self._keep(DELETED, line, (urls,))
        else:
            self._reject(line, DATA_IN_LINE)

    def _keep(self, table: str, line: int, row: Row) -> None:
        self.rows.setdefault(table, []).append(row)
        self.lines.setdefault(table, []).append(line)

    def _reject(self, line: int, reason: str, column: str = "") -> None:
        self.rejected.append(Rejected(line, 1, reason, column))

    def _count(self, kind: str) -> None:
        self.not_read[kind] = self.not_read.get(kind, 0) + 1

    def _frame(self, name: str, zone: str | None) -> pl.DataFrame:
        frame = pl.DataFrame(self.rows[name], schema=SCHEMAS[name], orient="row")
        changed = [clock.moments(frame[moment], zone) for moment in MOMENTS if moment in frame.columns]
        if "birth" in frame.columns:
            changed.append(clock.births(frame["birth"], zone))
        if "visit" in frame.columns:
            changed.append(visits(frame["visit"]))
        numbers = pl.Series(LINE_OF_ROW, self.lines[name], pl.UInt32)
        return frame.with_columns(*changed, numbers, pl.lit(1, pl.UInt32).alias(N_LINES_OF_ROW))


def visits(texts: pl.Series) -> pl.Series:
    """Return the integers of encounters: our own as they are, others by the ledger's rule for keys."""
    ours = texts.str.strip_prefix(OWN_ID).cast(pl.Int64, strict=False)
    return (
        pl.select(pl.when(texts.str.starts_with(OWN_ID)).then(ours).otherwise(keys(texts)))
        .to_series()
        .alias(texts.name)
    )


@dataclass(frozen=True)
class Lines:
    """Reads ndjson."""

    path: Path
    zone: str | None

    def blocks(self, number: int, n_parts: int, block_bytes: int) -> Iterator[Block]:
        """Yield every `n_parts`-th block of whole lines."""
        line, nowhere = 1, Addresses()
        for index, data in enumerate(whole_lines(lines.blocks(self.path, block_bytes))):
            if index % n_parts == number:
                gathered = Gathered()
                for at, one in enumerate(data.removesuffix(b"\n").split(b"\n"), line):
                    gathered.line(one, at, nowhere)
                yield gathered.block(index, self.zone)
            line += lines.count(data, lines.NEWLINE)

    def count(self) -> int:
        """Count the lines."""
        physical = lines.LineCount()
        for _ in physical.watch(lines.blocks(self.path, 2**22)):
            pass
        return physical.n_lines


@dataclass(frozen=True)
class Document:
    """Reads a JSON document: a bundle, an array of resources, or one resource."""

    path: Path
    zone: str | None

    def blocks(self, number: int, n_parts: int, block_bytes: int) -> Iterator[Block]:
        """Yield every `n_parts`-th block of entries; a document is decompressed and held whole."""
        try:
            entries = list(self._entries())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            gathered = Gathered()
            gathered.document(TOO_DEEP if isinstance(error, RecursionError) else NOT_JSON)
            if number == 0:
                yield gathered.block(0, self.zone)
            return
        at, line = _addresses(entries), 1
        for index, some in enumerate(_cut(entries, block_bytes)):
            if index % n_parts == number:
                gathered = Gathered()
                for place, entry in enumerate(some, line):
                    gathered.entry(entry, place, at)
                yield gathered.block(index, self.zone)
            line += len(some)

    def count(self) -> int:
        """Count the records: entries, or one where there is no bundle."""
        data = self._data()
        if not data:
            return 0
        try:
            if data.startswith(b"["):
                return len(_decoder(list[msgspec.Raw]).decode(data))
            bundle = _decoder(dict[str, msgspec.Raw]).decode(data)
            if _decoder(str).decode(bundle.get("resourceType", b'""')) != "Bundle":
                return 1
            return len(_decoder(list[msgspec.Raw] | None).decode(bundle.get("entry", b"null")) or ())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return 1

    def _data(self) -> bytes:
        return b"".join(lines.blocks(self.path, 2**24)).removeprefix(_BYTE_ORDER_MARK).strip()

    def _entries(self) -> Iterator[Entry | None]:
        data = self._data()
        if not data:
            return
        if data.startswith(b"["):
            yield from (Entry(resource=one) for one in _decoder(list[msgspec.Raw]).decode(data))
            return
        try:
            found: Resource | Bundle | None = _resource(data)
        except msgspec.ValidationError:
            found = None
        if isinstance(found, Bundle):
            yield from map(_entry, found.entry or ())
        else:
            yield Entry(resource=msgspec.Raw(data))


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Join blocks until they end with a line; of a line beyond all measure only a mark is kept."""
    held, overlong = b"", False
    for block in blocks:
        if overlong:
            _, newline, block = block.partition(b"\n")
            overlong, held = not newline, held + newline
        held += block if not overlong else b""
        if held.endswith(b"\n"):
            yield held
            held = b""
        elif len(held) > LONGEST_LINE:
            held, overlong = held[: held.rfind(b"\n") + 1] + _OVERLONG, True
    if held:
        yield held


def _entry(data: Json) -> Entry | None:
    try:
        found: Entry = _decoder(Entry).decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found


def _addresses(entries: Iterable[Entry | None]) -> Addresses:
    """Find the entries whose address within the bundle is another than their id."""
    at = Addresses()
    for entry in entries:
        if entry is None or not entry.full_url or isinstance(entry.resource, msgspec.UnsetType):
            continue
        try:
            kind = _decoder(Kind).decode(entry.resource)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if kind.resource_type and isinstance(kind.id, str) and kind.id and kind.id != _last(entry.full_url):
            at.entries[entry.full_url] = (kind.resource_type, kind.id)
    return at


def _last(address: str | None) -> str | None:
    return address.replace(":", "/").rpartition("/")[2] or None if address else None


def _cut(entries: list[Entry | None], block_bytes: int) -> Iterator[list[Entry | None]]:
    some: list[Entry | None] = []
    size = 0
    for entry in entries:
        some.append(entry)
        size += 0 if entry is None or isinstance(entry.resource, msgspec.UnsetType) else len(entry.resource)
        if size >= block_bytes:
            yield some
            some, size = [], 0
    if some:
        yield some
