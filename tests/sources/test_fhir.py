"""FHIR R4: references, codes, times and statuses on made-up resources; garbage; then Synthea's bundles, counted."""

import gzip
import json
from base64 import b64encode
from collections import Counter
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import meds
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attending.config import Component
from attending.engine.local import Local
from attending.errors import ConfigError, SourceError
from attending.ledger.keys import key
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    NUMERIC_VALUE,
    ORIGIN,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)
from attending.sources._fhir import clock, reader
from attending.sources._fhir.reader import SCHEMAS, Document, Lines
from attending.stages.ingest import Sizes, ingest
from raw import fhir
from raw.fhir import ICD10, LOINC, RXNORM, SNOMED, clinical, concept, encounter, observation, patient

ANNA, VISIT = patient("anna"), encounter("v1", "anna", "2020-01-01T08:00:00Z", "2020-01-05T12:00:00Z")
START, END = datetime(2020, 1, 1, 8), datetime(2020, 1, 5, 12)


def read(
    folder: Path, out: Path, sizes: Sizes | None = None, **set_to: Any
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The events of a folder, and its ledger."""
    ingest(Component(name="fhir", **set_to), folder, out, engine=Local(1), sizes=sizes)
    ledger = json.loads((out / "ledger.json").read_text())
    return pl.read_parquet(out / "data" / "*.parquet"), ledger


def made(tmp_path: Path, *resources: dict[str, Any], **set_to: Any) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The events of Anna, her visit, and some resources."""
    fhir.lines(tmp_path / "in" / "all.ndjson", [ANNA, VISIT, *resources])
    return read(tmp_path / "in", tmp_path / "events", **set_to)


def only(events: pl.DataFrame, origin: str) -> dict[str, Any]:
    """The one event that came from a kind of resource."""
    (row,) = events.filter(pl.col(ORIGIN) == origin).iter_rows(named=True)
    return row


def set_aside(ledger: dict[str, Any]) -> dict[str, int]:
    """How many records of each reason."""
    reasons: Counter[str] = Counter()
    for file in ledger["files"]:
        for reason, columns in file["quarantined"].items():
            reasons[reason] += sum(columns.values())
    return dict(reasons)


# References ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["Patient/anna", "urn:uuid:anna", "https://house.org/fhir/Patient/anna", "Patient/anna/_history/3"],
)
def test_a_subject_is_found_by_any_form_of_reference(tmp_path, address):
    events, ledger = made(tmp_path, observation("o", "x", None, "2020-01-02", subject={"reference": address}))
    assert only(events, "Observation")[SUBJECT_ID] == key("anna")
    assert not set_aside(ledger)


@pytest.mark.parametrize(
    "address", ["Patient/bert", "Group/anna", "#anna", "Patient?identifier=anna", "anna", ""]
)
def test_a_resource_of_a_subject_that_is_not_there_is_quarantined(tmp_path, address):
    events, ledger = made(tmp_path, observation("o", "x", None, "2020-01-02", subject={"reference": address}))
    assert "Observation" not in events[ORIGIN].to_list()
    assert sum(set_aside(ledger).values()) == 1


