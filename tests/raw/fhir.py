"""A made-up folder of FHIR R4: bundles of seven patients, a Bulk Data export of seven others, every resource read."""

import gzip
import json
from base64 import b64encode
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

N_PATIENTS = 14
SET_ASIDE = {"not done", "deleted"}
ICD10, SNOMED, LOINC = "http://hl7.org/fhir/sid/icd-10-cm", "http://snomed.info/sct", "http://loinc.org"
RXNORM, CVX = "http://www.nlm.nih.gov/research/umls/rxnorm", "http://hl7.org/fhir/sid/cvx"
UCUM = "http://unitsofmeasure.org"
DIAGNOSES = (
    ("I50.9", "Heart failure"),
    ("N17.9", "Kidney failure"),
    ("E11.9", "Diabetes"),
    ("I10", "Hypertension"),
)
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
Resource = dict[str, Any]


def write(folder: Path) -> Path:
    """Write the folder; some files are compressed, some lines are blank."""
    random = Random(15)
    records = [record(number, random) for number in range(N_PATIENTS)]
    for number, resources in enumerate(records[:7]):
        save(folder / "bundles" / f"patient_{number}.json{'.gz' if number % 2 else ''}", bundle(resources))
    kinds: dict[str, list[Resource]] = {"Medication": [medication("m1")]}
    for resources in records[7:]:
        for one in resources:
            kinds.setdefault(one["resourceType"], []).append(one)
    kinds["Observation"].append(observation("gone", "p8", None, "2020-01-01"))
    for name, of_kind in kinds.items():
        lines(folder / "bulk" / f"{name}.ndjson{'.gz' if name == 'Observation' else ''}", of_kind)
    lines(folder / "bulk" / "deleted" / "Observation.ndjson", [deletions("Observation/gone")])
    save(folder / "bulk" / "manifest.json", {"transactionTime": "2021-01-01T00:00:00Z", "output": []})
    save(
        folder / "single" / "organization.json", {"resourceType": "Organization", "id": "o1", "name": "House"}
    )
    return folder


def save(path: Path, value: object, **how: Any) -> Path:
    """Write a JSON document."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = json.dumps(value, **how).encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def lines(path: Path, resources: list[Resource]) -> Path:
    """Write ndjson; a blank line ends it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in resources) + "\n"
    path.write_bytes(gzip.compress(data.encode(), mtime=0) if path.suffix == ".gz" else data.encode())
    return path


