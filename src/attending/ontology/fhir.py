"""FHIR R4's names for code systems, and our own where it has none.

`vocabulary` turns the URI or OID of a code system into the short name that event codes carry. Our own code system
holds whole event codes, so that a table of events can go through FHIR and come back as it was; our own extension
holds what R4 has no room for:

    urn:attending:meds      code system: a code is an event's code, taken as it is
    urn:attending:event     extension, of parts: `order` (the event's place in the subject's record), `priority`,
                            `available`, `visit`, `static`, `value`, `text`, `code` (where R4 forbids its spaces)
    urn:attending:id        system of identifiers: a subject's or visit's id that is no FHIR id
    …:birth, :death, :sex   the same extension, for the events that a Patient's own elements give
    …:start, :end           the same, for those of an Encounter
"""

OWN_CODES = "urn:attending:meds"
OWN_IDS = "urn:attending:id"
EVENT, BIRTH, DEATH, SEX, START, END = (
    f"urn:attending:{name}" for name in ("event", "birth", "death", "sex", "start", "end")
)

ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
ICD10PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
ICD9CM = "http://hl7.org/fhir/sid/icd-9-cm"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
NDC = "http://hl7.org/fhir/sid/ndc"
CVX = "http://hl7.org/fhir/sid/cvx"
CPT = "http://www.ama-assn.org/go/cpt"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
UCUM = "http://unitsofmeasure.org"

ICD10_NAME, ICD9_NAME, HCPCS_NAME = "ICD//10", "ICD//9", "HCPCS"
_OID = "urn:oid:2.16.840.1.113883"
_NAMES = {
    ICD10CM: ICD10_NAME,
    f"{_OID}.6.90": ICD10_NAME,
    "http://hl7.org/fhir/sid/icd-10": ICD10_NAME,
    f"{_OID}.6.3": ICD10_NAME,
    ICD10PCS: ICD10_NAME,
    "http://hl7.org/fhir/sid/icd-10-pcs": ICD10_NAME,
    f"{_OID}.6.4": ICD10_NAME,
    ICD9CM: ICD9_NAME,
    f"{ICD9CM}/diagnosis": ICD9_NAME,
    f"{ICD9CM}/procedure": ICD9_NAME,
    f"{_OID}.6.103": ICD9_NAME,
    f"{_OID}.6.104": ICD9_NAME,
    SNOMED: "SNOMED",
    f"{_OID}.6.96": "SNOMED",
    LOINC: "LOINC",
    f"{_OID}.6.1": "LOINC",
    RXNORM: "RxNorm",
    f"{_OID}.6.88": "RxNorm",
    NDC: "NDC",
    f"{_OID}.6.69": "NDC",
    CVX: "CVX",
    f"{_OID}.12.292": "CVX",
    CPT: HCPCS_NAME,
    f"{_OID}.6.12": HCPCS_NAME,
    HCPCS: HCPCS_NAME,
    HCPCS.replace("http:", "https:"): HCPCS_NAME,
    f"{_OID}.6.285": HCPCS_NAME,
    "http://www.whocc.no/atc": "ATC",
    f"{_OID}.6.73": "ATC",
    "http://dicom.nema.org/resources/ontology/DCM": "DCM",
}


def vocabulary(system: str) -> str:
    """Return the short name of a code system; of one not known here, the last part of its address."""
    return _NAMES.get(system) or system.rstrip("/").replace(":", "/").rpartition("/")[2] or "UNK"
