"""A made-up folder in the layout of MIMIC-III 1.4: every clinical table, 12 patients, 23 admissions, upper case."""

import csv
import gzip
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

N_PATIENTS = 12
SET_ASIDE = {"marked as an error", "rewritten"}
ICD = ("4280", "0389", "25000", "42731", "5849", "V4581", "E8788", "4019")
DRUGS = ("Furosemide", "Heparin", 'D5W "premixed"', "Insulin, regular")
NAMES = {
    "PATIENTS": "SUBJECT_ID,GENDER,DOB,DOD,DOD_HOSP,DOD_SSN,EXPIRE_FLAG",
    "ADMISSIONS": """SUBJECT_ID,HADM_ID,ADMITTIME,DISCHTIME,DEATHTIME,ADMISSION_TYPE,ADMISSION_LOCATION,\
DISCHARGE_LOCATION,INSURANCE,LANGUAGE,RELIGION,MARITAL_STATUS,ETHNICITY,EDREGTIME,EDOUTTIME,DIAGNOSIS,\
HOSPITAL_EXPIRE_FLAG,HAS_CHARTEVENTS_DATA""",
    "CALLOUT": """SUBJECT_ID,HADM_ID,SUBMIT_WARDID,SUBMIT_CAREUNIT,CURR_WARDID,CURR_CAREUNIT,CALLOUT_WARDID,\
CALLOUT_SERVICE,CALLOUT_STATUS,CALLOUT_OUTCOME,CREATETIME,UPDATETIME,ACKNOWLEDGETIME,OUTCOMETIME""",
    "CAREGIVERS": "CGID,LABEL,DESCRIPTION",
    "CHARTEVENTS": """SUBJECT_ID,HADM_ID,ICUSTAY_ID,ITEMID,CHARTTIME,STORETIME,CGID,VALUE,VALUENUM,VALUEUOM,\
WARNING,ERROR,RESULTSTATUS,STOPPED""",
    "CPTEVENTS": """SUBJECT_ID,HADM_ID,COSTCENTER,CHARTDATE,CPT_CD,CPT_NUMBER,CPT_SUFFIX,TICKET_ID_SEQ,\
SECTIONHEADER,SUBSECTIONHEADER,DESCRIPTION""",
    "DATETIMEEVENTS": """SUBJECT_ID,HADM_ID,ICUSTAY_ID,ITEMID,CHARTTIME,STORETIME,CGID,VALUE,VALUEUOM,WARNING,\
ERROR,RESULTSTATUS,STOPPED""",
    "DIAGNOSES_ICD": "SUBJECT_ID,HADM_ID,SEQ_NUM,ICD9_CODE",
    "DRGCODES": "SUBJECT_ID,HADM_ID,DRG_TYPE,DRG_CODE,DESCRIPTION,DRG_SEVERITY,DRG_MORTALITY",
    "D_CPT": """CATEGORY,SECTIONRANGE,SECTIONHEADER,SUBSECTIONRANGE,SUBSECTIONHEADER,CODESUFFIX,\
MINCODEINSUBSECTION,MAXCODEINSUBSECTION""",
    "D_ICD_DIAGNOSES": "ICD9_CODE,SHORT_TITLE,LONG_TITLE",
    "D_ICD_PROCEDURES": "ICD9_CODE,SHORT_TITLE,LONG_TITLE",
    "D_ITEMS": "ITEMID,LABEL,ABBREVIATION,DBSOURCE,LINKSTO,CATEGORY,UNITNAME,PARAM_TYPE,CONCEPTID",
    "D_LABITEMS": "ITEMID,LABEL,FLUID,CATEGORY,LOINC_CODE",
    "ICUSTAYS": """SUBJECT_ID,HADM_ID,ICUSTAY_ID,DBSOURCE,FIRST_CAREUNIT,LAST_CAREUNIT,FIRST_WARDID,LAST_WARDID,\
INTIME,OUTTIME,LOS""",
    "INPUTEVENTS_CV": """SUBJECT_ID,HADM_ID,ICUSTAY_ID,CHARTTIME,ITEMID,AMOUNT,AMOUNTUOM,RATE,RATEUOM,STORETIME,\
CGID,ORDERID,LINKORDERID,STOPPED,NEWBOTTLE""",
    "INPUTEVENTS_MV": """SUBJECT_ID,HADM_ID,ICUSTAY_ID,STARTTIME,ENDTIME,ITEMID,AMOUNT,AMOUNTUOM,RATE,RATEUOM,\
STORETIME,CGID,ORDERID,STATUSDESCRIPTION""",
    "LABEVENTS": "SUBJECT_ID,HADM_ID,ITEMID,CHARTTIME,VALUE,VALUENUM,VALUEUOM,FLAG",
    "MICROBIOLOGYEVENTS": """SUBJECT_ID,HADM_ID,CHARTDATE,CHARTTIME,SPEC_ITEMID,SPEC_TYPE_DESC,ORG_ITEMID,\
ORG_NAME,ISOLATE_NUM,AB_ITEMID,AB_NAME,DILUTION_TEXT,INTERPRETATION""",
    "NOTEEVENTS": "SUBJECT_ID,HADM_ID,CHARTDATE,CHARTTIME,STORETIME,CATEGORY,DESCRIPTION,CGID,ISERROR,TEXT",
    "OUTPUTEVENTS": """SUBJECT_ID,HADM_ID,ICUSTAY_ID,CHARTTIME,ITEMID,VALUE,VALUEUOM,STORETIME,CGID,STOPPED,\
NEWBOTTLE,ISERROR""",
    "PRESCRIPTIONS": """SUBJECT_ID,HADM_ID,ICUSTAY_ID,STARTDATE,ENDDATE,DRUG_TYPE,DRUG,DRUG_NAME_POE,\
DRUG_NAME_GENERIC,FORMULARY_DRUG_CD,GSN,NDC,PROD_STRENGTH,DOSE_VAL_RX,DOSE_UNIT_RX,ROUTE""",
    "PROCEDUREEVENTS_MV": """SUBJECT_ID,HADM_ID,ICUSTAY_ID,STARTTIME,ENDTIME,ITEMID,VALUE,VALUEUOM,LOCATION,\
STORETIME,CGID,ORDERID,STATUSDESCRIPTION""",
    "PROCEDURES_ICD": "SUBJECT_ID,HADM_ID,SEQ_NUM,ICD9_CODE",
    "SERVICES": "SUBJECT_ID,HADM_ID,TRANSFERTIME,PREV_SERVICE,CURR_SERVICE",
    "TRANSFERS": """SUBJECT_ID,HADM_ID,ICUSTAY_ID,DBSOURCE,EVENTTYPE,PREV_CAREUNIT,CURR_CAREUNIT,PREV_WARDID,\
CURR_WARDID,INTIME,OUTTIME,LOS""",
}
Row = dict[str, object]
DICTIONARIES: dict[str, list[Row]] = {
    "CAREGIVERS": [{"CGID": 1, "LABEL": "RN", "DESCRIPTION": "RN"}],
    "D_CPT": [
        {
            "SECTIONHEADER": "Evaluation and management",
            "SUBSECTIONHEADER": "Critical care services",
            "MINCODEINSUBSECTION": 99291,
            "MAXCODEINSUBSECTION": 99300,
        }
    ],
    "D_ICD_DIAGNOSES": [
        {"ICD9_CODE": code, "SHORT_TITLE": code, "LONG_TITLE": f"Title of {code}"} for code in ICD
    ],
    "D_ICD_PROCEDURES": [
        {"ICD9_CODE": "3893", "LONG_TITLE": "Venous catheterization, not elsewhere classified"}
    ],
    "D_ITEMS": [
        {"ITEMID": 211, "LABEL": "Heart Rate", "DBSOURCE": "carevue", "LINKSTO": "chartevents"},
        {"ITEMID": 225158, "LABEL": "NaCl 0.9%", "DBSOURCE": "metavision", "LINKSTO": "inputevents_mv"},
        {"ITEMID": 30018, "LABEL": ".9% Normal Saline", "LINKSTO": "inputevents_cv"},
        {"ITEMID": 40055, "LABEL": "Urine Out Foley", "LINKSTO": "outputevents"},
        {"ITEMID": 224277, "LABEL": 'Invasive line, "20G"', "LINKSTO": "procedureevents_mv"},
    ],
    "D_LABITEMS": [{"ITEMID": 50912, "LABEL": "Creatinine", "FLUID": "Blood", "LOINC_CODE": "2160-0"}],
}
NOTE = 'Admission Date: [**2150-1-1**]\n\nShe said "fine", and\nwas discharged.\n'


