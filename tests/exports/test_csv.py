"""The CSV export says all that an event table holds: read back through its own mapping, it is the same table."""

import gzip
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from attending.config import Component
from attending.engine.local import Local
from attending.exports import csv
from attending.ledger.outgoing import Part, Whole
from attending.schema import EVENTS, SUBJECT_ID
from attending.stages.ingest import Sizes, ingest

HASHED = (1 << 62) | 12345
DAY = datetime(2150, 1, 2, 7, 30)
ROWS = [
    # subject, time, code, number, text, available, visit, priority, origin
    (-5, None, "GENDER//F", None, None, None, None, None, "patients"),
    (7, DAY, "LAB//1//mg/dL", 0.1, None, DAY.replace(hour=9, microsecond=7), 11, None, "labs"),
    (7, DAY, "NOTE//x", None, "", DAY, 11, None, "notes"),
    (7, DAY, "NOTE//x", None, 'a "quoted", text\n\nand a line, é\r\nend\r ', DAY, None, None, "notes"),
    (7, DAY, "NOTE//x", None, "1", DAY, None, 3, "notes"),
    (7, DAY, "NOTE//x", 16777216.0, " spaces ", DAY, None, None, "notes"),
    (7, DAY, "DIAGNOSIS//ICD//9//0389", None, None, DAY, (1 << 62) | 7, 1, "diagnoses"),
    (7, DAY, "MEDS_DEATH", None, None, DAY, None, None, "patients"),
    (HASHED, None, "OWN, code", 3.4e38, None, None, None, None, "x"),
    (HASHED, DAY, "B", 1e-45, None, DAY, None, None, "x"),
    (HASHED, DAY.replace(microsecond=1), "A", -0.0, None, DAY.replace(microsecond=1), None, None, "x"),
]


def events() -> pl.DataFrame:
    return pl.DataFrame(ROWS, schema=EVENTS.columns, orient="row")


def artifact(folder: Path, frame: pl.DataFrame) -> Path:
    """Write what an export reads of an events artifact."""
    beside = folder / "metadata"
    beside.mkdir(parents=True)
    subjects = pl.Series(SUBJECT_ID, [*frame[SUBJECT_ID].unique(), 99], pl.Int64).sort()  # 99 has no events
    subjects.to_frame().with_columns(split=pl.lit("train")).write_parquet(beside / "subject_splits.parquet")
    codes = frame.group_by("code").agg(pl.len().cast(pl.Int64).alias("n_events")).sort("code")
    codes = codes.with_columns(description=pl.lit("in words: ") + pl.col("code"))
    codes.write_parquet(beside / "codes.parquet")
    return folder


def export(frame: pl.DataFrame, folder: Path, config: csv.Config | None = None, n_shards: int = 1) -> Path:
    """Export a table cut into shards of subjects."""
    config, source, out = config or csv.Config(), artifact(folder / "artifact", frame), folder / "csv"
    first = 0
    for number in range(n_shards):
        shard = frame.filter(pl.col(SUBJECT_ID) % n_shards == number)
        part = Part(events=source, out=out, number=number, first_event=first)
        assert csv.write(shard, part, config) == {"events": shard.height}
        first += shard.height
    csv.finish(Whole(events=source, out=out), config)
    return out


def read_back(folder: Path, out: Path, **sizes: int) -> pl.DataFrame:
    ingest(Component(name="tables"), folder, out, engine=Local(1), sizes=Sizes(**sizes))
    return pl.read_parquet(sorted((out / "data").glob("*.parquet")), glob=False)


@pytest.mark.parametrize("compress", [True, False])
def test_what_is_exported_reads_back_to_the_same_table(tmp_path, compress):
    out = export(events(), tmp_path, csv.Config(compress=compress))
    again = read_back(out, tmp_path / "again")
    assert again.select(*EVENTS.columns).equals(events())


def test_shards_and_blocks_of_any_size_read_back_the_same(tmp_path):
    out = export(events(), tmp_path, n_shards=3)
    again = read_back(out, tmp_path / "again", block_bytes=100, shard_bytes=200)
    assert again.sort(SUBJECT_ID, maintain_order=True).select(*EVENTS.columns).equals(events())


def test_subjects_without_events_and_names_of_codes_come_back(tmp_path):
    read_back(export(events(), tmp_path), tmp_path / "again")
    splits = pl.read_parquet(tmp_path / "again/metadata/subject_splits.parquet")
    assert 99 in splits[SUBJECT_ID]
    codes = pl.read_parquet(tmp_path / "again/metadata/codes.parquet")
    assert codes.filter(pl.col("code") == "B")["description"].to_list() == ["in words: B"]


def test_the_same_events_give_the_same_bytes(tmp_path):
    one, two = (export(events(), tmp_path / name) for name in ("one", "two"))
    for path in one.rglob("*.*"):
        assert path.read_bytes() == (two / path.relative_to(one)).read_bytes()


def test_a_number_that_is_not_finite_is_left_out(tmp_path):
    frame = events().with_columns(numeric_value=pl.lit(float("nan"), pl.Float32))
    out = export(frame, tmp_path)
    with gzip.open(out / "events/000.csv.gz", "rt", encoding="utf-8") as file:
        assert "nan" not in file.read().lower()


@pytest.mark.parametrize("block_bytes", [2**16, 2**20])
def test_a_text_of_thousands_of_lines_comes_back(tmp_path, block_bytes):
    long = pl.lit('a "line",\n' * 3000)
    frame = events().with_columns(
        text_value=pl.when(pl.col("priority") == 3).then(long).otherwise("text_value")
    )
    again = read_back(export(frame, tmp_path), tmp_path / "again", block_bytes=block_bytes)
    assert again.select(*EVENTS.columns).equals(frame)
