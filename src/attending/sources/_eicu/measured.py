"""What was measured and charted: results, vital signs, nursing and respiratory charts, APACHE.

lab, customlab        LAB//name//unit when drawn, known at `labresultrevisedoffset`
microlab              MICROBIOLOGY//site//organism when taken; eICU does not say when a culture was read, so it is
                      known at the discharge from hospital
vitalperiodic, vitalaperiodic      VITAL//name
nursecharting         CHART//label//name, known when entered; so nurseassessment NURSE_ASSESSMENT//label//attribute,
                      nursecare NURSE_CARE//label//attribute, intakeoutput INTAKE_OUTPUT//path,
                      respiratorycharting RESPIRATORY//label
respiratorycare       VENTILATION_START, VENTILATION_END, AIRWAY//type, RESPIRATORY_CARE//setting
physicalexam          PHYSICAL_EXAM//path
apacheapsvar, apachepredvar        APACHE//APS//name, APACHE//PREDICTOR//name, 24 h after the unit's admission (or at
                      the unit's discharge, if earlier): they are the worst of the first day
apachepatientresult   APACHE//version//score and predictions at the same moment; what came of it (`actual…`,
                      `unabridged…`) as APACHE//ACTUAL//… at the discharge from unit or hospital, never before
"""

from collections.abc import Sequence

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded
from attending.ledger.table import integer, number, text, value
from attending.schema import LAB
from attending.sources._eicu.clock import HOSPITAL_END, UNIT, UNIT_END, at, happening
from attending.sources._eicu.rows import FIRST_DAY, Reading, Wide, below, linked, offset, said, stripped

NONE = -1
FLOWSHEET = "flowsheet|Flowsheet Cell Labels|"
PERIODIC = (
    *("temperature", "sao2", "heartrate", "respiration", "cvp", "etco2", "systemicsystolic"),
    *("systemicdiastolic", "systemicmean", "pasystolic", "padiastolic", "pamean", "st1", "st2", "st3", "icp"),
)
APERIODIC = (
    *("noninvasivesystolic", "noninvasivediastolic", "noninvasivemean", "paop", "cardiacoutput"),
    *("cardiacinput", "svr", "svri", "pvr", "pvri"),
)
APS = (
    *("intubated", "vent", "dialysis", "eyes", "motor", "verbal", "meds", "urine", "wbc", "temperature"),
    *("respiratoryrate", "sodium", "heartrate", "meanbp", "ph", "hematocrit", "creatinine", "albumin"),
    *("pao2", "pco2", "bun", "glucose", "bilirubin", "fio2"),
)
PREDICTORS = (
    *("graftcount", "thrombolytics", "aids", "hepaticfailure", "lymphoma", "metastaticcancer", "leukemia"),
    *("immunosuppression", "cirrhosis", "electivesurgery", "activetx", "readmit", "ima", "midur"),
    *("ventday1", "oobventday1", "oobintubday1", "diabetes", "ejectfx", "amilocation"),
)
SCORES = (
    *("acutephysiologyscore", "apachescore", "predictedicumortality", "predictediculos"),
    *("predictedhospitalmortality", "predictedhospitallos", "predventdays"),
)
AT_UNIT_END = ("actualiculos", "unabridgedunitlos", "actualventdays", "unabridgedactualventdays")
AT_HOSPITAL_END = ("actualhospitallos", "unabridgedhosplos")
DIED = {"actualicumortality": UNIT_END, "actualhospitalmortality": HOSPITAL_END}
SETTINGS = (
    *("airwaysize", "cuffpressure", "lowexhmvlimit", "hiexhmvlimit", "lowexhtvlimit", "hipeakpreslimit"),
    *("lowpeakpreslimit", "hirespratelimit", "lowrespratelimit", "sighpreslimit", "lowironoxlimit"),
    *("highironoxlimit", "meanairwaypreslimit", "peeplimit", "cpaplimit", "setapneainterval", "setapneatv"),
    *("setapneaippeephigh", "setapnearr", "setapneapeakflow", "setapneainsptime", "setapneafio2"),
)
WORDS = {"airwaytype": "AIRWAY", "airwayposition": "AIRWAY_POSITION"}


