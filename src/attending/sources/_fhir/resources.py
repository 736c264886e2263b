"""The resources of FHIR R4 that are read, and of each only the elements that are: msgspec skips all others.

An element of the wrong type voids its resource. The classes are named as R4 names the resources, which is also
how `resourceType` finds them.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

Text = str | None
Integer = Annotated[int, msgspec.Meta(ge=-(2**31), lt=2**31)]
"""An integer as FHIR has it, of 32 bits."""


class Structure(Struct, rename="camel"):
    """Whatever is in JSON: `deceasedDateTime` there is `deceased_date_time` here."""


class Coding(Structure, gc=False):
    """A code of a code system."""

    system: Text = None
    code: Text = None
    display: Text = None


class Concept(Structure):
    """A thing by its codes, any of which means it, or in words only."""

    coding: list[Coding] | None = None
    text: Text = None


class Identifier(Structure, gc=False):
    """An id and whose it is."""

    system: Text = None
    value: Text = None


class Reference(Structure):
    """Another resource, by address or by identifier."""

    reference: Text = None
    identifier: Identifier | None = None


class Quantity(Structure, gc=False):
    """A number and its unit; the comparator says that the number is a limit."""

    value: float | None = None
    comparator: Text = None
    unit: Text = None
    system: Text = None
    code: Text = None


class Period(Structure, gc=False):
    """From when to when."""

    start: Text = None
    end: Text = None


class Range(Structure):
    """From how much to how much."""

    low: Quantity | None = None
    high: Quantity | None = None


class Ratio(Structure):
    """A titre such as 1:128."""

    numerator: Quantity | None = None
    denominator: Quantity | None = None


class Part(Structure):
    """A part of an extension."""

    url: Text = None
    value_string: Text = None
    value_integer: Integer | None = None
    value_decimal: float | None = None
    value_boolean: bool | None = None
    value_date_time: Text = None
    value_coding: Coding | None = None


class Extension(Structure):
    """What R4 has no element for."""

    url: Text = None
    extension: list[Part] | None = None
    value_date_time: Text = None


class Element(Structure):
    """What stands beside a simple element: its extensions."""

    extension: list[Extension] | None = None


class Meta(Structure, gc=False):
    """Which version of a resource this is."""

    last_updated: Text = None


class Attachment(Structure, gc=False):
    """A document, inline or elsewhere."""

    content_type: Text = None
    data: Text = None
    creation: Text = None


class Contained(Structure):
    """A resource within another, which alone refers to it."""

    id: Text = None
    resource_type: Text = None
    code: Concept | None = None


class Resource(Structure, tag_field="resourceType"):
    """What all resources may have."""

    id: Text = None
    meta: Meta | None = None
    extension: list[Extension] | None = None


class Clinical(Resource):
    """What all resources about a subject may have; `context` is R4's older name of `encounter`."""

    status: Text = None
    code: Concept | None = None
    subject: Reference | None = None
    encounter: Reference | None = None


class Patient(Resource):
    """A person."""

    identifier: list[Identifier] | None = None
    gender: Text = None
    birth_date: Text = None
    beside_birth: Element | None = msgspec.field(name="_birthDate", default=None)
    deceased_date_time: Text = None


class Hospitalization(Structure):
    """Where a patient went after a stay."""

    discharge_disposition: Concept | None = None


class Encounter(Clinical):
    """A visit."""

    identifier: list[Identifier] | None = None
    kind: Coding | None = msgspec.field(name="class", default=None)
    type: list[Concept] | None = None
    period: Period | None = None
    hospitalization: Hospitalization | None = None


class Condition(Clinical):
    """A diagnosis or problem."""

    verification_status: Concept | None = None
    onset_date_time: Text = None
    onset_period: Period | None = None
    recorded_date: Text = None


class AllergyIntolerance(Clinical):
    """An allergy."""

    patient: Reference | None = None
    verification_status: Concept | None = None
    onset_date_time: Text = None
    onset_period: Period | None = None
    recorded_date: Text = None