def write(folder: Path) -> Path:
    """Write the folder; the larger tables are compressed."""
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(3)
    rows: dict[str, list[Row]] = {name: [] for name in NAMES} | DICTIONARIES
    for subject in range(1, N_PATIENTS + 1):
        _add_patient(rows, subject, random)
    for name, header in NAMES.items():
        packed = len(rows[name]) > 30
        path = folder / (f"{name}.csv.gz" if packed else f"{name}.csv")
        with gzip.open(path, "wt", newline="") if packed else path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["ROW_ID", *header.split(",")], lineterminator="\n")
            writer.writeheader()
            writer.writerows({"ROW_ID": number} | row for number, row in enumerate(rows[name], start=1))
    return folder


def _add_patient(rows: dict[str, list[Row]], subject: int, random: Random) -> None:
    admitted = datetime(2110 + subject, random.randrange(1, 13), random.randrange(1, 28), 9, 30)
    old = subject == 4
    born = datetime(admitted.year - (300 if old else 40 + subject), 3, 5)
    dies = subject % 4 == 0
    end = admitted
    for nth in range(1 if subject == 1 else 2):
        admitted = end + timedelta(days=random.randrange(20, 200)) if nth else admitted
        end = admitted + timedelta(days=random.randrange(2, 9), minutes=random.randrange(1, 600))
        key: Row = {"SUBJECT_ID": subject, "HADM_ID": 100000 + 10 * subject + nth}
        dead = dies and nth == 1
        rows["ADMISSIONS"].append(key | _admission(admitted, end, subject, dead=dead))
        for name, make in ROWS.items():
            rows[name] += [key | row for row in make(admitted, end, random)]
    died = end if dies else admitted + timedelta(days=400) if subject == 6 else None
    rows["PATIENTS"].append(
        {
            "SUBJECT_ID": subject,
            "GENDER": "FM"[subject % 2],
            "DOB": born,
            "DOD": died and _midnight(died),
            "EXPIRE_FLAG": int(died is not None),
        }
    )