def test_an_entry_is_found_by_its_address_where_its_id_is_another(tmp_path):
    entries = [
        {"fullUrl": "urn:uuid:1234", "resource": patient("anna")},
        {"fullUrl": "urn:uuid:77", "resource": {name: x for name, x in VISIT.items() if name != "id"}},
        {"resource": observation("o", "x", None, "2020-01-02", subject={"reference": "urn:uuid:1234"},
                                 encounter={"reference": "urn:uuid:77"})},
    ]  # fmt: skip
    fhir.save(
        tmp_path / "in" / "one.json", {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    )
    events, _ = read(tmp_path / "in", tmp_path / "events")
    found = only(events, "Observation")
    assert found[SUBJECT_ID] == key("anna")
    assert found[VISIT_ID] == 77


@pytest.mark.parametrize(
    "drug",
    [
        {"medicationCodeableConcept": concept(RXNORM, "1191")},
        {"medicationReference": {"reference": "Medication/m1"}},
        {"medicationReference": {"reference": "#m"}, "contained": [fhir.medication("m")]},
    ],
)
def test_a_drug_is_named_in_place_elsewhere_or_inside(tmp_path, drug):
    order = clinical("MedicationRequest", "r", "anna", "v1", authoredOn="2020-01-02T10:00:00Z", **drug)
    events, ledger = made(tmp_path, fhir.medication("m1"), order)
    assert only(events, "MedicationRequest")[CODE] == "MEDICATION//RxNorm//1191"
    assert not set_aside(ledger)


def test_a_drug_that_is_nowhere_is_quarantined(tmp_path):
    lost = {"medicationReference": {"reference": "Medication/m9"}}
    order = clinical("MedicationRequest", "r", "anna", "v1", authoredOn="2020-01-02T10:00:00Z", **lost)
    assert set_aside(made(tmp_path, order)[1]) == {"no such medication": 1}


# Codes -----------------------------------------------------------------------------------------------


def condition(id: str = "c", **more: Any) -> dict[str, Any]:
    return clinical("Condition", id, "anna", "v1", **({"code": concept(ICD10, "I50.9")} | more))


@pytest.mark.parametrize(
    ("codings", "code"),
    [
        ([(SNOMED, "84114007"), (ICD10, "I50.9")], "DIAGNOSIS//ICD//10//I509"),
        ([("urn:oid:2.16.840.1.113883.6.103", "428.0")], "DIAGNOSIS//ICD//9//4280"),
        ([("http://x.org/local", "7"), (SNOMED, "84114007")], "CONDITION//SNOMED//84114007"),
        ([("http://x.org/local", "7")], "CONDITION//local//7"),
        ([(ICD10, "I50.9"), ("urn:attending:meds", "CONDITION//own one")], "CONDITION//own one"),
        ([], "CONDITION//TEXT//Heart failure"),
    ],
)
def test_of_several_codings_one_is_taken(tmp_path, codings, code):
    many = {"coding": [{"system": system, "code": one} for system, one in codings], "text": "Heart failure"}
    assert only(made(tmp_path, condition(code=many))[0], "Condition")[CODE] == code


def test_a_concept_that_says_nothing_is_quarantined(tmp_path):
    assert set_aside(made(tmp_path, condition(code={"coding": [{"system": ICD10}]}))[1]) == {"no code": 1}


def test_vital_signs_and_laboratory_results_are_told_apart(tmp_path):
    vital = [concept(fhir.CATEGORY, "vital-signs")]
    events, _ = made(
        tmp_path,
        observation("a", "anna", "v1", "2020-01-02"),
        observation("b", "anna", "v1", "2020-01-03", category=vital),
        observation("c", "anna", "v1", "2020-01-04", category=[concept(fhir.CATEGORY, "survey")]),
    )
    codes = events.filter(pl.col(ORIGIN) == "Observation")[CODE].to_list()
    assert codes == [
        "LAB//LOINC//2160-0//mg/dL",
        "VITAL//LOINC//2160-0//mg/dL",
        "OBSERVATION//LOINC//2160-0//mg/dL",
    ]


# Values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number", "text", "unit"),
    [
        ({"valueQuantity": {"value": 5.5, "unit": "mmol/l"}}, 5.5, None, "//mmol/l"),
        ({"valueQuantity": {"value": 0.1, "comparator": "<", "code": "g", "system": fhir.UCUM}}, 0.1, "<0.1", "//g"),
        ({"valueString": ">500"}, 500, ">500", ""),
        ({"valueString": "7.2"}, 7.2, None, ""),
        ({"valueString": "NEG"}, None, "NEG", ""),
        ({"valueInteger": 3}, 3, None, ""),
        ({"valueBoolean": True}, None, "true", ""),
        ({"valueCodeableConcept": concept(SNOMED, "1", "Former smoker")}, None, "Former smoker", ""),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 128}}}, None, "1:128", ""),
        ({"valueRange": {"low": {"value": 2}, "high": {"value": 4}}}, None, "2-4", ""),
        ({"valueTime": "08:00:00"}, None, "08:00:00", ""),
    ],
)  # fmt: skip
def test_a_value_of_any_type_is_a_number_or_words(tmp_path, value, number, text, unit):
    found = only(made(tmp_path, observation("o", "anna", "v1", "2020-01-02", **value))[0], "Observation")
    assert found[NUMERIC_VALUE] == (None if number is None else pytest.approx(number))
    assert (found[TEXT_VALUE], found[CODE]) == (text, f"LAB//LOINC//2160-0{unit}")


