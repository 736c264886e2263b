"""A made-up file in the form of Diabetes 130-US hospitals: 14 patients, 2 or 3 encounters each."""

import csv
from pathlib import Path
from random import Random

N_PATIENTS = 14
BEFORE = [
    "encounter_id",
    "patient_nbr",
    "race",
    "gender",
    "age",
    "weight",
    "admission_type_id",
    "discharge_disposition_id",
    "admission_source_id",
    "time_in_hospital",
    "payer_code",
    "medical_specialty",
    "num_lab_procedures",
    "num_procedures",
    "num_medications",
    "number_outpatient",
    "number_emergency",
    "number_inpatient",
    "diag_1",
    "diag_2",
    "diag_3",
    "number_diagnoses",
    "max_glu_serum",
    "A1Cresult",
]
DRUGS = [
    "metformin",
    "repaglinide",
    "nateglinide",
    "chlorpropamide",
    "glimepiride",
    "acetohexamide",
    "glipizide",
    "glyburide",
    "tolbutamide",
    "pioglitazone",
    "rosiglitazone",
    "acarbose",
    "miglitol",
    "troglitazone",
    "tolazamide",
    "examide",
    "citoglipton",
    "insulin",
    "glyburide-metformin",
    "glipizide-metformin",
    "glimepiride-pioglitazone",
    "metformin-rosiglitazone",
    "metformin-pioglitazone",
]
COLUMNS = [*BEFORE, *DRUGS, "change", "diabetesMed", "readmitted"]
DIAGNOSES = ("250.83", "428", "V27", "401", "276", "?", "E909")
MAPPING = "admission_type_id,description\n1,Emergency\n,\ndischarge_disposition_id,description\n11,Expired\n"


def write(folder: Path) -> Path:
    """Write the file and the words of its numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(18)
    rows = [
        _row(random, 1000 * visit + 7 * patient, patient, visit)
        for patient in range(1, N_PATIENTS + 1)
        for visit in range(1, 3 + patient % 2)
    ]
    random.shuffle(rows)
    with (folder / "diabetic_data.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (folder / "IDs_mapping.csv").write_text(MAPPING, encoding="utf-8")
    return folder


def _row(random: Random, encounter: int, patient: int, visit: int) -> dict[str, object]:
    died = patient == 4 and visit == 2
    first, second, third = random.sample(DIAGNOSES, 3)
    drugs = dict.fromkeys(DRUGS, "No") | {random.choice(DRUGS): "Up", "insulin": "Steady"}
    return {
        "encounter_id": encounter,
        "patient_nbr": patient * 11,
        "race": random.choice(["Caucasian", "?", "AfricanAmerican"]),
        "gender": ("Female", "Male")[patient % 2],
        "age": f"[{patient % 10 * 10}-{patient % 10 * 10 + 10})",
        "weight": random.choice(["?", "[75-100)"]),
        "admission_type_id": random.choice([1, 2, 3, 6]),
        "discharge_disposition_id": 11 if died else random.choice([1, 3, 18]),
        "admission_source_id": random.choice([1, 7, 17]),
        "time_in_hospital": random.randint(1, 14),
        "payer_code": random.choice(["?", "MC"]),
        "medical_specialty": random.choice(["?", "Cardiology", "Surgery, General"]),
        "num_lab_procedures": 40,
        "num_procedures": 1,
        "num_medications": 12,
        "number_outpatient": 0,
        "number_emergency": visit,
        "number_inpatient": visit - 1,
        "diag_1": first,
        "diag_2": second,
        "diag_3": third,
        "number_diagnoses": 9,
        "max_glu_serum": random.choice(["None", ">300"]),
        "A1Cresult": random.choice(["None", ">8", "Norm"]),
        **drugs,
        "change": random.choice(["Ch", "No"]),
        "diabetesMed": "Yes",
        "readmitted": random.choice(["NO", "<30", ">30"]),
    }
