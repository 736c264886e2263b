"""Cut a CSV file into chunks of whole records, fast, and say which physical lines each record stands on.

A chunk is *regular* when one vectorised scan over its bytes proves that every record has exactly the fields of
the header and every quote is where quotes belong. Such a chunk goes to the CSV parser as it is. Any other
chunk goes through the sieve, line by line. Parsers differ, and forgive in silence (a short row is filled with
nulls, a long one cut); the scan does not.
"""

import csv
import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal, cast

import numpy as np
from isal import igzip, isal_zlib
from numpy.typing import NDArray

from attending.errors import SourceError
from attending.ledger.sieve import COMMAS, Dialect, Rejected, sieve

NEWLINE, QUOTE, RETURN = 10, 34, 13
_SEPARATORS = ",\t|;"
_IsalError = cast(type[Exception], isal_zlib.IsalError)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class Header:
    """The first line that is not blank: the names in it, and how many lines it and the blanks before take."""

    names: list[str]
    n_lines: int = 0
    n_blank: int = 0
    dialect: Dialect = COMMAS


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Whole records and the physical lines they came from.

    data        the records as CSV bytes, every one with the same number of fields
    lines       the physical line (1 is the first of the file) on which each record starts
    spans       how many physical lines each record takes
    rejected    lines that are no record
    n_lines     all physical lines of the chunk: those of records, rejected ones, blank ones
    """

    index: int
    data: bytes
    lines: NDArray[np.uint32]
    spans: NDArray[np.uint32]
    rejected: list[Rejected] = field(default_factory=list)
    n_blank: int = 0
    n_lines: int = 0


@dataclass(frozen=True, kw_only=True)
class Regular:
    """The whole records at the start of a buffer: where they end, in bytes, and each on which of its lines."""

    end: int
    line_ends: NDArray[np.int64]


class LineCount:
    """Counts the physical lines of a stream of bytes as it passes, independently of how it is cut."""

    def __init__(self) -> None:
        self.n_newlines = 0
        self._last = b"\n"

    def watch(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the blocks unchanged."""
        for block in blocks:
            self.n_newlines += count(block, NEWLINE)
            self._last = block[-1:]
            yield block

    @property
    def n_lines(self) -> int:
        """The lines so far; a last line without a newline is a line."""
        return self.n_newlines + (self._last != b"\n")


def count(data: bytes, byte: int) -> int:
    """Count a byte in `data`."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == byte))


def blocks(path: Path, block_bytes: int) -> Iterator[bytes]:
    """Yield the decompressed bytes of a file, in blocks of whole lines.

    Raises:
        SourceError: if it cannot be read, or its compression is damaged.
    """
    try:
        with _open(path) as file:
            while block := file.read(block_bytes):
                yield block if block.endswith(b"\n") else block + file.readline(block_bytes)
    except (EOFError, gzip.BadGzipFile, _IsalError, OSError) as error:
        raise SourceError(
            f"cannot read {path}: {type(error).__name__}; the file is damaged or incomplete: copy it again"
        ) from None


def open_chunks(
    stream: Iterator[bytes], part: int, n_parts: int, dialect: Dialect = COMMAS
) -> tuple[Header | None, Iterator[Chunk]]:
    """Read the header of a CSV stream; return it and the chunks that belong to `part`.

    A dialect without a separator takes the one that the header has most of.
    Chunks are numbered from 0 and are the same for any number of parts: part `p` gets those whose number
    leaves the remainder `p`. An empty stream has no header.
    """
    header, rest, line = _header(stream, dialect)
    if header is None:
        return None, iter(())
    return header, _chunks(chain([rest], stream), line, header, part, n_parts)


def _chunks(stream: Iterable[bytes], line: int, header: Header, part: int, n_parts: int) -> Iterator[Chunk]:
    n_fields, dialect = len(header.names), header.dialect
    carry, index = b"", 0
    for block, final in _with_last(stream):
        buffer = carry + block if carry else block
        if final and buffer and not buffer.endswith(b"\n"):
            buffer += b"\n"
        while buffer:
            own = index % n_parts == part
            chunk, end, n_lines = _next(buffer, index, line, n_fields, final, own, dialect)
            if not n_lines:
                break
            if own and chunk is not None:
                yield chunk
            index += 1
            line += n_lines
            buffer = buffer[end:]
            if not final:
                break
        carry = buffer


def _next(
    buffer: bytes, index: int, line: int, n_fields: int, final: bool, own: bool, dialect: Dialect
) -> tuple[Chunk | None, int, int]:
    """Return the next chunk, where it ends and its lines; another part's is not looked into if it need not be."""
    if own or (dialect.quoted and b'"' in buffer):
        chunk, end = take(buffer, index, line, n_fields, final, dialect)
        return chunk, end, chunk.n_lines
    end = buffer.rfind(b"\n") + 1
    return None, end, count(buffer[:end], NEWLINE)


def take(
    buffer: bytes, index: int, line: int, n_fields: int, final: bool, dialect: Dialect = COMMAS
) -> tuple[Chunk, int]:
    """Cut the longest run of whole records off the start of `buffer`; return it and where it ends."""
    regular = scan(buffer, n_fields, dialect)
    if regular is not None:
        data = buffer if regular.end == len(buffer) else buffer[: regular.end]
        if data.isascii() or _decodes(data):
            spans = np.diff(regular.line_ends, prepend=0).astype(np.uint32)
            lines = (regular.line_ends - spans + line).astype(np.uint32)
            n_lines = int(regular.line_ends[-1])
            return Chunk(index=index, data=data, lines=lines, spans=spans, n_lines=n_lines), regular.end
    sieved = sieve(buffer, line, n_fields, final, dialect)
    chunk = Chunk(
        index=index,
        data=sieved.data,
        lines=np.asarray(sieved.lines, np.uint32),
        spans=np.asarray(sieved.spans, np.uint32),
        rejected=sieved.rejected,
        n_blank=sieved.n_blank,
        n_lines=sieved.n_lines,
    )
    return chunk, sieved.end


