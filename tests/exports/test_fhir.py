"""FHIR export: valid R4 by an independent validator, and the same events when they are read back."""

import gzip
import json
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from attending.cli.main import main
from attending.config import Component
from attending.engine.local import Local
from attending.ontology.fhir import ICD9CM, ICD10CM, OWN_CODES
from attending.schema import CODE, DESCRIPTION, EVENTS, ORIGIN, SUBJECT_ID, TIME
from attending.stages.export import export
from attending.stages.ingest import ingest
from raw import fhir as raw


def taken(folder: Path, source: str, out: Path) -> Path:
    """Ingest a folder."""
    ingest(Component(name=source), folder, out, engine=Local(1))
    return out


def written(events: Path, out: Path, **set_to: Any) -> Path:
    """Export events as FHIR."""
    export(events, out, to=Component(name="fhir", **set_to), engine=Local(1))
    return out


def events_of(artifact: Path) -> pl.DataFrame:
    """All events, but for the table they came from."""
    return pl.read_parquet(artifact / "data" / "*.parquet").drop(ORIGIN)


def resources(folder: Path) -> Iterator[dict[str, Any]]:
    """Every resource of an export."""
    for path in sorted(folder.glob("*.ndjson*")):
        data = path.read_bytes()
        text = gzip.decompress(data) if path.suffix == ".gz" else data
        yield from map(json.loads, text.splitlines())


