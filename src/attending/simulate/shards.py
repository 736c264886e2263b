"""Shards of a simulated table: one Parquet file for each block of subjects, with the Arrow types of MEDS.

Polars calls every text `large_string`; MEDS wants `string`, but for `text_value`. Parquet stores both alike, so it
is the Arrow schema in the file's metadata that is set.
"""

import base64
from pathlib import Path

import polars as pl
import pyarrow as pa

from attending.errors import ArtifactError
from attending.schema import TEXT_VALUE


def shard_name(index: int) -> str:
    """Return the file name of a block's shard."""
    return f"{index:03}.parquet"


def write_shard(folder: Path, index: int, frame: pl.DataFrame) -> None:
    """Write a block's rows."""
    write_table(folder / shard_name(index), frame)


def write_table(path: Path, frame: pl.DataFrame) -> None:
    """Write a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    empty = frame.clear()
    types = pa.schema([(name, _arrow_type(empty[name])) for name in empty.columns])
    encoded = base64.b64encode(types.serialize().to_pybytes()).decode("ascii")
    frame.write_parquet(path, compression="zstd", compression_level=1, metadata={"ARROW:schema": encoded})


def _arrow_type(column: pl.Series) -> pa.DataType:
    if column.dtype == pl.String:
        return pa.large_string() if column.name == TEXT_VALUE else pa.string()
    if column.dtype == pl.List(pl.String):
        return pa.list_(pa.string())
    return column.to_arrow(compat_level=pl.CompatLevel.oldest()).type


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
