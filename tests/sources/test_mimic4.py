"""MIMIC-IV: the rules of each table on a tiny hospital; then the published demo, line by line and against MEDS."""

import csv
import gzip
import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import meds
import polars as pl
import pyarrow.parquet as pq
import pytest

from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    DESCRIPTION,
    EVENTS,
    N_EVENTS,
    NUMERIC_VALUE,
    ORIGIN,
    PARENT_CODES,
    PRIORITY,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)
from tiny_mimic import put, run, write


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> pl.DataFrame:
    """All events of the tiny hospital."""
    folder = tmp_path_factory.mktemp("tiny")
    run(write(folder / "raw"), folder / "out")
    return pl.read_parquet(folder / "out" / "data" / "*.parquet")


def at(*parts: int) -> datetime:
    return datetime(*parts)


def rows(events: pl.DataFrame, prefix: str, *columns: str) -> list[tuple]:
    return events.filter(pl.col(CODE).str.starts_with(prefix)).select(columns).rows()


def test_sex_is_static_and_birth_is_the_first_of_january(tiny):
    assert rows(tiny, "GENDER", SUBJECT_ID, CODE, TIME, AVAILABLE_TIME)[0] == (1, "GENDER//F", None, None)
    assert rows(tiny, "MEDS_BIRTH", TIME)[0] == (at(2100, 1, 1),)
    assert tiny.group_by(SUBJECT_ID, maintain_order=True).first()[CODE].str.starts_with("GENDER").all()


def test_death_is_the_hour_in_hospital_or_else_the_end_of_the_day(tiny):
    assert rows(tiny, "MEDS_DEATH", SUBJECT_ID, TIME, VISIT_ID) == [
        (2, at(2145, 3, 9, 20, 15), 21),
        (3, at(2165, 1, 1, 23, 59, 59), None),
    ]


def test_death_comes_after_what_happened_at_the_same_moment(tiny):
    assert tiny.filter(pl.col(SUBJECT_ID) == 2)[CODE].to_list()[-1] == "MEDS_DEATH"


def test_a_visit_has_one_admission_and_one_discharge(tiny):
    assert rows(tiny, "HOSPITAL_ADMISSION", VISIT_ID, CODE, TIME)[0] == (
        11,
        "HOSPITAL_ADMISSION//URGENT//EMERGENCY ROOM",
        at(2150, 1, 1, 10),
    )
    assert rows(tiny, "HOSPITAL_DISCHARGE", VISIT_ID, CODE) == [
        (11, "HOSPITAL_DISCHARGE//HOME"),
        (12, "HOSPITAL_DISCHARGE//UNK"),
        (21, "HOSPITAL_DISCHARGE//DIED"),
        (31, "HOSPITAL_DISCHARGE//HOME"),
    ]
    assert rows(tiny, "MARITAL_STATUS", VISIT_ID) == [(11,), (21,), (31,)]
    assert rows(tiny, "ED_", CODE, TIME) == [
        ("ED_REGISTRATION", at(2150, 1, 1, 8)),
        ("ED_OUT", at(2150, 1, 1, 11)),
    ]


def test_diagnoses_are_known_at_discharge_in_the_order_of_their_rank(tiny):
    discharge = at(2150, 1, 5, 12)
    assert rows(tiny, "DIAGNOSIS", CODE, TIME, AVAILABLE_TIME, VISIT_ID, PRIORITY)[:2] == [
        ("DIAGNOSIS//ICD//9//0389", discharge, discharge, 11, 1),
        ("DIAGNOSIS//ICD//9//4280", discharge, discharge, 11, 2),
    ]
    assert [code for (code,) in rows(tiny, "DIAGNOSIS", CODE)][3:5] == [
        "DIAGNOSIS//ICD//10//A419",
        "DIAGNOSIS//ICD//10//N179",
    ]


def test_a_coded_procedure_happens_on_its_day_and_is_known_at_discharge(tiny):
    discharge = at(2150, 1, 5, 12)
    assert rows(tiny, "PROCEDURE//ICD//9", CODE, TIME, AVAILABLE_TIME) == [
        ("PROCEDURE//ICD//9//3961", at(2150, 1, 2, 23, 59, 59), discharge),
        ("PROCEDURE//ICD//9//3722", discharge, discharge),
    ]


