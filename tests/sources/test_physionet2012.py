"""The PhysioNet 2012 challenge: records from an archive or a folder, every line of each accounted for."""

import io
import json
import tarfile
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from attending.artifact import Manifest
from attending.config import Component
from attending.engine.local import Local
from attending.errors import SourceError
from attending.stages.ingest import Sizes, ingest
from raw import physionet2012 as raw

ADMITTED = datetime(2012, 1, 1)


def run(folder: Path, out: Path, **sizes: int) -> tuple[pl.DataFrame, Manifest]:
    manifest = ingest(Component(name="physionet2012"), folder, out, engine=Local(1), sizes=Sizes(**sizes))
    return pl.read_parquet(sorted((out / "data").glob("*.parquet")), glob=False), manifest


def archive(folder: Path, *records: str | bytes) -> Path:
    folder.mkdir()
    with tarfile.open(folder / "set-a.tar.gz", "w:gz") as file:
        for number, record in enumerate(records):
            content = record if isinstance(record, bytes) else record.encode()
            member = tarfile.TarInfo(f"set-a/{100 + number}.txt")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return folder


def test_the_archive_and_the_folder_give_the_same_events(tmp_path):
    one, _ = run(raw.write(tmp_path / "one"), tmp_path / "out1")
    two, _ = run(raw.write(tmp_path / "two", archive=False), tmp_path / "out2")
    assert one.height > 500
    assert one.equals(two)


def test_small_blocks_and_many_shards_give_the_same_events(tmp_path):
    folder = raw.write(tmp_path / "raw")
    one, _ = run(folder, tmp_path / "out1")
    two, _ = run(folder, tmp_path / "out2", block_bytes=500, part_bytes=1000, shard_bytes=3000)
    assert one.equals(two.sort("subject_id", maintain_order=True))


def test_a_measurement_is_known_when_it_was_made(tmp_path):
    folder = archive(
        tmp_path / "raw", "Time,Parameter,Value\n00:00,RecordID,100\n07:45,HR,80.5\n48:00,pH,7.4\n"
    )
    events, _ = run(folder, tmp_path / "out")
    assert events.select("time", "code", "numeric_value", "visit_id").rows() == [
        (ADMITTED, "HOSPITAL_ADMISSION//ICU", None, 100),
        (datetime(2012, 1, 1, 7, 45), "CHART//HR//bpm", 80.5, 100),
        (datetime(2012, 1, 3), "LAB//pH//pH", pytest.approx(7.4), 100),
    ]
    assert events["available_time"].equals(events["time"].alias("available_time"))


def test_minus_one_is_missing_and_descriptors_are_facts(tmp_path):
    text = "Time,Parameter,Value\n00:00,RecordID,100\n00:00,Age,50\n00:00,Age,70\n00:00,Gender,0\n00:00,Height,-1\n"
    events, _ = run(archive(tmp_path / "raw", text + "00:00,ICUType,3\n"), tmp_path / "out")
    assert events["code"].to_list() == [
        "GENDER//F",
        "MEDS_BIRTH",
        "HOSPITAL_ADMISSION//ICU",
        "ICU_ADMISSION//MEDICAL",
    ]
    assert events.filter(code="MEDS_BIRTH")["time"].to_list() == [datetime(1961, 12, 31, 12)]


def test_every_line_of_a_damaged_record_is_accounted_for(tmp_path):
    good = "Time,Parameter,Value\n00:00,RecordID,101\n00:07,HR,80\n"
    bad = b"Time,Parameter,Value\n\n00:07,HR\n0:7,HR,80\n00:08,HR,fast\n00:09,H\xffR,80\n,,\n00:10,HR,81"
    _, manifest = run(archive(tmp_path / "raw", bad, good), tmp_path / "out")
    (account,) = json.loads((tmp_path / "out/ledger.json").read_text(encoding="utf-8"))["files"][:1]
    assert (account["lines"], account["blank"], account["not_read"]) == (11, 1, 2)
    faults = pl.read_parquet(tmp_path / "out/quarantine/*.parquet").sort("line")
    assert faults.select("line", "reason", "whole_line").rows() == [
        (3, "wrong number of fields", True),
        (4, "not hours and minutes", True),
        (5, "not a number", False),
        (6, "not valid UTF-8", True),
        (7, "missing required value", True),
    ]
    assert manifest.counts["quarantined"] == 4


@pytest.mark.parametrize("end", ["\r", "\n\r", "\r\n\r\n", "\n\n"])
def test_a_blank_last_line_is_a_line_however_it_ends(tmp_path, end):
    folder = tmp_path / "raw"
    (folder / "set-a").mkdir(parents=True)
    text = f"Time,Parameter,Value\n00:00,RecordID,101\n00:07,HR,80{end}"
    (folder / "set-a" / "101.txt").write_text(text, newline="")
    _, manifest = run(folder, tmp_path / "out")
    assert manifest.counts["lines"] == len(text.splitlines())


def test_the_dead_are_discharged_when_they_die_and_later_deaths_lie_in_no_visit(tmp_path):
    events, _ = run(raw.write(tmp_path / "raw"), tmp_path / "out")
    dead, later, unknown = (raw.FIRST + number for number in (2, 3, 4))
    death = datetime(2012, 1, 5, 23, 59, 59)
    own = events.filter(subject_id=dead).tail(2)
    assert own.select("code", "time", "visit_id").rows() == [
        ("HOSPITAL_DISCHARGE//DIED", death, dead),
        ("MEDS_DEATH", death, dead),
    ]
    assert events.filter(subject_id=later, code="MEDS_DEATH")["visit_id"].to_list() == [None]
    assert events.filter(pl.col("code").str.starts_with("HOSPITAL_DISCHARGE"), subject_id=unknown).is_empty()


def test_scores_are_known_after_two_days_and_a_stay_without_a_record_is_a_stay(tmp_path):
    events, manifest = run(raw.write(tmp_path / "raw"), tmp_path / "out")
    assert set(events.filter(pl.col("code").str.starts_with("SCORE"))["time"]) == {datetime(2012, 1, 3)}
    assert events.filter(code="HOSPITAL_ADMISSION//ICU").height == raw.N_STAYS
    assert manifest.counts["visits"] == raw.N_STAYS


def test_a_damaged_archive_is_named(tmp_path):
    folder = raw.write(tmp_path / "raw")
    content = (folder / "set-a.tar.gz").read_bytes()
    (folder / "set-a.tar.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match=r"set-a\.tar\.gz"):
        run(folder, tmp_path / "out")


@pytest.mark.shared
def test_the_shared_set_has_the_counts_that_are_known(shared_data, tmp_path):
    events, manifest = run(shared_data("physionet2012"), tmp_path / "out")
    assert (manifest.counts["subjects"], manifest.counts["visits"]) == (4000, 4000)
    files = json.loads((tmp_path / "out/ledger.json").read_text(encoding="utf-8"))["files"]
    assert {one["file"]: one["not_read"] for one in files} == {"Outcomes-a.txt": 0, "set-a.tar.gz": 3996}
    assert events.filter(code="HOSPITAL_DISCHARGE//DIED").height == 554
    assert manifest.counts["quarantined"] == 0
