"""OMOP: what becomes which code, when it is known, and which files are read."""

import csv
import json
import shutil
from datetime import date, datetime, time
from pathlib import Path

import meds
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars import col

from attending.config import Component
from attending.engine.local import Local
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    DESCRIPTION,
    NUMERIC_VALUE,
    ORIGIN,
    PARENT_CODES,
    PRIORITY,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)
from attending.stages.ingest import Sizes, ingest
from attending.tasks import mortality, next_diagnoses
from attending.visits import END, stays
from raw import omop

DAY_END = time(23, 59, 59)
Row = dict[str, object]


def read(folder: Path, out: Path, sizes: Sizes | None = None, **settings: object) -> pl.DataFrame:
    ingest(Component(name="omop", **settings), folder, out, engine=Local(1), sizes=sizes)
    return pl.read_parquet(out / "data" / "*.parquet")


def of(events: pl.DataFrame, origin: str) -> pl.DataFrame:
    return events.filter(col(ORIGIN) == origin)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return omop.write(tmp_path_factory.mktemp("omop") / "raw")


@pytest.fixture(scope="module")
def out(folder) -> Path:
    read(folder, folder.parent / "events")
    return folder.parent / "events"


@pytest.fixture(scope="module")
def events(out) -> pl.DataFrame:
    return pl.read_parquet(out / "data" / "*.parquet")


def write(folder: Path, **tables: list[Row]) -> Path:
    """Write a folder of one person, 7, with one stay in hospital, 70, and what a test adds to it."""
    person = {"person_id": 7, "gender_concept_id": 8507, "year_of_birth": 1950}
    visit = {"visit_occurrence_id": 70, "person_id": 7, "visit_concept_id": 9201}
    visit |= {"visit_start_date": "2020-01-01", "visit_start_datetime": "2020-01-01 09:00:00"}
    visit |= {"visit_end_date": "2020-01-04", "visit_end_datetime": "2020-01-04 15:00:00"}
    given: dict[str, list[Row]] = {"person": [person], "visit_occurrence": [visit]} | tables
    folder.mkdir()
    for name, rows in given.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
    return folder


def row(name: str, table: str, **values: object) -> Row:
    """Return a row of the person's stay, on 2 January 2020."""
    moment = {"condition": "condition_start", "drug": "drug_exposure_start"}.get(name, name)
    return {
        f"{table}_id": values.pop("id", 1),
        "person_id": 7,
        "visit_occurrence_id": 70,
        f"{name}_concept_id": 0,
        f"{name}_source_concept_id": 0,
        f"{name}_source_value": "",
        f"{name}_type_concept_id": 32817,
        f"{moment}_date": "2020-01-02",
        f"{moment}_datetime": "2020-01-02 10:00:00",
    } | values


def condition(**values: object) -> Row:
    return row("condition", "condition_occurrence", **values)


def measurement(**values: object) -> Row:
    return row("measurement", "measurement", **values)


def concept(number: int, vocabulary: str, code: str, name: str = "a name") -> Row:
    return {"concept_id": number, "concept_name": name, "vocabulary_id": vocabulary, "concept_code": code}


# Codes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vocabulary", "code", "event"),
    [
        ("ICD10CM", "I50.9", "DIAGNOSIS//ICD//10//I509"),
        ("ICD9CM", "250.00", "DIAGNOSIS//ICD//9//25000"),
        ("ICD9CM", "E880.9", "DIAGNOSIS//ICD//9//E8809"),
        ("ICD9Proc", "36.11", "PROCEDURE//ICD//9//3611"),
        ("ICD10PCS", "02100Z9", "PROCEDURE//ICD//10//02100Z9"),
        ("HCPCS", "C9600", "HCPCS//C9600"),
        ("CPT4", "99213", "HCPCS//99213"),
        ("our list", "A//1", "CONDITION//our list//A//1"),
        ("MEDS", "ANY//CODE", "ANY//CODE"),
    ],
)
def test_a_source_concept_becomes_the_code_of_its_vocabulary(tmp_path, vocabulary, code, event):
    rows = [condition(condition_source_concept_id=5)]
    folder = write(tmp_path / "raw", condition_occurrence=rows, concept=[concept(5, vocabulary, code)])
    assert of(read(folder, tmp_path / "out"), "condition_occurrence")[CODE].to_list() == [event]


