"""The 25 conditions of the benchmark, each a category of AHRQ's single-level CCS for ICD-9-CM.

Harutyunyan et al., Multitask learning and benchmarking with clinical time series data, Scientific Data 6 (2019) 96:
thirteen acute here, seven chronic, five mixed (chronic, with acute episodes).
"""

from typing import Literal

Course = Literal["acute", "chronic", "mixed"]

CONDITIONS: dict[str, tuple[str, Course]] = {
    "2": ("Septicemia (except in labor)", "acute"),
    "49": ("Diabetes mellitus without complication", "chronic"),
    "50": ("Diabetes mellitus with complications", "mixed"),
    "53": ("Disorders of lipid metabolism", "chronic"),
    "55": ("Fluid and electrolyte disorders", "acute"),
    "98": ("Essential hypertension", "chronic"),
    "99": ("Hypertension with complications and secondary hypertension", "chronic"),
    "100": ("Acute myocardial infarction", "acute"),
    "101": ("Coronary atherosclerosis and other heart disease", "chronic"),
    "105": ("Conduction disorders", "mixed"),
    "106": ("Cardiac dysrhythmias", "mixed"),
    "108": ("Congestive heart failure; nonhypertensive", "mixed"),
    "109": ("Acute cerebrovascular disease", "acute"),
    "122": ("Pneumonia", "acute"),
    "127": ("Chronic obstructive pulmonary disease and bronchiectasis", "chronic"),
    "130": ("Pleurisy; pneumothorax; pulmonary collapse", "acute"),
    "131": ("Respiratory failure; insufficiency; arrest (adult)", "acute"),
    "133": ("Other lower respiratory disease", "acute"),
    "134": ("Other upper respiratory disease", "acute"),
    "151": ("Other liver diseases", "mixed"),
    "153": ("Gastrointestinal hemorrhage", "acute"),
    "157": ("Acute and unspecified renal failure", "acute"),
    "158": ("Chronic kidney disease", "chronic"),
    "238": ("Complications of surgical procedures or medical care", "acute"),
    "249": ("Shock", "acute"),
}