def microbiology_events(rows: pl.DataFrame, context: Context) -> Sequence[pl.DataFrame]:
    """Give cultures: a row for each organism and antibiotic; the antibiotic and its verdict are the text."""
    code = coded("MICROBIOLOGY", stripped("culturesite"), stripped("organism"))
    verdict = col("antibiotic") + pl.lit("//") + col("sensitivitylevel").fill_null("UNK")
    return [happening(rows, code, time=at("culturetakenoffset"), known=HOSPITAL_END, text=verdict)]


def respiratory_care_events(rows: pl.DataFrame, context: Context) -> Sequence[pl.DataFrame]:
    """Give ventilation, which every later row repeats, once; the airway and the ventilator's settings each time."""
    status = at("respcarestatusoffset")
    settings = Wide(kind=("RESPIRATORY_CARE",), numbers=SETTINGS, time=status)
    return [
        _once(rows, "VENTILATION_START", ("ventstartoffset", "priorventstartoffset")),
        _once(rows, "VENTILATION_END", ("ventendoffset", "priorventendoffset")),
        *(
            happening(rows, coded(kind, stripped(name)), time=status, when=stripped(name).is_not_null())
            for name, kind in WORDS.items()
        ),
        *settings(rows, context),
    ]


def _once(rows: pl.DataFrame, code: str, offsets: tuple[str, ...]) -> pl.DataFrame:
    """Give each offset of a unit stay once, known when it was first written; 0 stands for none."""
    reported = pl.concat([rows.with_columns(col(name).alias("ventoffset")) for name in offsets])
    first = reported.filter(col("ventoffset") != 0).sort("respcarestatusoffset", maintain_order=True)
    first = first.unique([UNIT, "ventoffset"], keep="first", maintain_order=True)
    return happening(first, pl.lit(code), time=at("ventoffset"), known=at("respcarestatusoffset"))


def apache_events(rows: pl.DataFrame, context: Context) -> Sequence[pl.DataFrame]:
    """Give scores and predictions after the first day; outcomes, which both versions repeat, at the discharge."""
    version = coded("APACHE", col("apacheversion"))
    once = rows.unique(UNIT, keep="first", maintain_order=True)
    ends = dict.fromkeys(AT_UNIT_END, UNIT_END) | dict.fromkeys(AT_HOSPITAL_END, HOSPITAL_END)
    return [
        *(
            happening(
                rows,
                coded(version, name),
                time=FIRST_DAY,
                numeric=col(name),
                when=col(name).is_not_null() & (col(name) != NONE),
            )
            for name in SCORES
        ),
        *(
            happening(
                once,
                coded("APACHE//ACTUAL", name),
                time=end,
                numeric=col(name),
                when=col(name).is_not_null() & (col(name) != NONE),
            )
            for name, end in ends.items()
        ),
        *(
            happening(once, coded("APACHE//ACTUAL", name, col(name)), time=end, when=col(name).is_not_null())
            for name, end in DIED.items()
        ),
    ]


