"""A made-up folder in the layout of eICU-CRD 2.0: every table, 14 patients, 27 stays in hospital, 34 in a unit."""

import csv
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

N_PATIENTS = 14
UNITS = ("Med-Surg ICU", "MICU", "Cardiac ICU")
ICD = ("401.9, I10", "518.81, J96.00", "584.9, N17.9", "428.0, I50.9", "V45.81, Z95.1", "", "E980.2", "31.1")
PATHS = ("cardiovascular|hypertension", "pulmonary|respiratory failure|acute", "renal|acute renal failure")
DRUGS = ("ASPIRIN 81 MG PO TABS", "HEPARIN, PORCINE 5000 UNIT/ML", '"LASIX" 40 mg', "")
NAMES = {
    "patient": """patientunitstayid,patienthealthsystemstayid,gender,age,ethnicity,hospitalid,wardid,\
apacheadmissiondx,admissionheight,hospitaladmittime24,hospitaladmitoffset,hospitaladmitsource,\
hospitaldischargeyear,hospitaldischargetime24,hospitaldischargeoffset,hospitaldischargelocation,\
hospitaldischargestatus,unittype,unitadmittime24,unitadmitsource,unitvisitnumber,unitstaytype,admissionweight,\
dischargeweight,unitdischargetime24,unitdischargeoffset,unitdischargelocation,unitdischargestatus,uniquepid""",
    "hospital": "hospitalid,numbedscategory,teachingstatus,region",
    "admissionDx": "admissiondxid,patientunitstayid,admitdxenteredoffset,admitdxpath,admitdxname,admitdxtext",
    "admissiondrug": """admissiondrugid,patientunitstayid,drugoffset,drugenteredoffset,drugnotetype,specialtytype,\
usertype,rxincluded,writtenineicu,drugname,drugdosage,drugunit,drugadmitfrequency,drughiclseqno""",
    "allergy": """allergyid,patientunitstayid,allergyoffset,allergyenteredoffset,allergynotetype,specialtytype,\
usertype,rxincluded,writtenineicu,drugname,allergytype,allergyname,drughiclseqno""",
    "apacheApsVar": """apacheapsvarid,patientunitstayid,intubated,vent,dialysis,eyes,motor,verbal,meds,urine,wbc,\
temperature,respiratoryrate,sodium,heartrate,meanbp,ph,hematocrit,creatinine,albumin,pao2,pco2,bun,glucose,\
bilirubin,fio2""",
    "apachePatientResult": """apachepatientresultsid,patientunitstayid,physicianspeciality,\
physicianinterventioncategory,acutephysiologyscore,apachescore,apacheversion,predictedicumortality,\
actualicumortality,predictediculos,actualiculos,predictedhospitalmortality,actualhospitalmortality,\
predictedhospitallos,actualhospitallos,preopmi,preopcardiaccath,ptcawithin24h,unabridgedunitlos,\
unabridgedhosplos,actualventdays,predventdays,unabridgedactualventdays""",
    "apachePredVar": """apachepredvarid,patientunitstayid,age,diedinhospital,graftcount,thrombolytics,aids,\
hepaticfailure,lymphoma,metastaticcancer,leukemia,immunosuppression,cirrhosis,electivesurgery,activetx,readmit,\
ima,midur,ventday1,oobventday1,oobintubday1,diabetes,ejectfx,amilocation,dischargelocation""",
    "carePlanCareProvider": """cplcareprovderid,patientunitstayid,careprovidersaveoffset,providertype,specialty,\
interventioncategory,managingphysician,activeupondischarge""",
    "carePlanEOL": "cpleolid,patientunitstayid,cpleolsaveoffset,cpleoldiscussionoffset,activeupondischarge",
    "carePlanGeneral": "cplgeneralid,patientunitstayid,activeupondischarge,cplitemoffset,cplgroup,cplitemvalue",
    "carePlanGoal": """cplgoalid,patientunitstayid,cplgoaloffset,cplgoalcategory,cplgoalvalue,cplgoalstatus,\
activeupondischarge""",
    "carePlanInfectiousDisease": """cplinfectid,patientunitstayid,activeupondischarge,cplinfectdiseaseoffset,\
infectdiseasesite,infectdiseaseassessment,responsetotherapy,treatment""",
    "customLab": """customlabid,patientunitstayid,labotheroffset,labothertypeid,labothername,labotherresult,\
labothervaluetext""",
    "diagnosis": """diagnosisid,patientunitstayid,activeupondischarge,diagnosisoffset,diagnosisstring,icd9code,\
diagnosispriority""",
    "infusiondrug": """infusiondrugid,patientunitstayid,infusionoffset,drugname,drugrate,infusionrate,drugamount,\
volumeoffluid,patientweight""",
    "intakeOutput": """intakeoutputid,patientunitstayid,intakeoutputoffset,intaketotal,outputtotal,dialysistotal,\
nettotal,intakeoutputentryoffset,cellpath,celllabel,cellvaluenumeric,cellvaluetext""",
    "lab": """labid,patientunitstayid,labresultoffset,labtypeid,labname,labresult,labresulttext,\
labmeasurenamesystem,labmeasurenameinterface,labresultrevisedoffset""",
    "medication": """medicationid,patientunitstayid,drugorderoffset,drugstartoffset,drugivadmixture,\
drugordercancelled,drugname,drughiclseqno,dosage,routeadmin,frequency,loadingdose,prn,drugstopoffset,gtc""",
    "microLab": "microlabid,patientunitstayid,culturetakenoffset,culturesite,organism,antibiotic,sensitivitylevel",
    "note": "noteid,patientunitstayid,noteoffset,noteenteredoffset,notetype,notepath,notevalue,notetext",
    "nurseAssessment": """nurseassessid,patientunitstayid,nurseassessoffset,nurseassessentryoffset,\
cellattributepath,celllabel,cellattribute,cellattributevalue""",
    "nurseCare": """nursecareid,patientunitstayid,celllabel,nursecareoffset,nursecareentryoffset,\
cellattributepath,cellattribute,cellattributevalue""",
    "nurseCharting": """nursingchartid,patientunitstayid,nursingchartoffset,nursingchartentryoffset,\
nursingchartcelltypecat,nursingchartcelltypevallabel,nursingchartcelltypevalname,nursingchartvalue""",
    "pastHistory": """pasthistoryid,patientunitstayid,pasthistoryoffset,pasthistoryenteredoffset,\
pasthistorynotetype,pasthistorypath,pasthistoryvalue,pasthistoryvaluetext""",
    "physicalExam": """physicalexamid,patientunitstayid,physicalexamoffset,physicalexampath,physicalexamvalue,\
physicalexamtext""",
    "respiratoryCare": """respcareid,patientunitstayid,respcarestatusoffset,currenthistoryseqnum,airwaytype,\
airwaysize,airwayposition,cuffpressure,ventstartoffset,ventendoffset,priorventstartoffset,priorventendoffset,\
apneaparams,lowexhmvlimit,hiexhmvlimit,lowexhtvlimit,hipeakpreslimit,lowpeakpreslimit,hirespratelimit,\
lowrespratelimit,sighpreslimit,lowironoxlimit,highironoxlimit,meanairwaypreslimit,peeplimit,cpaplimit,\
setapneainterval,setapneatv,setapneaippeephigh,setapnearr,setapneapeakflow,setapneainsptime,setapneaie,setapneafio2""",
    "respiratoryCharting": """respchartid,patientunitstayid,respchartoffset,respchartentryoffset,respcharttypecat,\
respchartvaluelabel,respchartvalue""",
    "treatment": "treatmentid,patientunitstayid,treatmentoffset,treatmentstring,activeupondischarge",
    "vitalAperiodic": """vitalaperiodicid,patientunitstayid,observationoffset,noninvasivesystolic,\
noninvasivediastolic,noninvasivemean,paop,cardiacoutput,cardiacinput,svr,svri,pvr,pvri""",
    "vitalPeriodic": """vitalperiodicid,patientunitstayid,observationoffset,temperature,sao2,heartrate,respiration,\
cvp,etco2,systemicsystolic,systemicdiastolic,systemicmean,pasystolic,padiastolic,pamean,st1,st2,st3,icp""",
}


