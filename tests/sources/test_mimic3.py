"""MIMIC-III: the rules of each table on a made-up folder; then the published demo, line by line."""

import gzip
import json
from datetime import datetime, timedelta
from pathlib import Path

import meds
import polars as pl
import pyarrow.parquet as pq
import pytest

from attending.config import Component
from attending.engine.local import Local
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    DESCRIPTION,
    NUMERIC_VALUE,
    ORIGIN,
    PRIORITY,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)
from attending.stages.ingest import ingest
from attending.tasks import mortality, next_diagnoses
from attending.visits import END, stays
from raw import mimic3


def read(folder: Path, out: Path) -> pl.DataFrame:
    ingest(Component(name="mimic3"), folder, out, engine=Local(1))
    return pl.read_parquet(out / "data" / "*.parquet")


def of(events: pl.DataFrame, prefix: str) -> pl.DataFrame:
    return events.filter(pl.col(CODE).str.starts_with(prefix))


def ended(events: pl.DataFrame, prefix: str) -> pl.DataFrame:
    """Events with the end of their visit."""
    return of(events, prefix).join(stays(events).select(VISIT_ID, END), on=VISIT_ID)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return mimic3.write(tmp_path_factory.mktemp("mimic3") / "raw")


@pytest.fixture(scope="module")
def out(folder) -> Path:
    read(folder, folder.parent / "events")
    return folder.parent / "events"


@pytest.fixture(scope="module")
def events(out) -> pl.DataFrame:
    return pl.read_parquet(out / "data" / "*.parquet")


@pytest.fixture(scope="module")
def ledger(out) -> dict:
    return json.loads((out / "ledger.json").read_text())


def test_tables_in_upper_case_are_read(events, ledger):
    assert events[SUBJECT_ID].n_unique() == mimic3.N_PATIENTS
    assert of(events, "HOSPITAL_ADMISSION").height == stays(events).height == 23
    used = {file["file"].split(".")[0] for file in ledger["files"] if file["events"]}
    assert used == {name for name in mimic3.NAMES if name not in mimic3.DICTIONARIES}


def test_codes_of_a_stay_are_known_at_its_end_in_their_rank(events):
    for prefix in ("DIAGNOSIS//ICD//9//", "PROCEDURE//ICD//9//", "DRG", "HCPCS"):
        coded = ended(events, prefix)
        assert coded.height
        assert (coded[AVAILABLE_TIME] == coded[END]).all()
    ranks = of(events, "DIAGNOSIS").group_by(VISIT_ID, maintain_order=True).agg(PRIORITY)[PRIORITY]
    assert set(map(tuple, ranks.to_list())) == {(1, 2, 3)}


def test_a_date_is_over_when_its_day_is_or_with_the_discharge(events):
    drugs = ended(events, "MEDICATION").with_columns(last=pl.col(TIME).dt.date() == pl.col(END).dt.date())
    assert (drugs.filter("last")[TIME] == drugs.filter("last")[END]).all()
    assert set(drugs.filter(~pl.col("last"))[TIME].dt.strftime("%H:%M:%S")) == {"23:59:59"}


def test_those_older_than_89_are_91_at_their_first_admission(events):
    born = of(events, "MEDS_BIRTH").select(SUBJECT_ID, pl.col(TIME).dt.year().alias("born"))
    first = (
        of(events, "HOSPITAL_ADMISSION").group_by(SUBJECT_ID).agg(pl.col(TIME).min().dt.year().alias("year"))
    )
    years = {subject: year - born for subject, born, year in born.join(first, on=SUBJECT_ID).iter_rows()}
    assert years[4] == 91
    assert years[5] == 45


def test_death_in_hospital_is_a_discharge_to_death(events):
    discharged = set(of(events, "HOSPITAL_DISCHARGE")[CODE])
    assert discharged == {"HOSPITAL_DISCHARGE//HOME", "HOSPITAL_DISCHARGE//DIED"}
    dead = of(events, "MEDS_DEATH")
    assert dead[SUBJECT_ID].to_list() == [4, 6, 8, 12]
    outside = dead.filter(pl.col(VISIT_ID).is_null())
    assert outside[SUBJECT_ID].to_list() == [6]
    assert outside[TIME].dt.strftime("%H:%M:%S").to_list() == ["23:59:59"]
    assert not events[CODE].str.to_lowercase().str.contains("expire").any()


def test_results_are_numbers_with_a_flag_or_words(events):
    found = of(events, "LAB//50912//mg/dL").select(pl.col(NUMERIC_VALUE).round(1).cast(pl.String), TEXT_VALUE)
    assert set(found.iter_rows()) == {("1.1", None), ("2.5", "abnormal"), (None, "NEG"), ("500.0", ">500")}


def test_a_culture_is_known_at_discharge(events):
    cultures = ended(events, "MICROBIOLOGY//BLOOD CULTURE//ESCHERICHIA COLI")
    assert (cultures[AVAILABLE_TIME] == cultures[END]).all()
    assert set(cultures[TEXT_VALUE]) == {"GENTAMICIN//S"}


def test_notes_keep_their_lines_and_a_summary_waits_for_the_discharge(events):
    summaries = ended(events, "NOTE//Discharge summary")
    assert summaries.height == 23
    assert (summaries[AVAILABLE_TIME] >= summaries[END]).all()
    assert set(summaries[TEXT_VALUE]) == {mimic3.NOTE}
    others = of(events, "NOTE//Physician")
    assert set(others[AVAILABLE_TIME] - others[TIME]) == {timedelta(minutes=9)}


