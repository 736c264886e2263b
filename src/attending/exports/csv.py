"""CSV: one flat table of events for a spreadsheet or any other tool, and the mapping that reads it back.

    events/000.csv.gz …    subject_id, time, code, numeric_value, text_value, text_is_empty, available_time,
                           visit_id, priority, origin; times as `2150-01-02 07:30:00`, a fact without a time has none
    subjects.csv.gz        subject_id and split of every subject, with events or without
    codes.csv.gz           code, description, how many events
    mapping.yaml           the folder in the mapping language: `attending ingest tables OUT EVENTS` reads it back

CSV cannot tell an empty text from none, so `text_is_empty` is 1 where the text is there and empty. Numbers are written
so that they come back to the last bit; a number that is not finite is left out. The splits are for other tools: read
back, a subject has the split that its id and the seed give it.
"""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import IO

import polars as pl
from polars import col

from attending.artifact import write_atomic, write_text
from attending.config import Settings
from attending.ledger.outgoing import Part, Whole
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    DESCRIPTION,
    N_EVENTS,
    NUMERIC_VALUE,
    ORIGIN,
    PRIORITY,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)

TEXT_IS_EMPTY = "text_is_empty"
COLUMNS = (
    SUBJECT_ID,
    TIME,
    CODE,
    NUMERIC_VALUE,
    TEXT_VALUE,
    TEXT_IS_EMPTY,
    AVAILABLE_TIME,
    VISIT_ID,
    PRIORITY,
    ORIGIN,
)
MAPPING = f"""\
# How `attending ingest tables` reads this folder.
name: events
subjects: subjects

tables:
  subjects:
    subject: {SUBJECT_ID}
    required: true
    columns: {{{SUBJECT_ID}: integer}}

  events:
    subject: {SUBJECT_ID}
    columns:
      {SUBJECT_ID}: integer
      {TIME}: moment
      {AVAILABLE_TIME}: moment
      {VISIT_ID}: integer
      {PRIORITY}: integer
    needs: [{CODE}]
    time: ${TIME}
    available: ${AVAILABLE_TIME}
    visit: ${VISIT_ID}
    priority: ${PRIORITY}
    origin: ${ORIGIN}
    events:
      - &event
        code: ${CODE}
        value: ${NUMERIC_VALUE}
        text: {{first: [${TEXT_VALUE}, {{value: ${TEXT_IS_EMPTY}, change: [{{only: {{1: ""}}}}]}}]}}
      - <<: *event
        time: static
        when: {{missing: ${TIME}}}

dictionaries:
  codes:
    names:
      - {{code: ${CODE}, name: ${DESCRIPTION}}}
"""
_MOMENT = "%Y-%m-%d %H:%M:%S%.f"


class Config(Settings):
    """Whether the files are compressed."""

    compress: bool = True


def write(events: pl.DataFrame, part: Part, config: Config) -> dict[str, int]:
    """Write one shard; return how many events it has."""
    _write(part.out / "events" / f"{part.number:03}.csv", _flat(events), config)
    return {"events": events.height}


def finish(whole: Whole, config: Config) -> None:
    """Write the subjects, the codes and the mapping."""
    beside = whole.events / "metadata"
    splits = pl.read_parquet(beside / "subject_splits.parquet")
    codes = pl.read_parquet(beside / "codes.parquet").select(CODE, DESCRIPTION, N_EVENTS)
    _write(whole.out / "subjects.csv", splits, config)
    _write(whole.out / "codes.csv", codes, config)
    write_text(whole.out / "mapping.yaml", MAPPING)


def _flat(events: pl.DataFrame) -> pl.DataFrame:
    """Return every event as CSV can say it."""
    number = col(NUMERIC_VALUE).cast(pl.Float64)  # a float32 written as a float64 comes back as it was
    return events.with_columns(
        pl.when(number.is_finite()).then(number).alias(NUMERIC_VALUE),
        pl.when(col(TEXT_VALUE) == "").then(1).alias(TEXT_IS_EMPTY),
    ).select(COLUMNS)


def _write(path: Path, frame: pl.DataFrame, config: Config) -> None:
    def rows(file: IO[bytes]) -> None:
        frame.write_csv(file, quote_style="non_numeric", datetime_format=_MOMENT)

    target = path.with_name(path.name + ".gz") if config.compress else path
    write_atomic(target, _gzipped(rows) if config.compress else _plain(rows))


def _gzipped(rows: Callable[[IO[bytes]], None]) -> Callable[[Path], object]:
    def fill(path: Path) -> None:
        with path.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
            rows(file)  # type: ignore[arg-type]

    return fill


def _plain(rows: Callable[[IO[bytes]], None]) -> Callable[[Path], object]:
    def fill(path: Path) -> None:
        with path.open("wb") as file:
            rows(file)

    return fill
