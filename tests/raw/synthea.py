"""A made-up complete export of Synthea: 14 patients, 2 to 4 encounters each, every table."""

import csv
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

N_PATIENTS = 14
COLUMNS = {
    "patients": "Id,BIRTHDATE,DEATHDATE,SSN,FIRST,LAST,MARITAL,RACE,ETHNICITY,GENDER,ADDRESS",
    "encounters": "Id,START,STOP,PATIENT,ENCOUNTERCLASS,CODE,DESCRIPTION,BASE_ENCOUNTER_COST,REASONCODE,"
    "REASONDESCRIPTION",
    "conditions": "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION",
    "medications": "START,STOP,PATIENT,PAYER,ENCOUNTER,CODE,DESCRIPTION,BASE_COST,REASONCODE",
    "observations": "DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,DESCRIPTION,VALUE,UNITS,TYPE",
    "procedures": "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION,BASE_COST",
    "immunizations": "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,BASE_COST",
    "allergies": "START,STOP,PATIENT,ENCOUNTER,CODE,SYSTEM,DESCRIPTION,TYPE,CATEGORY",
    "careplans": "Id,START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION",
    "devices": "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION,UDI",
    "supplies": "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,QUANTITY",
    "imaging_studies": "Id,DATE,PATIENT,ENCOUNTER,BODYSITE_CODE,BODYSITE_DESCRIPTION,MODALITY_CODE",
    "payers": "Id,NAME",
}
CLASSES = ("ambulatory", "inpatient", "wellness", "emergency")
CONDITIONS = (("44054006", "Diabetes"), ("38341003", "Hypertension, essential"), ("195662009", "Pharyngitis"))
Row = dict[str, object]


def write(folder: Path) -> Path:
    """Write the export."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = rows()
    for name, header in COLUMNS.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, header.split(","), restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(tables[name])
    return folder


def rows() -> dict[str, list[Row]]:
    """Return the rows of every table."""
    random = Random(16)
    tables: dict[str, list[Row]] = {name: [] for name in COLUMNS}
    tables["payers"] = [{"Id": _id(random), "NAME": 'The "Payer", Inc.'}]
    for number in range(N_PATIENTS):
        _add_patient(tables, random, number)
    return tables


def _add_patient(tables: dict[str, list[Row]], random: Random, number: int) -> None:
    patient = _id(random)
    death = "2021-05-06" if number == 3 else ""
    tables["patients"].append(
        {
            "Id": patient,
            "BIRTHDATE": f"{1940 + 4 * number}-03-0{1 + number % 9}",
            "DEATHDATE": death,
            "SSN": "999-00-0000",
            "FIRST": "Made",
            "LAST": 'Up "Person", Jr.',
            "RACE": random.choice(["white", "black", ""]),
            "ETHNICITY": "nonhispanic",
            "GENDER": "FM"[number % 2],
        }
    )
    start = datetime(2019, 1, 5, 9, 30) + timedelta(days=number)
    for visit in range(2 + number % 3):
        _add_encounter(tables, random, patient, start + timedelta(days=150 * visit), CLASSES[visit % 4])


def _add_encounter(
    tables: dict[str, list[Row]], random: Random, patient: str, start: datetime, kind: str
) -> None:
    encounter, stop = _id(random), start + timedelta(days=2 if kind == "inpatient" else 0, minutes=30)
    of = {"PATIENT": patient, "ENCOUNTER": encounter}
    moment, day = start.strftime("%Y-%m-%dT%H:%M:%SZ"), start.strftime("%Y-%m-%d")
    tables["encounters"].append(
        {
            "Id": encounter,
            "START": moment,
            "STOP": stop.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "PATIENT": patient,
            "ENCOUNTERCLASS": kind,
            "CODE": "185345009",
            "DESCRIPTION": "Encounter for symptom",
            "REASONCODE": random.choice(["", "44054006"]),
            "REASONDESCRIPTION": "Diabetes",
        }
    )
    for code, words in random.sample(CONDITIONS, 2):
        ended = random.choice(["", (stop + timedelta(days=20)).strftime("%Y-%m-%d")])
        tables["conditions"].append(of | {"START": day, "STOP": ended, "CODE": code, "DESCRIPTION": words})
    at, dated = of | {"START": moment}, of | {"DATE": moment}
    tables["medications"].append(at | {"CODE": "308182", "DESCRIPTION": "Amoxicillin 250 MG"})
    for category, code, value, unit in (
        ("vital-signs", "8302-2", f"{150 + random.random() * 40:.1f}", "cm"),
        ("laboratory", "2339-0", random.choice(["92.5", "<40", ""]), "mg/dL"),
        ("survey", "72166-2", "Never smoker", ""),
    ):
        made = {"CATEGORY": category, "CODE": code, "DESCRIPTION": code, "VALUE": value, "UNITS": unit}
        tables["observations"].append(dated | made)
    tables["procedures"].append(at | {"CODE": "430193006", "DESCRIPTION": "Medication Reconciliation"})
    tables["immunizations"].append(dated | {"CODE": "140", "DESCRIPTION": "Influenza"})
    tables["allergies"].append(
        of | {"START": day, "CODE": "111088007", "SYSTEM": "SNOMED-CT", "DESCRIPTION": "Latex (substance)"}
    )
    tables["careplans"].append(of | {"Id": _id(random), "START": day, "STOP": "", "CODE": "384758001"})
    tables["devices"].append(at | {"CODE": "705643001", "DESCRIPTION": "Stent", "UDI": "(01)1"})
    tables["supplies"].append(of | {"DATE": day, "CODE": "409534002", "QUANTITY": 2})
    tables["imaging_studies"].append(
        dated
        | {
            "Id": _id(random),
            "BODYSITE_CODE": "51185008",
            "BODYSITE_DESCRIPTION": "Chest",
            "MODALITY_CODE": "DX",
        }
    )


def _id(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128)))
