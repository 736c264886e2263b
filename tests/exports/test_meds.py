"""Events leave as MEDS and come back the same, however they are cut into files."""

import json

import meds
import polars as pl
import pyarrow.parquet as pq
import pytest

from attending.config import Component
from attending.engine.local import Local
from attending.schema import AVAILABLE_TIME, EXTENSION_COLUMNS, SUBJECT_ID
from attending.stages.export import export
from attending.stages.ingest import Sizes, ingest
from raw import mimic4

ENGINE = Local(1)


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    sizes = Sizes(shard_bytes=20_000)
    ingest(
        Component(name="mimic4"), mimic4.write(folder / "raw"), folder / "events", engine=ENGINE, sizes=sizes
    )
    return folder / "events"


def table(folder):
    frames = [pl.read_parquet(path) for path in sorted((folder / "data").rglob("*.parquet"))]
    return pl.concat(frames).sort(SUBJECT_ID, maintain_order=True)


@pytest.mark.parametrize("layout", ["shards", "splits", "one"])
def test_events_come_back_as_they_went(events, tmp_path, layout):
    manifest = export(events, tmp_path / "out", to=Component(name="meds", layout=layout), engine=ENGINE)
    paths = sorted((tmp_path / "out" / "data").rglob("*.parquet"))
    if layout == "one":
        assert [path.name for path in paths] == ["0.parquet"]
    for path in paths:
        meds.DataSchema.validate(pq.read_table(path))
    ingest(Component(name="meds"), tmp_path / "out", tmp_path / "back", engine=ENGINE)
    assert table(tmp_path / "back").equals(table(events))
    assert manifest.counts["rows"] == table(events).height
    for name in ("codes", "subject_splits"):
        there = pl.read_parquet(events / "metadata" / f"{name}.parquet")
        assert pl.read_parquet(tmp_path / "back" / "metadata" / f"{name}.parquet").equals(there)


def test_the_standard_columns_alone_are_written_on_request(events, tmp_path):
    export(events, tmp_path / "out", to=Component(name="meds", extensions=False), engine=ENGINE)
    found = table(tmp_path / "out")
    assert not set(EXTENSION_COLUMNS) & set(found.columns)
    assert found.equals(table(events).select(found.columns))
    described = json.loads((tmp_path / "out" / "metadata" / "dataset.json").read_text())
    assert described["other_extension_columns"] == []
    assert (
        AVAILABLE_TIME
        in json.loads((events / "metadata" / "dataset.json").read_text())["other_extension_columns"]
    )