@dataclass(frozen=True)
class Stay:
    """A stay in a unit: its ids, how long it lasts, and how the hospital stay around it goes; in minutes."""

    patient: int
    hospital_stay: int
    unit: int
    nth: int
    admitted: int
    left: int
    discharged: int
    year: int
    clock: int
    died: bool


def write(folder: Path) -> Path:
    """Write the folder; the larger tables are compressed."""
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(20)
    stays = _stays(random)
    rows: dict[str, list[dict[str, object]]] = {name: [] for name in NAMES}
    rows["hospital"] = [
        {"hospitalid": 59, "numbedscategory": "<100", "teachingstatus": "f", "region": "Midwest"},
        {"hospitalid": 60, "numbedscategory": ">= 500", "teachingstatus": "t", "region": ""},
    ]
    for stay in stays:
        rows["patient"].append(_patient(stay))
        for name, make in ROWS.items():
            made = make(stay, random)
            rows[name] += [{"patientunitstayid": stay.unit} | row for row in made]
    for name, header in NAMES.items():
        columns = header.split(",")
        packed = len(rows[name]) > 40
        path = folder / (f"{name}.csv.gz" if packed else f"{name}.csv")
        with gzip.open(path, "wt", newline="") if packed else path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows({columns[0]: number} | row for number, row in enumerate(rows[name], start=1))
    return folder


