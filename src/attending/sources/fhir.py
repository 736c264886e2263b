"""FHIR R4: bundles and single resources (`.json`), Bulk Data (`.ndjson`), either as `.gz`, in any folders.

A record is an entry of a bundle, or a line of ndjson. Each becomes a row of the table of its resource; resources
of kinds that say nothing of a patient's course (`Claim`, `Organization` …) are counted by kind. Which code a concept
becomes is said in `_fhir/codes`, how dates in part are read in `_fhir/clock`. A reference may be `Patient/7`,
an absolute address of it, `urn:uuid:…`, or `#drug` for a contained resource.

    resource                    becomes                                    happens             is known
    Patient                     GENDER, RACE, ETHNICITY (static)
                                MEDS_BIRTH                                 birthDate, or patient-birthTime
                                MEDS_DEATH                                 deceasedDateTime
    Encounter                   HOSPITAL_ADMISSION//IMP, of other classes
                                than `inpatient` ENCOUNTER//AMB            period.start
                                HOSPITAL_DISCHARGE//to, ENCOUNTER_END//AMB period.end
    Condition                   DIAGNOSIS//ICD//10//…, CONDITION//…        onset, or recorded  recordedDate, else when
                                                                                               the visit ends
    AllergyIntolerance          ALLERGY//…                                 as a condition
    Observation                 LAB//LOINC//code//unit, VITAL//…,          effective           issued
                                OBSERVATION//…; its components alike
    MedicationRequest           MEDICATION//RxNorm//…                      authoredOn
    MedicationAdministration    the same                                   effective, start
    MedicationStatement         the same                                   effective, start    dateAsserted
    MedicationDispense          the same                                   whenHandedOver
    Procedure                   PROCEDURE//ICD//10//…, HCPCS//…            performed, start    its end; codes that
                                                                                               coders assign: when
                                                                                               the visit ends
    Immunization                IMMUNIZATION//CVX//…                       occurrence          recorded
    DiagnosticReport            REPORT//LOINC//…, text: its conclusion     effective, end      issued
    DocumentReference           NOTE//LOINC//…, text: what is attached     creation, or date   date
    ImagingStudy                IMAGING//CT for each modality              started

Of a period, an observation or report takes the end, anything else the start. What was entered in error, cancelled,
refuted, not done or only planned is left out and counted by reason. So is a resource that Bulk Data's `deleted` files
name, and each version of a resource but the newest. A resource whose patient is not in the data is quarantined.

What `attending export fhir` writes comes back as the same events: their codes are in a code system of our own,
and what R4 has no room for in an extension (`ontology/fhir.py`).
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
from pydantic import field_validator

from attending.config import Settings
from attending.errors import SourceError
from attending.ledger.context import Context
from attending.ledger.files import text_bytes
from attending.ledger.table import Source
from attending.ledger.units import Unit, fingerprint_of
from attending.schema import CODE, DESCRIPTION, PARENT_CODES
from attending.sources._fhir.reader import SCHEMAS, Document, Lines
from attending.sources._fhir.tables import CODE_SYSTEM, PATIENT, tables

_DOCUMENT, _LINES = (".json", ".json.gz"), (".ndjson", ".ndjson.gz")


class Config(Settings):
    """Settings of the source.

    time_zone    the local clock that times are turned into, such as `Europe/Berlin`; UTC where it is not set
    inpatient    classes of encounters that are stays in hospital
    """

    time_zone: str | None = None
    inpatient: tuple[str, ...] = ("IMP", "ACUTE", "NONAC", "OBSENC", "SS")

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, zone: str | None) -> str | None:
        if zone is not None:
            try:
                ZoneInfo(zone)
            except (KeyError, ValueError, OSError):
                raise ValueError("expected the name of a time zone, such as Europe/Berlin") from None
        return zone


def source(folder: Path, config: Config) -> Source:
    """Describe FHIR R4 files.

    Raises:
        SourceError: if the folder holds none.
    """
    if not any(_files(folder)):
        raise SourceError(
            f"expected FHIR files (.json, .ndjson, also .gz) in {folder}; found none: point at the folder that "
            "holds the bundles or the Bulk Data export"
        )
    return Source(
        name="FHIR",
        tables=tables(config.inpatient),
        subjects=PATIENT,
        describe=describe,
        units=partial(_units, folder, config.time_zone),
    )


def describe(codes: pl.Series, dictionaries: Context) -> pl.DataFrame:
    """Name codes as an export of ours named them."""
    names = dictionaries[CODE_SYSTEM]["names"].explode().drop_nulls().struct.unnest()
    given = names.rename({"code": CODE, "display": DESCRIPTION}).unique(CODE, keep="last")
    known = pl.DataFrame({CODE: codes}).join(given, on=CODE, how="left", maintain_order="left")
    return known.with_columns(pl.lit(None, pl.List(pl.String)).alias(PARENT_CODES))


def _units(folder: Path, zone: str | None) -> list[Unit]:
    return [_unit(path, name, zone) for name, path in _files(folder)]


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    root = folder.parent if folder.is_file() else folder
    for path in [folder] if folder.is_file() else sorted(folder.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.lower().endswith((*_DOCUMENT, *_LINES)) and not name.startswith(".") and path.is_file():
            yield name, path


def _unit(path: Path, name: str, zone: str | None) -> Unit:
    of_lines = name.lower().endswith(_LINES)
    return Unit(
        name=name,
        tables=tuple(SCHEMAS),
        n_bytes=text_bytes(path),
        fingerprint=fingerprint_of(path),
        path=path if of_lines else None,
        reader=(Lines if of_lines else Document)(path, zone),
    )