def _admission(admitted: datetime, end: datetime, subject: int, *, dead: bool) -> Row:
    return {
        "ADMITTIME": admitted,
        "DISCHTIME": end,
        "DEATHTIME": end if dead else None,
        "ADMISSION_TYPE": "EMERGENCY" if subject % 3 else "ELECTIVE",
        "ADMISSION_LOCATION": "EMERGENCY ROOM ADMIT",
        "DISCHARGE_LOCATION": "DEAD/EXPIRED" if dead else "HOME",
        "INSURANCE": "Medicare",
        "LANGUAGE": "ENGL" if subject % 2 else None,
        "RELIGION": "CATHOLIC",
        "MARITAL_STATUS": "MARRIED",
        "ETHNICITY": "WHITE" if subject % 3 else "BLACK/AFRICAN AMERICAN",
        "EDREGTIME": admitted - timedelta(hours=3) if subject % 3 else None,
        "EDOUTTIME": admitted + timedelta(minutes=20) if subject % 3 else None,
        "DIAGNOSIS": "CONGESTIVE HEART FAILURE; RULE OUT, SEPSIS",
        "HOSPITAL_EXPIRE_FLAG": int(dead),
        "HAS_CHARTEVENTS_DATA": 1,
    }


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0)


def _diagnoses(admitted: datetime, end: datetime, random: Random) -> list[Row]:
    codes = random.sample(ICD, 3)
    return [{"SEQ_NUM": rank, "ICD9_CODE": code} for rank, code in enumerate(codes, start=1)]


def _labs(admitted: datetime, end: datetime, random: Random) -> list[Row]:
    results = (("1.1", 1.1, None), ("2.5", 2.5, "abnormal"), ("NEG", None, None), (">500", None, "abnormal"))
    rows = []
    for hours in (1, 12, 24):
        said, number, flag = random.choice(results)
        taken = admitted + timedelta(hours=hours)
        rows.append(
            {"ITEMID": 50912, "CHARTTIME": taken, "VALUE": said, "VALUENUM": number, "VALUEUOM": "mg/dL"}
        )
        rows[-1]["FLAG"] = flag
    return rows


def _prescriptions(admitted: datetime, end: datetime, random: Random) -> list[Row]:
    return [
        {
            "STARTDATE": _midnight(day),
            "ENDDATE": _midnight(end),
            "DRUG_TYPE": "MAIN",
            "DRUG": random.choice(DRUGS),
            "DOSE_VAL_RX": "40",
            "DOSE_UNIT_RX": "mg",
            "ROUTE": "IV",
        }
        for day in (admitted, end)
    ]


def _transfers(admitted: datetime, end: datetime, random: Random) -> list[Row]:
    return [
        {
            "DBSOURCE": "carevue",
            "EVENTTYPE": "admit",
            "CURR_CAREUNIT": "MICU",
            "INTIME": admitted,
            "OUTTIME": end,
        },
        {"DBSOURCE": "carevue", "EVENTTYPE": "discharge", "PREV_CAREUNIT": "MICU", "INTIME": end},
    ]


def _notes(admitted: datetime, end: datetime, random: Random) -> list[Row]:
    seen = admitted + timedelta(hours=6)
    return [
        {"CHARTDATE": _midnight(end), "CATEGORY": "Discharge summary", "DESCRIPTION": "Report", "TEXT": NOTE},
        {
            "CHARTDATE": _midnight(seen),
            "CHARTTIME": seen,
            "STORETIME": seen + timedelta(minutes=9),
            "CATEGORY": "Physician ",
            "ISERROR": 1 if random.random() < 0.2 else None,
            "TEXT": "Stable.",
        },
    ]


