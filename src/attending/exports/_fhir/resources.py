"""The resources of FHIR R4 that are written; an element that is not there is left out, as FHIR asks."""

import msgspec


class Structure(msgspec.Struct, rename="camel", omit_defaults=True):
    """Whatever is in JSON: `deceasedDateTime` there is `deceased_date_time` here."""


class Coding(Structure):
    """A code of a code system."""

    system: str
    code: str
    display: str | None = None


class Concept(Structure):
    """A thing by its codes."""

    coding: list[Coding] | None = None
    text: str | None = None


class Identifier(Structure):
    """An id and whose it is."""

    system: str
    value: str


class Reference(Structure):
    """Another resource."""

    reference: str
    identifier: Identifier | None = None


class Quantity(Structure):
    """A number and its unit."""

    value: float
    unit: str | None = None


class Extension(Structure):
    """What R4 has no element for: a value, or parts."""

    url: str
    extension: "list[Extension] | None" = None
    value_string: str | None = None
    value_integer: int | None = None
    value_decimal: float | None = None
    value_boolean: bool | None = None
    value_date_time: str | None = None


class Element(Structure):
    """What stands beside a simple element."""

    extension: list[Extension]


class Period(Structure):
    """From when to when."""

    start: str | None = None
    end: str | None = None


class Resource(Structure, tag_field="resourceType"):
    """What all resources have."""

    id: str
    extension: list[Extension] | None = None


class Patient(Resource, kw_only=True):
    """A person."""

    identifier: list[Identifier] | None = None
    gender: str | None = None
    birth_date: str | None = None
    beside_birth: Element | None = msgspec.field(name="_birthDate", default=None)
    deceased_date_time: str | None = None


class Hospitalization(Structure):
    """Where a patient went after a stay."""

    discharge_disposition: Concept


class Encounter(Resource, kw_only=True):
    """A visit."""

    identifier: list[Identifier] | None = None
    status: str
    kind: Coding = msgspec.field(name="class")
    type: list[Concept] | None = None
    subject: Reference
    period: Period | None = None
    hospitalization: Hospitalization | None = None


class Condition(Resource, kw_only=True):
    """A diagnosis."""

    code: Concept
    subject: Reference
    encounter: Reference | None = None
    onset_date_time: str
    recorded_date: str


class AllergyIntolerance(Resource, kw_only=True):
    """An allergy."""

    code: Concept
    patient: Reference
    encounter: Reference | None = None
    onset_date_time: str
    recorded_date: str


class Observation(Resource, kw_only=True):
    """A measurement or finding, and whatever no other resource holds."""

    status: str
    category: list[Concept] | None = None
    code: Concept
    subject: Reference
    encounter: Reference | None = None
    effective_date_time: str | None = None
    issued: str | None = None
    value_quantity: Quantity | None = None
    value_string: str | None = None


class Procedure(Resource, kw_only=True):
    """What was done to a patient."""

    status: str
    code: Concept
    subject: Reference
    encounter: Reference | None = None
    performed_date_time: str


class MedicationStatement(Resource, kw_only=True):
    """A drug that a patient had."""

    status: str
    medication_codeable_concept: Concept
    subject: Reference
    context: Reference | None = None
    effective_date_time: str
    date_asserted: str


class Immunization(Resource, kw_only=True):
    """A vaccination."""

    status: str
    vaccine_code: Concept
    patient: Reference
    encounter: Reference | None = None
    occurrence_date_time: str
    recorded: str


class DiagnosticReport(Resource, kw_only=True):
    """A report."""

    status: str
    code: Concept
    subject: Reference
    encounter: Reference | None = None
    effective_date_time: str
    issued: str
    conclusion: str | None = None


class Attachment(Structure):
    """A text, in base64."""

    content_type: str
    creation: str
    data: str | None = None


class Content(Structure):
    """A document's attachment."""

    attachment: Attachment


class DocumentContext(Structure):
    """Of which visit a document tells."""

    encounter: list[Reference]


class DocumentReference(Resource, kw_only=True):
    """A note."""

    status: str
    type: Concept
    subject: Reference
    date: str
    content: list[Content]
    context: DocumentContext | None = None


class ImagingStudy(Resource, kw_only=True):
    """Images."""

    status: str
    modality: list[Coding]
    subject: Reference
    encounter: Reference | None = None
    started: str


class Named(Structure):
    """A code and what it is called."""

    code: str
    display: str | None = None


class CodeSystem(Resource, kw_only=True):
    """The names of codes."""

    url: str
    status: str
    content: str
    concept: list[Named]