MEASURED = (
    linked(
        "lab",
        offset("labresultoffset"),
        text("labname", required=True),
        number("labresult"),
        value("labresulttext", unless="labresult"),
        text("labmeasurenamesystem"),
        integer("labresultrevisedoffset"),
        make=Reading(
            code=coded(LAB, stripped("labname"), stripped("labmeasurenamesystem")),
            offset="labresultoffset",
            entered="labresultrevisedoffset",
            **said("labresulttext", "labresult"),
        ),
    ),
    linked(
        "customLab",
        offset("labotheroffset"),
        text("labothername", required=True),
        number("labotherresult"),
        value("labothervaluetext", unless="labotherresult"),
        make=Reading(
            code=coded(LAB, stripped("labothername"), pl.lit("UNK")),
            offset="labotheroffset",
            **said("labothervaluetext", "labotherresult"),
        ),
    ),
    linked(
        "microLab",
        offset("culturetakenoffset"),
        *(text(name) for name in ("culturesite", "organism", "antibiotic", "sensitivitylevel")),
        make=microbiology_events,
    ),
    linked(
        "vitalPeriodic",
        offset("observationoffset"),
        *(number(name) for name in PERIODIC),
        make=Wide(kind=("VITAL",), numbers=PERIODIC, time=at("observationoffset")),
    ),
    linked(
        "vitalAperiodic",
        offset("observationoffset"),
        *(number(name) for name in APERIODIC),
        make=Wide(kind=("VITAL",), numbers=APERIODIC, time=at("observationoffset")),
    ),
    linked(
        "nurseCharting",
        offset("nursingchartoffset"),
        integer("nursingchartentryoffset"),
        text("nursingchartcelltypevallabel", required=True),
        text("nursingchartcelltypevalname"),
        value("nursingchartvalue"),
        make=Reading(
            code=coded(
                "CHART", stripped("nursingchartcelltypevallabel"), stripped("nursingchartcelltypevalname")
            ),
            offset="nursingchartoffset",
            entered="nursingchartentryoffset",
            **said("nursingchartvalue"),
        ),
    ),
    linked(
        "nurseAssessment",
        offset("nurseassessoffset"),
        integer("nurseassessentryoffset"),
        text("celllabel", required=True),
        text("cellattribute"),
        value("cellattributevalue"),
        make=Reading(
            code=coded("NURSE_ASSESSMENT", stripped("celllabel"), stripped("cellattribute")),
            offset="nurseassessoffset",
            entered="nurseassessentryoffset",
            **said("cellattributevalue"),
        ),
    ),
    linked(
        "nurseCare",
        offset("nursecareoffset"),
        integer("nursecareentryoffset"),
        text("celllabel", required=True),
        text("cellattribute"),
        value("cellattributevalue"),
        make=Reading(
            code=coded("NURSE_CARE", stripped("celllabel"), stripped("cellattribute")),
            offset="nursecareoffset",
            entered="nursecareentryoffset",
            **said("cellattributevalue"),
        ),
    ),
    linked(
        "intakeOutput",
        offset("intakeoutputoffset"),
        integer("intakeoutputentryoffset"),
        text("cellpath", required=True),
        number("cellvaluenumeric"),
        value("cellvaluetext", unless="cellvaluenumeric"),
        make=Reading(
            code=coded("INTAKE_OUTPUT", below("cellpath", FLOWSHEET + "I&O|")),
            offset="intakeoutputoffset",
            entered="intakeoutputentryoffset",
            **said("cellvaluetext", "cellvaluenumeric"),
        ),
    ),
    linked(
        "respiratoryCharting",
        offset("respchartoffset"),
        integer("respchartentryoffset"),
        text("respchartvaluelabel", required=True),
        value("respchartvalue"),
        make=Reading(
            code=coded("RESPIRATORY", stripped("respchartvaluelabel")),
            offset="respchartoffset",
            entered="respchartentryoffset",
            **said("respchartvalue"),
        ),
    ),
    linked(
        "respiratoryCare",
        offset("respcarestatusoffset"),
        *(
            integer(name)
            for name in ("ventstartoffset", "ventendoffset", "priorventstartoffset", "priorventendoffset")
        ),
        *(text(name) for name in WORDS),
        *(number(name) for name in SETTINGS),
        make=respiratory_care_events,
    ),
    linked(
        "physicalExam",
        offset("physicalexamoffset"),
        text("physicalexampath", required=True),
        value("physicalexamtext"),
        make=Reading(
            code=coded("PHYSICAL_EXAM", below("physicalexampath", "notes/Progress Notes/Physical Exam/")),
            offset="physicalexamoffset",
            **said("physicalexamtext"),
        ),
    ),
    linked(
        "apacheApsVar",
        *(number(name) for name in APS),
        make=Wide(kind=("APACHE", "APS"), numbers=APS, time=FIRST_DAY, missing=NONE),
    ),
    linked(
        "apachePredVar",
        *(number(name) for name in PREDICTORS),
        make=Wide(kind=("APACHE", "PREDICTOR"), numbers=PREDICTORS, time=FIRST_DAY, missing=NONE),
    ),
    linked(
        "apachePatientResult",
        text("apacheversion"),
        *(number(name) for name in (*SCORES, *AT_UNIT_END, *AT_HOSPITAL_END)),
        *(text(name) for name in DIED),
        make=apache_events,
    ),
)
