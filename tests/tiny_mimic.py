"""A hospital of four patients in the layout of MIMIC-IV, as text, so that tests can spoil any line of it."""

import gzip
from pathlib import Path

from attending.artifact import Manifest
from attending.config import Component
from attending.engine.local import Local
from attending.stages.ingest import Sizes, ingest

PATIENTS = """\
subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod
1,F,50,2150,2011 - 2013,
2,M,60,2140,2011 - 2013,2145-03-09
3,F,30,2160,2014 - 2016,2165-01-01
4,M,70,2170,2014 - 2016,
"""
ADMISSIONS = """\
subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,admit_provider_id,admission_location,\
discharge_location,insurance,language,marital_status,race,edregtime,edouttime,hospital_expire_flag
1,11,2150-01-01 10:00:00,2150-01-05 12:00:00,,URGENT,P1,EMERGENCY ROOM,HOME,Medicare,ENGLISH,SINGLE,WHITE,\
2150-01-01 08:00:00,2150-01-01 11:00:00,0
1,12,2151-06-01 09:30:00,2151-06-03 16:00:00,,ELECTIVE,P1,PHYSICIAN REFERRAL,,Medicare,ENGLISH,,WHITE,,,0
2,21,2145-03-01 00:10:00,2145-03-09 20:15:00,2145-03-09 20:15:00,EW EMER.,P2,EMERGENCY ROOM,DIED,Other,?,\
MARRIED,ASIAN,,,1
3,31,2160-05-05 05:05:00,2160-05-06 06:06:00,,URGENT,P3,EMERGENCY ROOM,HOME,Other,ENGLISH,SINGLE,OTHER,,,0
"""
DIAGNOSES = """\
subject_id,hadm_id,seq_num,icd_code,icd_version
1,11,2,4280,9
1,11,1,0389,9
1,12,1,I509,10
2,21,1,A419 ,10
2,21,2,N17.9,10
3,31,1,E119,10
"""
PROCEDURES = """\
subject_id,hadm_id,seq_num,chartdate,icd_code,icd_version
1,11,1,2150-01-02,3961,9
1,11,2,2150-01-05,3722,9
2,21,1,2145-03-02,0DB64Z3,10
"""
LABS = """\
labevent_id,subject_id,hadm_id,specimen_id,itemid,order_provider_id,charttime,storetime,value,valuenum,valueuom,\
ref_range_lower,ref_range_upper,flag,priority,comments
1,1,11,1,50912,,2150-01-02 06:00:00,2150-01-02 07:30:00,1.1,1.1,mg/dL,0.4,1.1,,ROUTINE,
2,1,11,1,50971,,2150-01-02 06:00:00,,NEG,,,,,,ROUTINE,"hemolysed, ""slightly""
second line of the comment"
3,1,,2,50912,,2150-09-02 06:00:00,2150-09-02 05:00:00,>500,,mg/dL,0.4,1.1,abnormal,,
4,2,21,3,50912,,2145-03-02 06:00:00,2145-03-02 07:30:00,2.5,2.5,mg/dL,0.4,1.1,,STAT,""
5,4,,4,50912,,2171-01-02 06:00:00,2171-01-02 07:00:00,0.9,0.9,mg/dL,0.4,1.1,,,
"""
LAB_ITEMS = """\
itemid,label,fluid,category
50912,Creatinine,Blood,Chemistry
50971,Potassium,Blood,Chemistry
"""
OMR = """\
subject_id,chartdate,seq_num,result_name,result_value
1,2150-02-01,1,Blood Pressure,120/80
1,2150-02-01,1,BMI (kg/m2),24.5
4,2171-02-01,1,Note,see chart
"""
PRESCRIPTIONS = """\
subject_id,hadm_id,pharmacy_id,starttime,stoptime,drug_type,drug,dose_val_rx,dose_unit_rx
1,11,1,2150-01-01 12:00:00,2150-01-05 12:00:00,MAIN,Furosemide,40,mg
2,21,2,2145-03-01 01:00:00,,BASE,"Sodium Chloride 0.9%, 1 L",,
"""
TABLES = {
    "hosp/patients": PATIENTS,
    "hosp/admissions": ADMISSIONS,
    "hosp/diagnoses_icd": DIAGNOSES,
    "hosp/procedures_icd": PROCEDURES,
    "hosp/labevents": LABS,
    "hosp/d_labitems": LAB_ITEMS,
    "hosp/omr": OMR,
    "hosp/prescriptions": PRESCRIPTIONS,
}
SUBJECTS = {1, 2, 3, 4}


def write(folder: Path, **changed: str | bytes | None) -> Path:
    """Write the hospital; `changed` replaces a table by name, or leaves it out where it is None."""
    for path, text in TABLES.items():
        content = changed.pop(path.rpartition("/")[2], text)
        if content is not None:
            put(folder / f"{path}.csv", content)
    for name, content in changed.items():
        if content is not None:
            put(folder / "hosp" / f"{name}.csv", content)
    return folder


def put(path: Path, content: str | bytes) -> None:
    """Write one file, compressed if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = content if isinstance(content, bytes) else content.encode("utf-8")
    path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)


def run(folder: Path, out: Path, *, n_workers: int = 1, **options: object) -> Manifest:
    """Ingest the hospital; tiny sizes cut it into many chunks and shards."""
    engine = Local(n_workers)
    return ingest(Component(name="mimic4"), folder, out, engine=engine, **options)  # type: ignore[arg-type]


TINY_SIZES = Sizes(block_bytes=200, shard_bytes=1500, part_bytes=500)
