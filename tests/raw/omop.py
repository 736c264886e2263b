"""A made-up folder in OMOP CDM 5.4: every table that is read, 14 persons, 31 visits, a small vocabulary."""

import csv
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

N_PERSONS = 14
CONCEPTS: dict[int, tuple[str, str, str, str]] = {
    8507: ("MALE", "Gender", "Gender", "M"),
    8532: ("FEMALE", "Gender", "Gender", "F"),
    8527: ("White", "Race", "Race", "5"),
    9201: ("Inpatient Visit", "Visit", "Visit", "IP"),
    9202: ("Outpatient Visit", "Visit", "Visit", "OP"),
    8840: ("milligram per deciliter", "Unit", "UCUM", "mg/dL"),
    4034850: ("Abnormal", "Meas Value", "SNOMED", "263654008"),
    45567179: ("Heart failure, unspecified", "Condition", "ICD10CM", "I50.9"),
    45532926: ("Essential (primary) hypertension", "Condition", "ICD10CM", "I10"),
    44826465: ("Type II diabetes mellitus", "Condition", "ICD9CM", "250.00"),
    44824235: ("Chest pain, unspecified", "Condition", "ICD9CM", "786.50"),
    316139: ("Heart failure", "Condition", "SNOMED", "84114007"),
    321588: ("Heart disease", "Condition", "SNOMED", "56265001"),
    320128: ("Essential hypertension", "Condition", "SNOMED", "59621000"),
    201826: ("Type 2 diabetes mellitus", "Condition", "SNOMED", "44054006"),
    77670: ("Chest pain", "Condition", "SNOMED", "29857009"),
    2001447: ("Coronary bypass", "Procedure", "ICD9Proc", "36.11"),
    2314210: ("Office visit", "Procedure", "CPT4", "99213"),
    4336464: ("Coronary artery bypass graft", "Procedure", "SNOMED", "232717009"),
    3004501: ("Glucose in serum or plasma", "Measurement", "LOINC", "2345-7"),
    3016723: ("Creatinine in serum or plasma", "Measurement", "LOINC", "2160-0"),
    1308216: ("lisinopril", "Drug", "RxNorm", "29046"),
    1503297: ("metformin", "Drug", "RxNorm", "6809"),
    4275495: ("Tobacco smoking behavior", "Observation", "SNOMED", "365981007"),
    4148256: ("Cardiac pacemaker", "Device", "SNOMED", "14106009"),
    4122248: ("Blood specimen", "Specimen", "SNOMED", "119297000"),
    706531: ("Discharge summary", "Note", "LOINC", "LP173221-5"),
    2000000500: ('Ward 7, "east"', "Visit", "our_wards", "W7"),
}
MAPS_TO = {45567179: 316139, 45532926: 320128, 44826465: 201826, 44824235: 77670, 2001447: 4336464}
ANCESTORS = ((321588, 316139, 1), (316139, 316139, 0))
CONDITIONS = ((45567179, "I50.9"), (45532926, "I10"), (44826465, "250.00"), (44824235, "786.50"))
PROBLEM_LIST, BILLING, PRIMARY = 32840, 32821, 32902
PRIMARY_OR_NOT = (PRIMARY, None, None, None)
PERSON, START = "person_id", datetime(2015, 3, 2, 9, 30)
Row = dict[str, Any]


def write(folder: Path) -> Path:
    """Write the tables as CSV."""
    tables = _tables(Random(5))
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return folder


def tables() -> dict[str, list[Row]]:
    """Return the rows of every table."""
    return _tables(Random(5))


