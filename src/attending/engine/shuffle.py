"""The shuffle of every table stage: map writes staging files, reduce reads its shard of all of them.

A staging file is one Arrow file with one record batch per shard, so that a reduce touches its own bytes only
and the number of files does not grow with the number of shards. Beside it stands a manifest with the rows of
each batch; it is written last, so a file without one is not finished, and `read` asserts it, so that two runs
into one folder cannot lose rows in silence.

Which shard, and which split, a subject belongs to is a pure function of its id: it does not change when data
grow, and does not depend on any library's hash.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from attending.artifact import write_atomic, write_json
from attending.errors import LedgerError
from attending.schema import SUBJECT_ID

_SHARD_SALT = 0x5EED
_INCREMENT, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_WORD = 2**64 - 1


@dataclass(frozen=True, kw_only=True)
class Staged:
    """The manifest of one staging file: the rows of each shard, and whatever the map step counted."""

    rows: list[int]
    counts: dict[str, Any] = field(default_factory=dict)


def mix(ids: NDArray[np.int64], salt: int) -> NDArray[np.uint64]:
    """Hash integers to 64 well-mixed bits (SplitMix64, Steele et al. 2014)."""
    bits = ids.astype(np.uint64) + np.uint64(salt * _INCREMENT & _WORD) + np.uint64(_INCREMENT)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(_FIRST)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(_SECOND)
    return np.asarray(bits ^ (bits >> np.uint64(31)), dtype=np.uint64)


def uniform(ids: NDArray[np.int64], salt: int) -> NDArray[np.float64]:
    """Return one number in [0, 1) for each id, a pure function of id and salt."""
    return (mix(ids, salt) >> np.uint64(11)).astype(np.float64) / 2.0**53


def shard_of(ids: NDArray[np.int64], n_shards: int) -> NDArray[np.uint16]:
    """Return the shard of each id."""
    return (mix(ids, _SHARD_SALT) % np.uint64(n_shards)).astype(np.uint16)


def write(path: Path, frame: pl.DataFrame, ids: pl.Series, n_shards: int, counts: dict[str, Any]) -> Staged:
    """Write `frame` as one batch per shard of `ids`, keeping the order of rows; then its manifest."""
    shards = shard_of(ids.to_numpy(), n_shards)
    rows = np.bincount(shards, minlength=n_shards)
    if n_shards > 1:
        frame = frame.rechunk()[np.argsort(shards, kind="stable")]
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
    write_atomic(path, lambda temporary: _write_batches(temporary, table, rows))
    staged = Staged(rows=rows.tolist(), counts=counts)
    write_json(_manifest(path), asdict(staged))
    return staged


def finished(path: Path) -> Staged | None:
    """Return the manifest of a staging file that is complete, or None."""
    try:
        staged = Staged(**json.loads(_manifest(path).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return staged if path.exists() else None


def read(path: Path, shard: int, n_shards: int | None = None) -> pl.DataFrame:
    """Read one shard's rows of a staging file.

    A file that was written for fewer shards than there are now serves too, where both are powers of two: its
    batch holds the rows of several shards, and this one's are chosen by `subject_id`.

    Raises:
        LedgerError: if the rows are not those of the manifest.
    """
    staged = _manifest_of(path)
    n_own = len(staged.rows)
    frame = _batch(path, staged, shard % n_own)
    if n_shards is None or n_shards == n_own:
        return frame
    return frame.filter(pl.Series(shard_of(frame[SUBJECT_ID].to_numpy(), n_shards) == shard))


def read_all(path: Path) -> pl.DataFrame:
    """Read the rows of all shards of a staging file.

    Raises:
        LedgerError: if the rows are not those of the manifest.
    """
    staged = _manifest_of(path)
    return pl.concat([_batch(path, staged, shard) for shard in range(len(staged.rows))])


def _manifest_of(path: Path) -> Staged:
    staged = finished(path)
    if staged is None:
        raise LedgerError(f"expected a finished staging file {path.name}; run the stage again to make it")
    return staged


def _batch(path: Path, staged: Staged, shard: int) -> pl.DataFrame:
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        batch = reader.get_batch(shard)
        if (reader.num_record_batches, batch.num_rows) != (len(staged.rows), staged.rows[shard]):
            raise LedgerError(
                f"expected {staged.rows[shard]} rows of shard {shard} in {path.name}; got {batch.num_rows}: "
                "delete the partial folder and run the stage again"
            )
        frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _write_batches(path: Path, table: pa.Table, rows: NDArray[np.intp]) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    empty = pa.RecordBatch.from_pylist([], schema=table.schema)
    with pa.ipc.new_file(str(path), table.schema, options=options) as writer:
        start = 0
        for n_rows in rows.tolist():
            batches = table.slice(start, n_rows).to_batches()
            writer.write_batch(batches[0] if n_rows else empty)
            start += n_rows


def _manifest(path: Path) -> Path:
    return path.with_suffix(".json")