def bundle(resources: list[Resource], kind: str = "transaction") -> Resource:
    """Make a bundle whose references are `urn:uuid:…`, as a transaction's are."""
    text = json.dumps(resources)
    for one in resources:
        text = text.replace(f'"{one["resourceType"]}/{one["id"]}"', f'"urn:uuid:{one["id"]}"')
    entries = [
        {
            "fullUrl": f"urn:uuid:{one['id']}",
            "resource": one,
            "request": {"method": "POST", "url": one["resourceType"]},
        }
        for one in json.loads(text)
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def deletions(*urls: str) -> Resource:
    """Make a bundle of deletions, which Bulk Data writes in one line."""
    entries = [{"request": {"method": "DELETE", "url": url}} for url in urls]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def concept(system: str, code: str, name: str | None = None) -> Resource:
    """Make a concept of one coding."""
    coding = {"system": system, "code": code} | ({"display": name} if name else {})
    return {"coding": [coding]}


def patient(id: str, **more: Any) -> Resource:
    """Make a person."""
    return {"resourceType": "Patient", "id": id, "gender": "female", "birthDate": "1950-03-04"} | more


def encounter(id: str, subject: str, start: str, end: str | None, kind: str = "IMP", **more: Any) -> Resource:
    """Make a visit."""
    period = {"start": start} | ({"end": end} if end else {})
    return {
        "resourceType": "Encounter",
        "id": id,
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": kind},
        "subject": {"reference": f"Patient/{subject}"},
        "period": period,
    } | more


def clinical(kind: str, id: str, who: str, visit: str | None, **more: Any) -> Resource:
    """Make any resource of a subject, in a visit or outside."""
    whose = "patient" if kind in ("Immunization", "AllergyIntolerance") else "subject"
    where = (
        "context"
        if kind in ("MedicationAdministration", "MedicationStatement", "MedicationDispense")
        else "encounter"
    )
    inside = {where: {"reference": f"Encounter/{visit}"}} if visit else {}
    return {"resourceType": kind, "id": id, whose: {"reference": f"Patient/{who}"}} | inside | more


def observation(id: str, who: str, visit: str | None, time: str, **more: Any) -> Resource:
    """Make a creatinine."""
    given = any(name.startswith("value") or name == "component" for name in more)
    value = {"valueQuantity": {"value": 1.2, "unit": "mg/dL", "system": UCUM, "code": "mg/dL"}}
    said = {"status": "final", "code": concept(LOINC, "2160-0", "Creatinine"), "effectiveDateTime": time}
    return clinical("Observation", id, who, visit, **(said | ({} if given else value) | more))


def medication(id: str) -> Resource:
    """Make a drug that others refer to."""
    return {"resourceType": "Medication", "id": id, "code": concept(RXNORM, "1191", "Aspirin")}


def record(number: int, random: Random) -> list[Resource]:
    """Make all the resources of one patient."""
    who = f"p{number}"
    race = {"url": RACE, "extension": [{"url": "text", "valueString": "Martian, 'born'"}]}
    dies = {"deceasedDateTime": "2021-06-01T10:00:00+02:00"} if number % 5 == 4 else {}
    resources = [
        patient(
            who,
            gender="male" if number % 2 else "female",
            birthDate=f"{1940 + number}-05-06",
            extension=[race],
            **dies,
        )
    ]
    day = datetime(2018, 1, 1) + timedelta(days=random.randrange(200), hours=random.randrange(24))
    for visit in range(1 if number == 0 else 3):
        resources += stay(f"{who}-{visit}", who, day, random, nth=visit)
        day += timedelta(days=random.randrange(20, 200))
    return resources


def stay(id: str, who: str, day: datetime, random: Random, nth: int) -> list[Resource]:
    """Make a visit of four days and what happens in it."""
    start, end = stamp(day), stamp(day + timedelta(days=4))
    hour, later = stamp(day + timedelta(hours=1)), stamp(day + timedelta(hours=3))
    home = {"dischargeDisposition": {"text": "Home"}}
    vital = {
        "category": [concept(CATEGORY, "vital-signs")],
        "code": concept(LOINC, "85354-9", "Blood pressure"),
    }
    pressures = [
        {"code": concept(LOINC, code), "valueQuantity": {"value": value, "unit": "mmHg"}}
        for code, value in (("8480-6", random.randrange(100, 180)), ("8462-4", random.randrange(50, 100)))
    ]
    drug = {"medicationReference": {"reference": "#drug"}, "contained": [medication("drug")]}
    note = {"contentType": "text/plain", "data": b64encode('Ein "kurzer" Bericht, größer'.encode()).decode()}
    aspirin = {"medicationCodeableConcept": concept(RXNORM, "1191", "Aspirin")}
    codes = random.sample(DIAGNOSES, 3)
    return [
        encounter(id, who, start, end, "IMP" if nth != 1 else "AMB", hospitalization=home),
        *(
            clinical(
                "Condition", f"{id}-c{place}", who, id, code=concept(ICD10, code, name), onsetDateTime=start
            )
            for place, (code, name) in enumerate(codes)
        ),
        observation(f"{id}-o1", who, id, hour, issued=later),
        observation(f"{id}-o2", who, id, hour, valueString="<0.1"),
        observation(f"{id}-o3", who, id, hour, component=pressures, **vital),
        clinical(
            "MedicationRequest",
            f"{id}-m1",
            who,
            id,
            status="active",
            intent="order",
            authoredOn=hour,
            **aspirin,
        ),
        clinical(
            "MedicationAdministration",
            f"{id}-m2",
            who,
            id,
            status="completed",
            effectiveDateTime=hour,
            **drug,
        ),
        clinical(
            "MedicationStatement", f"{id}-m3", who, id, status="active", effectiveDateTime=start, **aspirin
        ),
        clinical(
            "MedicationDispense", f"{id}-m4", who, id, status="completed", whenHandedOver=end, **aspirin
        ),
        clinical(
            "Procedure",
            f"{id}-p",
            who,
            id,
            status="completed",
            code=concept(SNOMED, "80146002", "Appendectomy"),
            performedPeriod={"start": hour, "end": later},
        ),
        clinical(
            "Immunization",
            f"{id}-i",
            who,
            id,
            status="completed" if nth else "not-done",
            vaccineCode=concept(CVX, "140", "Influenza"),
            occurrenceDateTime=hour,
        ),
        clinical(
            "AllergyIntolerance",
            f"{id}-a",
            who,
            None,
            code=concept(SNOMED, "91935009"),
            recordedDate=start[:10],
        ),
        clinical(
            "DiagnosticReport",
            f"{id}-r",
            who,
            id,
            status="final",
            code=concept(LOINC, "51990-0", "Panel"),
            effectiveDateTime=hour,
            issued=later,
            conclusion='All, "normal"',
        ),
        clinical(
            "DocumentReference",
            f"{id}-d",
            who,
            None,
            status="current",
            type=concept(LOINC, "18842-5", "Summary"),
            date=end,
            content=[{"attachment": note}],
            context={"encounter": [{"reference": f"Encounter/{id}"}]},
        ),
        clinical(
            "ImagingStudy",
            f"{id}-s",
            who,
            id,
            status="available",
            started=later,
            series=[
                {
                    "uid": "1.2",
                    "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"},
                }
            ],
        ),
        clinical("Claim", f"{id}-k", who, id, status="active"),
    ]


def stamp(moment: datetime) -> str:
    """Return an instant in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
