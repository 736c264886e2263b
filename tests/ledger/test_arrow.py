"""Parquet files that are damaged, or hold what no table has, are refused by name or read as what they are."""

import json
from datetime import timedelta
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attending.config import Component
from attending.engine.local import Local
from attending.errors import SourceError
from attending.ledger.arrow import expect_rows, frame_of
from attending.stages.ingest import ingest
from raw import mimic4


def test_long_decimals_and_categories_are_text():
    rows = pa.table(
        {
            "long": pa.array([Decimal("1.5"), None], pa.decimal256(60, 1)),
            "packed": pa.array(["a", None]).dictionary_encode(),
        }
    )
    assert frame_of(rows).rows() == [("1.5", "a"), (None, None)]


def test_text_that_is_no_text_is_damage():
    bad = pa.array([b"\xff"], pa.binary())
    rows = pa.table({"x": pa.Array.from_buffers(pa.string(), 1, bad.buffers())})
    with pytest.raises(pa.ArrowInvalid):
        frame_of(rows)


def test_a_file_that_lies_about_its_rows_is_damage(tmp_path):
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "x.parquet")
    file = pq.ParquetFile(tmp_path / "x.parquet")
    expect_rows(file, 2)
    with pytest.raises(pa.ArrowInvalid):
        expect_rows(file, 3)


@pytest.mark.parametrize("value", [[1], {"a": 1}, timedelta(days=1), b"\xff"])
def test_a_column_of_a_type_that_cannot_be_read_is_counted(tmp_path, value):
    raw = mimic4.write(tmp_path / "raw")
    (path,) = raw.glob("hosp/omr.csv*")
    rows = pl.read_csv(path)
    rows.with_columns(pl.Series("result_value", [value] * rows.height)).write_parquet(
        path.parent / "omr.parquet"
    )
    path.unlink()
    ingest(Component(name="mimic4"), raw, tmp_path / "out", engine=Local(1))
    files = json.loads((tmp_path / "out" / "ledger.json").read_text())["files"]
    (account,) = (one for one in files if one["file"] == "hosp/omr.parquet")
    assert sum(columns["result_value"] for columns in account["values"].values()) == rows.height


def test_a_damaged_file_is_named(tmp_path):
    raw = mimic4.write(tmp_path / "raw")
    (path,) = raw.glob("hosp/omr.csv*")
    path.unlink()
    (raw / "hosp" / "omr.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(SourceError, match=r"cannot read .*omr\.parquet: ArrowInvalid; "):
        ingest(Component(name="mimic4"), raw, tmp_path / "out", engine=Local(1))