def test_a_panel_gives_its_parts_and_no_event_of_its_own(tmp_path):
    parts = [
        {"code": concept(LOINC, "8480-6"), "valueQuantity": {"value": 120, "unit": "mmHg"}},
        {"code": concept(LOINC, "8462-4"), "valueString": "<40"},
        {"code": {}},
    ]
    events, _ = made(tmp_path, observation("o", "anna", "v1", "2020-01-02T10:00:00Z", component=parts))
    found = events.filter(pl.col(ORIGIN) == "Observation").select(CODE, NUMERIC_VALUE, TEXT_VALUE).rows()
    assert found == [("LAB//LOINC//8480-6//mmHg", 120, None), ("LAB//LOINC//8462-4", 40, "<40")]


def test_a_measurement_that_failed_is_left_out_and_counted(tmp_path):
    failed = observation(
        "o", "anna", "v1", "2020-01-02", dataAbsentReason={"text": "clotted"}, valueString=""
    )
    assert set_aside(made(tmp_path, failed)[1]) == {"no result": 1}


def test_the_text_of_a_note_is_what_is_attached(tmp_path):
    data = b64encode("grün".encode("latin-1"))
    attached = [
        {"attachment": {"contentType": "text/plain; charset=latin-1", "data": data.decode()}},
        {"attachment": {"contentType": "application/pdf", "data": "AAAA"}},
    ]
    note = {"type": concept(LOINC, "18842-5"), "date": "2020-01-05T13:00:00Z", "content": attached}
    events, _ = made(tmp_path, clinical("DocumentReference", "d", "anna", None, **note))
    assert only(events, "DocumentReference")[TEXT_VALUE] == "grün"


# Times -----------------------------------------------------------------------------------------------


def test_dates_in_part_stand_for_their_last_second_and_births_for_their_first():
    texts = pl.Series(
        "t", ["2024", "2024-02", "2024-02-03", "2024-02-03T10:00:00+02:00", "2024-02-03T10:00:00", "x"]
    )
    assert clock.moments(texts, None).to_list() == [
        "2024-12-31 23:59:59",
        "2024-02-29 23:59:59",
        "2024-02-03 23:59:59",
        "2024-02-03 08:00:00",
        "2024-02-03 10:00:00",
        "x",
    ]
    assert clock.births(texts, None).to_list()[:3] == [
        "2024-01-01 00:00:00",
        "2024-02-01 00:00:00",
        "2024-02-03 00:00:00",
    ]


def test_a_time_zone_gives_its_local_clock(tmp_path):
    events, _ = made(tmp_path, time_zone="Europe/Berlin")
    starts = events.filter(pl.col(CODE).str.starts_with("HOSPITAL_ADMISSION"))[TIME]
    assert starts.to_list() == [datetime(2020, 1, 1, 9)]


def test_a_time_zone_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="Europe/Berlin"):
        made(tmp_path, time_zone="Mars/North")


def test_a_diagnosis_is_known_when_recorded_else_when_the_visit_ends(tmp_path):
    onset, recorded = "2019-05-01T00:00:00Z", "2020-01-02T09:00:00Z"
    dated = [
        condition(id="a", onsetDateTime=onset, recordedDate=recorded),
        condition(id="b", onsetDateTime=onset),
        condition(id="c", recordedDate=recorded),
        condition(id="d"),
        clinical("Condition", "e", "anna", None, code=concept(ICD10, "I10"), onsetDateTime=onset),
    ]
    events, _ = made(tmp_path, *dated)
    happened, known = datetime(2019, 5, 1), datetime(2020, 1, 2, 9)
    times = (
        events.filter(pl.col(ORIGIN) == "Condition").select(TIME, AVAILABLE_TIME).sort(TIME, AVAILABLE_TIME)
    )
    assert times.rows() == [
        (happened, happened),
        (happened, known),
        (happened, END),
        (known, known),
        (END, END),
    ]


