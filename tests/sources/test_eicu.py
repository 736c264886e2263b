"""eICU: the rules of time on made-up stays and a made-up folder; then the published demo, line by line."""

import json
from datetime import date, datetime, timedelta
from pathlib import Path

import meds
import polars as pl
import pyarrow.parquet as pq
import pytest

from attending.config import Component
from attending.engine.local import Local
from attending.ledger.keys import key
from attending.schema import AVAILABLE_TIME, CODE, NUMERIC_VALUE, SUBJECT_ID, TEXT_VALUE, TIME, VISIT_ID
from attending.sources._eicu import clock as clock
from attending.sources._eicu.care import ICD, system
from attending.stages.ingest import Sizes, ingest
from attending.tasks import mortality, next_diagnoses
from attending.visits import END, START, stays
from raw import eicu

DAY = 1440


def unit_stay(unit: int, stay: int, **changed: object) -> dict[str, object]:
    """A stay in a unit from an hour after admission, of one day, discharged a day later at 12:00 of 2014."""
    return {
        SUBJECT_ID: 1,
        clock.UNIT: unit,
        clock.STAY: stay,
        "age": "60",
        "unitvisitnumber": 1,
        "hospitaladmitoffset": -60,
        "unitdischargeoffset": DAY,
        "hospitaldischargeoffset": 2 * DAY,
        "hospitaldischargeyear": 2014,
        "hospitaldischargetime24": "12:00:00",
        "hospitaldischargestatus": "Alive",
        "unitdischargestatus": "Alive",
    } | changed


def order(*rows: dict[str, object]) -> list[int]:
    """The hospital stays in the order that they are given."""
    return clock.placed(pl.DataFrame(rows)).unique(clock.STAY, maintain_order=True)[clock.STAY].to_list()


def test_hospital_stays_go_by_year_then_death_then_age_then_number():
    assert order(unit_stay(1, 5, hospitaldischargeyear=2015), unit_stay(2, 6)) == [6, 5]
    assert order(unit_stay(1, 5, hospitaldischargestatus="Expired"), unit_stay(2, 6, age="61")) == [6, 5]
    assert order(unit_stay(1, 5, age="61"), unit_stay(2, 6)) == [6, 5]
    assert order(unit_stay(1, 5, age="> 89"), unit_stay(2, 6, age="89")) == [6, 5]
    assert order(unit_stay(1, 6), unit_stay(2, 5)) == [5, 6]


def test_a_discharge_is_in_its_year_at_its_clock_time_and_the_rest_follows_from_offsets():
    only = clock.placed(pl.DataFrame([unit_stay(1, 5)])).row(0, named=True)
    assert only["hospital_end"] == datetime(2014, 7, 2, 12)
    assert only["unit_start"] == datetime(2014, 6, 30, 12)
    assert only["unit_end"] == datetime(2014, 7, 1, 12)
    assert only["hospital_start"] == datetime(2014, 6, 30, 11)


def test_stays_of_one_year_are_spread_over_it():
    placed = clock.placed(pl.DataFrame([unit_stay(n, n) for n in (1, 2, 3)]))
    assert placed["hospital_end"].dt.date().to_list() == [
        date(2014, 4, 2),
        date(2014, 7, 2),
        date(2014, 10, 1),
    ]


def test_a_long_stay_never_overlaps_the_one_before():
    long = {"hospitaladmitoffset": -300 * DAY}
    placed = clock.placed(pl.DataFrame([unit_stay(n, n, **long) for n in (1, 2, 3)]))
    assert (placed["hospital_start"][1:] > placed["hospital_end"][:-1]).all()
    lengths = (placed["hospital_end"] - placed["hospital_start"]).to_list()
    assert lengths == [timedelta(days=302)] * 3


