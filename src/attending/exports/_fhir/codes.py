"""An event's code as a FHIR concept: in the code system it comes from, and in our own, which is exact."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from attending.exports._fhir.resources import Coding, Concept
from attending.ontology import fhir
from attending.schema import DIAGNOSIS_ICD9, DIAGNOSIS_ICD10, PROCEDURE_ICD9, PROCEDURE_ICD10, SEPARATOR

CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
ACT_CODES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_CODE = re.compile(r"[^\s]+(\s[^\s]+)*")
_SYSTEMS = {
    "SNOMED": fhir.SNOMED,
    "LOINC": fhir.LOINC,
    "RxNorm": fhir.RXNORM,
    "NDC": fhir.NDC,
    "CVX": fhir.CVX,
}
_CATEGORIES = {"LAB": "laboratory", "VITAL": "vital-signs"}
_CLASSES = {
    "AMB": "ambulatory",
    "EMER": "emergency",
    "FLD": "field",
    "HH": "home health",
    "IMP": "inpatient encounter",
    "ACUTE": "inpatient acute",
    "NONAC": "inpatient non-acute",
    "OBSENC": "observation encounter",
    "PRENC": "pre-admission",
    "SS": "short stay",
    "VR": "virtual",
}


@dataclass(frozen=True)
class Codes:
    """Makes the concept of each code once; `names` are descriptions by code."""

    names: Mapping[str, str]
    _made: dict[str, Concept] = field(default_factory=dict)

    def concept(self, code: str) -> Concept:
        """Return the concept of a code."""
        made = self._made.get(code)
        if made is None:
            name = self.names.get(code)
            own = Coding(system=fhir.OWN_CODES, code=spelled(code), display=name)
            made = Concept(coding=[*_standard(code, name), own], text=name)
            self._made[code] = made
        return made


def spelled(code: str) -> str:
    """Return a code with the spaces that FHIR allows: one between words."""
    return code if _CODE.fullmatch(code) else " ".join(code.split()) or "UNK"


def category(code: str) -> list[Concept] | None:
    """Return the category of an observation, if it has one."""
    found = _CATEGORIES.get(code.partition(SEPARATOR)[0])
    return [Concept(coding=[Coding(system=CATEGORY, code=found)])] if found else None


def unit(code: str) -> str | None:
    """Return the unit that a measurement's code ends with."""
    parts = code.split(SEPARATOR)
    return parts[-1] if len(parts) > 2 and parts[-1].strip() and parts[-1] != "UNK" else None


def encounter_class(code: str | None, *, inpatient: bool) -> Coding:
    """Return the class of a visit, which FHIR requires: what its code says, else the commonest of its kind."""
    said = (code or "").split(SEPARATOR)[1:2]
    known = {"EMERGENCY": "EMER"}.get(said[0], said[0]) if said else ""
    found = known if known in _CLASSES else ("IMP" if inpatient else "AMB")
    return Coding(system=ACT_CODES, code=found, display=_CLASSES[found])


def modality(code: str) -> list[Coding]:
    """Return the modality of a study of images."""
    parts = code.split(SEPARATOR)
    return [Coding(system="http://dicom.nema.org/resources/ontology/DCM", code=spelled(parts[-1]))]


def _standard(code: str, name: str | None) -> list[Coding]:
    system, _, bare = code.rpartition(SEPARATOR)
    icd = {
        DIAGNOSIS_ICD10: (fhir.ICD10CM, 3),
        DIAGNOSIS_ICD9: (fhir.ICD9CM, 4 if bare.startswith("E") else 3),
        PROCEDURE_ICD10: (fhir.ICD10PCS, len(bare)),
        PROCEDURE_ICD9: (fhir.ICD9CM, 2),
    }
    if system in icd and bare.isalnum():
        address, place = icd[system]
        return [Coding(system=address, code=_dotted(bare, place), display=name)]
    if system == fhir.HCPCS_NAME and bare.isalnum():
        return [Coding(system=fhir.CPT if bare[0].isdigit() else fhir.HCPCS, code=bare, display=name)]
    parts = code.split(SEPARATOR)
    if len(parts) > 2 and parts[1] in _SYSTEMS and parts[2].strip():
        return [Coding(system=_SYSTEMS[parts[1]], code=spelled(parts[2]), display=name)]
    return []


def _dotted(bare: str, place: int) -> str:
    return f"{bare[:place]}.{bare[place:]}" if len(bare) > place else bare
