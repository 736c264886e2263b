"""Read few columns of Parquet files, and write them with the Arrow types that MEDS prescribes.

Polars calls every text `large_string`; MEDS wants `string`, but for `text_value`. The bytes of both are the
same in Parquet: only the Arrow schema stored in the file's metadata says which it is, so that is what is set.
"""

import base64
from collections.abc import Collection
from pathlib import Path

import polars as pl
import pyarrow as pa

from attending.artifact import write_atomic
from attending.schema import TEXT_VALUE


def read(path: Path, columns: Collection[str] | None = None) -> pl.DataFrame:
    """Read those of `columns` that a file has, all of them where none are named: the others cost as much as these."""
    if columns is None:
        return pl.read_parquet(path)
    return pl.read_parquet(path, columns=[name for name in pl.read_parquet_schema(path) if name in columns])


def write(path: Path, frame: pl.DataFrame) -> None:
    """Write `frame`, all or nothing."""
    encoded = base64.b64encode(_arrow_schema(frame).serialize().to_pybytes()).decode("ascii")
    write_atomic(
        path,
        lambda temporary: frame.write_parquet(
            temporary, compression="zstd", compression_level=1, metadata={"ARROW:schema": encoded}
        ),
    )


def _arrow_schema(frame: pl.DataFrame) -> pa.Schema:
    return pa.schema([(name, _arrow_type(name, frame[name])) for name in frame.columns])


def _arrow_type(name: str, column: pl.Series) -> pa.DataType:
    if column.dtype == pl.String:
        return pa.large_string() if name == TEXT_VALUE else pa.string()
    if column.dtype == pl.List(pl.String):
        return pa.list_(pa.string())
    return column.clear().to_arrow(compat_level=pl.CompatLevel.oldest()).type