def test_a_standard_concept_comes_before_a_local_one(tmp_path):
    rows = [condition(condition_source_concept_id=2_000_000_001, condition_concept_id=6)]
    concepts = [concept(2_000_000_001, "our list", "HF"), concept(6, "SNOMED", "84114007")]
    folder = write(tmp_path / "raw", condition_occurrence=rows, concept=concepts)
    assert of(read(folder, tmp_path / "out"), "condition_occurrence")[CODE].to_list() == [
        "CONDITION//SNOMED//84114007"
    ]


def test_without_concepts_a_code_is_a_number_or_the_source_value(tmp_path):
    rows = [
        condition(id=1, condition_concept_id=316139, condition_source_value="a word"),
        condition(id=2, condition_source_concept_id=99, condition_source_value="a word"),
        condition(id=3, condition_source_value=" a word "),
        condition(id=4),
    ]
    folder = write(tmp_path / "raw", condition_occurrence=rows)
    assert of(read(folder, tmp_path / "out"), "condition_occurrence")[CODE].to_list() == [
        "CONDITION//OMOP//316139",
        "CONDITION//OMOP//99",
        "CONDITION//a word",
        "CONDITION//UNK",
    ]


def test_source_values_of_concepts_that_nobody_brought_are_read_as_icd_codes(tmp_path):
    rows = [
        condition(id=1, condition_source_concept_id=45567179, condition_source_value="I50.9"),
        condition(id=2, condition_source_concept_id=44820047, condition_source_value="4280   "),
        condition(id=3, condition_source_concept_id=44834587, condition_source_value="V451"),
        condition(
            id=4, condition_source_concept_id=12345678, condition_source_value="I50.9", condition_concept_id=8
        ),
    ]
    folder = write(tmp_path / "raw", condition_occurrence=rows, concept=[concept(8, "SNOMED", "84114007")])
    found = of(read(folder, tmp_path / "out"), "condition_occurrence")[CODE].to_list()
    known = "CONDITION//SNOMED//84114007"  # an explained row is not guessed at
    assert found == ["DIAGNOSIS//ICD//10//I509", "DIAGNOSIS//ICD//9//4280", "DIAGNOSIS//ICD//9//V451", known]
    plain = of(read(folder, tmp_path / "plain", guess=False), "condition_occurrence")[CODE].to_list()
    assert plain[0] == "CONDITION//OMOP//45567179"


def test_one_source_code_that_maps_to_two_standard_concepts_is_one_event(tmp_path):
    rows = [
        condition(id=1, condition_source_concept_id=5, condition_source_value="A", condition_concept_id=1),
        condition(id=2, condition_source_concept_id=5, condition_source_value="A", condition_concept_id=2),
        condition(id=3, condition_source_concept_id=5, condition_source_value="A", condition_concept_id=1),
    ]
    folder = write(tmp_path / "raw", condition_occurrence=rows, concept=[concept(5, "ICD10CM", "I50.9")])
    out = tmp_path / "out"
    assert of(read(folder, out), "condition_occurrence").height == 2  # the third is a row of its own
    ledger = json.loads((out / "ledger.json").read_text())
    assert {file["table"]: file["accepted"] for file in ledger["files"]}["condition_occurrence"] == 3


def test_codes_have_names_and_parents(out):
    codes = pl.read_parquet(out / "metadata" / "codes.parquet")
    known = {row[CODE]: row for row in codes.iter_rows(named=True)}
    assert codes[DESCRIPTION].null_count() == 0
    assert known["LAB//LOINC//2345-7//mg/dL"][DESCRIPTION] == "Glucose in serum or plasma (mg/dL)"
    assert known["HCPCS//99213"][DESCRIPTION] == "Office visit"
    assert "CPT4/99213" in known["HCPCS//99213"][PARENT_CODES]
    terms = {"ICD10CM/I50.9", "CCSR/CIR019", "SNOMED/84114007"}
    assert terms <= set(known["DIAGNOSIS//ICD//10//I509"][PARENT_CODES])