def _tables(random: Random) -> dict[str, list[Row]]:
    made: dict[str, list[Row]] = {name: [] for name in NAMES}
    for person in range(1, N_PERSONS + 1):
        _person(made, person, random)
    made["care_site"] = [{"care_site_id": 1, "care_site_name": 'Ward 7, "east"'}]
    made["concept"] = [
        {
            "concept_id": number,
            "concept_name": name,
            "domain_id": domain,
            "vocabulary_id": vocabulary,
            "concept_class_id": "Made up",
            "standard_concept": "S",
            "concept_code": code,
            "valid_start_date": date(1970, 1, 1),
            "valid_end_date": date(2099, 12, 31),
            "invalid_reason": None,
        }
        for number, (name, domain, vocabulary, code) in CONCEPTS.items()
    ]
    made["concept_relationship"] = [
        {"concept_id_1": one, "concept_id_2": two, "relationship_id": "Maps to"}
        for one, two in MAPS_TO.items()
    ]
    made["concept_ancestor"] = [
        {
            "ancestor_concept_id": above,
            "descendant_concept_id": below,
            "min_levels_of_separation": levels,
            "max_levels_of_separation": levels,
        }
        for above, below, levels in ANCESTORS
    ]
    made["cdm_source"] = [{"cdm_source_name": "made up", "cdm_version": "5.4"}]
    return made


def _person(made: dict[str, list[Row]], person: int, random: Random) -> None:
    sex = 8507 if person % 2 else 8532
    made["person"].append(
        {
            PERSON: person,
            "gender_concept_id": sex,
            "year_of_birth": 1930 + 3 * person,
            "month_of_birth": 5 if person % 3 else None,
            "day_of_birth": 17 if person % 3 else None,
            "birth_datetime": None,
            "race_concept_id": 8527,
            "ethnicity_concept_id": 0,
            "person_source_value": f"P{person:03}",
            "gender_source_value": "M" if person % 2 else "F",
            "gender_source_concept_id": 0,
            "race_source_value": "WHITE" if person % 4 else None,
            "race_source_concept_id": 0,
            "ethnicity_source_value": None,
        }
    )
    n_visits = 1 if person == N_PERSONS else 2 + person % 2
    start = START + timedelta(days=31 * person)
    for number in range(n_visits):
        _visit(made, person, 100 * person + number, start, random)
        start += timedelta(days=90 + 10 * person, hours=person)
    first = made["visit_occurrence"][-n_visits]["visit_start_date"]
    last = made["visit_occurrence"][-1]["visit_end_date"]
    made["observation_period"].append(
        {
            "observation_period_id": person,
            PERSON: person,
            "observation_period_start_date": first,
            "observation_period_end_date": last,
            "period_type_concept_id": 32817,
        }
    )
    if person % 5 == 0:
        made["death"].append(
            {PERSON: person, "death_date": last, "death_datetime": None, "cause_concept_id": 0}
        )


