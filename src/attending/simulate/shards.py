"""Shards of a simulated table: one Parquet file for each block of subjects."""

from pathlib import Path

import polars as pl

from attending import parquet
from attending.errors import ArtifactError


def shard_name(index: int) -> str:
    """Return the file name of a block's shard."""
    return f"{index:03}.parquet"


def write_shard(folder: Path, index: int, frame: pl.DataFrame) -> None:
    """Write a block's rows."""
    parquet.write(folder / shard_name(index), frame)


def refuse_others(folder: Path, n_shards: int) -> None:
    """Refuse a folder with shards that this cohort would not overwrite: they would pass for part of it.

    Raises:
        ArtifactError: if there are such shards.
    """
    own = {shard_name(index) for index in range(n_shards)}
    others = [path for path in folder.rglob("*.parquet") if path.name not in own] if folder.exists() else []
    if others:
        raise ArtifactError(
            f"expected no other data in {folder}; found {len(others)} Parquet files that are not of this cohort: "
            "name another folder, or delete this one"
        )