def test_ancestors_one_level_up_are_parents(tmp_path):
    rows = [condition(condition_concept_id=1)]
    above = [
        {"ancestor_concept_id": 2, "descendant_concept_id": 1, "min_levels_of_separation": 1},
        {"ancestor_concept_id": 3, "descendant_concept_id": 1, "min_levels_of_separation": 2},
        {"ancestor_concept_id": 4, "descendant_concept_id": 1, "min_levels_of_separation": 1},
    ]
    concepts = [concept(1, "SNOMED", "10"), concept(2, "SNOMED", "20"), concept(3, "SNOMED", "30")]
    folder = write(tmp_path / "raw", condition_occurrence=rows, concept=concepts, concept_ancestor=above)
    read(folder, tmp_path / "out")
    codes = pl.read_parquet(tmp_path / "out" / "metadata" / "codes.parquet")
    parents = codes.filter(col(CODE) == "CONDITION//SNOMED//10")[PARENT_CODES].to_list()
    assert parents == [["SNOMED/10", "OMOP/4", "SNOMED/20"]]


# Times --------------------------------------------------------------------------------------------


def test_conditions_are_known_when_their_visit_is_over(events):
    conditions = of(events, "condition_occurrence").join(stays(events).select(VISIT_ID, END), on=VISIT_ID)
    with_times = conditions.filter(col(END) > col(TIME))
    assert with_times.height
    assert (
        with_times[AVAILABLE_TIME] == with_times[END]
    ).sum() >= with_times.height * 0.6  # stays; others end later
    assert (conditions[AVAILABLE_TIME] >= conditions[TIME]).all()


@pytest.mark.parametrize(
    "at_once",
    [
        {"condition_type_concept_id": 32840},
        {"condition_status_concept_id": 32890},
        {"visit_occurrence_id": ""},
    ],
    ids=["problem list", "admission diagnosis", "outside visits"],
)
def test_a_condition_that_does_not_wait_for_coders_is_known_at_once(tmp_path, at_once):
    rows = [condition(id=1, condition_status_concept_id=""), condition(id=2) | at_once]
    found = of(
        read(write(tmp_path / "raw", condition_occurrence=rows), tmp_path / "out"), "condition_occurrence"
    )
    assert found[TIME].to_list() == [datetime(2020, 1, 2, 10)] * 2
    assert found[AVAILABLE_TIME].to_list() == [datetime(2020, 1, 4, 15), datetime(2020, 1, 2, 10)]


def test_billed_procedures_are_known_when_their_visit_is_over_others_at_once(tmp_path):
    rows = [
        row("procedure", "procedure_occurrence", id=1, procedure_source_concept_id=5),
        row("procedure", "procedure_occurrence", id=2, procedure_source_concept_id=6),
    ]
    concepts = [concept(5, "CPT4", "99213"), concept(6, "SNOMED", "232717009")]
    folder = write(tmp_path / "raw", procedure_occurrence=rows, concept=concepts)
    found = of(read(folder, tmp_path / "out"), "procedure_occurrence")
    assert found[AVAILABLE_TIME].to_list() == [datetime(2020, 1, 4, 15), datetime(2020, 1, 2, 10)]


def test_an_icd_code_that_lies_among_observations_is_billed_all_the_same(tmp_path):
    rows = [row("observation", "observation", observation_source_concept_id=5)]
    folder = write(tmp_path / "raw", observation=rows, concept=[concept(5, "ICD10CM", "Z95.1")])
    (found,) = of(read(folder, tmp_path / "out"), "observation").iter_rows(named=True)
    assert found[CODE] == "DIAGNOSIS//ICD//10//Z951"
    assert found[AVAILABLE_TIME] == datetime(2020, 1, 4, 15)


@pytest.mark.parametrize("moment", ["", "2020-01-02 00:00:00"])
def test_a_date_without_a_time_is_the_last_second_of_its_day(tmp_path, moment):
    rows = [measurement(measurement_datetime=moment)]
    (found,) = of(read(write(tmp_path / "raw", measurement=rows), tmp_path / "out"), "measurement").iter_rows(
        named=True
    )
    assert found[TIME] == found[AVAILABLE_TIME] == datetime.combine(date(2020, 1, 2), DAY_END)


def test_a_date_without_a_time_ends_with_the_visit_that_ends_on_it(tmp_path):
    rows = [measurement(measurement_date="2020-01-04", measurement_datetime="")]
    (found,) = of(read(write(tmp_path / "raw", measurement=rows), tmp_path / "out"), "measurement").iter_rows(
        named=True
    )
    assert found[TIME] == datetime(2020, 1, 4, 15)