def _visit(made: dict[str, list[Row]], person: int, visit: int, start: datetime, random: Random) -> None:
    inpatient = visit % 3 != 2
    end = start + (timedelta(days=2 + visit % 4, hours=5) if inpatient else timedelta(hours=1))
    made["visit_occurrence"].append(
        {
            "visit_occurrence_id": visit,
            PERSON: person,
            "visit_concept_id": 9201 if inpatient else 9202,
            **_moment("visit_start", start),
            **_moment("visit_end", end),
            "visit_type_concept_id": 32817,
            "visit_source_value": f"V{visit}",
            "visit_source_concept_id": 0,
            "admitted_from_source_value": "EMERGENCY ROOM" if visit % 2 else None,
            "discharged_to_source_value": "HOME, with care" if inpatient else None,
        }
    )
    if inpatient:
        made["visit_detail"].append(
            {
                "visit_detail_id": visit,
                PERSON: person,
                "visit_detail_concept_id": 9201,
                **_moment("visit_detail_start", start + timedelta(hours=1)),
                "visit_detail_source_concept_id": 2000000500,
                "visit_detail_source_value": "W7",
                "care_site_id": 1,
                "visit_occurrence_id": visit,
            }
        )
    for rank, (source, value) in enumerate(random.sample(CONDITIONS, 2)):
        _row(
            made,
            "condition_occurrence",
            "condition",
            (person, visit),
            start,
            moment="condition_start",
            source=(source, value),
            concept=MAPS_TO[source],
            kind=BILLING,
            condition_status_concept_id=PRIMARY_OR_NOT[rank],
        )
    procedure = (2001447, "36.11") if inpatient else (2314210, "99213")
    _row(
        made,
        "procedure_occurrence",
        "procedure",
        (person, visit),
        start + timedelta(hours=6),
        source=procedure,
        concept=MAPS_TO.get(procedure[0], procedure[0]),
    )
    drug = (1308216, "lisinopril 10 mg") if visit % 2 else (1503297, '"metformin", 500 mg')
    _row(
        made,
        "drug_exposure",
        "drug",
        (person, visit),
        start + timedelta(hours=2),
        moment="drug_exposure_start",
        source=(0, drug[1]),
        concept=drug[0],
        quantity=random.choice((10, 30, None)),
        sig="one a day,\nwith water" if visit % 4 == 0 else None,
    )
    for number, (concept, unit) in enumerate(((3004501, "mg/dL"), (3016723, None))):
        below = visit % 5 == 0 and number == 1
        _row(
            made,
            "measurement",
            "measurement",
            (person, visit),
            start + timedelta(hours=3 + number),
            source=(concept, ""),
            concept=concept,
            operator_concept_id=4171756 if below else None,
            value_as_number=round(random.uniform(0.5, 180), 2) if visit % 7 else None,
            value_as_concept_id=4034850 if visit % 7 == 0 and number else None,
            unit_concept_id=8840 if unit else None,
            unit_source_value=unit,
            range_low=70,
            range_high=140,
            value_source_value=None if visit % 7 else "> 500",
        )
    _row(
        made,
        "observation",
        "observation",
        (person, visit),
        start,
        source=(0, "smoking"),
        concept=4275495,
        value_as_number=None,
        value_as_string=random.choice(("never", "20 a day, since 1990", None)),
        value_as_concept_id=None,
        unit_concept_id=None,
        unit_source_value=None,
        value_source_value=None,
    )
    if person % 4 == 0:
        _row(made, "device_exposure", "device", (person, visit), start, moment="device_exposure_start",
             source=(0, "pacemaker"), concept=4148256, quantity=1)  # fmt: skip
    made["specimen"].append(
        {
            "specimen_id": visit,
            PERSON: person,
            "specimen_concept_id": 4122248,
            **_moment("specimen", start + timedelta(hours=3)),
            "quantity": None,
            "specimen_source_value": "blood",
        }
    )
    made["note"].append(
        {
            "note_id": visit,
            PERSON: person,
            **_moment("note", end),
            "note_type_concept_id": 32831,
            "note_class_concept_id": 706531,
            "note_title": "Summary",
            "note_text": f'Seen for "pain",\nsent home. Visit {visit}.',
            "visit_occurrence_id": visit,
            "note_source_value": None,
        }
    )


def _row(
    made: dict[str, list[Row]],
    table: str,
    name: str,
    of: tuple[int, int],
    when: datetime,
    *,
    source: tuple[int, str],
    concept: int,
    moment: str = "",
    kind: int = 32817,
    **more: Any,
) -> None:
    made[table].append(
        {
            f"{table}_id": len(made[table]) + 1,
            PERSON: of[0],
            f"{name}_concept_id": concept,
            **_moment(moment or name, when),
            f"{name}_type_concept_id": kind,
            "visit_occurrence_id": of[1],
            f"{name}_source_value": source[1] or None,
            f"{name}_source_concept_id": source[0],
            **more,
        }
    )


def _moment(name: str, when: datetime) -> Row:
    """Give a date, and the time of two rows in three."""
    return {f"{name}_date": when.date(), f"{name}_datetime": when if when.day % 3 else None}


NAMES = (
    "person",
    "observation_period",
    "visit_occurrence",
    "visit_detail",
    "condition_occurrence",
    "procedure_occurrence",
    "drug_exposure",
    "device_exposure",
    "measurement",
    "observation",
    "note",
    "specimen",
    "death",
    "care_site",
    "concept",
    "concept_relationship",
    "concept_ancestor",
    "cdm_source",
)
