"""Synthea: visits with and without an encounters table, dates alone, and what is known when."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from attending.artifact import Manifest
from attending.config import Component
from attending.engine.local import Local
from attending.ledger.keys import key
from attending.stages.ingest import ingest
from raw import synthea as raw

PATIENTS = (
    "Id,BIRTHDATE,DEATHDATE,RACE,ETHNICITY,GENDER\np1,1980-04-05,2020-01-02,white,,F\np2,1990-01-01,,,,M\n"
)
ENCOUNTERS = """\
Id,START,STOP,PATIENT,ENCOUNTERCLASS,CODE,DESCRIPTION,REASONCODE,REASONDESCRIPTION
e1,2019-03-01T09:00:00Z,2019-03-04T10:00:00Z,p1,inpatient,1,"Admission, planned",2,Why
e2,2019-05-01T09:00:00Z,2019-05-01T09:30:00Z,p1,wellness,3,Check,,
"""
CONDITIONS = """\
START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION
2019-03-02,,p1,e1,10,Within
2019-03-04,2019-06-01,p1,e1,11,On the last day
2018-01-01,,p1,e1,12,Before
2019-03-09,,p1,e1,13,After
2019-05-01,,p9,e2,14,Nobody
"""


def run(folder: Path, out: Path) -> tuple[pl.DataFrame, Manifest]:
    manifest = ingest(Component(name="synthea"), folder, out, engine=Local(1))
    return pl.read_parquet(out / "data" / "*.parquet"), manifest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "raw").mkdir()
    for name, text in {"patients": PATIENTS, "encounters": ENCOUNTERS, "conditions": CONDITIONS}.items():
        (tmp_path / "raw" / f"{name}.csv").write_text(text, encoding="utf-8")
    return tmp_path / "raw"


def test_a_stay_is_admitted_and_discharged_and_any_other_encounter_starts_and_ends(folder, tmp_path):
    events, manifest = run(folder, tmp_path / "out")
    stays = events.filter(pl.col("code").str.contains("^(HOSPITAL|ENCOUNTER_END|ENCOUNTER//)"))
    assert stays.select("code", "visit_id").rows() == [
        ("HOSPITAL_ADMISSION//INPATIENT", key("e1")),
        ("HOSPITAL_DISCHARGE//INPATIENT", key("e1")),
        ("ENCOUNTER//WELLNESS", key("e2")),
        ("ENCOUNTER_END//WELLNESS", key("e2")),
    ]
    assert manifest.counts["visits"] == 2


def test_a_condition_happens_in_the_encounter_that_recorded_it_and_is_known_at_its_end(folder, tmp_path):
    events, _ = run(folder, tmp_path / "out")
    found = events.filter(pl.col("code").str.starts_with("DIAGNOSIS//")).sort("code")
    stop = datetime(2019, 3, 4, 10)
    assert found.select("time", "available_time").rows() == [
        (datetime(2019, 3, 2, 23, 59, 59), stop),
        (stop, stop),
        (datetime(2019, 3, 1, 9), stop),
        (datetime(2019, 3, 9, 23, 59, 59), datetime(2019, 3, 9, 23, 59, 59)),
    ]


def test_visits_are_rebuilt_from_the_ids_where_there_is_no_encounters_table(folder, tmp_path):
    (folder / "encounters.csv").unlink()
    events, manifest = run(folder, tmp_path / "out")
    found = events.filter(code="DIAGNOSIS//SNOMED//11")
    assert found["visit_id"].to_list() == [key("e1")]
    assert found["available_time"].to_list() == [datetime(2019, 3, 4, 23, 59, 59)]
    assert manifest.counts["visits"] == 1


def test_an_end_lies_in_no_visit(folder, tmp_path):
    events, _ = run(folder, tmp_path / "out")
    assert events.filter(code="DIAGNOSIS_END//SNOMED//11")["visit_id"].to_list() == [None]


def test_people_are_born_and_die_and_nobody_else_has_rows(folder, tmp_path):
    events, manifest = run(folder, tmp_path / "out")
    own = events.filter(subject_id=key("p1"), origin="patients")
    assert own.select("code", "time").rows() == [
        ("GENDER//F", None),
        ("RACE//white", None),
        ("MEDS_BIRTH", datetime(1980, 4, 5)),
        ("MEDS_DEATH", datetime(2020, 1, 2, 23, 59, 59)),
    ]
    assert manifest.counts["quarantined"] == 1


def test_codes_have_the_names_that_the_rows_give_them(folder, tmp_path):
    run(folder, tmp_path / "out")
    codes = dict(
        pl.read_parquet(tmp_path / "out/metadata/codes.parquet").select("code", "description").iter_rows()
    )
    assert codes["DIAGNOSIS//SNOMED//12"] == "Before"
    assert codes["ENCOUNTER_TYPE//SNOMED//1"] == "Admission, planned"


def test_every_table_of_a_complete_export_becomes_events(tmp_path):
    events, manifest = run(raw.write(tmp_path / "raw"), tmp_path / "out")
    assert set(events["origin"]) == set(raw.COLUMNS) - {"payers"}
    assert manifest.counts["quarantined"] == 0
    assert events.filter(pl.col("available_time") < pl.col("time")).is_empty()
    low = events.filter(pl.col("code").str.starts_with("LAB//"), pl.col("text_value") == "<40")
    assert set(low["numeric_value"]) == {40.0}


@pytest.mark.shared
def test_the_complete_set_has_the_counts_that_are_known(shared_data, tmp_path):
    events, manifest = run(shared_data("synthea-csv-27"), tmp_path / "out")
    assert (manifest.counts["subjects"], manifest.counts["visits"]) == (27, 604)
    assert events.filter(pl.col("code").str.starts_with("DIAGNOSIS//")).height == 438
    assert manifest.counts["quarantined"] == 0


@pytest.mark.shared
def test_the_partial_set_has_the_counts_that_are_known(shared_data, tmp_path):
    events, manifest = run(shared_data("synthea-csv-1000"), tmp_path / "out")
    assert manifest.counts["subjects"] == 1000
    assert events.filter(pl.col("code").str.starts_with("DIAGNOSIS//")).height == 20_512
    assert events.filter(pl.col("code").str.starts_with("MEDICATION//")).height == 17_922
    assert manifest.counts["quarantined"] == 781  # allergies of people whom patients.csv does not have