def test_the_units_of_a_hospital_stay_keep_the_time_between_them():
    second = unit_stay(
        2, 5, unitvisitnumber=2, hospitaladmitoffset=-60 - 1500, hospitaldischargeoffset=2 * DAY - 1500
    )
    placed = clock.placed(pl.DataFrame([second, unit_stay(1, 5)]))
    assert placed[clock.UNIT].to_list() == [1, 2]
    assert placed["unit_start"][1] - placed["unit_start"][0] == timedelta(minutes=1500)
    assert placed["hospital_start"].n_unique() == placed["hospital_end"].n_unique() == 1


def test_icd_9_and_icd_10_are_told_apart():
    codes = {
        "401.9": "DIAGNOSIS//ICD//9",
        "486": "DIAGNOSIS//ICD//9",
        "V45.81": "DIAGNOSIS//ICD//9",
        "V08": "DIAGNOSIS//ICD//9",
        "E980.2": "DIAGNOSIS//ICD//9",
        "E849": "DIAGNOSIS//ICD//9",
        "31.1": "PROCEDURE//ICD//9",
        "I10": "DIAGNOSIS//ICD//10",
        "E87.2": "DIAGNOSIS//ICD//10",
        "E46": "DIAGNOSIS//ICD//10",
        "V43.52XA": "DIAGNOSIS//ICD//10",
        "T42.4X": "DIAGNOSIS//ICD//10",
    }
    found = pl.DataFrame({ICD: list(codes)}).select(system()).to_series().to_list()
    assert dict(zip(codes, found, strict=True)) == codes


# A made-up folder ---------------------------------------------------------------------------------


