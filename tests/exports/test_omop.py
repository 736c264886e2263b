"""OMOP out: tables as the CDM prescribes them, and the way back gives the same events to the last column."""

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from polars import col

from attending.cli.main import main
from attending.config import Component
from attending.engine.local import Local
from attending.exports._omop import cdm
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    EVENTS,
    NUMERIC_VALUE,
    ORIGIN,
    PRIORITY,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)
from attending.stages.export import export
from attending.stages.ingest import Sizes, ingest

SMALL = Sizes(shard_bytes=100_000)


def write(events: Path, out: Path, **settings: object) -> Path:
    export(events, out, to=Component(name="omop", **settings), engine=Local(1))
    return out


def back(folder: Path, out: Path, sizes: Sizes | None = None) -> pl.DataFrame:
    ingest(Component(name="omop"), folder, out, engine=Local(1), sizes=sizes)
    return read(out)


def read(events: Path) -> pl.DataFrame:
    frames = [pl.read_parquet(path) for path in sorted((events / "data").glob("*.parquet"))]
    return pl.concat(frames).sort(SUBJECT_ID, maintain_order=True)


def table(folder: Path, name: str) -> pl.DataFrame:
    paths = sorted(folder.glob(f"{name}/*.parquet")) or [folder / f"{name}.parquet"]
    return pl.concat([pl.read_parquet(path) for path in paths])


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> Path:
    """Return the events of a simulated cohort in several shards."""
    folder = tmp_path_factory.mktemp("cohort")
    assert main(["simulate", str(folder / "raw"), "--subjects", "50", "--layout", "mimic4"]) == 0
    ingest(Component(name="mimic4"), folder / "raw", folder / "events", engine=Local(1), sizes=SMALL)
    return folder / "events"


@pytest.fixture(scope="module")
def folder(events) -> Path:
    return write(events, events.parent / "omop")


# There and back -----------------------------------------------------------------------------------


def test_a_simulated_cohort_comes_back_as_it_went(events, folder, tmp_path):
    there, here = read(events), back(folder, tmp_path / "events")
    for column in (
        SUBJECT_ID,
        TIME,
        CODE,
        NUMERIC_VALUE,
        TEXT_VALUE,
        AVAILABLE_TIME,
        VISIT_ID,
        PRIORITY,
        ORIGIN,
    ):
        assert here[column].equals(there[column], null_equal=True), column
    for name in ("codes", "subject_splits"):
        expected = pl.read_parquet(events / "metadata" / f"{name}.parquet")
        assert pl.read_parquet(tmp_path / "events" / "metadata" / f"{name}.parquet").equals(expected), name


@pytest.mark.parametrize("sizes", [None, SMALL], ids=["one shard", "many shards"])
def test_csv_comes_back_as_well_however_it_is_cut(events, tmp_path, sizes):
    out = write(events, tmp_path / "omop", format="csv")
    assert back(out, tmp_path / "events", sizes).equals(read(events))


