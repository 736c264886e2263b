"""MEDS data sets: rows kept as they are, in one file or many, whatever their extension columns."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import meds
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attending.artifact import Manifest
from attending.config import Component
from attending.engine.local import Local
from attending.errors import SourceError
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    COLUMN,
    DESCRIPTION,
    EVENTS,
    LINE,
    NUMERIC_VALUE,
    ORIGIN,
    PARENT_CODES,
    PRIORITY,
    REASON,
    SPLIT,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)
from attending.stages.ingest import Sizes, ingest, update
from raw import meds as meds_folder
from tiny_mimic import run as ingest_tiny
from tiny_mimic import write as write_tiny

DAY = datetime(2150, 1, 2)
ROWS = pl.DataFrame(
    {
        SUBJECT_ID: [1, 1, 2, 2, 3],
        TIME: [None, DAY, DAY, None, DAY],
        CODE: ["GENDER//F", "DIAGNOSIS//ICD//10//I509", "LAB//1//mg", "GENDER//M", "OWN"],
        NUMERIC_VALUE: [None, None, 1.5, None, None],
        "hadm_id": [None, 11, 21, None, None],
        "priority": ["", "STAT", None, None, None],
    },
    schema_overrides={TIME: pl.Datetime("us"), NUMERIC_VALUE: pl.Float32},
)


def run(folder: Path, out: Path, **options: object) -> Manifest:
    return ingest(Component(name="meds"), folder, out, engine=Local(1), **options)


def put(path: Path, frame: pl.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)


def events(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "data" / "*.parquet")


def test_rows_are_kept_sorted_and_known_when_they_happen(tmp_path):
    put(tmp_path / "raw" / "data" / "train" / "0.parquet", ROWS[3:])
    put(tmp_path / "raw" / "data" / "1.parquet", ROWS[:3][::-1])
    manifest = run(tmp_path / "raw", tmp_path / "out")
    found = events(tmp_path / "out")
    assert found.select(SUBJECT_ID, TIME, CODE, VISIT_ID).rows() == [
        (1, None, "GENDER//F", None),
        (1, DAY, "DIAGNOSIS//ICD//10//I509", 11),
        (2, None, "GENDER//M", None),
        (2, DAY, "LAB//1//mg", 21),
        (3, DAY, "OWN", None),
    ]
    assert found[AVAILABLE_TIME].equals(found[TIME].alias(AVAILABLE_TIME))
    assert found[PRIORITY].is_null().all()  # theirs is text: not a rank
    assert set(found[ORIGIN]) == {"meds"}
    assert manifest.counts["tables"] == {"data": 5}
    ledger = json.loads((tmp_path / "out" / "ledger.json").read_text())
    assert {file["file"]: file["accepted"] for file in ledger["files"]} == {
        "data/1.parquet": 3,
        "data/train/0.parquet": 2,
    }


def sorted_rows(found: pl.DataFrame) -> list[tuple]:
    return found.sort(SUBJECT_ID, TIME, CODE, nulls_last=False).select(ROWS_KEPT).rows()


def reread(tmp_path: Path, files: dict[str, pa.Table]) -> pl.DataFrame:
    """Write files of any Arrow types, ingest them, and return the events."""
    for name, table in files.items():
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
    run(tmp_path / "raw", tmp_path / "out")
    return events(tmp_path / "out")


ROWS_KEPT = [SUBJECT_ID, TIME, CODE, NUMERIC_VALUE, VISIT_ID]
KNOWN = (
    ROWS.rename({"hadm_id": VISIT_ID}).sort(SUBJECT_ID, TIME, CODE, nulls_last=False).select(ROWS_KEPT).rows()
)


def with_types(**types: pa.DataType) -> pa.Table:
    """Return the rows with some columns of other Arrow types."""
    table = ROWS.to_arrow()
    for name, kind in types.items():
        place = table.schema.get_field_index(name)
        column = table.column(name)
        plain = column.cast(pa.string()) if name == CODE else column
        packed = plain.dictionary_encode() if pa.types.is_dictionary(kind) else plain.cast(kind)
        table = table.set_column(place, name, packed)
    return table


@pytest.mark.parametrize(
    "types",
    [
        {CODE: pa.string()},
        {CODE: pa.large_string()},
        {CODE: pa.dictionary(pa.int32(), pa.string())},
        {NUMERIC_VALUE: pa.float64()},
        {TIME: pa.timestamp("s")},
        {TIME: pa.timestamp("ms")},
        {TIME: pa.timestamp("ns")},
        {TIME: pa.timestamp("us", "UTC")},
        {SUBJECT_ID: pa.int32()},
        {SUBJECT_ID: pa.uint64()},
        {"hadm_id": pa.int32()},
        {"hadm_id": pa.float64()},
        {"hadm_id": pa.string()},
    ],
    ids=str,
)
def test_the_width_and_unit_of_a_type_change_no_event(tmp_path, types):
    assert sorted_rows(reread(tmp_path, {"data/0.parquet": with_types(**types)})) == KNOWN


def test_a_time_of_another_zone_is_turned_into_utc(tmp_path):
    there = ROWS.with_columns(pl.col(TIME).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"))
    assert sorted_rows(reread(tmp_path, {"data/0.parquet": there.to_arrow()})) == KNOWN


def test_a_visit_identifier_that_is_no_number_becomes_one(tmp_path):
    named = ROWS.with_columns(pl.format("stay-{}", "hadm_id").alias("hadm_id"))
    visits = reread(tmp_path, {"data/0.parquet": named.to_arrow()})[VISIT_ID].drop_nulls()
    assert visits.n_unique() == 2
    assert (visits > 2**62).all()


def test_the_data_may_be_one_file_beside_the_metadata(tmp_path):
    assert sorted_rows(reread(tmp_path, {"data.parquet": ROWS.to_arrow()})) == KNOWN


def test_a_subject_in_several_files_ends_in_one_shard_sorted(tmp_path):
    """Every row lies in a file of its own, the latest first; shards of a few bytes do not tear a subject apart."""
    whole = meds_folder.rows([1, 2, 3, 4, 5, 6])
    for number, row in enumerate(whole.reverse().iter_slices(1)):
        put(tmp_path / "raw" / "data" / str(number % 3) / f"{number:03}.parquet", row)
    manifest = run(tmp_path / "raw", tmp_path / "out", sizes=Sizes(shard_bytes=600_000))
    assert manifest.counts["n_shards"] > 1
    found = [pl.read_parquet(path) for path in sorted((tmp_path / "out" / "data").glob("*.parquet"))]
    subjects = [set(shard[SUBJECT_ID]) for shard in found]
    assert sum(map(len, subjects)) == len(set.union(*subjects)) == 6
    for shard in found:
        EVENTS.check(shard, "a shard")
    key = [SUBJECT_ID, TIME, CODE]
    kept = pl.concat(found).select(key).sort(key, nulls_last=False)
    assert kept.equals(whole.select(key).sort(key, nulls_last=False))


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_subject_in_two_data_sets_ends_in_one_shard(tmp_path, first):
    """Whether they are read together or the second later, and though their columns differ."""
    put(tmp_path / "a" / "data" / "0.parquet", ROWS[::2].drop("hadm_id"))
    put(tmp_path / "b" / "data" / "0.parquet", ROWS[1::2])
    visits = pl.when(~pl.col(CODE).str.starts_with("LAB")).then(pl.col("hadm_id"))
    known = ROWS.with_columns(visits.alias(VISIT_ID)).sort(SUBJECT_ID, TIME, CODE, nulls_last=False)
    folders = [tmp_path / first, tmp_path / {"a": "b", "b": "a"}[first]]
    ingest(Component(name="meds"), folders, tmp_path / "out", engine=Local(1))
    assert sorted_rows(events(tmp_path / "out")) == known.select(ROWS_KEPT).rows()
    ingest(Component(name="meds"), folders[0], tmp_path / "later", engine=Local(1), keep_rows=True)
    update(tmp_path / "later", folders[1], engine=Local(1))
    assert events(tmp_path / "later").equals(events(tmp_path / "out"))


def test_a_shard_without_rows_adds_none_and_a_column_without_type_is_null(tmp_path):
    untyped = ROWS[3:4].to_arrow().drop_columns([TIME]).append_column(TIME, pa.nulls(1))
    files = {
        "data/0.parquet": ROWS[:3].to_arrow(),
        "data/1.parquet": ROWS[:0].to_arrow(),
        "data/2.parquet": untyped,
        "data/3.parquet": ROWS[4:].to_arrow().drop_columns([NUMERIC_VALUE, "hadm_id"]),
    }
    assert sorted_rows(reread(tmp_path, files)) == KNOWN


def test_numbers_written_as_text_are_read_and_words_among_them_set_aside(tmp_path):
    written = pl.Series(NUMERIC_VALUE, ["1", "2.5", "high", None, "4"])
    found = reread(tmp_path, {"data/0.parquet": ROWS.with_columns(written).to_arrow()})
    assert found.height == ROWS.height
    assert sorted(found[NUMERIC_VALUE].drop_nulls().to_list()) == [1, 2.5, 4]
    (account,) = json.loads((tmp_path / "out" / "ledger.json").read_text())["files"]
    assert account["values"] == {"not a number": {NUMERIC_VALUE: 1}}


def test_a_time_of_availability_that_is_none_is_refused(tmp_path):
    put(tmp_path / "raw" / "data" / "0.parquet", ROWS.with_columns(pl.lit("soon").alias(AVAILABLE_TIME)))
    with pytest.raises(SourceError, match="expected a column 'available_time' of kind moment"):
        run(tmp_path / "raw", tmp_path / "out")


def test_a_written_data_set_is_read_whole(tmp_path):
    folder = meds_folder.write(tmp_path / "raw")
    manifest = run(folder, tmp_path / "out")
    raw = pl.read_parquet(folder / "data" / "**" / "*.parquet")
    assert manifest.counts["events"] == raw.height
    assert manifest.counts["subjects"] == meds_folder.N_SUBJECTS
    assert manifest.counts["quarantined"] == 0
    for path in (tmp_path / "out" / "data").glob("*.parquet"):
        meds.DataSchema.validate(pq.read_table(path))


def test_rows_without_subject_or_code_are_set_aside(tmp_path):
    bad = ROWS.with_columns(
        pl.Series(SUBJECT_ID, [1, None, 2, 2, 3]), pl.Series(CODE, ["GENDER//F", "X", None, "", "OWN"])
    )
    put(tmp_path / "raw" / "data" / "0.parquet", bad)
    run(tmp_path / "raw", tmp_path / "out")
    assert events(tmp_path / "out")[CODE].to_list() == ["GENDER//F", "OWN"]
    (account, *_) = json.loads((tmp_path / "out" / "ledger.json").read_text())["files"]
    assert (account["lines"], account["accepted"]) == (5, 2)
    assert account["quarantined"] == {"missing required value": {CODE: 2, SUBJECT_ID: 1}}
    quarantined = pl.read_parquet(tmp_path / "out" / "quarantine" / "*.parquet")
    assert quarantined.select(LINE, REASON, COLUMN).rows() == [
        (2, "missing required value", SUBJECT_ID),
        (3, "missing required value", CODE),
        (4, "missing required value", CODE),
    ]


def test_own_splits_and_code_metadata_are_kept(tmp_path):
    folder = tmp_path / "raw"
    put(folder / "data" / "0.parquet", ROWS)
    put(
        folder / meds.subject_splits_filepath,
        pl.DataFrame({SUBJECT_ID: [1, 2], SPLIT: ["held_out", "tuning"]}),
    )
    codes = {CODE: ["OWN", "DIAGNOSIS//ICD//10//I509"], DESCRIPTION: ["our own", None], "unit": ["mg", None]}
    put(folder / meds.code_metadata_filepath, pl.DataFrame(codes))
    run(folder, tmp_path / "out")
    splits = dict(pl.read_parquet(tmp_path / "out" / "metadata" / "subject_splits.parquet").rows())
    assert splits[1] == "held_out"
    assert splits[2] == "tuning"
    assert splits[3] in {"train", "tuning", "held_out"}
    found = pl.read_parquet(tmp_path / "out" / "metadata" / "codes.parquet")
    known = {row[CODE]: row for row in found.iter_rows(named=True)}
    assert known["OWN"][DESCRIPTION] == "our own"
    assert known["OWN"]["unit"] == "mg"
    assert known["DIAGNOSIS//ICD//10//I509"][DESCRIPTION] == "Heart failure, unspecified"
    parents = known["DIAGNOSIS//ICD//10//I509"][PARENT_CODES]
    assert parents[0] == "ICD10CM/I50.9"
    assert "CCSR/CIR019" in parents


def test_a_split_of_another_name_is_refused(tmp_path):
    put(tmp_path / "raw" / "data" / "0.parquet", ROWS)
    put(tmp_path / "raw" / meds.subject_splits_filepath, pl.DataFrame({SUBJECT_ID: [1], SPLIT: ["test"]}))
    with pytest.raises(SourceError, match=r"expected the splits train, tuning, held_out in .*; got test"):
        run(tmp_path / "raw", tmp_path / "out")


def test_a_missing_column_and_a_wrong_type_are_named(tmp_path):
    put(tmp_path / "a" / "data" / "0.parquet", ROWS.drop(CODE))
    with pytest.raises(
        SourceError, match=r"expected a column 'code' of kind text in .*0\.parquet; got subject_id"
    ):
        run(tmp_path / "a", tmp_path / "out")
    put(tmp_path / "b" / "data" / "0.parquet", ROWS.with_columns(pl.col(SUBJECT_ID).cast(pl.String)))
    with pytest.raises(SourceError, match="expected a column 'subject_id' of kind integer"):
        run(tmp_path / "b", tmp_path / "out")


def test_a_folder_without_data_and_a_damaged_file_are_named(tmp_path):
    (tmp_path / "raw" / "data").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"expected Parquet files below .*; found none"):
        run(tmp_path / "raw", tmp_path / "out")
    (tmp_path / "raw" / "data" / "0.parquet").write_bytes(b"PAR1 nonsense")
    with pytest.raises(SourceError, match=r"cannot read .*0\.parquet: ArrowInvalid"):
        run(tmp_path / "raw", tmp_path / "out")


def test_text_that_is_not_utf_8_is_a_damaged_file(tmp_path):
    path = tmp_path / "raw" / "data" / "0.parquet"
    put(path, ROWS)
    pq.write_table(ROWS.to_arrow(), path, compression="none", use_dictionary=False)
    path.write_bytes(path.read_bytes().replace(b"GENDER//M", b"GENDER//\xff"))
    with pytest.raises(SourceError, match=r"cannot read .*0\.parquet"):
        run(tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "column"), [(meds.code_metadata_filepath, CODE), (meds.subject_splits_filepath, SUBJECT_ID)]
)
def test_damaged_metadata_are_named(tmp_path, name, column):
    put(tmp_path / "raw" / "data" / "0.parquet", ROWS)
    put(tmp_path / "raw" / name, pl.DataFrame({"other": [1]}))
    with pytest.raises(SourceError, match=rf"expected a column '{column}' in .*\.parquet; got other"):
        run(tmp_path / "raw", tmp_path / "out")
    (tmp_path / "raw" / name).write_bytes(b"PAR1 nonsense")
    with pytest.raises(SourceError, match=r"cannot read .*\.parquet"):
        run(tmp_path / "raw", tmp_path / "out")


def test_our_own_events_come_back_as_they_were(tmp_path):
    ingest_tiny(write_tiny(tmp_path / "raw"), tmp_path / "first")
    run(tmp_path / "first", tmp_path / "second")
    assert events(tmp_path / "second").equals(events(tmp_path / "first"))
    for name in ("codes", "subject_splits"):
        path = Path("metadata") / f"{name}.parquet"
        assert pl.read_parquet(tmp_path / "second" / path).equals(pl.read_parquet(tmp_path / "first" / path))


@pytest.mark.shared
def test_a_published_data_set_of_the_older_version_keeps_every_row(shared_data, tmp_path):
    folder = shared_data("mimic-iv-demo-meds")
    manifest = run(folder, tmp_path / "out", sizes=Sizes(shard_bytes=10 * 2**20))
    raw = pl.read_parquet(folder / "data" / "**" / "*.parquet")
    found = events(tmp_path / "out")
    totals = json.loads((tmp_path / "out" / "ledger.json").read_text())["totals"]
    assert totals["accepted"] == manifest.counts["events"] == raw.height == found.height == 916_166
    assert manifest.counts["n_shards"] > 1
    assert manifest.counts["quarantined"] == 0
    key = [SUBJECT_ID, TIME, CODE, NUMERIC_VALUE, TEXT_VALUE]
    ours = found.group_by(*key, VISIT_ID).len()
    theirs = raw.rename({"hadm_id": VISIT_ID}).group_by(*key, VISIT_ID).len()
    assert ours.sort(pl.all()).equals(theirs.select(ours.columns).sort(pl.all()))
    assert Counter(pl.read_parquet(tmp_path / "out" / "metadata" / "subject_splits.parquet")[SPLIT]) == {
        "train": 80,
        "tuning": 10,
        "held_out": 10,
    }
    for path in (tmp_path / "out" / "data").glob("*.parquet"):
        meds.DataSchema.validate(pq.read_table(path))
    meds.CodeMetadataSchema.validate(pq.read_table(tmp_path / "out" / "metadata" / "codes.parquet"))
