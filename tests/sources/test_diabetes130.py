"""Diabetes 130-US hospitals: an order without dates, and what an encounter's line may say when."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from attending.artifact import Manifest
from attending.config import Component
from attending.engine.local import Local
from attending.stages.ingest import ingest
from raw import diabetes130 as raw


def run(folder: Path, out: Path) -> tuple[pl.DataFrame, Manifest]:
    manifest = ingest(Component(name="diabetes130"), folder, out, engine=Local(1))
    return pl.read_parquet(out / "data" / "*.parquet"), manifest


@pytest.fixture
def made(tmp_path):
    return run(raw.write(tmp_path / "raw"), tmp_path / "out")


def test_encounters_follow_each_other_in_the_order_of_their_numbers(made):
    events, manifest = made
    admissions = events.filter(pl.col("code").str.starts_with("HOSPITAL_ADMISSION"))
    first = datetime(2000, 1, 1, 12)
    for _, own in admissions.group_by("subject_id"):
        times = own.sort("visit_id")["time"].to_list()
        assert times == [first + timedelta(days=365 * number) for number in range(len(times))]
    assert manifest.counts["visits"] == 35


def test_no_encounter_starts_before_the_last_has_ended(made):
    events, _ = made
    ends = events.filter(pl.col("code").str.starts_with("HOSPITAL_DISCHARGE")).select(
        "subject_id", "visit_id", "time"
    )
    starts = events.filter(pl.col("code").str.starts_with("HOSPITAL_ADMISSION"))
    later = starts.join(ends, on="subject_id", suffix="_other").filter(
        pl.col("visit_id") > pl.col("visit_id_other")
    )
    assert (later["time"] > later["time_other"]).all()


def test_what_the_line_sums_up_is_known_at_discharge(made):
    events, _ = made
    ends = events.filter(pl.col("code").str.starts_with("HOSPITAL_DISCHARGE"))
    ends = dict(ends.select("visit_id", "time").iter_rows())
    prefixes = "^(DIAGNOSIS|LAB|MEDICATION|COUNT|DIABETES_MEDICATION)"
    summed = events.filter(pl.col("code").str.contains(prefixes))
    assert all(ends[visit] == time for visit, time in summed.select("visit_id", "time").iter_rows())
    assert set(summed.filter(pl.col("code").str.starts_with("DIAGNOSIS"))["priority"]) == {1, 2, 3}


def test_codes_are_icd_9_without_a_point_and_a_question_mark_is_none(made):
    codes = set(made[0]["code"])
    assert {"DIAGNOSIS//ICD//9//25083", "DIAGNOSIS//ICD//9//V27"} <= codes
    assert not any("?" in code for code in codes)


def test_readmission_is_known_after_thirty_days_and_in_no_visit(made):
    events, _ = made
    found = events.filter(pl.col("code").str.starts_with("READMITTED"))
    ends = events.filter(pl.col("code").str.starts_with("HOSPITAL_DISCHARGE"))["time"].unique().to_list()
    assert found["visit_id"].is_null().all()
    assert set(found["available_time"]) <= {end + timedelta(days=30) for end in ends}
    assert set(found["code"]) <= {"READMITTED_WITHIN_30_DAYS//YES", "READMITTED_WITHIN_30_DAYS//NO"}


def test_a_discharge_of_the_dead_is_a_death(made):
    events, _ = made
    assert events.filter(code="MEDS_DEATH")["subject_id"].to_list() == [44]
    assert events.filter(code="HOSPITAL_DISCHARGE//EXPIRED").height == 1


def test_birth_is_the_middle_of_the_age_at_the_first_encounter(made):
    events, _ = made
    births = events.filter(code="MEDS_BIRTH", subject_id=11)["time"].to_list()  # [10-20)
    assert [round((datetime(2000, 1, 1, 12) - birth).days / 365.25) for birth in births] == [15]


@pytest.mark.shared
def test_the_shared_file_has_the_counts_that_are_known(shared_data, tmp_path):
    events, manifest = run(shared_data("diabetes130"), tmp_path / "out")
    assert (manifest.counts["subjects"], manifest.counts["visits"]) == (50_088, 71_463)
    visits = events.drop_nulls("visit_id").group_by("subject_id").agg(pl.col("visit_id").n_unique())
    assert visits.filter(pl.col("visit_id") >= 2).height == 11_851
    assert manifest.counts["quarantined"] == 0
