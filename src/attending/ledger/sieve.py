"""Go line by line through bytes that are not regular CSV: keep every record, name every line that is none.

Records are re-encoded so that any CSV parser reads them alike. One bad line costs itself only: a quote that
is not closed in a well-formed record within a thousand lines voids the line it opens on, and reading goes on
at the next.
"""

import csv
import io
from dataclasses import dataclass, field
from typing import NamedTuple

N_FIELDS = "wrong number of fields"
UNCLOSED = "unclosed quote"
MISPLACED = "misplaced quote"
NOT_UTF8 = "not valid UTF-8"
_LONGEST_RECORD = 1000  # physical lines


@dataclass(frozen=True)
class Dialect:
    """How a text file separates fields, by one byte, and whether quotes may enclose a field."""

    separator: str = ","
    quoted: bool = True

    @property
    def byte(self) -> int:
        """The separator as a byte."""
        return ord(self.separator)


COMMAS = Dialect()


class Rejected(NamedTuple):
    """A physical line that is no record, and why."""

    line: int
    n_lines: int
    reason: str
    column: str


@dataclass(kw_only=True)
class Sieved:
    """What the sieve kept and what it did not; `end` is how many bytes it used."""

    data: bytes = b""
    lines: list[int] = field(default_factory=list)
    spans: list[int] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    n_blank: int = 0
    n_lines: int = 0
    end: int = 0


def sieve(buffer: bytes, line: int, n_fields: int, final: bool, dialect: Dialect = COMMAS) -> Sieved:
    """Sort the lines of `buffer`, the first of which is physical line `line`.

    Unless `final`, a last line without an end, or a quoted record whose end may still come, is left over.
    """
    sieved = Sieved()
    kept = io.BytesIO()
    lines = _split(buffer)
    position = 0
    while position < len(lines):
        verdict = _record(lines, position, n_fields, final, dialect)
        if verdict is None:
            break
        reason, n_lines, record = verdict
        here = line + position
        if reason:
            sieved.rejected.append(Rejected(here, n_lines, reason, ""))
        elif record:
            kept.write(record)
            sieved.lines.append(here)
            sieved.spans.append(n_lines)
        else:
            sieved.n_blank += 1
        sieved.end += sum(map(len, lines[position : position + n_lines]))
        position += n_lines
    sieved.n_lines = position
    sieved.data = kept.getvalue()
    return sieved


def _split(buffer: bytes) -> list[bytes]:
    """Split into lines that keep their newline; what follows the last newline is not a line."""
    return [line + b"\n" for line in buffer.split(b"\n")[:-1]]


def _record(
    lines: list[bytes], position: int, n_fields: int, final: bool, dialect: Dialect
) -> tuple[str, int, bytes] | None:
    """Judge the record that starts at `position`: why it is none, its lines, and its bytes; None: wait."""
    line = lines[position]
    if not line.strip():
        return "", 1, b""
    if not dialect.quoted or b'"' not in line:
        if not _decodes(line):
            return NOT_UTF8, 1, b""
        n_found = line.count(dialect.separator.encode()) + 1
        return ("", 1, line) if n_found == n_fields else (N_FIELDS, 1, b"")
    return _quoted(lines, position, n_fields, final, dialect)


def _quoted(
    lines: list[bytes], position: int, n_fields: int, final: bool, dialect: Dialect
) -> tuple[str, int, bytes] | None:
    stop = min(len(lines), position + _LONGEST_RECORD)
    texts = (lines[place].decode("utf-8") for place in range(position, stop))
    reader = csv.reader(texts, delimiter=dialect.separator, strict=True)
    try:
        fields = next(reader)
    except UnicodeDecodeError:
        return (UNCLOSED if _decodes(lines[position]) else NOT_UTF8), 1, b""
    except csv.Error as error:
        if "unexpected end of data" not in str(error):
            return (MISPLACED if reader.line_num == 1 else UNCLOSED), 1, b""
        if stop - position < _LONGEST_RECORD and not final:
            return None
        return UNCLOSED, 1, b""
    n_lines = reader.line_num
    if len(fields) == n_fields:
        return "", n_lines, _encode(fields, dialect)
    return (N_FIELDS if n_lines == 1 else UNCLOSED), 1, b""


def _encode(fields: list[str], dialect: Dialect) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=dialect.separator, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(fields)
    return text.getvalue().encode("utf-8")


def _decodes(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