def test_a_result_is_known_when_stored_and_never_before_it_was_taken(tiny):
    taken = at(2150, 1, 2, 6)
    columns = (CODE, TIME, AVAILABLE_TIME, NUMERIC_VALUE, TEXT_VALUE, VISIT_ID)
    first, second, third, *_ = rows(tiny, "LAB", *columns)
    assert first == ("LAB//50912//mg/dL", taken, at(2150, 1, 2, 7, 30), pytest.approx(1.1), None, 11)
    assert second == ("LAB//50971//UNK", taken, taken, None, "NEG", 11)
    assert third[1:3] == (at(2150, 9, 2, 6), at(2150, 9, 2, 6))
    assert third[3:] == (500.0, ">500", None)  # the limit, and the words that say it is one


def test_a_blood_pressure_is_two_numbers(tiny):
    day = at(2150, 2, 1, 23, 59, 59)
    assert sorted(rows(tiny, "OMR", CODE, TIME, NUMERIC_VALUE, TEXT_VALUE)) == [
        ("OMR//BMI (kg/m2)", day, 24.5, None),
        ("OMR//Blood Pressure//DIASTOLIC", day, 80.0, None),
        ("OMR//Blood Pressure//SYSTOLIC", day, 120.0, None),
        ("OMR//Note", at(2171, 2, 1, 23, 59, 59), None, "see chart"),
    ]


def test_a_medication_carries_its_dose_as_text(tiny):
    assert rows(tiny, "MEDICATION", CODE, TEXT_VALUE) == [
        ("MEDICATION//Furosemide", "40 mg"),
        ("MEDICATION//Sodium Chloride 0.9%, 1 L", None),
    ]


INFUSIONS = """\
subject_id,hadm_id,stay_id,starttime,endtime,storetime,itemid,amount,amountuom,rate,rateuom
1,11,9,2150-01-02 01:00:00,2150-01-02 05:00:00,2150-01-02 02:00:00,225152,100,units,25,units/hour
1,11,9,2150-01-02 06:00:00,,2150-01-02 06:01:00,225152,7,ml,,
"""
CULTURES = """\
subject_id,hadm_id,chartdate,charttime,spec_type_desc,storedate,storetime,test_name,org_name,ab_name,interpretation
1,11,2150-01-02 00:00:00,2150-01-02 03:00:00,URINE,2150-01-04,2150-01-04 08:00:00,URINE CULTURE,E COLI,CEFTRIAXONE,R
1,,2150-01-02 00:00:00,,SWAB,2150-01-04 00:00:00,,MRSA SCREEN,,,
"""
CHARTED = """\
subject_id,hadm_id,stay_id,charttime,storetime,itemid,value,valuenum,valueuom,warning
1,11,9,2150-01-02 03:00:00,2150-01-02 03:05:00,220045,88,88,bpm,0
1,11,9,2150-01-02 03:00:00,2150-01-02 03:05:00,220048,SR (Sinus Rhythm),,,0
"""
ITEMS = """\
itemid,label,abbreviation,linksto
220045,Heart Rate,HR,chartevents
225152,Heparin Sodium,Heparin,inputevents
"""


