"""One resource, one row: what a resource says, as columns of its table.

Times are still FHIR's texts and identifiers still text; where an element has several forms (`effectiveDateTime`,
`effectivePeriod` …) the row has the one that counts. `ROWS` has the columns and the function of each resource.
"""

from base64 import b64decode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from attending.ontology import fhir
from attending.sources._fhir import codes, observed, resources
from attending.sources._fhir.addresses import NOTHING, OWN_ID, Addresses, own
from attending.sources._fhir.codes import Code
from attending.sources._fhir.resources import (
    Attachment,
    Concept,
    Period,
    Reference,
    Resource,
)

_TEXT, _INTEGER, _NUMBER, _FLAG = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()
IDENTITY = {"id": _TEXT, "updated": _TEXT, "subject": _TEXT}
HAPPENED = {
    "visit": _TEXT,
    "status": _TEXT,
    "code": _TEXT,
    "description": _TEXT,
    "time": _TEXT,
    "known": _TEXT,
    "number": _NUMBER,
    "text": _TEXT,
    "order": _INTEGER,
    "priority": _INTEGER,
    "static": _FLAG,
}
MOMENTS = ("updated", "time", "known", "start", "start_known", "end", "end_known", "death", "death_known")
NOT_TEXT = "attachment that is not base64"
_US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
_BIRTH_TIME = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
_SEXES = {"male": "M", "female": "F", "other": "OTHER"}
_DO_NOT = "do-not-perform"


class Unreadable(Exception):
    """A resource that is no row; its text is the reason."""


class Happened(NamedTuple):
    """What an event's resource says, before our own extension has its say."""

    code: Code
    time: str | None
    known: str | None
    subject: Reference | None
    visit: Reference | None
    status: str | None = None
    number: float | None = None
    text: str | None = None


Row = tuple[Any, ...]


def _updated(resource: Resource) -> str | None:
    return resource.meta.last_updated if resource.meta is not None else None


def _row(resource: Resource, at: Addresses, said: Happened) -> Row:
    mine = own(resource.extension) if resource.extension else NOTHING
    return (
        resource.id or None,
        _updated(resource),
        at.id(said.subject, "Patient"),
        at.visit(said.visit),
        said.status,
        mine.code or said.code.code,
        said.code.description,
        said.time,
        mine.available or said.known,
        said.number if mine.value is None else mine.value,
        said.text if mine.text is None else mine.text,
        mine.order,
        mine.priority,
        mine.static,
    )


def _start(period: Period | None) -> str | None:
    return period.start if period is not None else None


def _end(period: Period | None) -> str | None:
    return (period.end or period.start) if period is not None else None


def _status(concept: Concept | None) -> str | None:
    return next((one.code for one in concept.coding or ()), None) if concept is not None else None


# Patient, Encounter ---------------------------------------------------------------------------------


def patient(one: resources.Patient, at: Addresses) -> Row:
    """Return a person, with race and ethnicity as US Core writes them."""
    sex, birth, death = (own(one.extension, url) for url in (fhir.SEX, fhir.BIRTH, fhir.DEATH))
    beside = one.beside_birth.extension or () if one.beside_birth is not None else ()
    hour = next((extension.value_date_time for extension in beside if extension.url == _BIRTH_TIME), None)
    named = next((ours.value for ours in one.identifier or () if ours.system == fhir.OWN_IDS), None)
    return (
        one.id or None,
        _updated(one),
        named or one.id or None,
        _SEXES.get(one.gender or ""),
        sex.order,
        _us_core(one, "race"),
        _us_core(one, "ethnicity"),
        hour or one.birth_date,
        birth.order,
        one.deceased_date_time,
        death.available,
        death.order,
        OWN_ID + death.visit if death.visit else None,
    )


def _us_core(one: resources.Patient, name: str) -> str | None:
    for extension in one.extension or ():
        if extension.url == _US_CORE + name:
            parts = extension.extension or ()
            categories = (part.value_coding for part in parts if part.url == "ombCategory")
            displays = [coding.display for coding in categories if coding is not None and coding.display]
            return (
                displays[0]
                if displays
                else next((part.value_string for part in parts if part.url == "text"), None)
            )
    return None


def encounter(one: resources.Encounter, at: Addresses) -> Row:
    """Return a visit: its class, when it began and ended, and where the patient went."""
    start, end = own(one.extension, fhir.START), own(one.extension, fhir.END)
    kinds = (codes.OBSERVATION.code(concept) for concept in one.type or ())
    leaves = one.hospitalization.discharge_disposition if one.hospitalization is not None else None
    left = codes.OBSERVATION.code(leaves)
    named = next(
        (OWN_ID + ours.value for ours in one.identifier or () if ours.system == fhir.OWN_IDS and ours.value),
        None,
    )
    return (
        one.id or None,
        _updated(one),
        at.id(one.subject, "Patient"),
        named or one.id,
        one.status,
        one.kind.code if one.kind is not None else None,
        codes.words(leaves),
        _start(one.period),
        start.available,
        start.code or next((kind.code for kind in kinds if kind.own), None),
        start.order,
        one.period.end if one.period is not None else None,
        end.available,
        end.code or (left.code if left.own else None),
        end.order,
    )


