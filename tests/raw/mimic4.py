"""A hospital of sixteen made-up patients in the layout of MIMIC-IV 3.1, with its emergency department and its notes."""

import csv
import gzip
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from attending.simulate.mimic4 import COLUMNS as OF_SIMULATOR

Row = dict[str, object]
N_SUBJECTS = 16
COLUMNS = {path: columns.split() for path, columns in OF_SIMULATOR.items()} | {
    path: columns.split()
    for path, columns in {
        "hosp/pharmacy": "subject_id hadm_id pharmacy_id poe_id starttime stoptime medication proc_type status "
        "entertime verifiedtime route frequency",
        "hosp/emar": "subject_id hadm_id emar_id emar_seq poe_id pharmacy_id enter_provider_id charttime medication "
        "event_txt scheduletime storetime",
        "hosp/emar_detail": "subject_id emar_id emar_seq parent_field_ordinal administration_type pharmacy_id "
        "dose_due dose_due_unit dose_given dose_given_unit product_description infusion_rate infusion_rate_unit",
        "hosp/poe": "poe_id poe_seq subject_id hadm_id ordertime order_type order_subtype transaction_type "
        "discontinue_of_poe_id discontinued_by_poe_id order_provider_id order_status",
        "hosp/poe_detail": "poe_id poe_seq subject_id field_name field_value",
        "hosp/procedures_icd": "subject_id hadm_id seq_num chartdate icd_code icd_version",
        "hosp/hcpcsevents": "subject_id hadm_id chartdate hcpcs_cd seq_num short_description",
        "hosp/provider": "provider_id",
        "hosp/d_labitems": "itemid label fluid category",
        "hosp/d_hcpcs": "code category long_description short_description",
        "hosp/d_icd_diagnoses": "icd_code icd_version long_title",
        "hosp/d_icd_procedures": "icd_code icd_version long_title",
        "icu/d_items": "itemid label abbreviation linksto category unitname param_type lownormalvalue highnormalvalue",
        "icu/caregiver": "caregiver_id",
        "icu/chartevents": "subject_id hadm_id stay_id caregiver_id charttime storetime itemid value valuenum "
        "valueuom warning",
        "icu/datetimeevents": "subject_id hadm_id stay_id caregiver_id charttime storetime itemid value valueuom "
        "warning",
        "icu/outputevents": "subject_id hadm_id stay_id caregiver_id charttime storetime itemid value valueuom",
        "icu/inputevents": "subject_id hadm_id stay_id caregiver_id starttime endtime storetime itemid amount "
        "amountuom rate rateuom orderid",
        "icu/ingredientevents": "subject_id hadm_id stay_id caregiver_id starttime endtime storetime itemid amount "
        "amountuom rate rateuom orderid",
        "icu/procedureevents": "subject_id hadm_id stay_id caregiver_id starttime endtime storetime itemid value "
        "valueuom orderid",
        "ed/edstays": "subject_id hadm_id stay_id intime outtime gender race arrival_transport disposition",
        "ed/triage": "subject_id stay_id temperature heartrate resprate o2sat sbp dbp pain acuity chiefcomplaint",
        "ed/vitalsign": "subject_id stay_id charttime temperature heartrate resprate o2sat sbp dbp rhythm pain",
        "ed/diagnosis": "subject_id stay_id seq_num icd_code icd_version icd_title",
        "ed/medrecon": "subject_id stay_id charttime name gsn ndc etc_rn etccode etcdescription",
        "ed/pyxis": "subject_id stay_id charttime med_rn name gsn_rn gsn",
        "note/discharge": "note_id subject_id hadm_id note_type note_seq charttime storetime text",
        "note/discharge_detail": "note_id subject_id field_name field_value field_ordinal",
        "note/radiology": "note_id subject_id hadm_id note_type note_seq charttime storetime text",
        "note/radiology_detail": "note_id subject_id field_name field_value field_ordinal",
    }.items()
}
DICTIONARIES: list[tuple[str, Row]] = [
    ("hosp/d_labitems", {"itemid": 50912, "label": "Creatinine", "fluid": "Blood", "category": "Chemistry"}),
    ("hosp/d_hcpcs", {"code": "99218", "short_description": "Hospital observation"}),
    ("hosp/d_icd_diagnoses", {"icd_code": "I509", "icd_version": 10, "long_title": "Heart failure"}),
    ("hosp/d_icd_procedures", {"icd_code": "3961", "icd_version": 9, "long_title": "Bypass"}),
    ("hosp/provider", {"provider_id": "P001AA"}),
    ("icu/d_items", {"itemid": 220045, "label": "Heart Rate", "linksto": "chartevents"}),
    ("icu/d_items", {"itemid": 225152, "label": "Heparin Sodium", "linksto": "inputevents"}),
    ("icu/caregiver", {"caregiver_id": 7}),
]
DIAGNOSES = (("I509", 10), ("4280", 9), ("E119", 10), ("25000", 9), ("N17.9", 10), ("A419 ", 10))