def _billed(admitted: datetime, end: datetime, random: Random) -> list[Row]:
    return [
        {"COSTCENTER": "ICU", "CPT_CD": "99291", "CPT_NUMBER": 99291, "TICKET_ID_SEQ": 1},
        {"COSTCENTER": "Resp", "CHARTDATE": _midnight(end), "CPT_CD": "94003", "CPT_NUMBER": 94003},
    ]


def _infusions(admitted: datetime, end: datetime, random: Random) -> list[Row]:
    start = admitted + timedelta(hours=2)
    return [
        {
            "STARTTIME": start,
            "ENDTIME": start + timedelta(hours=4),
            "STORETIME": start + timedelta(minutes=5),
            "ITEMID": 225158,
            "AMOUNT": 400,
            "AMOUNTUOM": "ml",
            "RATE": 100 if status == "FinishedRunning" else None,
            "RATEUOM": "mL/hour",
            "STATUSDESCRIPTION": status,
        }
        for status in ("FinishedRunning", "Rewritten")
    ]


def _charted(**row: object) -> Callable[[datetime, datetime, Random], list[Row]]:
    """Return a maker of a row that is charted after three hours and stored an hour later."""

    def make(admitted: datetime, end: datetime, random: Random) -> list[Row]:
        seen = admitted + timedelta(hours=3)
        return [{"CHARTTIME": seen, "STORETIME": seen + timedelta(hours=1)} | row]

    return make


ROWS: dict[str, Callable[[datetime, datetime, Random], list[Row]]] = {
    "DIAGNOSES_ICD": _diagnoses,
    "LABEVENTS": _labs,
    "PRESCRIPTIONS": _prescriptions,
    "TRANSFERS": _transfers,
    "NOTEEVENTS": _notes,
    "CPTEVENTS": _billed,
    "INPUTEVENTS_MV": _infusions,
    "INPUTEVENTS_CV": _charted(ITEMID=30018, AMOUNT=50, AMOUNTUOM="ml", STOPPED="Stopped"),
    "CHARTEVENTS": lambda admitted, end, random: [
        *_charted(ITEMID=211, VALUE="88", VALUENUM=88, VALUEUOM="bpm", ERROR=0)(admitted, end, random),
        *_charted(ITEMID=212, VALUE="Sinus Rhythm", ERROR=int(random.random() < 0.2))(admitted, end, random),
    ],
    "DATETIMEEVENTS": _charted(ITEMID=225158, VALUE="2150-01-01 00:00:00", VALUEUOM="Date", ERROR=0),
    "OUTPUTEVENTS": _charted(ITEMID=40055, VALUE=39, VALUEUOM="ml"),
    "PROCEDURES_ICD": lambda admitted, end, random: [{"SEQ_NUM": 1, "ICD9_CODE": "3893"}],
    "DRGCODES": lambda admitted, end, random: [
        {"DRG_TYPE": "APR ", "DRG_CODE": "7204", "DESCRIPTION": "Septicemia & Disseminated Infections"}
    ],
    "ICUSTAYS": lambda admitted, end, random: [
        {
            "ICUSTAY_ID": random.randrange(200000, 300000),
            "DBSOURCE": "carevue",
            "FIRST_CAREUNIT": "MICU",
            "LAST_CAREUNIT": "CCU",
            "INTIME": admitted + timedelta(minutes=1),
            "OUTTIME": end - timedelta(hours=1),
        }
    ],
    "SERVICES": lambda admitted, end, random: [{"TRANSFERTIME": admitted, "CURR_SERVICE": "MED"}],
    "CALLOUT": lambda admitted, end, random: [
        {
            "CURR_CAREUNIT": "MICU",
            "CALLOUT_SERVICE": "MED",
            "CALLOUT_OUTCOME": "Discharged",
            "CREATETIME": admitted + timedelta(hours=20),
            "OUTCOMETIME": end - timedelta(hours=1),
        }
    ],
    "MICROBIOLOGYEVENTS": lambda admitted, end, random: [
        {
            "CHARTDATE": _midnight(admitted),
            "CHARTTIME": admitted if random.random() < 0.7 else None,
            "SPEC_TYPE_DESC": "BLOOD CULTURE",
            "ORG_NAME": "ESCHERICHIA COLI",
            "AB_NAME": "GENTAMICIN",
            "INTERPRETATION": "S",
        }
    ],
    "PROCEDUREEVENTS_MV": lambda admitted, end, random: [
        {
            "STARTTIME": admitted + timedelta(hours=2),
            "ENDTIME": admitted + timedelta(hours=9),
            "STORETIME": admitted + timedelta(hours=4),
            "ITEMID": 224277,
            "STATUSDESCRIPTION": "FinishedRunning",
        }
    ],
}