def test_a_procedure_that_coders_code_is_known_when_the_visit_ends(tmp_path):
    period = {"performedPeriod": {"start": "2020-01-02T08:00:00Z", "end": "2020-01-02T09:00:00Z"}}
    coded = concept("http://www.cms.gov/Medicare/Coding/ICD10", "0DTJ4ZZ")
    events, _ = made(
        tmp_path,
        clinical("Procedure", "p", "anna", "v1", code=concept(SNOMED, "80146002"), **period),
        clinical("Procedure", "q", "anna", "v1", code=coded, **period),
    )
    found = events.filter(pl.col(ORIGIN) == "Procedure").select(CODE, TIME, AVAILABLE_TIME).rows()
    start = datetime(2020, 1, 2, 8)
    assert found == [
        ("PROCEDURE//SNOMED//80146002", start, datetime(2020, 1, 2, 9)),
        ("PROCEDURE//ICD//10//0DTJ4ZZ", start, END),
    ]


def test_a_result_is_known_when_it_is_issued(tmp_path):
    found = only(
        made(
            tmp_path,
            observation("o", "anna", "v1", "2020-01-02T10:00:00Z", issued="2020-01-02T11:30:00.250Z"),
        )[0],
        "Observation",
    )
    assert (found[TIME], found[AVAILABLE_TIME]) == (
        datetime(2020, 1, 2, 10),
        datetime(2020, 1, 2, 11, 30, 0, 250000),
    )


def test_a_visit_in_hospital_is_an_admission_and_any_other_an_encounter(tmp_path):
    events, _ = made(tmp_path, encounter("7", "anna", "2020-02-01", "2020-02-01", "AMB"))
    found = events.filter(pl.col(ORIGIN) == "Encounter").select(CODE, TIME, VISIT_ID).rows()
    day = datetime(2020, 2, 1, 23, 59, 59)
    assert found == [
        ("HOSPITAL_ADMISSION//IMP", START, key("v1")),
        ("HOSPITAL_DISCHARGE//UNK", END, key("v1")),
        ("ENCOUNTER//AMB", day, 7),
        ("ENCOUNTER_END//AMB", day, 7),
    ]


def test_a_person_has_sex_birth_and_death(tmp_path):
    bert = patient("bert", gender="male", birthDate="1930", deceasedDateTime="2020-03-01")
    events, _ = made(tmp_path, bert)
    assert events.filter(pl.col(SUBJECT_ID) == key("bert")).select(CODE, TIME).rows() == [
        ("GENDER//M", None),
        ("MEDS_BIRTH", datetime(1930, 1, 1)),
        ("MEDS_DEATH", datetime(2020, 3, 1, 23, 59, 59)),
    ]


# What is left out ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (observation("o", "anna", None, "2020-01-02", status="entered-in-error"), "entered in error"),
        (condition(verificationStatus=concept("x", "refuted")), "refuted"),
        (
            clinical("Immunization", "i", "anna", None, status="not-done", vaccineCode=concept("x", "1")),
            "not done",
        ),
        (encounter("v2", "anna", "2020-02-01", None, status="planned"), "planned"),
        (clinical("Immunization", "i", "anna", None, vaccineCode=concept("x", "1")), "no time"),
        (observation("o", "anna", None, "yesterday"), "no time"),
    ],
)
def test_what_did_not_happen_is_left_out_and_counted(tmp_path, one, reason):
    events, ledger = made(tmp_path, one)
    assert one["resourceType"] not in events[ORIGIN].to_list() or one["resourceType"] == "Encounter"
    assert set_aside(ledger) == {reason: 1}


def test_of_two_versions_the_newest_counts(tmp_path):
    old, new = "2020-02-01T00:00:00Z", "2020-03-01T00:00:00Z"
    fhir.lines(
        tmp_path / "in" / "b.ndjson",
        [observation("o", "anna", "v1", "2020-01-02", meta={"lastUpdated": old})],
    )
    newer = observation("o", "anna", "v1", "2020-01-02", meta={"lastUpdated": new}, valueInteger=9)
    events, ledger = made(tmp_path, newer)
    assert only(events, "Observation")[NUMERIC_VALUE] == 9
    assert set_aside(ledger) == {"an older version": 1}


def test_deletions_are_honoured_from_bulk_data_and_from_bundles(tmp_path):
    gone = [observation(name, "anna", "v1", "2020-01-02") for name in "abc"]
    fhir.lines(tmp_path / "in" / "deleted" / "x.ndjson", [fhir.deletions("Observation/a", "Encounter/b")])
    fhir.save(tmp_path / "in" / "later.json", fhir.deletions("https://house.org/fhir/Observation/b"))
    events, ledger = made(tmp_path, *gone)
    assert events.filter(pl.col(ORIGIN) == "Observation").height == 1
    assert set_aside(ledger) == {"deleted": 2}
    assert ledger["totals"]["accepted"] == ledger["totals"]["lines"] - 2 - ledger["totals"]["blank"]


