"""More files are merged into events whose rows were kept, and the result is that of one ingest of everything."""

import gzip
import json
import shutil

import pytest

from attending.config import Component
from attending.engine.local import Local
from attending.errors import SourceError
from attending.ledger import shard
from attending.stages import ingest as stage
from attending.stages.ingest import Sizes, ingest, update
from folders import contents, cut
from raw import eicu, mimic4

RAW = {"mimic4": mimic4.write, "eicu": eicu.write}
FEW = Sizes(shard_bytes=20_000)
ENGINE = Local(1)


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize(("share", "sizes"), [(0.5, FEW), (0.9, Sizes(shard_bytes=3000)), (0.7, Sizes())])
def test_an_update_is_an_ingest_of_everything(tmp_path, name, share, sizes):
    cut(RAW[name](tmp_path / "whole"), tmp_path / "old", tmp_path / "new", share)
    component, options = Component(name=name), {"engine": ENGINE, "sizes": sizes, "keep_rows": True}
    full = ingest(component, [tmp_path / "old", tmp_path / "new"], tmp_path / "full", **options)
    ingest(component, tmp_path / "old", tmp_path / "out", **options)
    updated = update(tmp_path / "out", tmp_path / "new", engine=ENGINE)
    assert contents(tmp_path / "out") == contents(tmp_path / "full")
    assert (updated.fingerprint, updated.counts) == (full.fingerprint, full.counts)


def test_an_update_reads_new_files_and_makes_touched_shards_only(tmp_path, monkeypatch):
    whole = mimic4.write(tmp_path / "whole")
    new = tmp_path / "new" / "hosp"
    new.mkdir(parents=True)
    (patients,) = whole.glob("hosp/patients.csv*")
    content = patients.read_bytes()
    text = gzip.decompress(content) if patients.suffix == ".gz" else content
    one = text.split(b"\n")[1].split(b",")[0].decode()
    (new / "omr.csv").write_text(
        f"subject_id,chartdate,seq_num,result_name,result_value\n{one},2151-01-01,1,BMI (kg/m2),31\n"
    )
    options = {"engine": ENGINE, "sizes": FEW, "keep_rows": True}
    before = ingest(Component(name="mimic4"), whole, tmp_path / "out", **options)
    assert before.counts["n_shards"] > 2
    shutil.rmtree(whole)
    made: list[int] = []
    real = shard._sorted
    monkeypatch.setattr(shard, "_sorted", lambda frames: (made.append(1), real(frames))[1])
    after = update(tmp_path / "out", tmp_path / "new", engine=ENGINE)
    assert len(made) == 1
    assert after.counts["events"] == before.counts["events"] + 1
    names = [one["file"] for one in json.loads((tmp_path / "out" / "ledger.json").read_text())["files"]]
    assert "2:hosp/omr.csv" in names


def test_an_update_may_be_updated(tmp_path):
    whole = mimic4.write(tmp_path / "whole")
    cut(whole, tmp_path / "a", tmp_path / "rest", 0.4)
    cut(tmp_path / "rest", tmp_path / "b", tmp_path / "c", 0.5)
    options = {"engine": ENGINE, "sizes": FEW, "keep_rows": True}
    folders = [tmp_path / name for name in "abc"]
    ingest(Component(name="mimic4"), folders, tmp_path / "full", **options)
    ingest(Component(name="mimic4"), folders[0], tmp_path / "out", **options)
    update(tmp_path / "out", folders[1], engine=ENGINE)
    update(tmp_path / "out", folders[2], engine=ENGINE)
    assert contents(tmp_path / "out") == contents(tmp_path / "full")


def test_an_update_that_was_killed_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    cut(mimic4.write(tmp_path / "whole"), tmp_path / "old", tmp_path / "new", 0.6)
    options = {"engine": ENGINE, "sizes": FEW, "keep_rows": True}
    ingest(Component(name="mimic4"), [tmp_path / "old", tmp_path / "new"], tmp_path / "full", **options)
    ingest(Component(name="mimic4"), tmp_path / "old", tmp_path / "out", **options)
    real, started = stage._link_shards, []

    def dies(*arguments: object) -> None:
        started.append(1)
        if len(started) == 1:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(stage, "_link_shards", dies)
    with pytest.raises(KeyboardInterrupt):
        update(tmp_path / "out", tmp_path / "new", engine=ENGINE)
    update(tmp_path / "out", tmp_path / "new", engine=ENGINE)
    assert contents(tmp_path / "out") == contents(tmp_path / "full")


def test_rows_that_were_not_kept_are_asked_for(tmp_path):
    ingest(Component(name="mimic4"), mimic4.write(tmp_path / "raw"), tmp_path / "out", engine=ENGINE)
    with pytest.raises(SourceError, match="were not kept: ingest again with --keep-rows"):
        update(tmp_path / "out", tmp_path / "raw", engine=ENGINE)


def test_a_row_that_waited_for_its_subject_needs_its_file_again(tmp_path):
    cut(eicu.write(tmp_path / "whole"), tmp_path / "old", tmp_path / "new", 0.5)
    ingest(Component(name="eicu"), tmp_path / "old", tmp_path / "out", engine=ENGINE, keep_rows=True)
    shutil.rmtree(tmp_path / "old")
    with pytest.raises(SourceError, match="must be read again, but it is not where it was"):
        update(tmp_path / "out", tmp_path / "new", engine=ENGINE)