# Diagnoses, procedures, drugs -----------------------------------------------------------------------


def condition(one: resources.Condition, at: Addresses) -> Row:
    """Return a diagnosis: when it began, and when it was recorded."""
    return _row(one, at, _diagnosed(one, codes.CONDITION.code(one.code), one.subject))


def allergy(one: resources.AllergyIntolerance, at: Addresses) -> Row:
    """Return an allergy: when it began, and when it was recorded."""
    return _row(one, at, _diagnosed(one, codes.ALLERGY.code(one.code), one.patient or one.subject))


def _diagnosed(
    one: resources.Condition | resources.AllergyIntolerance, code: Code, subject: Reference | None
) -> Happened:
    began = one.onset_date_time or _start(one.onset_period) or one.recorded_date
    return Happened(code, began, one.recorded_date, subject, one.encounter, _status(one.verification_status))


def procedure(one: resources.Procedure, at: Addresses) -> Row:
    """Return a procedure, and whether its code is one that coders assign."""
    code = codes.PROCEDURES.code(one.code)
    began = one.performed_date_time or _start(one.performed_period)
    ended = _end(one.performed_period)
    said = Happened(code, began or ended, ended, one.subject, one.encounter, one.status)
    return (*_row(one, at, said), code.assigned_by_coders)


def immunization(one: resources.Immunization, at: Addresses) -> Row:
    """Return a vaccination."""
    code = codes.VACCINE.code(one.vaccine_code)
    given = one.occurrence_date_time
    return _row(
        one, at, Happened(code, given, one.recorded, one.patient or one.subject, one.encounter, one.status)
    )


Drug = (
    resources.MedicationRequest
    | resources.MedicationAdministration
    | resources.MedicationStatement
    | resources.MedicationDispense
)


def medication_request(one: resources.MedicationRequest, at: Addresses) -> Row:
    """Return an order of a drug, when it was written."""
    status = _DO_NOT if one.do_not_perform else one.status
    return _drug(one, at, one.authored_on, None, one.encounter, status)


def medication_administration(one: resources.MedicationAdministration, at: Addresses) -> Row:
    """Return a dose: an infusion happens when it starts."""
    given = one.effective_date_time or _start(one.effective_period)
    return _drug(one, at, given, None, one.context, one.status)


def medication_statement(one: resources.MedicationStatement, at: Addresses) -> Row:
    """Return a drug that a patient is said to take: since when, and when that was said."""
    since = one.effective_date_time or _start(one.effective_period) or one.date_asserted
    return _drug(one, at, since, one.date_asserted, one.context, one.status)


def medication_dispense(one: resources.MedicationDispense, at: Addresses) -> Row:
    """Return a drug when it was handed over, else when it was prepared."""
    return _drug(one, at, one.when_handed_over or one.when_prepared, None, one.context, one.status)


def _drug(
    one: Drug, at: Addresses, time: str | None, known: str | None, visit: Reference | None, status: str | None
) -> Row:
    concept, elsewhere = one.medication_codeable_concept, None
    address = one.medication_reference.reference if one.medication_reference is not None else None
    if address is not None and address.startswith("#"):
        inside = (held.code for held in one.contained or () if held.id == address[1:])
        concept = next(inside, None)
    elif one.medication_reference is not None:
        elsewhere = at.id(one.medication_reference, "Medication")
    code = codes.DRUG.code(concept)
    return (*_row(one, at, Happened(code, time, known, one.subject, visit, status)), elsewhere)


def medication(one: resources.Medication, at: Addresses) -> Row:
    """Return a drug that others refer to."""
    code = codes.DRUG.code(one.code)
    return one.id, _updated(one), code.code, code.description


# Observations ---------------------------------------------------------------------------------------


def observation(one: resources.Observation, at: Addresses) -> Row:
    """Return a measurement or finding and its parts."""
    prefix = observed.prefix(one.category)
    code = codes.OBSERVATION.code(one.code, observed.prefix_of(one, prefix))
    found = observed.found(one)
    period = one.effective_period
    time = one.effective_date_time or one.effective_instant or _end(period) or one.issued
    if code.own:
        # What was exported comes back as it was: a text that looks like a number stays a text.
        found = observed.Found(found.number, None, None, found.words or found.value)
    said = Happened(code, time, one.issued, one.subject, one.encounter, one.status, found.number, found.words)
    parts = [observed.part(part, prefix) for part in one.component or ()]
    failed = one.data_absent_reason is not None and found.nothing and not parts
    row = _row(one, at, said)
    return (*row, found.unit, found.value, [part for part in parts if part["code"]], failed)