def test_errors_and_rewritten_orders_are_set_aside_and_counted(events, ledger):
    set_aside = {file["table"]: file["quarantined"] for file in ledger["files"] if file["quarantined"]}
    assert set_aside == {
        "noteevents": {"marked as an error": {"iserror": 8}},
        "chartevents": {"marked as an error": {"error": 4}},
        "inputevents_mv": {"rewritten": {"statusdescription": 23}},
    }
    assert of(events, "INFUSION_START//225158//mL/hour").height == 23


def test_carevue_and_metavision_infusions_are_both_there(events):
    charted = of(events, "INFUSION//30018//ml")
    assert set(charted.select(NUMERIC_VALUE, TEXT_VALUE).iter_rows()) == {(50.0, "Stopped")}
    assert set(charted[AVAILABLE_TIME] - charted[TIME]) == {timedelta(hours=1)}
    run, end = of(events, "INFUSION_START"), of(events, "INFUSION_END")
    assert (run[NUMERIC_VALUE] == 100).all()
    assert set(end[TIME] - run[TIME]) == {timedelta(hours=4)}


def test_codes_have_the_names_of_the_dictionaries(out):
    codes = pl.read_parquet(out / "metadata" / "codes.parquet").select(CODE, DESCRIPTION)
    names = dict(codes.iter_rows())
    assert names["LAB//50912//mg/dL"] == "Creatinine (mg/dL)"
    assert names["PROCEDURE//START//224277"] == 'Invasive line, "20G"'
    assert names["HCPCS//99291"] == "Critical care services (99291)"
    assert names["HCPCS//94003"] == "HCPCS: 94003"


def test_tasks_find_their_samples(events):
    assert mortality.label(events, mortality.Config()).frame.height == 23
    assert next_diagnoses.label(events, next_diagnoses.Config()).frame.height == 11


def test_a_row_of_an_unknown_admission_is_quarantined(tmp_path):
    raw = mimic3.write(tmp_path / "raw")
    with gzip.open(raw / "DIAGNOSES_ICD.csv.gz", "at") as file:
        file.write("999,1,5,1,4280\n")
    events = read(raw, tmp_path / "events")
    assert of(events, "DIAGNOSIS").height == 69
    set_aside = pl.read_parquet(tmp_path / "events" / "quarantine" / "diagnoses_icd.parquet")
    assert set_aside["reason"].to_list() == ["no such admission"]


# The published demo -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(shared_data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "events"
    read(shared_data("mimic-iii-demo"), out)
    return out


@pytest.fixture(scope="module")
def demo_events(demo) -> pl.DataFrame:
    return pl.read_parquet(demo / "data" / "*.parquet")


@pytest.mark.shared
def test_the_known_counts_of_the_demo(demo, demo_events):
    assert demo_events[SUBJECT_ID].n_unique() == 60
    assert of(demo_events, "HOSPITAL_ADMISSION").height == stays(demo_events).height == 68
    assert of(demo_events, "ICU_ADMISSION").height == 73
    assert of(demo_events, "DIAGNOSIS//ICD//9").height == 936
    assert of(demo_events, "PROCEDURE//ICD//9").height == 272
    assert of(demo_events, "LAB//").height == 41_671
    assert of(demo_events, "MEDICATION").height == 5_591
    counts = dict(demo_events[ORIGIN].value_counts().iter_rows())
    assert counts["inputevents_mv"] == 2 * (6847 - 1705)
    assert counts["cptevents"] == 839


@pytest.mark.shared
def test_every_line_of_the_demo_is_accounted_for(shared_data, demo):
    ledger = json.loads((demo / "ledger.json").read_text())
    assert ledger["totals"]["quarantined"] == 1705 + 17  # rewritten orders
    raw = shared_data("mimic-iii-demo")
    files = {file["file"]: file for file in ledger["files"]}
    for path in raw.glob("*.gz"):
        file = files[path.name]
        assert file["lines"] == len(gzip.decompress(path.read_bytes()).splitlines())


@pytest.mark.shared
def test_the_demo_passes_the_schemas_of_the_standard(demo, demo_events):
    for path in (demo / "data").glob("*.parquet"):
        meds.DataSchema.validate(pq.read_table(path))
    codes = pl.read_parquet(demo / "metadata" / "codes.parquet")
    assert codes[DESCRIPTION].null_count() == 0
    timed = demo_events.drop_nulls(TIME)
    assert (timed[AVAILABLE_TIME] >= timed[TIME]).all()


@pytest.mark.shared
def test_the_first_patient_of_the_demo(demo_events):
    first = demo_events.filter(pl.col(SUBJECT_ID) == 10013)
    assert of(first, "MEDS_DEATH")[TIME].to_list() == [datetime(2125, 10, 7, 15, 13)]
    assert of(first, "HOSPITAL_DISCHARGE")[CODE].to_list() == ["HOSPITAL_DISCHARGE//DIED"]
    leading = of(first, "DIAGNOSIS").sort(PRIORITY)[CODE].to_list()[:2]
    assert leading == ["DIAGNOSIS//ICD//9//0389", "DIAGNOSIS//ICD//9//41071"]
