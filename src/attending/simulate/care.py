"""What conditions bring with them: drugs, procedures, laboratory values, as tables.

Effects are written `condition value; …`: for drugs and procedures the probability that the condition brings it,
for laboratory items the shift of the value in units of its spread.
"""

from dataclasses import dataclass

import numpy as np

from attending.simulate.conditions import N_CONDITIONS, NAMES
from attending.simulate.world import Floats


@dataclass(frozen=True)
class Drug:
    """A drug, its dose, and who gets it."""

    name: str
    dose: str
    unit: str
    route: str
    base: float
    because: str = ""


@dataclass(frozen=True)
class Procedure:
    """An ICD-10-PCS procedure."""

    code: str
    base: float
    because: str = ""


@dataclass(frozen=True)
class Lab:
    """A laboratory item of MIMIC-IV, its reference range, and how conditions move it."""

    itemid: int
    label: str
    category: str
    unit: str
    low: float
    high: float
    mean: float
    spread: float
    decimals: int
    base: float
    shifts: str = ""
    ordered: str = ""


DRUGS = (
    Drug("Acetaminophen", "650", "mg", "PO", 0.55),
    Drug("Docusate Sodium", "100", "mg", "PO", 0.30),
    Drug("Heparin", "5000", "UNIT", "SC", 0.35, "pulmonary_embolism 0.7; deep_vein_thrombosis 0.7"),
    Drug("Ondansetron", "4", "mg", "IV", 0.20, "abdominal_pain 0.4; pancreatitis 0.5; bowel_obstruction 0.5"),
    Drug("Sodium Chloride 0.9%", "1000", "mL", "IV", 0.25, "fluid_disorder 0.6; hypotension 0.6; sepsis 0.7"),
    Drug("Potassium Chloride", "40", "mEq", "PO", 0.10, "fluid_disorder 0.5; heart_failure 0.2"),
    Drug("Senna", "8.6", "mg", "PO", 0.20, "hip_fracture 0.5"),
    Drug("Amlodipine", "5", "mg", "PO", 0.01, "hypertension 0.35"),
    Drug("Lisinopril", "10", "mg", "PO", 0.01, "hypertension 0.40; heart_failure 0.3"),
    Drug(
        "Metoprolol Tartrate", "25", "mg", "PO", 0.01, "atrial_fibrillation 0.5; ischemic_heart_disease 0.5"
    ),
    Drug(
        "Atorvastatin", "40", "mg", "PO", 0.01, "hyperlipidemia 0.6; ischemic_heart_disease 0.4; stroke 0.4"
    ),
    Drug(
        "Aspirin",
        "81",
        "mg",
        "PO",
        0.04,
        "ischemic_heart_disease 0.6; myocardial_infarction 0.8; chest_pain 0.3",
    ),
    Drug("Clopidogrel", "75", "mg", "PO", 0.0, "myocardial_infarction 0.6; peripheral_artery_disease 0.3"),
    Drug("Furosemide", "40", "mg", "IV", 0.01, "heart_failure 0.7; edema 0.4; pleural_effusion 0.3"),
    Drug("Apixaban", "5", "mg", "PO", 0.0, "atrial_fibrillation 0.45; deep_vein_thrombosis 0.3"),
    Drug("Warfarin", "2.5", "mg", "PO", 0.0, "atrial_fibrillation 0.25; valve_disease 0.1"),
    Drug("Insulin", "4", "UNIT", "SC", 0.02, "diabetes 0.7"),
    Drug("Metformin", "500", "mg", "PO", 0.0, "diabetes 0.35"),
    Drug("Levothyroxine Sodium", "75", "mcg", "PO", 0.0, "hypothyroidism 0.8"),
    Drug("Sertraline", "50", "mg", "PO", 0.0, "depression 0.45; anxiety 0.2"),
    Drug("Lorazepam", "0.5", "mg", "PO", 0.03, "anxiety 0.4; alcohol_use 0.4; seizure 0.4"),
    Drug("Gabapentin", "300", "mg", "PO", 0.03, "neuropathy 0.6; herpes_zoster 0.4"),
    Drug(
        "Albuterol 0.083% Neb Soln", "1", "NEB", "IH", 0.02, "copd 0.6; asthma 0.6; respiratory_failure 0.4"
    ),
    Drug("Tiotropium Bromide", "1", "CAP", "IH", 0.0, "copd 0.5"),
    Drug("PredniSONE", "40", "mg", "PO", 0.01, "copd 0.25; asthma 0.3; gout 0.3"),
    Drug("Lactulose", "30", "mL", "PO", 0.0, "cirrhosis 0.5; encephalopathy 0.3"),
    Drug("Nadolol", "20", "mg", "PO", 0.0, "esophageal_varices 0.6"),
    Drug("Thiamine", "100", "mg", "PO", 0.01, "alcohol_use 0.6; malnutrition 0.3"),
    Drug("Nicotine Patch", "14", "mg", "TD", 0.0, "tobacco_use 0.4"),
    Drug("Donepezil", "5", "mg", "PO", 0.0, "dementia 0.5"),
    Drug("Alendronate Sodium", "70", "mg", "PO", 0.0, "osteoporosis 0.3"),
    Drug("Ferrous Sulfate", "325", "mg", "PO", 0.01, "chronic_anemia 0.45"),
    Drug("CefTRIAXone", "1", "g", "IV", 0.02, "pneumonia 0.6; urinary_tract_infection 0.6; sepsis 0.3"),
    Drug("Azithromycin", "500", "mg", "PO", 0.01, "pneumonia 0.5"),
    Drug("Vancomycin", "1000", "mg", "IV", 0.01, "sepsis 0.7; cellulitis 0.4; neutropenia 0.3"),
    Drug("Piperacillin-Tazobactam", "4.5", "g", "IV", 0.01, "sepsis 0.5; aspiration_pneumonitis 0.5"),
    Drug("Cephalexin", "500", "mg", "PO", 0.0, "cellulitis 0.4"),
    Drug(
        "MetRONIDAZOLE (FLagyl)",
        "500",
        "mg",
        "PO",
        0.01,
        "clostridium_difficile 0.4; gallbladder_disease 0.3",
    ),
    Drug("Vancomycin Oral Liquid", "125", "mg", "PO", 0.0, "clostridium_difficile 0.7"),
    Drug("Acyclovir", "800", "mg", "PO", 0.0, "herpes_zoster 0.7"),
    Drug("Pantoprazole", "40", "mg", "IV", 0.10, "gastrointestinal_bleeding 0.8"),
    Drug("LevETIRAcetam", "500", "mg", "PO", 0.0, "seizure 0.7"),
    Drug("Haloperidol", "2", "mg", "IV", 0.01, "delirium 0.4"),
    Drug(
        "Morphine Sulfate",
        "2",
        "mg",
        "IV",
        0.05,
        "hip_fracture 0.6; pancreatitis 0.6; gallbladder_disease 0.4",
    ),
    Drug("Norepinephrine", "8", "mg", "IV", 0.0, "sepsis 0.3; cardiac_arrest 0.6"),
    Drug("Filgrastim", "300", "mcg", "SC", 0.0, "neutropenia 0.5"),
    Drug("Allopurinol", "100", "mg", "PO", 0.0, "gout 0.5"),
    Drug("Nitroglycerin SL", "0.4", "mg", "SL", 0.0, "chest_pain 0.4; myocardial_infarction 0.4"),
)

