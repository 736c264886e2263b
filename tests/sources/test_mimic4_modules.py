"""MIMIC-IV's orders, medication, emergency department and notes: what becomes of each row, and when it is known."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from attending.config import Component
from attending.engine.local import Local
from attending.errors import ConfigError
from attending.schema import (
    AVAILABLE_TIME,
    CODE,
    DESCRIPTION,
    NUMERIC_VALUE,
    ORIGIN,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)
from attending.stages.ingest import ingest
from raw import mimic4
from tiny_mimic import TINY_SIZES, put, run, write

DISCHARGE = datetime(2150, 1, 5, 12)
MODULES = {
    "hosp/pharmacy": """\
subject_id,hadm_id,pharmacy_id,poe_id,starttime,stoptime,medication,proc_type,status,entertime,verifiedtime,frequency
1,11,1,1-1,2150-01-01 12:00:00,2150-01-05 12:00:00,Furosemide,Unit Dose,Expired,2150-01-01 12:30:00,,BID
1,11,2,1-2,2150-01-02 12:00:00,,,IV Large Volume,Expired,2150-01-02 11:00:00,,
""",
    "hosp/emar": """\
subject_id,hadm_id,emar_id,emar_seq,poe_id,pharmacy_id,charttime,medication,event_txt,scheduletime,storetime
1,11,1-7,7,1-1,1,2150-01-01 13:00:00,Furosemide,Administered,2150-01-01 13:00:00,2150-01-01 13:05:00
1,11,1-8,8,1-1,1,2150-01-01 21:00:00,Heparin,Not Given,2150-01-01 21:00:00,2150-01-01 21:00:00
""",
    "hosp/emar_detail": """\
subject_id,emar_id,emar_seq,parent_field_ordinal,dose_due,dose_due_unit,dose_given,dose_given_unit,\
product_description,infusion_rate,infusion_rate_unit
1,1-7,7,,40,mg,,,,,
1,1-7,7,1.1,,,"1,040",mg,Furosemide 40mg TAB,25,mL/hr
1,1-9,9,1.1,,,40,mg,Furosemide 40mg TAB,,
""",
    "hosp/poe": """\
poe_id,poe_seq,subject_id,hadm_id,ordertime,order_type,order_subtype,transaction_type,order_status
1-5,5,1,11,2150-01-01 10:30:00,General Care,Code status,New,Inactive
1-6,6,1,11,2150-01-01 10:40:00,Consults,,New,Inactive
""",
    "hosp/poe_detail": """\
poe_id,poe_seq,subject_id,field_name,field_value
1-5,5,1,Code status,Do not resuscitate (DNR/DNI)
1-6,6,1,Consult Status Time,2150-01-01 18:01:03
1-8,8,1,Admit to,Medicine
""",
    "ed/edstays": """\
subject_id,hadm_id,stay_id,intime,outtime,gender,race,arrival_transport,disposition
1,11,31,2150-01-01 07:50:00,2150-01-01 11:10:00,F,WHITE,AMBULANCE,ADMITTED
4,,34,2171-01-01 08:00:00,2171-01-01 12:00:00,M,ASIAN,WALK IN,HOME
4,,34,2171-01-01 08:00:00,2171-01-01 12:00:00,M,ASIAN,WALK IN,HOME
4,,35,2171-01-03 08:00:00,2171-01-01 12:00:00,M,ASIAN,WALK IN,HOME
""",
    "ed/triage": """\
subject_id,stay_id,temperature,heartrate,resprate,o2sat,sbp,dbp,pain,acuity,chiefcomplaint
4,34,98.6,,18,97,130,70,8-9,2,"Abd pain, N/V"
4,99,98.6,,18,97,130,70,8,2,Fever
""",
    "ed/vitalsign": """\
subject_id,stay_id,charttime,temperature,heartrate,resprate,o2sat,sbp,dbp,rhythm,pain
1,31,2150-01-01 09:00:00,,88,,,,,Sinus,5
""",
    "ed/diagnosis": """\
subject_id,stay_id,seq_num,icd_code,icd_version,icd_title
1,31,2,R0600,10,"DYSPNEA, UNSPECIFIED"
1,31,1,4280,9,CONGESTIVE HEART FAILURE
4,34,1,R10.9,10,ABDOMINAL PAIN
""",
    "ed/medrecon": """\
subject_id,stay_id,charttime,name,gsn,ndc,etc_rn,etccode,etcdescription
1,31,2150-01-01 08:10:00,aspirin,004380,00904201080,1,00002705,Salicylate
1,31,2150-01-01 08:10:00,aspirin,004380,00904201080,2,00003802,Antiplatelet
1,31,2150-01-01 08:10:00,metoprolol,005132,,1,,
""",
    "ed/pyxis": """\