def test_midnight_is_an_hour_where_the_settings_say_so(tmp_path):
    rows = [measurement(measurement_datetime="2020-01-02 00:00:00")]
    found = of(
        read(write(tmp_path / "raw", measurement=rows), tmp_path / "out", midnight=True), "measurement"
    )
    assert found[TIME].to_list() == [datetime(2020, 1, 2)]


def test_a_row_without_any_date_is_quarantined(tmp_path):
    rows = [measurement(measurement_date="", measurement_datetime="")]
    events = read(write(tmp_path / "raw", measurement=rows), tmp_path / "out")
    assert of(events, "measurement").is_empty()
    aside = pl.read_parquet(tmp_path / "out" / "quarantine" / "*.parquet")
    assert aside["reason"].to_list() == ["no date"]


def test_birth_is_the_first_day_that_the_row_allows(events):
    births = dict(events.filter(col(CODE) == meds.birth_code).select(SUBJECT_ID, TIME).iter_rows())
    assert births[1] == datetime(1933, 5, 17)
    assert births[3] == datetime(1939, 1, 1)


# Visits -------------------------------------------------------------------------------------------


def test_stays_are_admissions_and_other_visits_encounters(events):
    visits = of(events, "visit_occurrence")
    assert visits.filter(col(CODE).str.starts_with("HOSPITAL_ADMISSION")).height == 22
    assert visits.filter(col(CODE) == "HOSPITAL_DISCHARGE//HOME, with care").height == 22
    assert visits.filter(col(CODE) == "ENCOUNTER//Outpatient Visit").height == 12


def test_which_visits_are_stays_can_be_set(folder, tmp_path):
    events = read(folder, tmp_path / "out", stays=[9201, 9202])
    assert events.filter(col(CODE).str.starts_with("HOSPITAL_ADMISSION")).height == 34


def test_a_visit_that_ends_before_it_starts_is_quarantined(tmp_path):
    visit = {"visit_occurrence_id": 70, "person_id": 7, "visit_concept_id": 9201}
    visit |= {"visit_start_date": "2020-01-05", "visit_end_date": "2020-01-04"}
    events = read(write(tmp_path / "raw", visit_occurrence=[visit]), tmp_path / "out")
    assert of(events, "visit_occurrence").is_empty()


def test_a_visit_of_version_5_3_says_where_from_and_where_to(tmp_path):
    visit = {"visit_occurrence_id": 70, "person_id": 7, "visit_concept_id": 9201}
    visit |= {"visit_start_date": "2020-01-05", "visit_end_date": "2020-01-06"}
    visit |= {"admitting_source_value": "ED", "discharge_to_source_value": "HOME"}
    events = read(write(tmp_path / "raw", visit_occurrence=[visit]), tmp_path / "out")
    found = of(events, "visit_occurrence")[CODE].to_list()
    assert found == ["HOSPITAL_ADMISSION//Inpatient Visit//ED", "HOSPITAL_DISCHARGE//HOME"]


def test_the_tasks_find_stays_diagnoses_and_deaths(events):
    diagnoses = next_diagnoses.label(events, next_diagnoses.Config())
    deaths = mortality.label(events, mortality.Config())
    assert diagnoses.frame.height
    assert deaths.frame.height


# Values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "number", "words"),
    [
        ({"value_as_number": "7.2"}, 7.2, None),
        ({"value_as_number": "0.1", "operator_concept_id": 4171756}, 0.1, "<0.1"),
        ({"value_as_number": "500", "operator_concept_id": 4172704}, 500, ">500"),
        ({"value_as_number": "500", "operator_concept_id": 4172703}, 500, None),
        ({"value_source_value": "> 500"}, 500, "> 500"),
        ({"value_source_value": "NEG"}, None, "NEG"),
        ({"value_as_concept_id": 9}, None, "Positive"),
        ({"value_as_concept_id": 10}, None, "OMOP//10"),
        ({"value_as_number": "7.2", "value_source_value": "7.2 mg"}, 7.2, None),
    ],
)
def test_a_measurement_is_its_number_or_its_words(tmp_path, values, number, words):
    empty = dict.fromkeys(
        ("value_as_number", "operator_concept_id", "value_source_value", "value_as_concept_id")
    )
    folder = write(
        tmp_path / "raw",
        measurement=[measurement() | empty | values],
        concept=[concept(9, "SNOMED", "10828004", "Positive")],
    )
    (found,) = of(read(folder, tmp_path / "out"), "measurement").iter_rows(named=True)
    assert found[NUMERIC_VALUE] == (None if number is None else pytest.approx(number))
    assert found[TEXT_VALUE] == words