def write(folder: Path) -> Path:
    """Write the hospital."""
    for path, rows in tables().items():
        put(folder, path, rows)
    return folder


def put(folder: Path, path: str, rows: list[Row], columns: list[str] | None = None) -> None:
    """Write one table, every second one compressed."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns or COLUMNS[path], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    raw = buffer.getvalue().encode()
    packed = list(COLUMNS).index(path) % 2 == 0
    target = folder / f"{path}.csv{'.gz' if packed else ''}"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(raw, mtime=0) if packed else raw)


def tables() -> dict[str, list[Row]]:
    """Return the rows of every table."""
    found: dict[str, list[Row]] = {path: [] for path in COLUMNS}
    rows = [row for number in range(N_SUBJECTS) for row in _subject(number)]
    for path, row in (*DICTIONARIES, *rows):
        found[path].append(row)
    return found


def _subject(number: int) -> Iterator[tuple[str, Row]]:
    """Yield one patient: one visit to the hospital for every fourth, else two or three, half of them by the ED."""
    subject = 10_000_000 + number
    born = datetime(2080 + number, 1, 1)
    anchor = {"subject_id": subject, "anchor_age": 60, "anchor_year": born.year + 60}
    dies = number % 5 == 4
    n_visits = 1 if number % 4 == 3 else 2 + number % 2
    first = datetime(born.year + 60, 3, 1, 8, 30) + timedelta(days=number)
    starts = [first + timedelta(days=200 * visit) for visit in range(n_visits)]
    dod = (starts[-1] + timedelta(days=4)).date() if dies else ""
    yield "hosp/patients", anchor | {"gender": "FM"[number % 2], "dod": dod}
    if number % 3 == 0:
        yield from _emergency(subject, 30_000_000 + number, first - timedelta(days=30), "")
    for visit, start in enumerate(starts):
        yield from _visit(subject, visit, start, dies=dies and visit == n_visits - 1)
    day = (first - timedelta(days=9)).date()
    blood_pressure = {"result_name": "Blood Pressure", "result_value": f"{120 + number}/80"}
    weight = {"result_name": "Weight (Lbs)", "result_value": str(140.5 + number)}
    for name in (blood_pressure, weight):
        yield "hosp/omr", {"subject_id": subject, "chartdate": day, "seq_num": 1} | name


def _visit(subject: int, visit: int, start: datetime, *, dies: bool) -> Iterator[tuple[str, Row]]:
    hadm = 20_000_000 + subject % 100 * 10 + visit
    end = start + timedelta(days=4, hours=3)
    who = {"subject_id": subject, "hadm_id": hadm}
    yield (
        "hosp/admissions",
        who
        | {
            "admittime": start,
            "dischtime": end,
            "deathtime": end if dies else "",
            "admission_type": "EW EMER.",
            "admission_location": "EMERGENCY ROOM",
            "discharge_location": "DIED" if dies else "HOME",
            "insurance": "Medicare",
            "marital_status": "" if visit else "MARRIED",
            "race": "WHITE",
            "language": "English",
        },
    )
    yield "hosp/transfers", who | {"eventtype": "admit", "careunit": "Medicine", "intime": start}
    yield "hosp/services", who | {"transfertime": start, "curr_service": "MED"}
    yield from _codes(who, subject, visit, start)
    yield from _medication(who, subject, visit, start)
    yield from _measured(who, start)
    if visit == 0:
        yield from _intensive_care(who, start)
    if subject % 2:
        yield from _emergency(subject, 31_000_000 + hadm % 1000, start - timedelta(hours=6), hadm)
    yield from _notes(who, visit, start, end)


def _codes(who: Row, subject: int, visit: int, start: datetime) -> Iterator[tuple[str, Row]]:
    day = (start + timedelta(days=1)).date()
    for rank in (2, 1):
        code, version = DIAGNOSES[(subject + visit + rank) % len(DIAGNOSES)]
        yield "hosp/diagnoses_icd", who | {"seq_num": rank, "icd_code": code, "icd_version": version}
    coded = {"seq_num": 1, "chartdate": day}
    yield "hosp/procedures_icd", who | coded | {"icd_code": "3961", "icd_version": 9}
    yield "hosp/hcpcsevents", who | coded | {"hcpcs_cd": "99218", "short_description": "Hospital observation"}
    yield "hosp/drgcodes", who | {"drg_type": "APR", "drg_code": "194", "description": "HEART FAILURE"}


def _medication(who: Row, subject: int, visit: int, start: datetime) -> Iterator[tuple[str, Row]]:
    seq = visit * 10 + 1
    entered = start + timedelta(hours=1)
    stop = start + timedelta(days=3)
    order = {"poe_id": f"{subject}-{seq}", "poe_seq": seq}
    about = order | {"order_type": "ADT orders", "order_subtype": "Admit", "transaction_type": "New"}
    yield "hosp/poe", who | about | {"ordertime": start, "order_status": "Inactive"}
    detail = order | {"subject_id": subject, "field_name": "Admit to", "field_value": "Medicine"}
    yield "hosp/poe_detail", detail
    drug = "Sodium Chloride 0.9%, 1 L" if visit else "Furosemide"
    dose = {"dose_val_rx": "" if visit else "40", "dose_unit_rx": "" if visit else "mg"}
    yield "hosp/prescriptions", who | dose | {"starttime": entered, "stoptime": stop, "drug": drug}
    filled = {"starttime": entered, "stoptime": stop, "medication": drug, "proc_type": "Unit Dose"}
    yield "hosp/pharmacy", who | filled | {"entertime": entered + timedelta(minutes=5), "frequency": "DAILY"}
    emar = {"emar_id": f"{subject}-{seq}", "emar_seq": seq}
    done = {"charttime": entered, "storetime": entered + timedelta(minutes=2), "event_txt": "Administered"}
    yield "hosp/emar", who | emar | done | {"medication": drug}
    due = {"dose_due": 40, "dose_due_unit": "mg", "administration_type": "Standard"}
    yield "hosp/emar_detail", emar | due | {"subject_id": subject}
    given = {"parent_field_ordinal": 1.1, "dose_given": "1,000" if visit else "40", "dose_given_unit": "mg"}
    yield "hosp/emar_detail", emar | given | {"subject_id": subject, "product_description": drug}


def _measured(who: Row, start: datetime) -> Iterator[tuple[str, Row]]:
    for hours, value in ((2, "1.1"), (26, ">500"), (50, "NEG")):
        taken = start + timedelta(hours=hours)
        number = value if value == "1.1" else ""
        result = {"itemid": 50912, "value": value, "valuenum": number, "valueuom": "mg/dL"}
        comment = 'hemolysed, "slightly"\nsecond line' if hours == 50 else ""
        times = {"charttime": taken, "storetime": taken + timedelta(hours=1)}
        yield "hosp/labevents", who | result | times | {"comments": comment}
    yield (
        "hosp/microbiologyevents",
        who
        | {
            "chartdate": start.date(),
            "charttime": start,
            "storedate": (start + timedelta(days=2)).date(),
            "spec_type_desc": "URINE",
            "test_name": "URINE CULTURE",
            "comments": "NO GROWTH.",
        },
    )


def _intensive_care(who: Row, start: datetime) -> Iterator[tuple[str, Row]]:
    begin = start + timedelta(hours=5)
    stay = who | {"stay_id": 39_000_000 + int(str(who["hadm_id"])) % 1000}
    unit = "Medical Intensive Care Unit (MICU)"
    yield (
        "icu/icustays",
        stay
        | {
            "first_careunit": unit,
            "last_careunit": unit,
            "intime": begin,
            "outtime": begin + timedelta(days=1),
        },
    )
    charted = stay | {"caregiver_id": 7, "charttime": begin, "storetime": begin + timedelta(minutes=9)}
    item = {"itemid": 220045}
    yield "icu/chartevents", charted | item | {"value": 88, "valuenum": 88, "valueuom": "bpm", "warning": 0}
    yield "icu/chartevents", charted | {"itemid": 220048, "value": "SR (Sinus Rhythm)", "warning": 0}
    yield "icu/datetimeevents", charted | {"itemid": 225343, "value": begin.date(), "valueuom": "Date"}
    yield "icu/outputevents", charted | {"itemid": 226559, "value": 60, "valueuom": "ml"}
    ran = stay | {"starttime": begin, "endtime": begin + timedelta(hours=2), "storetime": begin, "orderid": 1}
    amount = {"itemid": 225152, "amount": 100, "amountuom": "units"}
    yield "icu/inputevents", ran | amount | {"rate": 25, "rateuom": "units/hour"}
    yield "icu/ingredientevents", ran | amount
    yield "icu/procedureevents", ran | {"itemid": 225792, "value": 120, "valueuom": "min"}


def _emergency(subject: int, stay: int, start: datetime, hadm: object) -> Iterator[tuple[str, Row]]:
    end = start + timedelta(hours=5)
    here = {"subject_id": subject, "stay_id": stay}
    about = {"gender": "F", "race": "WHITE", "arrival_transport": "WALK IN"}
    left = {"disposition": "ADMITTED" if hadm else "HOME", "hadm_id": hadm}
    yield "ed/edstays", here | about | left | {"intime": start, "outtime": end}
    signs = {"temperature": 98.6, "heartrate": 90, "resprate": 18, "o2sat": 97, "sbp": 130, "dbp": 70}
    yield "ed/triage", here | signs | {"pain": "8", "acuity": 2, "chiefcomplaint": "Dyspnea, cough"}
    at = {"charttime": start + timedelta(hours=1)}
    yield "ed/vitalsign", here | at | signs | {"temperature": "", "rhythm": "Sinus", "pain": "uta"}
    title = {"icd_title": "DYSPNEA, UNSPECIFIED", "icd_code": "R0600", "icd_version": 10, "seq_num": 1}
    yield "ed/diagnosis", here | title
    for number, group in ((1, "Loop Diuretics"), (2, "Diuretics")):
        drug = {"name": "furosemide", "gsn": "008209", "ndc": "00054429931"}
        yield "ed/medrecon", here | at | drug | {"etc_rn": number, "etcdescription": group}
        yield "ed/pyxis", here | at | {"med_rn": 1, "name": "Furosemide", "gsn_rn": number, "gsn": "008209"}


def _notes(who: Row, visit: int, start: datetime, end: datetime) -> Iterator[tuple[str, Row]]:
    subject = who["subject_id"]
    midnight = end.replace(hour=0, minute=0)
    summary = {
        "note_id": f"{subject}-DS-{visit}",
        "note_type": "DS",
        "note_seq": visit,
        "charttime": midnight,
    }
    words = ' \nName: ___\n\nChief Complaint: "short of breath", cough\n\nDischarged home.\n'
    yield "note/discharge", who | summary | {"storetime": end + timedelta(hours=20), "text": words}
    author = {
        "note_id": summary["note_id"],
        "subject_id": subject,
        "field_name": "author",
        "field_value": "___",
    }
    yield "note/discharge_detail", author | {"field_ordinal": 1}
    report = {"note_id": f"{subject}-RR-{visit}", "note_type": "RR", "note_seq": visit, "charttime": start}
    stored = "" if visit else start + timedelta(hours=2)
    yield (
        "note/radiology",
        who | report | {"storetime": stored, "text": "CHEST, TWO VIEWS\n\nNo pneumonia.\n"},
    )
    detail = {"note_id": report["note_id"], "subject_id": subject, "field_ordinal": 1}
    for field, value in (("exam_name", "CHEST (PA & LAT)"), ("cpt_code", "71046"), ("parent_note_id", "x")):
        yield "note/radiology_detail", detail | {"field_name": field, "field_value": value}