PROCEDURES = (
    Procedure("02HV33Z", 0.01, "sepsis 0.3; cardiac_arrest 0.4"),  # central venous catheter
    Procedure("5A1945Z", 0.0, "respiratory_failure 0.3; cardiac_arrest 0.3"),  # ventilation, 24-96 hours
    Procedure("0BH17EZ", 0.0, "respiratory_failure 0.3; cardiac_arrest 0.4"),  # endotracheal airway
    Procedure("4A023N7", 0.0, "myocardial_infarction 0.4; chest_pain 0.05"),  # left heart catheterisation
    Procedure("027034Z", 0.0, "myocardial_infarction 0.3"),  # coronary dilation with stent
    Procedure("5A1D70Z", 0.0, "chronic_kidney_disease 0.05; acute_kidney_injury 0.05"),  # dialysis
    Procedure("0W9G3ZZ", 0.0, "cirrhosis 0.3"),  # drainage of the peritoneal cavity
    Procedure("0W993ZZ", 0.0, "pleural_effusion 0.3"),  # drainage of the right pleural cavity
    Procedure("0DJ08ZZ", 0.01, "gastrointestinal_bleeding 0.5; esophageal_varices 0.1"),  # endoscopy
    Procedure("0FT44ZZ", 0.0, "gallbladder_disease 0.4"),  # cholecystectomy
    Procedure("0SR90JZ", 0.0, "hip_fracture 0.3"),  # hip replacement
    Procedure("30233N1", 0.02, "gastrointestinal_bleeding 0.4; chronic_anemia 0.1"),  # red cells
    Procedure("B2151ZZ", 0.01, "stroke 0.1; heart_failure 0.05"),  # fluoroscopy of the left heart
)

