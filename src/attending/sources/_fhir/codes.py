"""The event code of a FHIR concept: which of its codings is taken, and what the code is called.

A concept may have codings of several systems that all mean it; it becomes one code. Our own system comes first,
then the systems that the kind of resource names, in that order, then any other, then the concept's words:

    kind            order of systems                        becomes
    condition       ICD-10, ICD-9, SNOMED                   `DIAGNOSIS//ICD//10//I509`, `CONDITION//SNOMED//…`
    procedure       ICD-10, ICD-9, CPT and HCPCS, SNOMED    `PROCEDURE//ICD//10//…`, `HCPCS//…`, `PROCEDURE//SNOMED//…`
    medication      RxNorm, NDC, ATC, SNOMED                `MEDICATION//RxNorm//…`
    immunization    CVX, NDC, SNOMED                        `IMMUNIZATION//CVX//…`
    allergy         RxNorm, SNOMED                          `ALLERGY//SNOMED//…`
    observation     LOINC, SNOMED                           `LAB//LOINC//…`, `VITAL//LOINC//…`, `OBSERVATION//…`
    report, note    LOINC, SNOMED                           `REPORT//LOINC//…`, `NOTE//LOINC//…`

Words become `CONDITION//TEXT//…`. ICD codes lose their dot, as in MIMIC.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from attending.ontology.fhir import HCPCS_NAME, ICD9_NAME, ICD10_NAME, OWN_CODES, vocabulary
from attending.schema import DIAGNOSIS, MEDICATION, PROCEDURE, SEPARATOR
from attending.sources._fhir.resources import Concept

TEXT = "TEXT"
_ICD = (ICD10_NAME, ICD9_NAME)


class Code(NamedTuple):
    """An event's code, what it is called, and the name of its code system."""

    code: str | None = None
    description: str | None = None
    system: str = ""

    @property
    def own(self) -> bool:
        """Say whether it is an event's code as it was exported."""
        return self.system == OWN_CODES

    @property
    def assigned_by_coders(self) -> bool:
        """Say whether its system is one that coders use after the visit."""
        return self.system in (*_ICD, HCPCS_NAME)


@dataclass(frozen=True)
class Naming:
    """How concepts of one kind are coded: what codes begin with, and which systems come first."""

    prefix: str
    order: tuple[str, ...]
    prefixes: dict[str, str] = field(default_factory=dict)

    def code(self, concept: Concept | None, prefix: str = "") -> Code:
        """Return the code of a concept; nothing, where it has neither code nor words."""
        if concept is None:
            return Code()
        best, best_rank = Code(), len(self.order) + 1
        for coding in concept.coding or ():
            if not coding.code or not coding.code.strip():
                continue
            if coding.system == OWN_CODES:
                return Code(coding.code, coding.display, OWN_CODES)
            system = vocabulary(coding.system or "")
            rank = self.order.index(system) if system in self.order else len(self.order)
            if rank < best_rank:
                spelled = self._spelled(system, coding.code.strip(), prefix or self.prefix)
                best, best_rank = Code(spelled, coding.display or concept.text, system), rank
        if best.code is None and concept.text and concept.text.strip():
            return Code(SEPARATOR.join((prefix or self.prefix, TEXT, concept.text.strip())), None, TEXT)
        return best

    def _spelled(self, system: str, code: str, prefix: str) -> str:
        if system in _ICD:
            code = code.replace(".", "").upper()
        special = self.prefixes.get(system)
        return SEPARATOR.join((special, code) if special else (prefix, system, code))


def words(concept: Concept | None) -> str | None:
    """Return what a concept says, as text: its words, else a display, else a code."""
    if concept is None:
        return None
    codings = concept.coding or ()
    own = next((coding.code for coding in codings if coding.system == OWN_CODES), None)
    display = next((coding.display for coding in codings if coding.display), None)
    code = next((coding.code for coding in codings if coding.code), None)
    return own or concept.text or display or code


CONDITION = Naming(
    "CONDITION",
    (*_ICD, "SNOMED"),
    {name: f"{DIAGNOSIS}{SEPARATOR}{name}" for name in _ICD},
)
PROCEDURES = Naming(PROCEDURE, (*_ICD, HCPCS_NAME, "SNOMED"), {HCPCS_NAME: HCPCS_NAME})
DRUG = Naming(MEDICATION, ("RxNorm", "NDC", "ATC", "SNOMED"))
VACCINE = Naming("IMMUNIZATION", ("CVX", "NDC", "SNOMED"))
ALLERGY = Naming("ALLERGY", ("RxNorm", "SNOMED"))
OBSERVATION = Naming("OBSERVATION", ("LOINC", "SNOMED"))
REPORT = Naming("REPORT", ("LOINC", "SNOMED"))
NOTE = Naming("NOTE", ("LOINC", "SNOMED"))
IMAGING = "IMAGING"
