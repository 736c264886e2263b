"""Ready definitions of laboratory results: which codes and units, and what is low or high, each with its source.

Codes are those of MIMIC-III and MIMIC-IV (item numbers of `d_labitems`, blood), eICU and PhysioNet 2012 (names), and
LOINC (FHIR, OMOP, Synthea). A code counts only with a unit in which the limits are meant: creatinine in µmol/L is
not taken for one in mg/dL.

    creatinine    2.0 mg/dL: two points of SOFA's for the kidney (Vincent 1996, doi:10.1007/BF01709751). A rise to 1.5
                  times what it was: stage 1 of acute kidney injury (KDIGO 2012, doi:10.1038/kisup.2012.1)
    potassium     below 3.5, above 5.5 mmol/L: hypokalaemia, hyperkalaemia (European Resuscitation Council 2021,
                  doi:10.1016/j.resuscitation.2021.02.011)
    sodium        below 135 mmol/L: hyponatraemia (Spasovski 2014, doi:10.1530/EJE-13-1020); above 145 mmol/L:
                  hypernatraemia (Adrogué 2000, doi:10.1056/NEJM200005183422006)
    glucose       below 70 mg/dL: hypoglycaemia of level 1; above 180 mg/dL: where treatment in hospital begins
                  (American Diabetes Association, Standards of Care, Diabetes care in the hospital)
    haemoglobin   below 11.0 g/dL: moderate anaemia of women and men (WHO 2011, WHO/NMH/NHD/MNM/11.1)
    lactate       above 2 mmol/L: a criterion of septic shock (Singer 2016, doi:10.1001/jama.2016.0287)
    platelets     below 100 per nL: two points of SOFA's for coagulation (Vincent 1996)
"""

from dataclasses import dataclass
from typing import Literal

Lab = Literal["creatinine", "potassium", "sodium", "glucose", "haemoglobin", "lactate", "platelets"]


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A result: its codes without their unit, the units, and the limits outside which it is abnormal."""

    codes: tuple[str, ...]
    units: tuple[str, ...]
    low: float | None = None
    high: float | None = None

    def with_units(self) -> tuple[str, ...]:
        """Return every code with every unit."""
        return tuple(f"LAB//{code}//{unit}" for code in self.codes for unit in self.units)


_MOLAR = ("mmol/L", "mEq/L", "meq/L")
_MASS = ("mg/dL", "mg/dl")

LABS: dict[Lab, Definition] = {
    "creatinine": Definition(
        codes=("50912", "52546", "52024", "creatinine", "Creatinine", "LOINC//2160-0", "LOINC//38483-4"),
        units=_MASS,
        high=2.0,
    ),
    "potassium": Definition(
        codes=(
            *("50971", "52610", "50822", "52452", "potassium", "K"),
            *("LOINC//2823-3", "LOINC//6298-4"),
        ),
        units=_MOLAR,
        low=3.5,
        high=5.5,
    ),
    "sodium": Definition(
        codes=("50983", "52623", "50824", "52455", "sodium", "Na", "LOINC//2951-2", "LOINC//2947-0"),
        units=_MOLAR,
        low=135.0,
        high=145.0,
    ),
    "glucose": Definition(
        codes=(
            *("50931", "52569", "50809", "52027", "glucose", "bedside glucose", "Glucose"),
            *("LOINC//2345-7", "LOINC//2339-0", "LOINC//41653-7"),
        ),
        units=_MASS,
        low=70.0,
        high=180.0,
    ),
    "haemoglobin": Definition(
        codes=("51222", "51640", "50811", "Hgb", "LOINC//718-7"),
        units=("g/dL", "g/dl"),
        low=11.0,
    ),
    "lactate": Definition(
        codes=(
            *("50813", "52442", "53154", "lactate", "Lactate"),
            *("LOINC//2524-7", "LOINC//32693-4", "LOINC//2518-9"),
        ),
        units=("mmol/L",),
        high=2.0,
    ),
    "platelets": Definition(
        codes=("51265", "51704", "platelets x 1000", "Platelets", "LOINC//777-3"),
        units=("K/uL", "K/mcL", "cells/nL", "10*3/uL", "10*9/L"),
        low=100.0,
    ),
}
