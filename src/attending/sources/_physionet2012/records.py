"""Read the challenge's records: text files of one stay each, in an archive or a folder.

A record begins with a header and tells of its stay in lines of time, parameter and value. An archive is one unit: its
lines are numbered through all its files in their order, as `tar --to-stdout` would write them.
"""

import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from attending.errors import SourceError
from attending.ledger.quarantine import LINE_OF_ROW, N_LINES_OF_ROW
from attending.ledger.sieve import N_FIELDS, NOT_UTF8, Rejected
from attending.ledger.units import Block

RECORDS = "records"
STAY, TIME, PARAMETER, VALUE = COLUMNS = ("RecordID", "Time", "Parameter", "Value")
HEADER = "header"
_STAY_LINE = re.compile(rb"^[^,\n]*,RecordID,\s*(\d+)\s*$", re.MULTILINE)
_NAME = re.compile(r"(\d+)\.txt$")


@dataclass(frozen=True)
class Records:
    """The records of an archive, or one file of a record."""

    path: Path

    def blocks(self, number: int, n_parts: int, block_bytes: int) -> Iterator[Block]:
        """Yield blocks of whole records."""
        held: list[tuple[str, bytes]] = []
        size = index = n_lines = 0
        for record in self._records():
            held.append(record)
            size += len(record[1])
            if size >= block_bytes:
                if index % n_parts == number:
                    yield _block(index, held, n_lines)
                n_lines += sum(_n_lines(content) for _, content in held)
                held, size, index = [], 0, index + 1
        if held and index % n_parts == number:
            yield _block(index, held, n_lines)

    def count(self) -> int:
        """Count the lines of all records."""
        return sum(_n_lines(content) for _, content in self._records())

    def _records(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of every record.

        Raises:
            SourceError: if the archive is damaged.
        """
        if self.path.suffix == ".txt":
            yield self.path.name, self.path.read_bytes()
            return
        try:
            with tarfile.open(self.path, "r|*") as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isfile() else None
                    if content is not None and _NAME.search(member.name):
                        yield member.name, content.read()
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise SourceError(
                f"cannot read {self.path}: {type(error).__name__}; the archive is damaged: copy it again"
            ) from None


def _block(index: int, records: list[tuple[str, bytes]], line: int) -> Block:
    """Turn whole records into rows; the first line of the first is line `line` + 1."""
    lines: list[bytes] = []
    stays: list[str | None] = []
    for name, content in records:
        own = _lines(content)
        lines += own
        stays += [_stay(name, content)] * len(own)
    frame, rejected = _decoded(lines, stays, line)
    text = pl.col("text")
    blank, header = text.str.strip_chars() == "", text.str.starts_with(f"{TIME},{PARAMETER}")
    three = text.str.count_matches(",", literal=True) == 2
    kinds = frame.select(
        blank.sum().alias("blank"),
        (header & ~blank).sum().alias("header"),
        (~blank & ~header & ~three).alias("bad"),
    )
    bad = frame.filter(kinds["bad"])[LINE_OF_ROW].to_list()
    rejected += [Rejected(one, 1, N_FIELDS, "") for one in bad]
    fields = text.str.split_exact(",", 2).struct.rename_fields([TIME, PARAMETER, VALUE])
    rows = frame.filter(~blank & ~header & three).select(STAY, fields, LINE_OF_ROW).unnest("text")
    n_header = int(kinds["header"][0]) if kinds.height else 0
    return Block(
        index=index,
        rows={
            RECORDS: rows.select(
                *(_filled(name) for name in COLUMNS),
                pl.col(LINE_OF_ROW),
                pl.lit(1, pl.UInt32).alias(N_LINES_OF_ROW),
            )
        },
        rejected=sorted(rejected),
        n_blank=int(kinds["blank"][0]) if kinds.height else 0,
        not_read={HEADER: n_header} if n_header else {},
        n_lines=len(lines),
    )


def _decoded(lines: list[bytes], stays: list[str | None], line: int) -> tuple[pl.DataFrame, list[Rejected]]:
    """Return the lines as text with their numbers, without those that are none."""
    numbers = pl.int_range(line + 1, line + 1 + len(lines), dtype=pl.UInt32, eager=True)
    try:
        texts: list[str | None] = list(map(_text, lines))
        wrong: list[int] = []
    except UnicodeDecodeError:
        texts = [_text_or_none(one) for one in lines]
        wrong = [place for place, text in enumerate(texts) if text is None]
    frame = pl.DataFrame(
        [pl.Series(STAY, stays, pl.String), pl.Series("text", texts, pl.String), numbers.alias(LINE_OF_ROW)]
    )
    return frame.drop_nulls("text"), [Rejected(line + 1 + place, 1, NOT_UTF8, "") for place in wrong]


def _text(line: bytes) -> str:
    return line.decode("utf-8")


def _text_or_none(line: bytes) -> str | None:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _stay(name: str, content: bytes) -> str | None:
    """Return whose record it is: as it says, or as its name does."""
    found = _STAY_LINE.search(content)
    if found:
        return found[1].decode("ascii")
    named = _NAME.search(name)
    return named[1] if named else None


def _lines(content: bytes) -> list[bytes]:
    if b"\r" in content:
        return content.splitlines()
    lines = content.split(b"\n")
    return lines if lines[-1] else lines[:-1]


def _n_lines(content: bytes) -> int:
    """Count lines without cutting them out, where that can be done."""
    if b"\r" in content:
        return len(_lines(content))
    return content.count(b"\n") + (bool(content) and not content.endswith(b"\n"))


def _filled(name: str) -> pl.Expr:
    filled = pl.col(name).str.strip_chars()
    return pl.when(filled != "").then(filled).alias(name)