subject_id,stay_id,charttime,med_rn,name,gsn_rn,gsn
1,31,2150-01-01 09:10:00,1,Morphine,1,004080
1,31,2150-01-01 09:10:00,1,Morphine,2,004081
1,31,2150-01-01 09:10:00,2,Ondansetron,1,061716
""",
    "note/discharge": """\
note_id,subject_id,hadm_id,note_type,note_seq,charttime,storetime,text
1-DS-1,1,11,DS,1,2150-01-05 00:00:00,2150-01-06 09:00:00," Name: ___

Chief Complaint: ""short of breath"", cough
"
1-AD-2,1,12,AD,2,2151-06-03 00:00:00,,Addendum.
""",
    "note/discharge_detail": """\
note_id,subject_id,field_name,field_value,field_ordinal
1-DS-1,1,author,___,1
""",
    "note/radiology": """\
note_id,subject_id,hadm_id,note_type,note_seq,charttime,storetime,text
1-RR-3,1,11,RR,3,2150-01-02 00:00:00,2150-01-02 04:00:00,"CHEST, TWO VIEWS

No pneumonia."
1-RR-4,1,,RR,4,2150-09-02 10:00:00,,MRI.
""",
    "note/radiology_detail": """\
note_id,subject_id,field_name,field_value,field_ordinal
1-RR-3,1,exam_name,CHEST (PA & LAT),1
1-RR-3,1,cpt_code,71046,1
1-RR-3,1,parent_note_id,1-RR-2,1
1-RR-9,1,exam_name,CT HEAD,1
""",
}


def hospital(folder: Path) -> Path:
    """Write the tiny hospital and every other module."""
    write(folder)
    for path, text in MODULES.items():
        put(folder / f"{path}.csv", text)
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    run(hospital(folder / "raw"), folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def events(out) -> pl.DataFrame:
    return pl.read_parquet(out / "data" / "*.parquet")


def at(*parts: int) -> datetime:
    return datetime(*parts)


def rows(events: pl.DataFrame, origin: str, *columns: str) -> list[tuple]:
    return events.filter(pl.col(ORIGIN) == origin).select(columns).rows()


def test_a_pharmacy_order_is_known_when_it_was_entered(events):
    assert rows(events, "pharmacy", CODE, TIME, AVAILABLE_TIME, TEXT_VALUE, VISIT_ID) == [
        ("MEDICATION//START//Furosemide", at(2150, 1, 1, 12), at(2150, 1, 1, 12, 30), "BID", 11),
        ("MEDICATION//START//IV Large Volume", at(2150, 1, 2, 12), at(2150, 1, 2, 12), None, 11),
        ("MEDICATION//STOP//Furosemide", DISCHARGE, DISCHARGE, None, 11),
    ]


def test_an_administration_says_what_was_done_and_is_known_when_stored(events):
    assert rows(events, "emar", CODE, TIME, AVAILABLE_TIME, VISIT_ID) == [
        ("MEDICATION//Furosemide//Administered", at(2150, 1, 1, 13), at(2150, 1, 1, 13, 5), 11),
        ("MEDICATION//Heparin//Not Given", at(2150, 1, 1, 21), at(2150, 1, 1, 21), 11),
    ]


def test_a_dose_stands_with_its_administration_and_a_dose_due_is_no_event(events):
    stored = at(2150, 1, 1, 13, 5)
    assert rows(events, "emar_detail", CODE, AVAILABLE_TIME, NUMERIC_VALUE, VISIT_ID) == [
        ("MEDICATION_DOSE//Furosemide//mg", stored, 1040.0, 11),
        ("MEDICATION_RATE//Furosemide//mL/hr", stored, 25.0, 11),
    ]


def test_details_of_orders_have_the_time_of_the_order(events):
    assert rows(events, "poe", CODE, TIME) == [
        ("ORDER//General Care//Code status//New", at(2150, 1, 1, 10, 30)),
        ("ORDER//Consults//UNK//New", at(2150, 1, 1, 10, 40)),
    ]
    assert rows(events, "poe_detail", CODE, TIME, TEXT_VALUE) == [
        ("ORDER_DETAIL//Code status//Do not resuscitate (DNR/DNI)", at(2150, 1, 1, 10, 30), None),
        ("ORDER_DETAIL//Consult Status Time", at(2150, 1, 1, 10, 40), "2150-01-01 18:01:03"),
    ]


def test_an_emergency_stay_belongs_to_its_admission_or_is_a_visit_of_its_own(events):
    assert rows(events, "edstays", CODE, TIME, VISIT_ID) == [
        ("ENCOUNTER//EMERGENCY//AMBULANCE", at(2150, 1, 1, 7, 50), 11),
        ("ENCOUNTER_END//EMERGENCY//ADMITTED", at(2150, 1, 1, 11, 10), 11),
        ("ENCOUNTER//EMERGENCY//WALK IN", at(2171, 1, 1, 8), 34),
        ("RACE//ASIAN", at(2171, 1, 1, 8), 34),
        ("ENCOUNTER_END//EMERGENCY//HOME", at(2171, 1, 1, 12), 34),
    ]


def test_triage_stands_at_the_arrival(events):
    assert set(rows(events, "triage", TIME, AVAILABLE_TIME, VISIT_ID)) == {(at(2171, 1, 1, 8),) * 2 + (34,)}
    assert rows(events, "triage", CODE, NUMERIC_VALUE, TEXT_VALUE) == [
        ("VITAL//temperature//F", pytest.approx(98.6), None),
        ("VITAL//resprate//insp/min", 18.0, None),
        ("VITAL//o2sat//%", 97.0, None),
        ("VITAL//sbp//mmHg", 130.0, None),
        ("VITAL//dbp//mmHg", 70.0, None),
        ("VITAL//pain", None, "8-9"),
        ("TRIAGE//acuity", 2.0, None),
        ("TRIAGE//chiefcomplaint", None, "Abd pain, N/V"),
    ]


def test_vital_signs_stand_where_they_were_charted(events):
    assert rows(events, "vitalsign", CODE, TIME, NUMERIC_VALUE, TEXT_VALUE, VISIT_ID) == [
        ("VITAL//heartrate//bpm", at(2150, 1, 1, 9), 88.0, None, 11),
        ("VITAL//pain", at(2150, 1, 1, 9), 5.0, None, 11),
        ("VITAL//rhythm", at(2150, 1, 1, 9), None, "Sinus", 11),
    ]


def test_emergency_diagnoses_of_an_admitted_patient_are_known_at_the_discharge_from_hospital(events):
    left = at(2150, 1, 1, 11, 10)
    assert rows(events, "diagnosis", CODE, TIME, AVAILABLE_TIME, VISIT_ID) == [
        ("DIAGNOSIS//ICD//9//4280", left, DISCHARGE, 11),
        ("DIAGNOSIS//ICD//10//R0600", left, DISCHARGE, 11),
        ("DIAGNOSIS//ICD//10//R109", at(2171, 1, 1, 12), at(2171, 1, 1, 12), 34),
    ]


def test_a_drug_of_several_classes_is_one_event(events):
    assert rows(events, "medrecon", CODE, TIME, VISIT_ID) == [
        ("MEDICATION//HOME//aspirin", at(2150, 1, 1, 8, 10), 11),
        ("MEDICATION//HOME//metoprolol", at(2150, 1, 1, 8, 10), 11),
    ]
    assert rows(events, "pyxis", CODE) == [
        ("MEDICATION//DISPENSED//Morphine",),
        ("MEDICATION//DISPENSED//Ondansetron",),
    ]


def test_a_discharge_summary_is_known_when_stored_and_its_date_stands_for_the_end_of_the_day(events):
    first, second = rows(events, "discharge", CODE, TIME, AVAILABLE_TIME, TEXT_VALUE, VISIT_ID)
    text = ' Name: ___\n\nChief Complaint: "short of breath", cough\n'
    assert first == ("NOTE//discharge//DS", at(2150, 1, 5, 23, 59, 59), at(2150, 1, 6, 9), text, 11)
    end = at(2151, 6, 3, 23, 59, 59)
    assert second == ("NOTE//discharge//AD", end, end, "Addendum.", 12)


def test_a_radiology_report_is_known_when_stored_with_what_was_examined(events):
    taken, stored = at(2150, 1, 2), at(2150, 1, 2, 4)
    text = "CHEST, TWO VIEWS\n\nNo pneumonia."
    assert rows(events, "radiology", CODE, TIME, AVAILABLE_TIME, TEXT_VALUE, VISIT_ID) == [
        ("NOTE//radiology//RR", taken, stored, text, 11),
        ("NOTE//radiology//RR", at(2150, 9, 2, 10), at(2150, 9, 2, 10), "MRI.", None),
    ]
    assert rows(events, "radiology_detail", CODE, TIME, AVAILABLE_TIME, VISIT_ID) == [
        ("RADIOLOGY//exam_name//CHEST (PA & LAT)", taken, stored, 11),
        ("RADIOLOGY//cpt_code//71046", taken, stored, 11),
    ]
    assert rows(events, "discharge_detail", CODE) == []


def test_rows_of_what_is_not_there_are_quarantined(out):
    ledger = json.loads((out / "ledger.json").read_text())
    assert {file["table"]: file["quarantined"] for file in ledger["files"] if file["quarantined"]} == {
        "emar_detail": {"no such administration": {"emar_seq": 1}},
        "poe_detail": {"no such order": {"poe_seq": 1}},
        "edstays": {
            "departure before arrival": {"outtime": 1},
            "duplicated stay": {"stay_id": 1},
        },
        "triage": {"no such stay": {"stay_id": 1}},
        "radiology_detail": {"no such note": {"note_id": 1}},
    }


def test_every_code_has_a_name(out):
    codes = pl.read_parquet(out / "metadata" / "codes.parquet")
    names = dict(codes.select(CODE, DESCRIPTION).iter_rows())
    assert codes[DESCRIPTION].null_count() == 0
    assert names["NOTE//radiology//RR"] == "Note: radiology, RR"
    assert names["MEDICATION//HOME//aspirin"] == "Medication: HOME, aspirin"


def test_modules_in_their_own_downloads_are_found(events, tmp_path):
    folder = hospital(tmp_path / "raw")
    for module in ("ed", "note"):
        (folder / f"mimic-iv-{module}-2.2").mkdir()
        (folder / module).rename(folder / f"mimic-iv-{module}-2.2" / module)
    run(folder, tmp_path / "out")
    assert pl.read_parquet(tmp_path / "out" / "data" / "*.parquet").equals(events)


def test_a_module_may_be_a_folder_of_its_own(events, tmp_path):
    folder = hospital(tmp_path / "raw")
    folders = [folder]
    for module in ("ed", "note"):
        folders.append(tmp_path / f"mimic-iv-{module}-2.2")
        folders[-1].mkdir()
        (folder / module).rename(folders[-1] / module)
    ingest(Component(name="mimic4"), folders, tmp_path / "out", engine=Local(1))
    assert pl.read_parquet(tmp_path / "out" / "data" / "*.parquet").equals(events)


def test_shards_and_chunks_of_any_size_give_the_same_events(events, tmp_path):
    manifest = run(hospital(tmp_path / "raw"), tmp_path / "out", sizes=TINY_SIZES)
    assert manifest.counts["n_shards"] > 1
    found = pl.read_parquet(tmp_path / "out" / "data" / "*.parquet")
    for (subject,), of_subject in events.group_by(SUBJECT_ID):
        assert found.filter(pl.col(SUBJECT_ID) == subject).equals(of_subject)


def test_what_needs_a_table_is_left_out_with_it(tmp_path):
    folder = hospital(tmp_path / "raw")
    component = Component(name="mimic4", leave_out=["edstays", "emar", "poe", "discharge", "radiology"])
    manifest = ingest(component, folder, tmp_path / "out", engine=Local(1))
    origins = set(manifest.counts["tables"])
    assert origins == {
        "patients",
        "admissions",
        "diagnoses_icd",
        "procedures_icd",
        "labevents",
        "omr",
        "prescriptions",
        "pharmacy",
    }
    assert manifest.counts["quarantined"] == 0


def test_a_table_that_cannot_be_left_out_is_named(tmp_path):
    folder = write(tmp_path / "raw")
    hints = {
        "chartevent": "did you mean 'chartevents'",
        "patients": "got 'patients'",
        "d_items": "got 'd_items'",
    }
    for name, hint in hints.items():
        component = Component(name="mimic4", leave_out=[name])
        with pytest.raises(ConfigError, match=hint):
            ingest(component, folder, tmp_path / "out", engine=Local(1))


# A hospital with every table ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    run(mimic4.write(folder / "raw"), folder / "out")
    return folder / "out"


def test_every_table_is_read_and_makes_events(whole):
    ledger = json.loads((whole / "ledger.json").read_text())
    status = Counter(file["status"] for file in ledger["files"])
    assert status == {"read": len(mimic4.COLUMNS) - 2, "not read": 2}
    assert ledger["totals"]["quarantined"] == ledger["totals"]["values"] == 0
    silent = {file["table"] for file in ledger["files"] if file["status"] == "read" and not file["events"]}
    dictionaries = {"d_items", "d_labitems", "d_hcpcs", "d_icd_diagnoses", "d_icd_procedures"}
    assert silent == dictionaries | {"discharge_detail"}


NEW_IN_2_2 = {"admit_provider_id", "order_provider_id", "enter_provider_id", "caregiver_id"}


def test_columns_of_another_version_change_no_event(whole, tmp_path):
    """2.0 has no identifiers of staff; other versions may add columns, and put them in another order."""
    for path, rows_of_table in mimic4.tables().items():
        older = [name for name in mimic4.COLUMNS[path] if name not in NEW_IN_2_2]
        if path in ("hosp/provider", "icu/caregiver"):
            continue
        columns = [*reversed(older), "new_column"]
        kept = [{name: value for name, value in row.items() if name in columns} for row in rows_of_table]
        mimic4.put(tmp_path / "raw", path, kept, columns)
    run(tmp_path / "raw", tmp_path / "out")
    found, known = (pl.read_parquet(out / "data" / "*.parquet") for out in (tmp_path / "out", whole))
    assert found.equals(known)