def _stays(random: Random) -> list[Stay]:
    stays = []
    for patient in range(N_PATIENTS):
        n_hospital_stays = 1 if patient == 0 else 2
        for visit in range(n_hospital_stays):
            units = 2 if (patient + visit) % 4 == 0 else 1
            before, clock = random.randrange(10, 900), random.randrange(1440)
            length = [random.randrange(1500, 6000) for _ in range(units)]
            gap, after = random.randrange(60, 400), random.randrange(0, 3000)
            starts = [before, before + length[0] + gap][:units]
            end = starts[-1] + length[-1] + after
            for nth, (start, minutes) in enumerate(zip(starts, length, strict=True), start=1):
                stays.append(
                    Stay(
                        patient=patient,
                        hospital_stay=900 - 30 * visit - patient,
                        unit=10 * (1000 - 50 * visit - patient) + nth,
                        nth=nth,
                        admitted=-start,
                        left=minutes,
                        discharged=end - start,
                        year=2014 + visit % 2 * (patient % 2),
                        clock=clock,
                        died=patient % 5 == 3 and visit == 1,
                    )
                )
    return stays


def _clock(minutes: int) -> str:
    return f"{minutes % 1440 // 60:02}:{minutes % 60:02}:00"


def _patient(stay: Stay) -> dict[str, object]:
    at = stay.clock - stay.discharged
    status, place = ("Expired", "Death") if stay.died else ("Alive", "Home")
    in_unit = ("Expired", "Death") if stay.died and stay.patient % 2 else ("Alive", "Floor")
    return {
        "patientunitstayid": stay.unit,
        "patienthealthsystemstayid": stay.hospital_stay,
        "gender": ("Female", "Male", "")[min(stay.patient % 7 // 3, 2)],
        "age": "> 89" if stay.patient == 5 else "" if stay.patient == 6 else 40 + stay.patient,
        "ethnicity": ("Caucasian", "African American", "")[stay.patient % 3],
        "hospitalid": 59 + stay.patient % 2,
        "apacheadmissiondx": "Rhythm disturbance (atrial, supraventricular)",
        "admissionheight": 160 + stay.patient,
        "hospitaladmittime24": _clock(at + stay.admitted),
        "hospitaladmitoffset": stay.admitted,
        "hospitaladmitsource": "Emergency Department" if stay.patient % 2 else "",
        "hospitaldischargeyear": stay.year,
        "hospitaldischargetime24": _clock(stay.clock),
        "hospitaldischargeoffset": stay.discharged,
        "hospitaldischargelocation": place,
        "hospitaldischargestatus": status,
        "unittype": UNITS[stay.patient % 3],
        "unitadmittime24": _clock(at),
        "unitadmitsource": "Emergency Department" if stay.nth == 1 else "Step-Down Unit (SDU)",
        "unitvisitnumber": stay.nth,
        "unitstaytype": "admit" if stay.nth == 1 else "readmit",
        "admissionweight": 70.5,
        "dischargeweight": "" if stay.patient % 2 else 69,
        "unitdischargetime24": _clock(at + stay.left),
        "unitdischargeoffset": stay.left,
        "unitdischargelocation": in_unit[1],
        "unitdischargestatus": in_unit[0],
        "uniquepid": f"002-{1000 + 7 * stay.patient}",
    }


def _diagnoses(stay: Stay, random: Random) -> list[dict[str, object]]:
    offsets = sorted(random.randrange(5, 1400) for _ in range(3))
    ranks = ("Primary", "Major", "Other")
    return [
        {
            "activeupondischarge": "True",
            "diagnosisoffset": offset,
            "diagnosisstring": random.choice(PATHS),
            "icd9code": random.choice(ICD[:6] if rank == "Primary" else ICD),
            "diagnosispriority": rank,
        }
        for offset, rank in zip(offsets, ranks, strict=True)
    ]


def _medications(stay: Stay, random: Random) -> list[dict[str, object]]:
    return [
        {
            "drugorderoffset": ordered,
            "drugstartoffset": ordered + random.randrange(-20, 200),
            "drugordercancelled": "Yes" if random.random() < 0.1 else "No",
            "drugname": random.choice(DRUGS),
            "drughiclseqno": random.choice((1820, 4763, "")),
            "dosage": random.choice(("40 mg", "5 3", "")),
            "routeadmin": "IV",
            "prn": "No",
        }
        for ordered in (random.randrange(1000) for _ in range(3))
    ]


def _labs(stay: Stay, random: Random) -> list[dict[str, object]]:
    results = (("14.0", "14"), ("", ">500"), ("0.63", "0.63"), ("", ""))
    rows = []
    for name in ("BUN", "creatinine", "WBC x 1000"):
        drawn, (number, words) = random.randrange(-60, 1400), random.choice(results)
        rows.append(
            {
                "labresultoffset": drawn,
                "labname": name,
                "labresult": number,
                "labresulttext": words,
                "labmeasurenamesystem": "mg/dL",
                "labresultrevisedoffset": drawn + 30,
            }
        )
    return rows


def _ventilation(stay: Stay, random: Random) -> list[dict[str, object]]:
    common = {"airwaytype": "Oral ETT", "airwaysize": 8, "ventendoffset": 0, "peeplimit": 25}
    first = {
        "respcarestatusoffset": 20,
        "ventstartoffset": 10,
        "priorventstartoffset": 0,
        "priorventendoffset": 0,
    }
    later = {
        "respcarestatusoffset": 900,
        "ventstartoffset": 0,
        "priorventstartoffset": 10,
        "priorventendoffset": 800,
    }
    return [common | first, common | later] if stay.patient % 2 else []


def _apache(stay: Stay, random: Random) -> list[dict[str, object]]:
    return [
        {
            "acutephysiologyscore": 40,
            "apachescore": 50,
            "apacheversion": version,
            "predictedicumortality": 0.01 if stay.patient else -1,
            "actualicumortality": "EXPIRED" if stay.died and stay.patient % 2 else "ALIVE",
            "predictedhospitalmortality": "3.7319948856373762E-2",
            "actualhospitalmortality": "EXPIRED" if stay.died else "ALIVE",
            "actualiculos": stay.left / 1440,
            "actualhospitallos": (stay.discharged - stay.admitted) / 1440,
        }
        for version in ("IV", "IVa")
    ]


def _one(**row: object) -> Callable[[Stay, Random], list[dict[str, object]]]:
    """Return a maker of one row; what is callable is given the stay."""
    return lambda stay, random: [{name: one(stay) if callable(one) else one for name, one in row.items()}]


ROWS: dict[str, Callable[[Stay, Random], list[dict[str, object]]]] = {
    "diagnosis": _diagnoses,
    "medication": _medications,
    "lab": _labs,
    "respiratoryCare": _ventilation,
    "apachePatientResult": _apache,
    "admissionDx": _one(
        admitdxenteredoffset=30,
        admitdxpath="admission diagnosis|All Diagnosis|Cardiovascular|Rhythm disturbance (atrial, supraventricular)",
    ),
    "admissiondrug": _one(
        drugoffset=20,
        drugenteredoffset=25,
        drugname="LISINOPRIL" + " " * 20,
        drugdosage="10.0000",
        drugunit="mg",
    ),
    "allergy": _one(
        allergyoffset=5, allergyenteredoffset=9, allergytype="Non Drug", allergyname='penicillins, "all"'
    ),
    "apacheApsVar": _one(
        intubated=0, eyes=4, motor=6, wbc=10.2, temperature=36.2, ph=-1, urine=-1, glucose=61
    ),
    "apachePredVar": _one(
        age=50, diedinhospital=lambda stay: int(stay.died), thrombolytics=0, diabetes=1, ejectfx=-1
    ),
    "carePlanCareProvider": _one(
        careprovidersaveoffset=11, specialty="cardiology", managingphysician="Managing"
    ),
    "carePlanEOL": lambda stay, random: (
        [{"cpleolsaveoffset": 400, "cpleoldiscussionoffset": 0}] if stay.died else []
    ),
    "carePlanGeneral": _one(cplitemoffset=49, cplgroup="Ventilation", cplitemvalue="Spontaneous - adequate"),
    "carePlanGoal": _one(
        cplgoaloffset=80, cplgoalcategory="Pulmonary", cplgoalvalue="", cplgoalstatus="Active"
    ),
    "carePlanInfectiousDisease": _one(
        cplinfectdiseaseoffset=1153, infectdiseasesite="Lung", infectdiseaseassessment="Definite infection"
    ),
    "customLab": _one(labotheroffset=45, labothername="GFR", labotherresult="", labothervaluetext=">60"),
    "infusiondrug": _one(
        infusionoffset=99, drugname="Nitroglycerin (mcg/min)", drugrate="15", infusionrate="4.5"
    ),
    "intakeOutput": _one(
        intakeoutputoffset=60,
        intakeoutputentryoffset=90,
        cellpath="flowsheet|Flowsheet Cell Labels|I&O|Output (ml)|Urine",
        cellvaluenumeric=150,
        cellvaluetext="150",
    ),
    "microLab": _one(
        culturetakenoffset=13,
        culturesite="Blood, Venipuncture",
        organism="Escherichia coli",
        antibiotic="gentamicin",
        sensitivitylevel="Sensitive",
    ),
    "note": _one(
        noteoffset=19,
        noteenteredoffset=22,
        notetype="Admission",
        notepath="notes/Progress Notes/Admission Page One/Source of Admission/ED",
        notetext='seen in the ED, "stable"\nsecond line',
    ),
    "nurseAssessment": _one(
        nurseassessoffset=70,
        nurseassessentryoffset=75,
        celllabel="Edema",
        cellattribute="Edema",
        cellattributevalue="generalized",
    ),
    "nurseCare": _one(
        celllabel="Safety",
        nursecareoffset=71,
        nursecareentryoffset=60,
        cellattribute="Safety Check",
        cellattributevalue="ID band verified",
    ),
    "nurseCharting": _one(
        nursingchartoffset=65,
        nursingchartentryoffset=66,
        nursingchartcelltypecat="Vital Signs",
        nursingchartcelltypevallabel="Heart Rate",
        nursingchartcelltypevalname="Heart Rate",
        nursingchartvalue="88",
    ),
    "pastHistory": _one(
        pasthistoryoffset=7,
        pasthistoryenteredoffset=12,
        pasthistorypath="notes/Progress Notes/Past History/Organ Systems/Cardiovascular (R)/CHF/CHF",
        pasthistoryvalue="CHF",
        pasthistoryvaluetext="CHF",
    ),
    "physicalExam": _one(
        physicalexamoffset=19,
        physicalexampath="notes/Progress Notes/Physical Exam/Physical Exam/Neurologic/GCS/Score/scored",
        physicalexamtext="15",
    ),
    "respiratoryCharting": _one(
        respchartoffset=408, respchartentryoffset=410, respchartvaluelabel="FiO2", respchartvalue="80%"
    ),
    "treatment": _one(
        treatmentoffset=500, treatmentstring="renal|intravenous fluid|normal saline administration"
    ),
    "vitalAperiodic": _one(
        observationoffset=81, noninvasivesystolic=120, noninvasivediastolic=80, cardiacoutput=""
    ),
    "vitalPeriodic": _one(observationoffset=5, temperature="", sao2=97, heartrate=88),
}