AT_FIVE, AT_SIX = {"time": datetime(2001, 1, 5)}, {"time": datetime(2001, 1, 6)}
AWKWARD = [
    ("sex with words", {"code": "GENDER//F", "text_value": "as told"}),
    ("two sexes", {"code": "GENDER//M"}),
    ("sex with a time", {"time": datetime(2001, 1, 1), "code": "GENDER//F"}),
    ("race", {"code": 'RACE//A "quoted" one, with a comma'}),
    ("a fact of no kind", {"code": "BLOOD_GROUP//0", "numeric_value": 0.1}),
    ("a diagnosis without a time", {"code": "DIAGNOSIS//ICD//10//I10"}),
    ("birth", {"time": datetime(1950, 6, 1, 4, 5, 6), "code": "MEDS_BIRTH"}),
    ("another birth", {"time": datetime(1950, 6, 2), "code": "MEDS_BIRTH"}),
    ("an admission", {"time": datetime(2001, 1, 2), "code": "HOSPITAL_ADMISSION//A//B//C", "visit_id": 1}),
    (
        "another of the same visit",
        {"time": datetime(2001, 1, 2), "code": "HOSPITAL_ADMISSION//A", "visit_id": 1},
    ),
    ("a bare admission", {"time": datetime(2001, 1, 2), "code": "HOSPITAL_ADMISSION", "visit_id": 2}),
    ("an admission without a visit", {"time": datetime(2001, 1, 2), "code": "HOSPITAL_ADMISSION//A"}),
    (
        "an admission of another origin",
        {"time": datetime(2001, 1, 2), "code": "HOSPITAL_ADMISSION//A", "visit_id": 9},
    ),
    (
        "a laboratory result before the discharge",
        {"time": datetime(2001, 1, 3), "code": "LAB//1//mg", "visit_id": 1},
    ),
    ("a discharge", {"time": datetime(2001, 1, 3), "code": "HOSPITAL_DISCHARGE//HOME", "visit_id": 1}),
    (
        "to nobody knows where",
        {"time": datetime(2001, 1, 3), "code": "HOSPITAL_DISCHARGE//UNK", "visit_id": 2},
    ),
    ("a bare discharge", {"time": datetime(2001, 1, 3), "code": "HOSPITAL_DISCHARGE", "visit_id": 1}),
    ("to nowhere", {"time": datetime(2001, 1, 3), "code": "HOSPITAL_DISCHARGE//", "visit_id": 3}),
    ("without admission", {"time": datetime(2001, 1, 3), "code": "HOSPITAL_DISCHARGE//HOME", "visit_id": -4}),
    ("an encounter", {"time": datetime(2001, 1, 4), "code": "ENCOUNTER//ambulatory", "visit_id": 5}),
    (
        "known later",
        {"time": datetime(2001, 1, 5), "code": "LAB//1//mg", "available_time": datetime(2001, 1, 6)},
    ),
    (
        "a rank",
        {"time": datetime(2001, 1, 5), "code": "DIAGNOSIS//ICD//9//4280", "priority": 3, "visit_id": 5},
    ),
    ("a number and words", AT_FIVE | {"code": "LAB//2", "numeric_value": 0.1, "text_value": "<0.1"}),
    ("a diagnosis with both", AT_FIVE | {"code": "DIAGNOSIS//X", "numeric_value": 1e30, "text_value": "y"}),
    ("a long code", {"time": datetime(2001, 1, 5), "code": "DRG//HCFA//1//" + "MANY WORDS " * 20}),
    ("a microsecond", {"time": datetime(2001, 1, 5, 1, 2, 3, 456789), "code": "HCPCS//99213"}),
    ("a code of one word", {"time": datetime(2001, 1, 5, 2), "code": "LAB"}),
    ("a note", AT_FIVE | {"code": "NOTE//a", "text_value": 'two\nlines, "quoted"', "numeric_value": 2}),
    ("a note without text", {"time": datetime(2001, 1, 5, 2), "code": "NOTE//a"}),
    ("long words", {"time": datetime(2001, 1, 5, 3), "code": "LAB//3", "text_value": "w" * 500}),
    ("death", AT_SIX | {"code": "MEDS_DEATH", "visit_id": 1, "available_time": datetime(2001, 1, 9)}),
    ("another death", {"time": datetime(2001, 1, 7), "code": "MEDS_DEATH//CAUSE"}),
]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_whatever_an_event_says_comes_back(tmp_path, form):
    rows = []
    for subject in (1, 2**62 + 12345, -(2**62) - 1):
        for origin, (_, said) in enumerate(AWKWARD):
            known = {"available_time": said.get("time")} | said
            rows.append(
                dict.fromkeys(EVENTS.columns) | {"subject_id": subject, "origin": f"o{origin % 3}"} | known
            )
    given = pl.DataFrame(rows, schema=EVENTS.columns).sort(
        SUBJECT_ID, TIME, nulls_last=False, maintain_order=True
    )
    (tmp_path / "meds" / "data").mkdir(parents=True)
    given.write_parquet(tmp_path / "meds" / "data" / "0.parquet")
    ingest(Component(name="meds"), tmp_path / "meds", tmp_path / "events", engine=Local(1))
    out = write(tmp_path / "events", tmp_path / "omop", format=form)
    here, there = back(out, tmp_path / "back"), read(tmp_path / "events")
    assert there.height == given.height
    for column in there.columns:
        differs = there[column].ne_missing(here[column])
        assert not differs.any(), (column, [AWKWARD[place % len(AWKWARD)][0] for place in differs.arg_true()])


def test_subjects_without_events_keep_their_row(events, folder, tmp_path):
    other = tmp_path / "events"
    (other / "metadata").mkdir(parents=True)
    (other / "data").mkdir()
    for name in ("codes.parquet", "dataset.json"):
        (other / "metadata" / name).write_bytes((events / "metadata" / name).read_bytes())
    splits = pl.read_parquet(events / "metadata" / "subject_splits.parquet")
    splits = pl.concat([splits, splits[:1].with_columns(pl.lit(5, pl.Int64).alias(SUBJECT_ID))])
    splits.write_parquet(other / "metadata" / "subject_splits.parquet")
    for name in ("manifest.json", "ledger.json"):
        (other / name).write_bytes((events / name).read_bytes())
    for path in (events / "data").glob("*.parquet"):
        (other / "data" / path.name).write_bytes(path.read_bytes())
    out = write(other, tmp_path / "omop")
    assert table(out, "person").height == table(folder, "person").height + 1
    back(out, tmp_path / "back")
    assert pl.read_parquet(tmp_path / "back" / "metadata" / "subject_splits.parquet").height == splits.height


# The CDM ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(cdm.TABLES))
def test_a_table_has_the_columns_and_types_of_the_cdm(folder, name):
    assert dict(table(folder, name).schema) == cdm.TABLES[name]