def test_the_record_of_a_deleted_patient_is_left_out(tmp_path):
    fhir.lines(tmp_path / "in" / "deleted.ndjson", [fhir.deletions("Patient/anna")])
    events, ledger = made(tmp_path, patient("bert"), observation("o", "anna", "v1", "2020-01-02"))
    assert events[SUBJECT_ID].unique().to_list() == [key("bert")]
    assert set_aside(ledger) == {"deleted": 1, "no such subject": 2}


# Files -----------------------------------------------------------------------------------------------


def test_lines_that_are_no_resource_cost_themselves_only(tmp_path):
    good = json.dumps(observation("o", "anna", "v1", "2020-01-02"))
    deep = '{"resourceType": "Observation", "x": ' + "[" * 200_000 + "]" * 200_000 + "}"
    bad = [
        "{", "[1]", '{"a": 1}', '{"resourceType": "Patient", "id": 5}', '{"resourceType": "Claim"}', "", "null", deep,
        good.replace("1.2", "1e999"), good.replace("1.2", '"1.2"'), json.dumps(fhir.bundle([ANNA])),
        '{"resourceType": "<b>"}',
    ]  # fmt: skip
    fhir.lines(tmp_path / "in" / "a.ndjson", [ANNA])
    text = "\n".join([*bad[:6], good, *bad[6:]]).encode()
    (tmp_path / "in" / "b.ndjson").write_bytes(text + b'\n{"resourceType": "Patient", "id": "\xff"}')
    events, ledger = read(tmp_path / "in", tmp_path / "events")
    file = ledger["files"][1]
    assert only(events, "Observation")[NUMERIC_VALUE] == pytest.approx(1.2)
    assert (file["lines"], file["accepted"], file["blank"]) == (14, 1, 1)
    assert file["kinds"] == {"Claim": 1, "unknown type": 1}
    assert file["quarantined"] == {
        "a bundle of data in one line": {"": 1},
        "element of the wrong type": {"id": 1, "valueQuantity.value": 2},
        "nested too deeply": {"": 1},
        "no resource type": {"": 3},
        "not valid JSON": {"": 1},
        "not valid UTF-8": {"": 1},
    }


def test_a_document_is_a_bundle_an_array_or_one_resource(tmp_path):
    folder = tmp_path / "in"
    found = {"resourceType": "Bundle", "type": "searchset"}
    fhir.save(folder / "bundle.json", found | {"entry": [{"resource": ANNA}, {}]})
    fhir.save(folder / "array.json.gz", [VISIT, observation("o", "anna", "v1", "2020-01-02")])
    fhir.save(folder / "one.json", observation("p", "anna", "v1", "2020-01-02"), indent=2)
    fhir.save(folder / "empty.json", found)
    (folder / "broken.json").write_text('{"resourceType": "Bundle", "entry": [')
    (folder / "nothing.json").write_text("")
    (folder / "read.me").write_text("no FHIR")
    events, ledger = read(folder, tmp_path / "events")
    assert events.filter(pl.col(ORIGIN) == "Observation").height == 2
    assert {file["file"]: file["lines"] for file in ledger["files"] if file["lines"]} == {
        "array.json.gz": 2,
        "broken.json": 1,
        "bundle.json": 2,
        "one.json": 1,
    }
    assert set_aside(ledger) == {"no resource": 1, "not valid JSON": 1}


def test_a_folder_without_fhir_or_without_patients_is_refused(tmp_path):
    with pytest.raises(SourceError, match="found none"):
        read(tmp_path, tmp_path / "events")
    fhir.lines(tmp_path / "in" / "a.ndjson", [VISIT])
    with pytest.raises(SourceError, match="no subject"):
        read(tmp_path / "in", tmp_path / "events")


def test_the_events_do_not_depend_on_blocks_parts_and_shards(tmp_path):
    folder = tmp_path / "in"
    records = [fhir.record(number, Random(number)) for number in range(4)]
    fhir.save(folder / "a.json", fhir.bundle([*records[0], *records[1]]))
    fhir.lines(folder / "b.ndjson", [*records[2], *records[3]])
    whole, _ = read(folder, tmp_path / "whole")
    cut, _ = read(folder, tmp_path / "cut", Sizes(block_bytes=6000, part_bytes=30_000, shard_bytes=40_000))
    assert whole.sort(SUBJECT_ID, maintain_order=True).equals(cut.sort(SUBJECT_ID, maintain_order=True))
    assert len(list((tmp_path / "cut" / "data").glob("*.parquet"))) > 1