def test_the_unit_is_part_of_a_measurements_code(tmp_path):
    rows = [
        measurement(id=1, unit_concept_id=8840, unit_source_value="MG"),
        measurement(id=2, unit_concept_id=0, unit_source_value="MG"),
        measurement(id=3),
    ]
    folder = write(tmp_path / "raw", measurement=rows, concept=[concept(8840, "UCUM", "mg/dL")])
    found = of(read(folder, tmp_path / "out"), "measurement")[CODE].to_list()
    assert found == ["LAB//UNK//mg/dL", "LAB//UNK//MG", "LAB//UNK//UNK"]


def test_numbers_outside_their_range_are_flagged_on_request(tmp_path):
    rows = [measurement(id=n, value_as_number=n, range_low=2, range_high=2) for n in (1, 2, 3)]
    folder = write(tmp_path / "raw", measurement=rows)
    assert of(read(folder, tmp_path / "out"), "measurement")[TEXT_VALUE].to_list() == [None] * 3
    flagged = of(read(folder, tmp_path / "flagged", flags=True), "measurement")
    assert flagged[TEXT_VALUE].to_list() == ["low", None, "high"]


def test_notes_keep_their_text_and_the_primary_diagnosis_its_rank(events):
    notes = of(events, "note")
    assert set(notes[CODE]) == {"NOTE//Discharge summary"}
    assert notes[TEXT_VALUE].str.contains("\n").all()
    assert of(events, "condition_occurrence")[PRIORITY].drop_nulls().to_list() == [1] * 34


# Files --------------------------------------------------------------------------------------------


def test_every_line_has_a_fate(out):
    totals = json.loads((out / "ledger.json").read_text())["totals"]
    assert totals["lines"] == sum(
        totals[fate] for fate in ("header", "accepted", "quarantined", "blank", "not_read")
    )
    assert totals["quarantined"] == 0


def test_the_events_are_a_meds_data_set(out):
    for path in (out / "data").glob("*.parquet"):
        meds.DataSchema.validate(pq.read_table(path))


def test_upper_case_parquet_parts_and_numbered_names_are_the_same_tables(folder, events, tmp_path):
    other = tmp_path / "raw"
    other.mkdir()
    for path in folder.glob("*.csv"):
        frame = pl.read_csv(path, infer_schema_length=None, try_parse_dates=True)
        frame = frame.rename(str.upper)
        if path.stem == "measurement":
            (other / "MEASUREMENT").mkdir()
            for number, part in enumerate((frame[:30], frame[30:])):
                part.write_parquet(other / "MEASUREMENT" / f"part-{number}.parquet")
        elif path.stem == "concept":
            frame.write_csv(other / "2b_CONCEPT.csv")
        else:
            frame.write_parquet(other / f"{path.stem.upper()}.parquet")
    assert read(other, tmp_path / "out").equals(events)


def test_vocabularies_as_athena_gives_them_are_read(folder, events, tmp_path):
    other = shutil.copytree(folder, tmp_path / "raw")
    for name in ("concept", "concept_ancestor", "concept_relationship"):
        frame = pl.read_csv(other / f"{name}.csv", infer_schema=False)
        (other / f"{name}.csv").unlink()
        frame.write_csv(other / f"{name.upper()}.csv", separator="\t", quote_style="never")
    assert read(other, tmp_path / "out").equals(events)


def test_small_shards_give_the_same_events(folder, events, tmp_path):
    sizes = Sizes(block_bytes=1000, part_bytes=2000, shard_bytes=20_000)
    many = read(folder, tmp_path / "out", sizes)
    assert len(list((tmp_path / "out" / "data").glob("*.parquet"))) > 1
    assert many.sort(SUBJECT_ID, maintain_order=True).equals(events)