def read(folder: Path, out: Path, sizes: Sizes | None = None, **config: object) -> pl.DataFrame:
    ingest(Component(name="eicu", **config), folder, out, engine=Local(1), sizes=sizes)  # type: ignore[arg-type]
    return pl.read_parquet(out / "data" / "*.parquet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return eicu.write(tmp_path_factory.mktemp("eicu") / "raw")


@pytest.fixture(scope="module")
def out(folder) -> Path:
    read(folder, folder.parent / "events")
    return folder.parent / "events"


@pytest.fixture(scope="module")
def events(out) -> pl.DataFrame:
    return pl.read_parquet(out / "data" / "*.parquet")


def of(events: pl.DataFrame, prefix: str) -> pl.DataFrame:
    return events.filter(pl.col(CODE).str.starts_with(prefix))


def test_a_subject_is_a_uniquepid_and_a_visit_a_stay_in_hospital(events):
    assert set(events[SUBJECT_ID]) == {key(f"002-{1000 + 7 * n}") for n in range(eicu.N_PATIENTS)}
    assert of(events, "HOSPITAL_ADMISSION").height == events[VISIT_ID].drop_nulls().n_unique() == 27
    assert of(events, "ICU_ADMISSION").height == of(events, "ICU_DISCHARGE").height == 34


def test_every_line_is_accepted_and_every_table_gives_events(out):
    ledger = json.loads((out / "ledger.json").read_text())
    assert ledger["totals"]["quarantined"] == ledger["totals"]["values"] == 0
    empty = {file["file"].split(".")[0] for file in ledger["files"] if not file["events"]}
    assert empty == {"hospital"}


def test_an_event_is_known_when_it_was_entered(events):
    delay = (of(events, "LAB//BUN")[AVAILABLE_TIME] - of(events, "LAB//BUN")[TIME]).unique().to_list()
    assert delay == [timedelta(minutes=30)]
    early = of(events, "NURSE_CARE")
    assert (early[AVAILABLE_TIME] == early[TIME]).all()  # entered before it happened


def test_what_came_of_a_stay_is_known_at_its_end_only(events):
    ends = stays(events).select(VISIT_ID, START, END)
    actual = of(events, "APACHE//ACTUAL").join(ends, on=VISIT_ID)
    units = of(events, "ICU_DISCHARGE").select(VISIT_ID, pl.col(TIME).alias("unit_end"))
    at_unit_end = actual.join(
        units, left_on=[VISIT_ID, TIME], right_on=[VISIT_ID, "unit_end"], how="semi"
    ).height
    assert at_unit_end + (actual[TIME] == actual[END]).sum() >= actual.height
    results = of(events, "MICROBIOLOGY").join(ends, on=VISIT_ID)
    assert (results[AVAILABLE_TIME] == results[END]).all()
    assert not events[CODE].str.contains("diedinhospital").any()


def test_first_day_scores_are_known_after_the_first_day(events):
    admitted = of(events, "ICU_ADMISSION").select(SUBJECT_ID, VISIT_ID, pl.col(TIME).alias("at"))
    scores = of(events, "APACHE//IV//apachescore").join(admitted, on=[SUBJECT_ID, VISIT_ID])
    waits = scores.group_by(VISIT_ID, TIME).agg((pl.col(TIME) - pl.col("at")).min().alias("wait"))
    assert waits.select((pl.col("wait").abs() >= timedelta(days=1)).all()).item()


def test_a_missing_predicted_risk_is_no_event(events):
    assert (of(events, "APACHE")[NUMERIC_VALUE].drop_nulls() >= 0).all()


def test_cancelled_orders_give_no_event_and_nameless_drugs_their_number(out, events):
    ledger = json.loads((out / "ledger.json").read_text())
    medication = next(file for file in ledger["files"] if file["file"].startswith("medication"))
    assert medication["events"] < medication["accepted"] == 102
    assert of(events, "MEDICATION//HICL//1820").height
    assert of(events, "MEDICATION//HEPARIN, PORCINE 5000 UNIT/ML").height


def test_death_is_the_last_thing_known_of_a_patient_who_dies(events):
    dead = of(events, "MEDS_DEATH")
    assert dead.height == dead[SUBJECT_ID].n_unique() == 3
    last = stays(events).group_by(SUBJECT_ID).agg(pl.col(END).max())
    assert dead.join(last, on=SUBJECT_ID).select((pl.col(TIME) <= pl.col(END)).all()).item()


def test_age_gives_the_year_of_birth(events):
    births = of(events, "MEDS_BIRTH").select(SUBJECT_ID, pl.col(TIME).alias("born"))
    first = (
        of(events, "ICU_ADMISSION").sort(TIME).unique(SUBJECT_ID, keep="first").join(births, on=SUBJECT_ID)
    )
    ages = dict(first.select(SUBJECT_ID, pl.col(TIME).dt.year() - pl.col("born").dt.year()).iter_rows())
    assert ages[key("002-1000")] == 40
    assert ages[key("002-1035")] == 90
    assert key("002-1042") not in ages  # no age is given
    assert of(events, "AGE//> 89").height == 2


def test_words_stay_words_and_limits_keep_their_side(events):
    gfr = of(events, "LAB//GFR")
    assert set(gfr.select(NUMERIC_VALUE, TEXT_VALUE).iter_rows()) == {(60.0, ">60")}
    note = of(events, "NOTE//Admission")[TEXT_VALUE][0]
    assert (
        note
        == 'Progress Notes/Admission Page One/Source of Admission/ED: seen in the ED, "stable"\nsecond line'
    )


def test_ventilation_that_later_rows_repeat_is_one_event(events):
    starts = of(events, "VENTILATION_START")
    assert starts.height == of(events, "VENTILATION_END").height == starts.unique([SUBJECT_ID, TIME]).height


def test_tasks_find_their_samples(events):
    assert mortality.label(events, mortality.Config()).frame.height > 20
    assert next_diagnoses.label(events, next_diagnoses.Config()).frame.height > 8


def test_unit_stays_can_be_the_visits(folder, tmp_path):
    events = read(folder, tmp_path / "events", visits="unit")
    visits = stays(events)
    assert visits.height == 34
    admitted = of(events, "ICU_ADMISSION").select(VISIT_ID, pl.col(TIME).alias("from"))
    left = of(events, "ICU_DISCHARGE").select(VISIT_ID, pl.col(TIME).alias("to"))
    bounds = visits.join(admitted, on=VISIT_ID).join(left, on=VISIT_ID)
    assert (bounds[START] == bounds["from"]).all()
    assert (bounds[END] == bounds["to"]).all()


def test_the_same_events_come_of_many_shards(folder, events, tmp_path):
    sizes = Sizes(block_bytes=2000, shard_bytes=20_000, part_bytes=8000)
    read(folder, tmp_path / "events", sizes)
    shards = sorted((tmp_path / "events" / "data").glob("*.parquet"))
    assert len(shards) > 1
    cut = pl.concat([pl.read_parquet(shard) for shard in shards]).sort(SUBJECT_ID, maintain_order=True)
    assert cut.equals(events.sort(SUBJECT_ID, maintain_order=True))


def test_a_row_of_an_unknown_unit_stay_is_quarantined(tmp_path):
    raw = eicu.write(tmp_path / "raw")
    with (raw / "treatment.csv").open("a") as file:
        file.write("999,123456789,5,renal|dialysis,False\n")
    read(raw, tmp_path / "events")
    ledger = json.loads((tmp_path / "events" / "ledger.json").read_text())
    assert ledger["totals"]["quarantined"] == 1


def test_an_offset_that_is_no_time_of_a_life_gives_no_event(tmp_path):
    raw = eicu.write(tmp_path / "raw")
    path = raw / "treatment.csv"
    path.write_text(path.read_text().replace(",500,", ",99999999999,", 1))
    events = read(raw, tmp_path / "events")
    assert of(events, "TREATMENT").height == 33
    assert json.loads((tmp_path / "events" / "ledger.json").read_text())["totals"]["values"] == 1


# The published demo -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo(shared_data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "events"
    read(shared_data("eicu-demo"), out)
    return out


@pytest.fixture(scope="module")
def demo_events(demo) -> pl.DataFrame:
    return pl.read_parquet(demo / "data" / "*.parquet")


@pytest.mark.shared
def test_the_known_counts_of_the_demo(demo, demo_events):
    assert demo_events[SUBJECT_ID].n_unique() == 1107
    assert of(demo_events, "HOSPITAL_ADMISSION").height == stays(demo_events).height == 1306
    assert of(demo_events, "ICU_ADMISSION").height == 1517
    assert of(demo_events, "HOSPITAL//")[CODE].n_unique() == 111
    ledger = json.loads((demo / "ledger.json").read_text())
    assert ledger["totals"]["quarantined"] == ledger["totals"]["values"] == 0
    accepted = {file["file"].split(".")[0]: file["accepted"] for file in ledger["files"]}
    known = {"diagnosis": 16965, "medication": 43989, "treatment": 24981, "lab": 17488}
    assert {name: accepted[name] for name in known} == known
    assert of(demo_events, "ICU_DIAGNOSIS").height == 16965
    assert of(demo_events, "TREATMENT").height == 24981


@pytest.mark.shared
def test_the_demo_passes_the_schemas_of_the_standard(demo):
    for path in (demo / "data").glob("*.parquet"):
        meds.DataSchema.validate(pq.read_table(path))
    meds.CodeMetadataSchema.validate(pq.read_table(demo / "metadata" / "codes.parquet"))


@pytest.mark.shared
def test_recorded_clock_times_are_those_of_the_demo(shared_data, demo_events):
    """Every admission and discharge, placed by offsets alone, has the clock time that eICU records for it."""
    raw = pl.read_csv(shared_data("eicu-demo") / "patient.csv.gz", infer_schema=False)
    columns = {"HOSPITAL_ADMISSION": "hospitaladmittime24", "ICU_DISCHARGE": "unitdischargetime24"}
    for code, column in columns.items():
        recorded = raw.select(
            pl.col(clock.STAY).cast(pl.Int64).alias(VISIT_ID), pl.col(column).str.slice(0, 5)
        )
        found = of(demo_events, code).select(VISIT_ID, pl.col(TIME).dt.strftime("%H:%M").alias(column))
        assert set(found.iter_rows()) == set(recorded.iter_rows())
