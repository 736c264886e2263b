"""MEDS: the Medical Event Data Standard 0.4, for any other tool that reads it.

Events are kept in this form already, so this is a copy, cut as the other tool wants it:

    layout: shards    `data/000.parquet` …, as they are
    layout: splits    `data/train/000.parquet` …, a folder for each split, as the MEDS tools write them
    layout: one       `data/0.parquet`, all subjects in one file

`extensions: false` leaves out the columns that MEDS does not prescribe. Without `available_time` the other tool
takes every event as known when it happened: diagnoses of a stay then lie at its discharge, but a laboratory result
is known before it was stored.
"""

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow.parquet as pq

from attending import parquet
from attending.artifact import write_atomic, write_json
from attending.config import Settings
from attending.ledger.outgoing import Part, Whole
from attending.schema import EXTENSION_COLUMNS, SPLIT, SUBJECT_ID

BESIDE = ("codes.parquet", "subject_splits.parquet", "subject_ids.parquet")
DATASET = "dataset.json"


class Config(Settings):
    """How the events are cut into files, and whether the extension columns are written."""

    layout: Literal["shards", "splits", "one"] = "shards"
    extensions: bool = True


def write(events: pl.DataFrame, part: Part, config: Config) -> dict[str, int]:
    """Write one shard; return the events of each file."""
    if not config.extensions:
        events = events.drop(EXTENSION_COLUMNS, strict=False)
    written = {}
    for path, rows in _files(events, part, config):
        parquet.write(path, rows)
        written[path.relative_to(part.out).as_posix()] = rows.height
    return written


def finish(whole: Whole, config: Config) -> None:
    """Join the shards where one file is wanted; copy what stands beside the events."""
    data = whole.out / "data"
    if config.layout == "one":
        shards = sorted((data / "shards").glob("*.parquet"))
        write_atomic(data / "0.parquet", lambda path: _join(shards, path))
        for shard in shards:
            shard.unlink()
        (data / "shards").rmdir()
    beside = whole.events / "metadata"
    for name in BESIDE:
        if (beside / name).exists():
            write_atomic(whole.out / "metadata" / name, partial(shutil.copyfile, beside / name))
    _write_dataset(beside / DATASET, whole.out / "metadata" / DATASET, config)


def _files(events: pl.DataFrame, part: Part, config: Config) -> Iterator[tuple[Path, pl.DataFrame]]:
    data, name = part.out / "data", f"{part.number:03}.parquet"
    if config.layout != "splits":
        yield (data / "shards" / name if config.layout == "one" else data / name), events
        return
    splits = pl.read_parquet(part.events / "metadata" / "subject_splits.parquet")
    split_of = events.select(SUBJECT_ID).join(splits, on=SUBJECT_ID, how="left", maintain_order="left")[SPLIT]
    for split in split_of.unique().drop_nulls().sort():
        yield data / split / name, events.filter(split_of == split)


def _join(shards: list[Path], path: Path) -> None:
    with pq.ParquetWriter(path, pq.read_schema(shards[0]), compression="zstd") as writer:
        for shard in shards:
            writer.write_table(pq.read_table(shard))


def _write_dataset(source: Path, target: Path, config: Config) -> None:
    described = json.loads(source.read_text(encoding="utf-8"))
    if not config.extensions:
        described["other_extension_columns"] = []
    write_json(target, described)