def test_tables_of_intensive_care_and_microbiology(tmp_path):
    folder = write(tmp_path / "raw", microbiologyevents=CULTURES)
    put(folder / "icu" / "inputevents.csv", INFUSIONS)
    put(folder / "icu" / "chartevents.csv", CHARTED)
    put(folder / "icu" / "d_items.csv", ITEMS)
    run(folder, tmp_path / "out")
    events = pl.read_parquet(tmp_path / "out" / "data" / "*.parquet")
    stored = at(2150, 1, 2, 2)
    assert rows(events, "INFUSION", CODE, TIME, AVAILABLE_TIME, NUMERIC_VALUE) == [
        ("INFUSION_START//225152//units/hour", at(2150, 1, 2, 1), stored, 25.0),
        ("INFUSION_END//225152", at(2150, 1, 2, 5), at(2150, 1, 2, 5), None),
        ("INFUSION_START//225152//ml", at(2150, 1, 2, 6), at(2150, 1, 2, 6, 1), 7.0),
    ]
    assert rows(events, "CHART", CODE, NUMERIC_VALUE, TEXT_VALUE) == [
        ("CHART//220045//bpm", 88.0, None),
        ("CHART//220048//UNK", None, "SR (Sinus Rhythm)"),
    ]
    assert rows(events, "MICROBIOLOGY", CODE, TIME, AVAILABLE_TIME, TEXT_VALUE) == [
        (
            "MICROBIOLOGY//URINE//URINE CULTURE//E COLI",
            at(2150, 1, 2, 3),
            at(2150, 1, 4, 8),
            "CEFTRIAXONE//R",
        ),
        (
            "MICROBIOLOGY//SWAB//MRSA SCREEN//NEGATIVE",
            at(2150, 1, 2, 23, 59, 59),
            at(2150, 1, 4, 23, 59, 59),
            None,
        ),
    ]
    names = dict(
        pl.read_parquet(tmp_path / "out" / "metadata" / "codes.parquet").select(CODE, DESCRIPTION).rows()
    )
    assert names["CHART//220045//bpm"] == "Heart Rate (bpm)"
    assert names["INFUSION_END//225152"] == "Heparin Sodium"
    assert names["LAB//50912//mg/dL"] == "Creatinine (mg/dL)"
    assert names["MEDS_BIRTH"] == "Birth"
    assert names["OMR//BMI (kg/m2)"] == "OMR: BMI (kg/m2)"


# The published demo -------------------------------------------------------------------------------

PER_ROW = {
    "prescriptions": 1,
    "transfers": 1,
    "services": 1,
    "labevents": 1,
    "microbiologyevents": 1,
    "icustays": 2,
    "procedureevents": 2,
    "ingredientevents": 1,
    "outputevents": 1,
    "datetimeevents": 1,
    "diagnoses_icd": 1,
    "procedures_icd": 1,
    "drgcodes": 1,
    "hcpcsevents": 1,
}
"""Events of each row: a stay and a bedside procedure have a start and an end."""


@pytest.fixture(scope="module")
def raw(shared_data) -> Path:
    return shared_data("mimic-iv-demo")


@pytest.fixture(scope="module")
def demo(raw, tmp_path_factory) -> Path:
    """The artifact made from the demo."""
    out = tmp_path_factory.mktemp("demo") / "events"
    run(raw, out)
    return out


@pytest.fixture(scope="module")
def demo_events(demo) -> pl.DataFrame:
    return pl.read_parquet(demo / "data" / "*.parquet")


@pytest.fixture(scope="module")
def independent(shared_data) -> pl.DataFrame:
    """The same patients, converted to MEDS by other software."""
    return pl.read_parquet(shared_data("mimic-iv-demo-meds") / "data" / "**" / "*.parquet")