def artifact(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    """Make an events artifact of rows, by way of MEDS."""
    frame = pl.DataFrame(rows, schema=dict(EVENTS.columns), orient="row")
    (tmp_path / "meds" / "data").mkdir(parents=True)
    frame.write_parquet(tmp_path / "meds" / "data" / "0.parquet")
    return taken(tmp_path / "meds", "meds", tmp_path / "events")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events of fifty simulated patients."""
    folder = tmp_path_factory.mktemp("cohort")
    assert main(["simulate", str(folder / "raw"), "--subjects", "50", "--layout", "mimic4"]) == 0
    return taken(folder / "raw", "mimic4", folder / "events")


def test_a_simulated_cohort_comes_back_as_it_went(cohort, tmp_path):
    back = taken(written(cohort, tmp_path / "fhir"), "fhir", tmp_path / "back")
    assert events_of(back).equals(events_of(cohort))
    named = (CODE, DESCRIPTION)
    codes = [pl.read_parquet(one / "metadata" / "codes.parquet").select(named) for one in (cohort, back)]
    assert codes[0].equals(codes[1])


def test_every_kind_of_resource_comes_back_as_it_went(tmp_path):
    events = taken(raw.write(tmp_path / "in"), "fhir", tmp_path / "events")
    back = taken(written(events, tmp_path / "fhir", compress=False), "fhir", tmp_path / "back")
    assert events_of(back).equals(events_of(events))


def test_what_is_written_is_valid(cohort, tmp_path):
    events = taken(raw.write(tmp_path / "in"), "fhir", tmp_path / "events")
    kinds = set()
    for number, one in enumerate((cohort, events)):
        seen: dict[str, int] = {}
        for resource in resources(written(one, tmp_path / str(number))):
            kind = resource["resourceType"]
            seen[kind] = seen.get(kind, 0) + 1
            if seen[kind] <= 150:
                validator = import_module(f"fhir.resources.R4B.{kind.lower()}")
                getattr(validator, kind).model_validate(resource)
        kinds |= set(seen)
    assert len(kinds) == 12


def test_ids_are_unique_and_references_lead_somewhere(cohort, tmp_path):
    ids: set[str] = set()
    pointed: set[str] = set()
    for resource in resources(written(cohort, tmp_path / "fhir")):
        name = f"{resource['resourceType']}/{resource['id']}"
        assert name not in ids
        ids.add(name)
        for element in ("subject", "encounter", "context"):
            if element in resource:
                pointed.add(resource[element]["reference"])
    assert pointed <= ids


def test_a_code_is_given_in_its_own_system_too(cohort, tmp_path):
    for resource in resources(written(cohort, tmp_path / "fhir")):
        if resource["resourceType"] == "Condition":
            first, own = resource["code"]["coding"]
            assert own["system"] == OWN_CODES
            version = own["code"].split("//")[2]
            assert first["system"] == {"9": ICD9CM, "10": ICD10CM}[version]
            assert first["code"].replace(".", "") == own["code"].rpartition("//")[2]


AT, LATER = datetime(2020, 1, 1, 8, 0, 0, 123), datetime(2020, 1, 2)
ODD: list[dict[str, Any]] = [
    {"code": "MEDS_BIRTH", "time": datetime(1950, 1, 1, 3, 4, 5)},
    {"code": "GENDER//F"},
    {"code": "GENDER//M"},
    {"code": "GENDER//unknown", "numeric_value": 3.0},
    {"code": "RACE//WHITE"},
    {"code": "STATIC", "visit_id": 5, "priority": 2, "text_value": "so"},
    {"code": "HOSPITAL_DISCHARGE//HOME", "time": AT, "visit_id": 6},
    {
        "code": "HOSPITAL_ADMISSION//EW EMER.//ED",
        "time": LATER,
        "visit_id": 6,
        "available_time": datetime(2020, 1, 3),
    },
    {"code": "HOSPITAL_ADMISSION//twice", "time": LATER, "visit_id": 6},
    {"code": "HOSPITAL_ADMISSION//no visit", "time": LATER},
    {"code": "HOSPITAL_ADMISSION//with a number", "time": LATER, "visit_id": 7, "numeric_value": 1.5},
    {"code": "ENCOUNTER//EMERGENCY//WALK IN", "time": AT, "visit_id": 2**62 + 5},
    {"code": "ENCOUNTER_END//EMERGENCY//HOME", "time": LATER, "visit_id": 2**62 + 5},
    {"code": "DIAGNOSIS//ICD//9//E8497", "time": AT, "available_time": LATER, "visit_id": 7, "priority": 3},
    {"code": "DIAGNOSIS//ICD//10//A", "time": AT, "numeric_value": 0.1, "text_value": "both"},
    {"code": "LAB//51006//mg/dL", "time": AT, "numeric_value": 7.2, "text_value": "<7.2"},
    {"code": "LAB//51006//mg/dL", "time": AT, "text_value": "7.2"},
    {"code": "LAB//  two  spaces ", "time": AT, "numeric_value": 1e-30},
    {"code": "LAB//x", "time": AT, "numeric_value": -3.4e38},
    {"code": "NOTE//DS", "time": AT, "available_time": LATER, "text_value": 'grün\n\t"so" \x00'},
    {"code": "NOTE//DS", "time": AT},
    {"code": "REPORT//LOINC//1", "time": AT, "text_value": "good", "priority": 1},
    {"code": "IMAGING//CT", "time": AT, "available_time": LATER, "text_value": "x"},
    {"code": "PROCEDURE//ICD//9//3961", "time": AT, "available_time": LATER, "text_value": "x"},
    {"code": "HCPCS//99213", "time": AT},
    {"code": "MEDICATION//START//Aspirin", "time": AT, "available_time": LATER, "numeric_value": 2.0},
    {"code": "IMMUNIZATION//CVX//140", "time": AT, "available_time": LATER},
    {"code": "ALLERGY//Nuts", "time": AT, "available_time": LATER},
    {
        "code": "MEDS_DEATH",
        "time": datetime(2021, 1, 1),
        "visit_id": 7,
        "available_time": datetime(2021, 2, 1),
    },
    {"code": "MEDS_DEATH", "time": datetime(1940, 1, 1)},
]


def test_odd_events_come_back_as_they_went(tmp_path):
    rows = [{SUBJECT_ID: subject} | row for subject in (-3, 1, 2**61) for row in ODD]
    events = artifact(tmp_path, [{name: row.get(name) for name in EVENTS.columns} for row in rows])
    back = taken(written(events, tmp_path / "fhir"), "fhir", tmp_path / "back")
    assert events_of(events).height == len(rows)
    assert events_of(back).equals(events_of(events))


def test_subjects_keep_the_identifiers_that_they_had(tmp_path):
    folder = tmp_path / "in"
    people = [raw.patient("4f1c-anna"), raw.patient("x" * 70), raw.patient("7")]
    raw.lines(folder / "a.ndjson", people)
    events = taken(folder, "fhir", tmp_path / "events")
    out = written(events, tmp_path / "fhir")
    back = taken(out, "fhir", tmp_path / "back")
    assert events_of(back).equals(events_of(events))
    named = {one["id"] for one in resources(out) if one["resourceType"] == "Patient"}
    assert {"4f1c-anna", "7"} < named


def test_times_are_utc_and_facts_without_a_time_have_none(tmp_path):
    rows = [{SUBJECT_ID: 1, CODE: "LAB//x", TIME: AT}, {SUBJECT_ID: 1, CODE: "STATIC"}]
    events = artifact(tmp_path, [{name: row.get(name) for name in EVENTS.columns} for row in rows])
    times = [
        one.get("effectiveDateTime") for one in resources(written(events, tmp_path / "fhir")) if "code" in one
    ]
    assert times == [None, "2020-01-01T08:00:00.000123Z"]
