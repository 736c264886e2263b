"""Events as resources: the one that an event is, and the Patient and Encounter that tell several."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from attending.exports._fhir import codes
from attending.exports._fhir import resources as to
from attending.exports._fhir.codes import Codes
from attending.exports._fhir.frames import GENDERS, NUMBER, ORDER, Divided
from attending.exports._fhir.resources import Extension, Identifier, Reference
from attending.ontology import fhir
from attending.schema import (
    ADMISSION,
    AVAILABLE_TIME,
    CODE,
    NUMERIC_VALUE,
    PRIORITY,
    SUBJECT_ID,
    TEXT_VALUE,
    TIME,
    VISIT_ID,
)

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_LARGEST_KEY = 2**62
_BIRTH_TIME = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"
Event = dict[str, Any]


@dataclass(frozen=True)
class Subjects:
    """Who a subject is in FHIR; `texts` are the identifiers of those whose id is a hash."""

    texts: Mapping[int, str]

    def id(self, subject: int) -> str:
        """Return a patient's id."""
        text = self.texts.get(subject, str(subject))
        return text if _ID.fullmatch(text) else str(subject)

    def identifier(self, subject: int) -> Identifier | None:
        """Return the identifier of a patient whose own one is no FHIR id."""
        text = self.texts.get(subject, str(subject))
        return None if _ID.fullmatch(text) else Identifier(system=fhir.OWN_IDS, value=text)

    def reference(self, subject: int) -> Reference:
        """Return a reference to a patient."""
        return Reference(reference=f"Patient/{self.id(subject)}", identifier=self.identifier(subject))


def visit_identifier(visit: int) -> Identifier | None:
    """Return the identifier of a visit whose number is a hash: read as text, it would be hashed again."""
    return Identifier(system=fhir.OWN_IDS, value=str(visit)) if abs(visit) >= _LARGEST_KEY else None


def visit_reference(visit: int | None) -> Reference | None:
    """Return a reference to an encounter."""
    if visit is None:
        return None
    return Reference(reference=f"Encounter/{visit}", identifier=visit_identifier(visit))


# Patient, Encounter ---------------------------------------------------------------------------------


def patients(events: Divided, subjects: Subjects) -> Iterator[to.Patient]:
    """Make a Patient of each subject."""
    sexes, births, deaths = (_by(frame, SUBJECT_ID) for frame in (events.sex, events.birth, events.death))
    for subject in events.subjects:
        sex, birth, death = sexes.get(subject), births.get(subject), deaths.get(subject)
        identifier = subjects.identifier(subject)
        yield to.Patient(
            id=subjects.id(subject),
            extension=_told((fhir.SEX, sex), (fhir.BIRTH, birth), (fhir.DEATH, death)),
            identifier=[identifier] if identifier is not None else None,
            gender=GENDERS[sex[CODE]] if sex else None,
            birth_date=birth[TIME][:10] if birth else None,
            beside_birth=_hour(birth[TIME]) if birth else None,
            deceased_date_time=death[TIME] if death else None,
        )


def _hour(birth: str) -> to.Element | None:
    if birth.endswith("T00:00:00Z"):
        return None
    return to.Element(extension=[Extension(url=_BIRTH_TIME, value_date_time=birth)])


def encounters(events: Divided, subjects: Subjects, names: Codes) -> Iterator[to.Encounter]:
    """Make an Encounter of each visit."""
    starts, ends = _by(events.start, SUBJECT_ID, VISIT_ID), _by(events.end, SUBJECT_ID, VISIT_ID)
    for subject, visit in events.visits.iter_rows():
        start, end = starts.get((subject, visit)), ends.get((subject, visit))
        identifier = visit_identifier(visit)
        said = start[CODE] if start else None
        leaves = to.Hospitalization(discharge_disposition=names.concept(end[CODE])) if end else None
        yield to.Encounter(
            id=str(visit),
            extension=_told((fhir.START, start), (fhir.END, end)),
            identifier=[identifier] if identifier is not None else None,
            status="finished" if end else "in-progress" if start else "unknown",
            kind=codes.encounter_class(said, inpatient=(said or "").startswith(ADMISSION)),
            type=[names.concept(said)] if said else None,
            subject=subjects.reference(subject),
            period=to.Period(start=start[TIME] if start else None, end=end[TIME] if end else None)
            if start or end
            else None,
            hospitalization=leaves,
        )


def _told(*events: tuple[str, Event | None]) -> list[Extension] | None:
    """Return what the elements of a Patient or Encounter do not say of the events that they tell."""
    return [
        _extension(url, event, available=event["_later"], visit=_visit_of(url, event))
        for url, event in events
        if event is not None
    ] or None


def _visit_of(url: str, event: Event) -> str | None:
    return str(event[VISIT_ID]) if url == fhir.DEATH and event[VISIT_ID] is not None else None


def _by(frame: pl.DataFrame, *keys: str) -> dict[Any, Event]:
    rows = frame.iter_rows(named=True)
    return {row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys): row for row in rows}


# One event, one resource ----------------------------------------------------------------------------


def resource(kind: type[to.Resource], event: Event, subjects: Subjects, names: Codes) -> to.Resource:
    """Make the resource of an event."""
    return _MAKE[kind](
        event,
        id=f"e{event[NUMBER]}",
        concept=names.concept(event[CODE]),
        subject=subjects.reference(event[SUBJECT_ID]),
        visit=visit_reference(event[VISIT_ID]),
    )