class Valued(Clinical):
    """What an observation, or a part of one, may have found."""

    value_quantity: Quantity | None = None
    value_codeable_concept: Concept | None = None
    value_string: Text = None
    value_boolean: bool | None = None
    value_integer: Integer | None = None
    value_range: Range | None = None
    value_ratio: Ratio | None = None
    value_time: Text = None
    value_date_time: Text = None
    value_period: Period | None = None
    data_absent_reason: Concept | None = None


class Component(Valued, tag=False):
    """A part of an observation, such as the systolic blood pressure; of a resource it has the code only."""


class Observation(Valued):
    """A measurement or a finding."""

    category: list[Concept] | None = None
    component: list[Component] | None = None
    effective_date_time: Text = None
    effective_instant: Text = None
    effective_period: Period | None = None
    issued: Text = None


class Medication(Resource):
    """A drug that others refer to."""

    code: Concept | None = None


class _OfDrug(Clinical):
    contained: list[Contained] | None = None
    medication_codeable_concept: Concept | None = None
    medication_reference: Reference | None = None


class MedicationRequest(_OfDrug):
    """An order."""

    do_not_perform: bool | None = None
    authored_on: Text = None


class MedicationAdministration(_OfDrug):
    """A dose that was given."""

    context: Reference | None = None
    effective_date_time: Text = None
    effective_period: Period | None = None


class MedicationStatement(_OfDrug):
    """A drug that a patient is said to take."""

    context: Reference | None = None
    effective_date_time: Text = None
    effective_period: Period | None = None
    date_asserted: Text = None


class MedicationDispense(_OfDrug):
    """A drug that was handed out."""

    context: Reference | None = None
    when_prepared: Text = None
    when_handed_over: Text = None


class Procedure(Clinical):
    """What was done to a patient."""

    performed_date_time: Text = None
    performed_period: Period | None = None


class Immunization(Clinical):
    """A vaccination."""

    patient: Reference | None = None
    vaccine_code: Concept | None = None
    occurrence_date_time: Text = None
    recorded: Text = None


class DiagnosticReport(Clinical):
    """A report on results, which are observations of their own."""

    effective_date_time: Text = None
    effective_period: Period | None = None
    issued: Text = None
    conclusion: Text = None
    presented_form: list[Attachment] | None = None


class Content(Structure):
    """A document's attachment."""

    attachment: Attachment | None = None


class DocumentContext(Structure):
    """Of which visit and time a document tells."""

    encounter: list[Reference] | None = None
    period: Period | None = None


class DocumentReference(Clinical):
    """A note."""

    type: Concept | None = None
    date: Text = None
    content: list[Content] | None = None
    context: DocumentContext | None = None


class Series(Structure):
    """A series of images."""

    modality: Coding | None = None


class ImagingStudy(Clinical):
    """Images of a patient."""

    modality: list[Coding] | None = None
    series: list[Series] | None = None
    started: Text = None


class Named(Structure):
    """A concept of a code system, and what it is called."""

    code: Text = None
    display: Text = None


class CodeSystem(Resource):
    """The names of codes: only our own system's are read."""

    url: Text = None
    concept: list[Named] | None = None


class Request(Structure, gc=False):
    """What an entry of a bundle asks a server to do."""

    method: Text = None
    url: Text = None


class Entry(Structure):
    """An entry of a bundle; its resource is decoded apart, so that a faulty one voids itself only."""

    full_url: Text = None
    resource: msgspec.Raw | UnsetType = UNSET
    request: Request | None = None


class Bundle(Structure, tag_field="resourceType"):
    """Resources in one document."""

    entry: list[msgspec.Raw] | None = None


class Kind(Structure, gc=False):
    """What any resource says of itself."""

    resource_type: Text = None
    id: Any = None


class Manifest(Structure):
    """What a Bulk Data export holds, or one of ours; it is no resource."""

    output: Any = None
    fingerprint: Any = None


READ: tuple[type[Resource], ...] = (
    Patient,
    Encounter,
    Medication,
    CodeSystem,
    Condition,
    AllergyIntolerance,
    Observation,
    MedicationRequest,
    MedicationAdministration,
    MedicationStatement,
    MedicationDispense,
    Procedure,
    Immunization,
    DiagnosticReport,
    DocumentReference,
    ImagingStudy,
)