# Reports, notes, images -----------------------------------------------------------------------------


def report(one: resources.DiagnosticReport, at: Addresses) -> Row:
    """Return a report: its text is the conclusion, else what is attached."""
    code = codes.REPORT.code(one.code)
    time = one.effective_date_time or _end(one.effective_period) or one.issued
    text = one.conclusion or _attached(one.presented_form or ())
    return _row(one, at, Happened(code, time, one.issued, one.subject, one.encounter, one.status, text=text))


def document(one: resources.DocumentReference, at: Addresses) -> Row:
    """Return a note with the text of its attachments."""
    attachments = [content.attachment for content in one.content or () if content.attachment is not None]
    context = one.context or resources.DocumentContext()
    written = next((attachment.creation for attachment in attachments if attachment.creation), None)
    code = codes.NOTE.code(one.type)
    time = written or one.date or _end(context.period)
    visit = next(iter(context.encounter or ()), None)
    return _row(
        one, at, Happened(code, time, one.date, one.subject, visit, one.status, text=_attached(attachments))
    )


def _attached(attachments: Iterable[Attachment]) -> str | None:
    texts = [_decoded(one) for one in attachments if one.data and _is_text(one.content_type)]
    return "\n".join(text for text in texts if text) or None


def _is_text(kind: str | None) -> bool:
    return kind is None or kind.startswith("text/") or "xml" in kind or "json" in kind


def _decoded(one: Attachment) -> str:
    charset = (one.content_type or "").partition("charset=")[2].strip(' "') or "utf-8"
    try:
        return b64decode(one.data or "").decode(charset)
    except (ValueError, LookupError):
        raise Unreadable(NOT_TEXT) from None


def imaging(one: resources.ImagingStudy, at: Addresses) -> Row:
    """Return a study of images, with its modalities."""
    codings = one.modality or [series.modality for series in one.series or () if series.modality is not None]
    modalities = list(dict.fromkeys(coding.code for coding in codings if coding.code))
    said = Happened(Code(), one.started, None, one.subject, one.encounter, one.status)
    return (*_row(one, at, said), modalities)


def code_system(one: resources.CodeSystem, at: Addresses) -> Row:
    """Return the names of our own codes."""
    named = [{"code": named.code, "display": named.display} for named in one.concept or ()]
    return one.id, _updated(one), named


@dataclass(frozen=True)
class Kind:
    """How a resource becomes a row."""

    row: Callable[[Any, Addresses], Row]
    columns: dict[str, pl.DataType]


_EVENT = IDENTITY | HAPPENED
ROWS: dict[type[Resource], Kind] = {
    resources.Patient: Kind(
        patient,
        IDENTITY
        | {
            "sex": _TEXT,
            "sex_order": _INTEGER,
            "race": _TEXT,
            "ethnicity": _TEXT,
            "birth": _TEXT,
            "birth_order": _INTEGER,
        }
        | {"death": _TEXT, "death_known": _TEXT, "death_order": _INTEGER, "visit": _TEXT},
    ),
    resources.Encounter: Kind(
        encounter,
        IDENTITY
        | {"visit": _TEXT, "status": _TEXT, "class": _TEXT, "disposition": _TEXT}
        | {"start": _TEXT, "start_known": _TEXT, "start_code": _TEXT, "start_order": _INTEGER}
        | {"end": _TEXT, "end_known": _TEXT, "end_code": _TEXT, "end_order": _INTEGER},
    ),
    resources.Medication: Kind(
        medication, {"id": _TEXT, "updated": _TEXT, "code": _TEXT, "description": _TEXT}
    ),
    resources.CodeSystem: Kind(
        code_system,
        {"id": _TEXT, "updated": _TEXT, "names": pl.List(pl.Struct({"code": _TEXT, "display": _TEXT}))},
    ),
    resources.Condition: Kind(condition, _EVENT),
    resources.AllergyIntolerance: Kind(allergy, _EVENT),
    resources.Observation: Kind(
        observation,
        _EVENT | {"unit": _TEXT, "value": _TEXT, "components": pl.List(observed.COMPONENT), "failed": _FLAG},
    ),
    resources.MedicationRequest: Kind(medication_request, _EVENT | {"medication": _TEXT}),
    resources.MedicationAdministration: Kind(medication_administration, _EVENT | {"medication": _TEXT}),
    resources.MedicationStatement: Kind(medication_statement, _EVENT | {"medication": _TEXT}),
    resources.MedicationDispense: Kind(medication_dispense, _EVENT | {"medication": _TEXT}),
    resources.Procedure: Kind(procedure, _EVENT | {"coded": _FLAG}),
    resources.Immunization: Kind(immunization, _EVENT),
    resources.DiagnosticReport: Kind(report, _EVENT),
    resources.DocumentReference: Kind(document, _EVENT),
    resources.ImagingStudy: Kind(imaging, _EVENT | {"modalities": pl.List(pl.String())}),
}