CHEMISTRY, HEMATOLOGY, GAS = CATEGORIES = ("Chemistry", "Hematology", "Blood Gas")
LABS = (
    Lab(
        50912,
        "Creatinine",
        CHEMISTRY,
        "mg/dL",
        0.5,
        1.2,
        0.9,
        0.2,
        1,
        0.80,
        "chronic_kidney_disease 5; acute_kidney_injury 6",
    ),
    Lab(
        51006,
        "Urea Nitrogen",
        CHEMISTRY,
        "mg/dL",
        6,
        20,
        15,
        4,
        0,
        0.80,
        "chronic_kidney_disease 4; acute_kidney_injury 5; gastrointestinal_bleeding 2",
    ),
    Lab(
        50983,
        "Sodium",
        CHEMISTRY,
        "mEq/L",
        133,
        145,
        139,
        3,
        0,
        0.80,
        "fluid_disorder -1.5; heart_failure -0.4; cirrhosis -1",
    ),
    Lab(
        50971,
        "Potassium",
        CHEMISTRY,
        "mEq/L",
        3.3,
        5.1,
        4.1,
        0.4,
        1,
        0.80,
        "fluid_disorder -0.7; chronic_kidney_disease 0.8; acute_kidney_injury 0.8",
    ),
    Lab(
        50931, "Glucose", CHEMISTRY, "mg/dL", 70, 100, 98, 16, 0, 0.70, "diabetes 4; sepsis 1; pancreatitis 1"
    ),
    Lab(
        50882,
        "Bicarbonate",
        CHEMISTRY,
        "mEq/L",
        22,
        32,
        25,
        2.5,
        0,
        0.60,
        "copd 1; sepsis -1.5; acute_kidney_injury -1",
    ),
    Lab(
        51222,
        "Hemoglobin",
        HEMATOLOGY,
        "g/dL",
        12,
        16,
        13.2,
        1.4,
        1,
        0.75,
        "chronic_anemia -2; gastrointestinal_bleeding -2.2; chronic_kidney_disease -0.8",
    ),
    Lab(
        51301,
        "White Blood Cells",
        HEMATOLOGY,
        "K/uL",
        4,
        10,
        7.5,
        1.8,
        1,
        0.75,
        "pneumonia 2.5; sepsis 4; cellulitis 2; urinary_tract_infection 1.2; neutropenia -3.5",
    ),
    Lab(
        51265,
        "Platelet Count",
        HEMATOLOGY,
        "K/uL",
        150,
        440,
        240,
        55,
        0,
        0.75,
        "thrombocytopenia -3; cirrhosis -1.8; sepsis -0.6",
    ),
    Lab(
        51237,
        "INR(PT)",
        HEMATOLOGY,
        "",
        0.9,
        1.1,
        1.1,
        0.1,
        1,
        0.25,
        "cirrhosis 4; atrial_fibrillation 2",
        "cirrhosis 0.6; atrial_fibrillation 0.4",
    ),
    Lab(50852, "% Hemoglobin A1c", CHEMISTRY, "%", 4, 6, 5.5, 0.4, 1, 0.05, "diabetes 6", "diabetes 0.5"),
    Lab(
        50963,
        "NTproBNP",
        CHEMISTRY,
        "pg/mL",
        0,
        353,
        180,
        90,
        0,
        0.05,
        "heart_failure 40; atrial_fibrillation 6",
        "heart_failure 0.6; edema 0.3",
    ),
    Lab(
        51003,
        "Troponin T",
        CHEMISTRY,
        "ng/mL",
        0,
        0.01,
        0.01,
        0.005,
        2,
        0.05,
        "myocardial_infarction 100; cardiac_arrest 40",
        "chest_pain 0.7; myocardial_infarction 0.9",
    ),
    Lab(
        50885,
        "Bilirubin, Total",
        CHEMISTRY,
        "mg/dL",
        0,
        1.5,
        0.6,
        0.25,
        1,
        0.20,
        "cirrhosis 8; gallbladder_disease 4",
        "cirrhosis 0.7; abdominal_pain 0.3",
    ),
    Lab(
        50878,
        "Asparate Aminotransferase (AST)",
        CHEMISTRY,
        "IU/L",
        0,
        40,
        25,
        8,
        0,
        0.20,
        "cirrhosis 4; alcohol_use 2; gallbladder_disease 3",
        "cirrhosis 0.7; abdominal_pain 0.3",
    ),
    Lab(
        50862,
        "Albumin",
        CHEMISTRY,
        "g/dL",
        3.5,
        5.2,
        4.0,
        0.4,
        1,
        0.20,
        "malnutrition -2.5; cirrhosis -2; edema -0.8",
        "malnutrition 0.6",
    ),
    Lab(
        50956,
        "Lipase",
        CHEMISTRY,
        "IU/L",
        0,
        60,
        30,
        12,
        0,
        0.03,
        "pancreatitis 50",
        "pancreatitis 0.9; abdominal_pain 0.4",
    ),
    Lab(
        50889,
        "C-Reactive Protein",
        CHEMISTRY,
        "mg/L",
        0,
        5,
        3,
        1.5,
        1,
        0.04,
        "sepsis 60; pneumonia 30; cellulitis 20",
        "sepsis 0.4; pneumonia 0.3; gout 0.3",
    ),
    Lab(
        50813,
        "Lactate",
        GAS,
        "mmol/L",
        0.5,
        2.0,
        1.3,
        0.35,
        1,
        0.05,
        "sepsis 5; cardiac_arrest 12; hypotension 1.5",
        "sepsis 0.8; hypotension 0.3; respiratory_failure 0.5",
    ),
    Lab(
        50820,
        "pH",
        GAS,
        "units",
        7.35,
        7.45,
        7.40,
        0.03,
        2,
        0.02,
        "respiratory_failure -2.5; cardiac_arrest -4",
        "respiratory_failure 0.8; cardiac_arrest 0.8",
    ),
)


def log_absence(causes: list[str]) -> Floats:
    """Return log(1 - p) of each cause: shape [N_CONDITIONS, n]."""
    return np.log1p(-np.minimum(matrix(causes), np.float32(0.99)))


def matrix(effects: list[str]) -> Floats:
    """Return the effects of conditions, `condition value; …` each, as an array [N_CONDITIONS, n]."""
    table = np.zeros((N_CONDITIONS, len(effects)), np.float32)
    for column, text in enumerate(effects):
        for entry in filter(None, (part.strip() for part in text.split(";"))):
            name, value = entry.split()
            table[NAMES.index(name), column] = float(value)
    return table
