"""The conditions of the simulated world and the ICD-10-CM codes that record them.

Three kinds. A *chronic* condition, once begun, stays, and is recorded at a visit with a fixed probability.
An *acute* condition happens at a visit or does not. *Noise* happens at every visit with the same
probability and means nothing.

All codes of a condition lie in one CCSR default category, and no category is shared, so the truth of a
condition is the truth of its category. A recorded condition writes exactly one of its codes.

The numbers are chosen so that there is something to learn. They are not epidemiology.
"""

from dataclasses import dataclass

SHARES: dict[int, tuple[float, ...]] = {
    1: (1.0,),
    2: (0.7, 0.3),
    3: (0.55, 0.3, 0.15),
    4: (0.4, 0.3, 0.2, 0.1),
}


@dataclass(frozen=True)
class Chronic:
    """A condition that stays.

    `hazard` is the yearly hazard of onset at age 60 and average frailty, `per_decade` and `female` are log
    hazards, `recorded` is the probability that a visit of a subject who has it says so.
    """

    name: str
    codes: str
    hazard: float
    per_decade: float = 0.2
    female: float = 0.0
    recorded: float = 0.7


@dataclass(frozen=True)
class Acute:
    """A condition that happens at a visit.

    `base` is its probability at age 60 with no history, `recurrence` the log rate it adds to itself,
    fading over `fades` days; `severity` its share in length of stay and death.
    """

    name: str
    codes: str
    base: float
    per_decade: float = 0.0
    recurrence: float = 0.3
    fades: float = 120.0
    severity: float = 0.2


@dataclass(frozen=True)
class Noise:
    """Codes that mean nothing, with a constant probability at each visit."""

    name: str
    codes: str
    probability: float


CHRONIC = (
    Chronic("hypertension", "I10", 0.045, 0.30, 0.0, 0.85),
    Chronic("hyperlipidemia", "E785 E782 E7800", 0.040, 0.20, -0.1, 0.75),
    Chronic("obesity", "E669 E6601", 0.018, -0.10, 0.1, 0.55),
    Chronic("diabetes", "E1165 E1169 E1122", 0.016, 0.15, -0.2, 0.85),
    Chronic("tobacco_use", "F17210 F17200", 0.012, -0.15, -0.4, 0.60),
    Chronic("alcohol_use", "F1020 F1010", 0.008, -0.20, -0.7, 0.65),
    Chronic("ischemic_heart_disease", "I2510 I259 I25119", 0.010, 0.35, -0.5, 0.80),
    Chronic("atrial_fibrillation", "I4891 I480 I4820", 0.009, 0.50, -0.2, 0.85),
    Chronic("heart_failure", "I509 I5022 I5032", 0.006, 0.45, -0.1, 0.85),
    Chronic("valve_disease", "I350 I340", 0.005, 0.50, 0.0, 0.60),
    Chronic("peripheral_artery_disease", "I739 I70203", 0.005, 0.35, -0.3, 0.60),
    Chronic("chronic_kidney_disease", "N1830 N189 N184", 0.007, 0.40, 0.0, 0.80),
    Chronic("copd", "J449 J441", 0.008, 0.30, -0.1, 0.80),
    Chronic("asthma", "J45909 J45998", 0.008, -0.10, 0.4, 0.60),
    Chronic("sleep_apnea", "G4733 G4730", 0.008, 0.00, -0.5, 0.55),
    Chronic("cirrhosis", "K7460 K7030 K7469", 0.002, 0.10, -0.4, 0.80),
    Chronic("esophageal_varices", "I8500 I8510", 0.001, 0.00, 0.0, 0.60),
    Chronic("neuropathy", "G629 G609", 0.004, 0.20, 0.0, 0.60),
    Chronic("retinopathy", "H3500", 0.002, 0.10, 0.0, 0.55),
    Chronic("depression", "F329 F339 F331", 0.015, -0.10, 0.5, 0.65),
    Chronic("anxiety", "F419 F411", 0.014, -0.15, 0.5, 0.60),
    Chronic("dementia", "F0390 G309", 0.003, 0.90, 0.1, 0.75),
    Chronic("hypothyroidism", "E039 E038", 0.008, 0.20, 0.9, 0.70),
    Chronic("osteoporosis", "M810 M818", 0.005, 0.60, 1.2, 0.55),
    Chronic("chronic_anemia", "D649 D631 D638", 0.012, 0.25, 0.2, 0.65),
)