def table(raw: Path, path: str) -> list[dict[str, str]]:
    """Read a table the slow, plain way."""
    with gzip.open(raw / f"{path}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.shared
def test_every_line_of_every_file_is_accounted_for(raw, demo):
    ledger = json.loads((demo / "ledger.json").read_text())
    known = {file["file"]: file for file in ledger["files"]}
    orphans = known["hosp/poe_detail.csv.gz"][
        "quarantined"
    ]  # the demo here has details of orders, but no orders
    assert orphans == {"no such order": {"poe_seq": 3795}}
    assert ledger["totals"]["quarantined"] == 3795
    assert ledger["totals"]["values"] == 0
    for path in (path for path in raw.rglob("*") if path.is_file()):
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        file = known.pop(path.relative_to(raw).as_posix())
        fates = file["header"] + file["accepted"] + file["not_read"]
        set_aside = sum(orphans["no such order"].values()) if file["table"] == "poe_detail" else 0
        assert file["lines"] == len(content.splitlines()) == fates + set_aside
    assert {file["status"] for file in known.values()} == {"absent"}
    assert {path for path in known if path.startswith(("hosp", "icu"))} == {
        "hosp/emar",
        "hosp/emar_detail",
        "hosp/poe",
        "icu/inputevents",
        "icu/chartevents",
        "hosp/d_icd_diagnoses",
        "hosp/d_icd_procedures",
    }


@pytest.mark.shared
def test_event_counts_are_those_of_the_tables(raw, demo_events):
    counts = dict(demo_events[ORIGIN].value_counts().iter_rows())
    for name, per_row in PER_ROW.items():
        folder = "icu" if (raw / "icu" / f"{name}.csv.gz").exists() else "hosp"
        assert counts[name] == per_row * len(table(raw, f"{folder}/{name}")), name
    orders = table(raw, "hosp/pharmacy")
    assert counts["pharmacy"] == len(orders) + sum(bool(row["stoptime"]) for row in orders)
    pressures = sum("/" in row["result_value"] for row in table(raw, "hosp/omr"))
    assert counts["omr"] == len(table(raw, "hosp/omr")) + pressures
    patients = table(raw, "hosp/patients")
    assert counts["patients"] == 2 * len(patients)  # sex and birth
    admissions = table(raw, "hosp/admissions")
    optional = ("edregtime", "edouttime", "race", "insurance", "marital_status", "language")
    given = sum(bool(row[column]) for row in admissions for column in optional)
    deaths = {row["subject_id"] for row in patients if row["dod"]}
    assert counts["admissions"] == 2 * len(admissions) + given + len(deaths)


@pytest.mark.shared
def test_the_known_counts_of_the_demo(demo_events):
    diagnoses = demo_events.filter(pl.col(CODE).str.starts_with("DIAGNOSIS"))
    by_version = diagnoses[CODE].str.split("//").list.get(2).value_counts()
    assert dict(by_version.iter_rows()) == {"9": 2193, "10": 2313}
    assert demo_events.filter(pl.col(CODE).str.starts_with("HOSPITAL_ADMISSION")).height == 275
    assert demo_events[SUBJECT_ID].n_unique() == 100
    assert demo_events.filter(pl.col(CODE).str.starts_with("LAB")).height == 107_727


@pytest.mark.shared
def test_the_result_passes_the_schemas_of_the_standard(demo):
    for path in (demo / "data").glob("*.parquet"):
        meds.DataSchema.validate(pq.read_table(path))
        EVENTS.check(pl.read_parquet(path), path.name)
    meds.CodeMetadataSchema.validate(pq.read_table(demo / "metadata" / "codes.parquet"))
    meds.SubjectSplitSchema.validate(pq.read_table(demo / "metadata" / "subject_splits.parquet"))
    meds.DatasetMetadataSchema.validate(json.loads((demo / "metadata" / "dataset.json").read_text()))


@pytest.mark.shared
def test_nothing_is_known_before_it_happens(demo_events):
    timed = demo_events.filter(pl.col(TIME).is_not_null())
    assert timed[AVAILABLE_TIME].null_count() == 0
    assert (timed[AVAILABLE_TIME] >= timed[TIME]).all()
    assert demo_events.filter(pl.col(TIME).is_null())[AVAILABLE_TIME].is_null().all()


@pytest.mark.shared
def test_every_code_has_a_name_and_its_count(demo, demo_events):
    codes = pl.read_parquet(demo / "metadata" / "codes.parquet")
    assert codes[DESCRIPTION].null_count() == 0
    assert codes[N_EVENTS].sum() == demo_events.height
    assert set(codes[CODE]) == set(demo_events[CODE].unique())
    icd = codes.filter(pl.col(CODE).str.starts_with("DIAGNOSIS"))
    assert (icd[PARENT_CODES].list.len() >= 2).all()
    assert not (icd[DESCRIPTION] == icd[CODE]).any()


def differences(ours: pl.DataFrame, theirs: pl.DataFrame, prefix: str, *key: str) -> tuple[Counter, Counter]:
    """Return what each has more of, as multisets of `key`."""
    counted = [
        Counter(events.filter(pl.col(CODE).str.starts_with(prefix)).select(key).iter_rows())
        for events in (ours, theirs)
    ]
    return counted[0] - counted[1], counted[1] - counted[0]


@pytest.mark.shared
@pytest.mark.parametrize(
    "prefix",
    [
        "DIAGNOSIS",
        "HOSPITAL_ADMISSION",
        "HOSPITAL_DISCHARGE",
        "MEDS_BIRTH",
        "GENDER",
        "TRANSFER_TO",
        "ICU_ADMISSION",
        "ICU_DISCHARGE",
        "SUBJECT_FLUID_OUTPUT",
    ],
)
def test_events_agree_with_the_independent_conversion(demo_events, independent, prefix):
    """The same multiset of (subject, code, time): subjects, stays and diagnoses differ in nothing."""
    nothing = (Counter(), Counter())
    assert differences(demo_events, independent, prefix, SUBJECT_ID, CODE, TIME) == nothing
    assert set(demo_events[SUBJECT_ID]) == set(independent[SUBJECT_ID])


@pytest.mark.shared
def test_visits_of_diagnoses_agree_with_the_independent_conversion(demo_events, independent):
    theirs = independent.rename({"hadm_id": VISIT_ID})
    assert differences(demo_events, theirs, "DIAGNOSIS", VISIT_ID, CODE) == (Counter(), Counter())


@pytest.mark.shared
def test_deaths_differ_only_where_the_source_has_no_hour(demo_events, independent):
    """They put a day of death at its first second, we at its last: it is not known before the day is over."""
    ours, theirs = differences(demo_events, independent, "MEDS_DEATH", SUBJECT_ID, TIME)
    assert len(ours) == len(theirs) == 16
    end_to_start = {(subject, time.replace(hour=0, minute=0, second=0)) for subject, time in ours}
    assert end_to_start == set(theirs)
    assert {time.time().isoformat() for _, time in ours} == {"23:59:59"}


@pytest.mark.shared
def test_procedures_differ_only_in_the_second_of_their_day(demo_events, independent):
    """They put a coded procedure at midnight, before it was done; we at the end of the day, or at discharge."""
    assert differences(demo_events, independent, "PROCEDURE//ICD", SUBJECT_ID, CODE) == (Counter(), Counter())
    days = [events.with_columns(pl.col(TIME).dt.date()) for events in (demo_events, independent)]
    assert differences(*days, "PROCEDURE//ICD", SUBJECT_ID, CODE, TIME) == (Counter(), Counter())


@pytest.mark.shared
def test_groups_differ_only_in_leading_zeros(demo_events, independent):
    """They read the number of a group as an integer: 064 became 64."""
    number = pl.col(CODE).str.replace(r"^(DRG//\w+//)0+", "${1}")
    ours = demo_events.with_columns(number)
    theirs = independent.with_columns(number)
    assert differences(ours, theirs, "DRG", SUBJECT_ID, CODE, TIME) == (Counter(), Counter())


@pytest.mark.shared
def test_they_drop_repeated_rows_and_we_keep_them(demo_events, independent):
    """Rows that agree in all they keep are one event for them; for us every row is one, as the table counts."""
    for prefix, n_more in (("ED_", 2), ("PROCEDURE//START", 33), ("PROCEDURE//END", 31)):
        key = (SUBJECT_ID, CODE, TIME)
        ours, theirs = differences(demo_events, independent, prefix, *key)
        assert (ours.total(), theirs.total()) == (n_more, 0), prefix
        present = set(independent.filter(pl.col(CODE).str.starts_with(prefix)).select(key).iter_rows())
        assert set(ours) <= present


@pytest.mark.shared
def test_laboratory_results_agree_but_for_repeated_rows(raw, demo_events, independent):
    """Their LAB holds chart events too; of the laboratory's items, they lack 178 of 107,727 rows, all repeats."""
    items = [row["itemid"] for row in table(raw, "hosp/d_labitems")]
    of_laboratory = pl.col(CODE).str.extract(r"^LAB//(\d+)//").is_in(items)
    key = (SUBJECT_ID, CODE, TIME)
    theirs = independent.filter(of_laboratory)
    more, fewer = differences(demo_events, theirs, "LAB", *key)
    assert (more.total(), fewer.total()) == (178, 0)
    assert set(more) <= set(theirs.select(key).iter_rows())
    ours = demo_events.filter(pl.col(CODE).str.starts_with("LAB"))
    numbers = [events.drop_nulls(NUMERIC_VALUE) for events in (ours, theirs)]
    plain = numbers[0].filter(pl.col(TEXT_VALUE).is_null())
    assert set(plain.select(*key, NUMERIC_VALUE).iter_rows()) == set(
        numbers[1].select(*key, NUMERIC_VALUE).iter_rows()
    )
    limits = numbers[0].filter(pl.col(TEXT_VALUE).is_not_null())
    assert limits[TEXT_VALUE].str.contains(r"^[<>]").all()  # `>500` is a number only for us
    assert limits.height == 12