def test_a_line_beyond_all_measure_is_passed_over(monkeypatch):
    monkeypatch.setattr(reader, "LONGEST_LINE", 50)
    text = b"a\n" + b"x" * 300 + b"\nb\n" + b"y" * 80
    blocks = [text[at : at + 20] for at in range(0, len(text), 20)]
    assert b"".join(reader.whole_lines(blocks)) == b"a\ntoo long\nb\ntoo long"


def test_every_kind_of_resource_of_the_made_up_folder_gives_events(tmp_path):
    events, ledger = read(fhir.write(tmp_path / "in"), tmp_path / "events")
    kinds = set(SCHEMAS) - {"Medication", "CodeSystem", "deleted"}
    assert set(events[ORIGIN].unique()) == kinds
    assert events[SUBJECT_ID].n_unique() == fhir.N_PATIENTS
    assert set_aside(ledger) == {"deleted": 1, "not done": 14}
    meds.DataSchema.validate(pq.read_table(next((tmp_path / "events" / "data").glob("*.parquet"))))


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("Patient/anna")
NAME = st.sampled_from(["code", "coding", "system", "url", "id", "value"])
JSON = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAME, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_garbage_is_accounted_for(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("garbage")
    resources = [ANNA, VISIT, condition(), observation("o", "anna", "v1", "2020-01-02"), fhir.medication("m")]
    changed = []
    for one in resources:
        name = data.draw(st.sampled_from(sorted(one)))
        changed.append(one | {name: data.draw(JSON)})
    text = "\n".join(json.dumps(one) for one in changed).encode()
    at = data.draw(st.integers(0, len(text)))
    text = text[:at] + data.draw(st.binary(max_size=6)) + text[at + data.draw(st.integers(0, 4)) :]
    (folder / "a.ndjson").write_bytes(text)
    (folder / "a.json").write_bytes(
        b'{"resourceType": "Bundle", "entry": [' + text.replace(b"\n", b",") + b"]}"
    )
    for one in (Lines(folder / "a.ndjson", None), Document(folder / "a.json", None)):
        blocks = list(one.blocks(0, 1, 300))
        assert sum(block.n_lines for block in blocks) == one.count()
        for block in blocks:
            rows = sum(frame.height for frame in block.rows.values())
            assert rows + len(block.rejected) + block.n_blank + sum(block.not_read.values()) == block.n_lines


# Synthea ---------------------------------------------------------------------------------------------


@pytest.mark.shared
def test_every_record_of_synthea_is_accounted_for(shared_data, tmp_path):
    folder = shared_data("synthea-fhir-r4")
    counted: Counter[str] = Counter()
    values = parts = 0
    for path in folder.glob("*.json.gz"):
        for entry in json.loads(gzip.decompress(path.read_bytes()))["entry"]:
            resource = entry["resource"]
            counted[resource["resourceType"]] += 1
            values += any(name.startswith("value") for name in resource)
            parts += len(resource.get("component", ()))
    events, ledger = read(folder, tmp_path / "events")
    kinds = Counter[str]()
    for file in ledger["files"]:
        kinds.update(file["kinds"])
    totals = ledger["totals"]
    assert totals["lines"] == counted.total() == 8444
    assert totals["quarantined"] == totals["values"] == 0
    assert kinds == {kind: n for kind, n in counted.items() if kind not in SCHEMAS}
    assert totals["accepted"] == sum(n for kind, n in counted.items() if kind in SCHEMAS)
    per_kind = dict(events.group_by(ORIGIN).len().rows())
    expected = {kind: counted[kind] for kind in SCHEMAS if counted[kind]}
    expected["Observation"] = values + parts
    expected["Encounter"] = 2 * counted["Encounter"]
    expected["Patient"] = per_kind["Patient"]
    assert per_kind == expected
    assert events[SUBJECT_ID].n_unique() == counted["Patient"] == 39
    assert events[VISIT_ID].drop_nulls().n_unique() == counted["Encounter"]