# The six whose order matters come first, and are common (`world.SWITCHES`, `world.RINGS`).
ACUTE = (
    Acute("pneumonia", "J189 J180 J181", 0.17, 0.05, severity=0.5),
    Acute("urinary_tract_infection", "N390 N10 N3000", 0.17, 0.05),
    Acute("cellulitis", "L03115 L03116 L0390", 0.17, 0.0),
    Acute("acute_kidney_injury", "N179 N170 N178", 0.17, 0.10, severity=0.5),
    Acute("fluid_disorder", "E860 E871 E876 E875", 0.17, 0.05),
    Acute("hypotension", "I959 I951 I9581", 0.17, 0.05, severity=0.4),
    Acute("chest_pain", "R079 R0789", 0.08, 0.0, severity=0.0),
    Acute("abdominal_pain", "R109 R1013 R1084", 0.08, -0.05, severity=0.0),
    Acute("malaise", "R531 R5383 R5381", 0.08, 0.05, severity=0.1),
    Acute("sepsis", "A419 A4151 A4101", 0.04, 0.10, severity=1.0),
    Acute("clostridium_difficile", "A0472 A0471", 0.04, 0.05, 0.7, severity=0.4),
    Acute("respiratory_failure", "J9601 J9600 J9602", 0.04, 0.05, severity=1.0),
    Acute("pleural_effusion", "J90 J918", 0.04, 0.05, severity=0.3),
    Acute("aspiration_pneumonitis", "J690", 0.04, 0.20, severity=0.7),
    Acute("herpes_zoster", "B029 B0229", 0.04, 0.10),
    Acute("pulmonary_embolism", "I2699 I2609", 0.04, 0.05, severity=0.6),
    Acute("deep_vein_thrombosis", "I82401 I82402 I82409", 0.04, 0.05),
    Acute("myocardial_infarction", "I214 I21A1 I2119", 0.04, 0.15, severity=0.8),
    Acute("cardiac_arrest", "I469 I468", 0.02, 0.10, severity=1.6),
    Acute("stroke", "I639 I6350", 0.04, 0.20, severity=0.8),
    Acute("encephalopathy", "G9341 G9340", 0.04, 0.10, severity=0.7),
    Acute("seizure", "R569 G40909", 0.04, -0.05, 0.7),
    Acute("gastrointestinal_bleeding", "K922 K921", 0.04, 0.10, severity=0.5),
    Acute("pancreatitis", "K8590 K8580 K8510", 0.04, -0.05, 0.7, severity=0.4),
    Acute("thrombocytopenia", "D696 D6959", 0.04, 0.05, severity=0.3),
    Acute("gallbladder_disease", "K8000 K810 K8020", 0.04, 0.0),
    Acute("bowel_obstruction", "K56609 K56600", 0.04, 0.05, severity=0.4),
    Acute("delirium", "R410 R4182", 0.04, 0.25, severity=0.4),
    Acute("hip_fracture", "S72001A S72002A S72141A", 0.03, 0.40, 0.0, severity=0.5),
    Acute("pressure_ulcer", "L89152 L89159 L89153", 0.04, 0.20, severity=0.5),
    Acute("neutropenia", "D709 D701", 0.04, 0.0, severity=0.4),
    Acute("gout", "M109 M10071", 0.04, 0.05, 0.7, severity=0.0),
    Acute("syncope", "R55", 0.04, 0.10, severity=0.1),
    Acute("edema", "R600 R609", 0.04, 0.10, severity=0.1),
    Acute("hematuria", "R319 R310", 0.04, 0.10, 0.8, severity=0.1),
    Acute("malnutrition", "E43 E440 E46", 0.04, 0.15, 1.0, 200.0, severity=0.4),
)

NOISE = (
    Noise("hearing_loss", "H9190 H9193 H903 H905 H9192 H9191", 0.10),
    Noise("cataract", "H269 H2510 H2513 H259 H2511 H2512", 0.10),
    Noise("hemorrhoids", "K649 K648 K644 K640 K641 K642", 0.10),
    Noise("allergy_status", "Z880 Z882 Z885 Z888 Z886 Z881 Z887 Z889 Z91040 Z91013 Z91018 Z91041", 0.14),
    Noise("hernia", "K449 K429 K4090 K439 K4020 K469 K4091 K436", 0.11),
    Noise("fall", "W19XXXA W010XXA W1830XA W1839XA W182XXA W109XXA W06XXXA W050XXA W07XXXA", 0.12),
    Noise("family_history", "Z8249 Z803 Z800 Z833 Z801 Z8042 Z8041 Z823 Z818", 0.13),
    Noise("visual_disturbance", "H547 H5462 H5461 H538 H539 H5316 H532 H543", 0.11),
)

CONDITIONS: tuple[Chronic | Acute | Noise, ...] = CHRONIC + ACUTE + NOISE
NAMES = tuple(condition.name for condition in CONDITIONS)
N_CHRONIC, N_ACUTE, N_NOISE = len(CHRONIC), len(ACUTE), len(NOISE)
N_CONDITIONS = len(CONDITIONS)


def codes_of(codes: str) -> list[tuple[str, float]]:
    """Return each code of a condition with its share: few codes by rank, many (noise) alike."""
    each = codes.split()
    shares = SHARES.get(len(each), (1 / len(each),) * len(each))
    return list(zip(each, shares, strict=True))