REQUIRED = {
    "person": ("gender_concept_id", "year_of_birth", "race_concept_id", "ethnicity_concept_id"),
    "visit_occurrence": ("visit_concept_id", "visit_start_date", "visit_end_date", "visit_type_concept_id"),
    "condition_occurrence": ("condition_concept_id", "condition_start_date", "condition_type_concept_id"),
    "drug_exposure": (
        "drug_concept_id",
        "drug_exposure_start_date",
        "drug_exposure_end_date",
        "drug_type_concept_id",
    ),
    "procedure_occurrence": ("procedure_concept_id", "procedure_date", "procedure_type_concept_id"),
    "measurement": ("measurement_concept_id", "measurement_date", "measurement_type_concept_id"),
    "observation": ("observation_concept_id", "observation_date", "observation_type_concept_id"),
    "observation_period": (
        "observation_period_start_date",
        "observation_period_end_date",
        "period_type_concept_id",
    ),
    "death": ("death_date",),
    "concept": (
        "concept_name",
        "domain_id",
        "vocabulary_id",
        "concept_class_id",
        "concept_code",
        "valid_start_date",
    ),
}


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_what_the_cdm_requires_is_never_null(folder, name):
    found = table(folder, name)
    first = found.columns[0]
    assert found.height
    assert found[first].null_count() == 0
    for column in REQUIRED[name]:
        assert found[column].null_count() == 0, column


WIDTHS = {
    "_source_value": 50,
    "concept_code": 50,
    "concept_name": 255,
    "value_as_string": 60,
    "domain_id": 20,
}


def test_texts_fit_the_widths_of_the_cdm(tmp_path):
    long = [
        {"subject_id": 1, "time": datetime(2001, 1, 1), "code": "DRG//" + "x" * 300, "text_value": "y" * 300}
    ]
    (tmp_path / "meds" / "data").mkdir(parents=True)
    pl.DataFrame(long).write_parquet(tmp_path / "meds" / "data" / "0.parquet")
    ingest(Component(name="meds"), tmp_path / "meds", tmp_path / "events", engine=Local(1))
    out = write(tmp_path / "events", tmp_path / "omop", extensions=False)
    for name in cdm.TABLES:
        frame = table(out, name)
        for column in (one for one, dtype in frame.schema.items() if dtype == pl.String):
            width = next((n for end, n in WIDTHS.items() if column.endswith(end)), 10_000)
            assert (frame[column].str.len_chars().max() or 0) <= width, column


def test_identifiers_are_unique_over_all_shards(folder):
    assert len(list(folder.glob("measurement/*.parquet"))) > 1
    ids = []
    for name in (
        "condition_occurrence",
        "procedure_occurrence",
        "drug_exposure",
        "measurement",
        "observation",
    ):
        ids += table(folder, name)[f"{name}_id"].to_list()
    assert len(ids) == len(set(ids))
    visits = table(folder, "visit_occurrence")["visit_occurrence_id"]
    assert visits.is_unique().all()
    assert set(table(folder, "condition_occurrence")["visit_occurrence_id"].drop_nulls()) <= set(visits)


def test_every_code_is_a_concept_of_its_own(events, folder):
    codes = pl.read_parquet(events / "metadata" / "codes.parquet")
    concepts = table(folder, "concept").filter(col("vocabulary_id") == "MEDS")
    assert (concepts["concept_id"] > 2_000_000_000).all()
    assert concepts[cdm.WHOLE_CODE].sort().equals(codes[CODE].sort(), check_names=False)
    used = table(folder, "measurement")["measurement_source_concept_id"]
    assert set(used) <= set(concepts["concept_id"])
    names = dict(concepts.select(cdm.WHOLE_CODE, "concept_name").iter_rows())
    assert names["MEDS_DEATH"] == "Death"


def test_the_plain_cdm_is_read_by_the_rules_of_any_other(events, tmp_path):
    """Without extensions the codes come back, but the rules for any OMOP set say when they are known."""
    out = write(events, tmp_path / "omop", extensions=False)
    assert not [
        one for name in cdm.TABLES for one in table(out, name).columns if one.startswith("attending_")
    ]
    there, here = read(events), back(out, tmp_path / "back")
    counts = [frame.group_by(SUBJECT_ID, CODE).len().sort(SUBJECT_ID, CODE) for frame in (there, here)]
    short = counts[0].filter(col(CODE).str.len_chars() <= 50)
    kinds = (
        "DIAGNOSIS",
        "PROCEDURE",
        "MEDICATION",
        "LAB",
        "OMR",
        "HOSPITAL_",
        "GENDER",
        "MEDS_",
        "TRANSFER_TO",
    )
    for kind in kinds:
        expected = short.filter(col(CODE).str.starts_with(kind))
        found = counts[1].filter(col(CODE).str.starts_with(kind) & ~col(CODE).str.contains("~"))
        assert found.equals(expected), kind
    known = here.filter(col(CODE).str.starts_with("DIAGNOSIS//"))
    assert (known[AVAILABLE_TIME] >= known[TIME]).all()


def test_the_day_of_release_and_the_holder_are_what_the_settings_say(events, tmp_path):
    out = write(
        events, tmp_path / "omop", title="A cohort of ours", holder="A hospital", release_date="2026-01-31"
    )
    (source,) = table(out, "cdm_source").iter_rows(named=True)
    assert source["cdm_holder"] == "A hospital"
    assert source["cdm_release_date"] == date(2026, 1, 31)
    assert (source["cdm_version"], source["cdm_version_concept_id"]) == ("5.4", 756265)