def _extension(
    url: str,
    event: Event,
    *,
    available: str | None = None,
    visit: str | None = None,
    static: bool | None = None,
    value: float | None = None,
    text: str | None = None,
    code: str | None = None,
) -> Extension:
    given = code or (event[CODE] if codes.spelled(event[CODE]) != event[CODE] else None)
    parts = [
        Extension(url="order", value_integer=event[ORDER]),
        *([Extension(url="priority", value_integer=event[PRIORITY])] if event[PRIORITY] is not None else []),
        *([Extension(url="available", value_date_time=available)] if available else []),
        *([Extension(url="visit", value_string=visit)] if visit else []),
        *([Extension(url="static", value_boolean=True)] if static else []),
        *([Extension(url="value", value_decimal=value)] if value is not None else []),
        *([Extension(url="text", value_string=text)] if text else []),
        *([Extension(url="code", value_string=given)] if given else []),
    ]
    return Extension(url=url, extension=parts)


def _whole(event: Event) -> list[Extension]:
    """Return the extension of a resource that has no room for values."""
    return [_extension(fhir.EVENT, event, value=event[NUMERIC_VALUE], text=event[TEXT_VALUE])]


def _condition(
    event: Event, id: str, concept: to.Concept, subject: Reference, visit: Reference | None
) -> to.Condition:
    return to.Condition(
        id=id,
        extension=_whole(event),
        code=concept,
        subject=subject,
        encounter=visit,
        onset_date_time=event[TIME],
        recorded_date=event[AVAILABLE_TIME],
    )


def _allergy(
    event: Event, id: str, concept: to.Concept, subject: Reference, visit: Reference | None
) -> to.AllergyIntolerance:
    return to.AllergyIntolerance(
        id=id,
        extension=_whole(event),
        code=concept,
        patient=subject,
        encounter=visit,
        onset_date_time=event[TIME],
        recorded_date=event[AVAILABLE_TIME],
    )


def _procedure(
    event: Event, id: str, concept: to.Concept, subject: Reference, visit: Reference | None
) -> to.Procedure:
    number, text = event[NUMERIC_VALUE], event[TEXT_VALUE]
    return to.Procedure(
        id=id,
        extension=[_extension(fhir.EVENT, event, available=event["_later"], value=number, text=text)],
        status="completed",
        code=concept,
        subject=subject,
        encounter=visit,
        performed_date_time=event[TIME],
    )


def _drug(
    event: Event, id: str, concept: to.Concept, subject: Reference, visit: Reference | None
) -> to.MedicationStatement:
    return to.MedicationStatement(
        id=id,
        extension=_whole(event),
        status="unknown",
        medication_codeable_concept=concept,
        subject=subject,
        context=visit,
        effective_date_time=event[TIME],
        date_asserted=event[AVAILABLE_TIME],
    )


def _vaccine(
    event: Event, id: str, concept: to.Concept, subject: Reference, visit: Reference | None
) -> to.Immunization:
    return to.Immunization(
        id=id,
        extension=_whole(event),
        status="completed",
        vaccine_code=concept,
        patient=subject,
        encounter=visit,
        occurrence_date_time=event[TIME],
        recorded=event[AVAILABLE_TIME],
    )


def _report(
    event: Event, id: str, concept: to.Concept, subject: Reference, visit: Reference | None
) -> to.DiagnosticReport:
    return to.DiagnosticReport(
        id=id,
        extension=[_extension(fhir.EVENT, event, value=event[NUMERIC_VALUE])],
        status="final",
        code=concept,
        subject=subject,
        encounter=visit,
        effective_date_time=event[TIME],
        issued=event[AVAILABLE_TIME],
        conclusion=event[TEXT_VALUE],
    )


def _note(
    event: Event, id: str, concept: to.Concept, subject: Reference, visit: Reference | None
) -> to.DocumentReference:
    text = event[TEXT_VALUE]
    data = b64encode(text.encode()).decode() if text else None
    attachment = to.Attachment(content_type="text/plain; charset=utf-8", data=data, creation=event[TIME])
    return to.DocumentReference(
        id=id,
        extension=[_extension(fhir.EVENT, event, value=event[NUMERIC_VALUE])],
        status="current",
        type=concept,
        subject=subject,
        date=event[AVAILABLE_TIME],
        content=[to.Content(attachment=attachment)],
        context=to.DocumentContext(encounter=[visit]) if visit else None,
    )


def _images(
    event: Event, id: str, concept: to.Concept, subject: Reference, visit: Reference | None
) -> to.ImagingStudy:
    number, text = event[NUMERIC_VALUE], event[TEXT_VALUE]
    exact = {"available": event["_later"], "value": number, "text": text, "code": event[CODE]}
    return to.ImagingStudy(
        id=id,
        extension=[_extension(fhir.EVENT, event, **exact)],
        status="available",
        modality=codes.modality(event[CODE]),
        subject=subject,
        encounter=visit,
        started=event[TIME],
    )


def _observation(
    event: Event, id: str, concept: to.Concept, subject: Reference, visit: Reference | None
) -> to.Observation:
    number, text = event[NUMERIC_VALUE], event[TEXT_VALUE]
    has_number = number is not None
    mine = _extension(fhir.EVENT, event, static=event[TIME] is None, text=text if has_number else None)
    return to.Observation(
        id=id,
        extension=[mine],
        status="final",
        category=codes.category(event[CODE]),
        code=concept,
        subject=subject,
        encounter=visit,
        effective_date_time=event[TIME],
        issued=event["_later"],
        value_quantity=to.Quantity(value=number, unit=codes.unit(event[CODE])) if has_number else None,
        value_string=None if has_number else text,
    )


_MAKE: dict[type[to.Resource], Callable[..., to.Resource]] = {
    to.Condition: _condition,
    to.AllergyIntolerance: _allergy,
    to.Procedure: _procedure,
    to.MedicationStatement: _drug,
    to.Immunization: _vaccine,
    to.DiagnosticReport: _report,
    to.DocumentReference: _note,
    to.ImagingStudy: _images,
    to.Observation: _observation,
}