def scan(buffer: bytes, n_fields: int, dialect: Dialect = COMMAS) -> Regular | None:
    """Find the whole records at the start of `buffer`; None if any of them is not regular."""
    if dialect.quoted and b'"' in buffer:
        return _scan_quoted(buffer, n_fields, dialect.byte)
    separators = np.frombuffer(buffer.translate(None, _all_but(dialect.byte)), np.uint8)
    n_records = _n_regular(separators == NEWLINE, n_fields)
    if not n_records or (n_fields == 1 and _has_blank_line(buffer)):
        return None
    return Regular(end=buffer.rfind(b"\n") + 1, line_ends=np.arange(1, n_records + 1))


@cache
def _all_but(*separators: int) -> bytes:
    return bytes(set(range(256)) - {NEWLINE, *separators})


def _scan_quoted(buffer: bytes, n_fields: int, separator: int) -> Regular | None:
    marks = np.frombuffer(buffer.translate(None, _all_but(separator, QUOTE)), np.uint8)
    quotes, newlines = marks == QUOTE, marks == NEWLINE
    # The running count of quotes may wrap at 256: only its parity matters.
    outside = np.add.accumulate(quotes.view(np.uint8), dtype=np.uint8) & 1 == 0
    n_records = _n_regular(newlines[outside & ~quotes], n_fields)
    if not n_records or (n_fields == 1 and _has_blank_line(buffer)):
        return None
    line_ends = np.cumsum(newlines)[newlines & outside]
    codes = np.frombuffer(buffer, np.uint8)
    end = int(np.flatnonzero(codes == NEWLINE)[line_ends[-1] - 1]) + 1
    in_place = _quotes_are_in_place(codes[:end], separator)
    return Regular(end=end, line_ends=line_ends) if in_place else None


def _n_regular(newlines: NDArray[np.bool_], n_fields: int) -> int:
    """Count records, given which separators are newlines; 0 unless exactly every `n_fields`-th one is.

    Separators after the last newline belong to a record that is not whole yet.
    """
    if not n_fields:
        return 0
    n_records = int(np.count_nonzero(newlines))
    ends = newlines[n_fields - 1 : n_records * n_fields : n_fields]
    return n_records if len(ends) == n_records and ends.all() else 0


def _quotes_are_in_place(codes: NDArray[np.uint8], separator: int) -> bool:
    """Say whether quotes open after a separator and close before one, or stand doubled inside."""
    quotes = np.flatnonzero(codes == QUOTE)
    opening, closing = quotes[0::2], quotes[1::2]
    before = codes[np.maximum(opening, 1) - 1]
    before_fits = (before == separator) | (before == NEWLINE) | (before == QUOTE) | (opening == 0)
    after = codes[closing + 1]
    after_fits = (after == separator) | (after == NEWLINE) | (after == QUOTE) | (after == RETURN)
    return bool(before_fits.all() and after_fits.all())


def _has_blank_line(buffer: bytes) -> bool:
    """Say whether a line of a table of one column is blank; a blank line of a wider table is not regular."""
    return b"\n\n" in buffer or b"\n\r\n" in buffer or buffer[:1] in (b"\n", b"\r")


def _header(stream: Iterator[bytes], dialect: Dialect) -> tuple[Header | None, bytes, int]:
    """Read up to the end of the header; return it, the bytes after it, and their line number."""
    buffer = next(stream, b"").removeprefix(_BYTE_ORDER_MARK)
    n_blank = 0
    while True:
        first, newline, rest = buffer.partition(b"\n")
        if not newline:
            more = next(stream, None)
            if more is not None:
                buffer += more
                continue
        if first.strip():
            names, found = _names(first, dialect)
            return Header(names=names, n_lines=1, n_blank=n_blank, dialect=found), rest, n_blank + 2
        n_blank += bool(newline or first)
        if not newline:
            return None, b"", n_blank + 1
        buffer = rest


def _names(line: bytes, dialect: Dialect) -> tuple[list[str], Dialect]:
    """Return the names in a header, none if it is none, and the dialect with its separator."""
    if not dialect.separator:
        most = max(_SEPARATORS, key=lambda one: line.count(one.encode()))
        dialect = Dialect(most, dialect.quoted)
    try:
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE
        text = line.decode("utf-8").rstrip("\r")
        fields = next(csv.reader([text], delimiter=dialect.separator, quoting=quoting))
    except (UnicodeDecodeError, csv.Error, StopIteration):
        return [], dialect
    return [name.strip() for name in fields], dialect


def _decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _with_last(stream: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each block and whether it is the last."""
    held: bytes | None = None
    for block in stream:
        if held is not None:
            yield held, False
        held = block
    if held is not None:
        yield held, True


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    opened = path.open("rb") if path.suffix != ".gz" else igzip.open(path, "rb")  # type: ignore[no-untyped-call]
    with opened as file:
        yield cast(BinaryIO, file)
