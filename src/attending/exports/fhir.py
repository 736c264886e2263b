"""FHIR R4 Bulk Data: ndjson by kind of resource, that servers load and `attending ingest fhir` reads back exactly.

    Patient               one a subject: sex (static `GENDER//…`), the first birth, the first death
    Encounter             one a visit: `HOSPITAL_ADMISSION//…` or `ENCOUNTER//…` starts it, `HOSPITAL_DISCHARGE//…`
                          or `ENCOUNTER_END//…` ends it
    Condition             `DIAGNOSIS//…`, `CONDITION//…`: onset is the event's time, recorded when it became known
    Procedure             `PROCEDURE//…`, `HCPCS//…`
    MedicationStatement   `MEDICATION//…`
    Immunization          `IMMUNIZATION//…`
    AllergyIntolerance    `ALLERGY//…`
    DiagnosticReport      `REPORT//…`, the text is its conclusion
    DocumentReference     `NOTE//…`, the text is attached
    ImagingStudy          `IMAGING//…`
    Observation           everything else: number, unit and text; facts without a time have no effective time
    CodeSystem            what each code is called

A concept has a code of the system that its event code names (ICD-10-CM with its dot, LOINC …) where it names one, and
always the event code itself in a code system of our own. Times are written as UTC. The place of an event in its
record, its rank, and whatever R4 has no element for stand in an extension (`ontology/fhir.py`).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import polars as pl
from isal import isal_zlib
from polars import col

from attending.config import Settings
from attending.exports._fhir import resources
from attending.exports._fhir.codes import Codes, spelled
from attending.exports._fhir.events import Subjects, encounters, patients, resource
from attending.exports._fhir.frames import divided, prepared
from attending.ledger.outgoing import Part, Whole
from attending.ontology.fhir import OWN_CODES
from attending.schema import CODE, DESCRIPTION, SOURCE_ID, SUBJECT_ID

_ROWS = 20_000
_GZIP = 31  # zlib's window bits for a gzip header


class Config(Settings):
    """Settings of the export.

    compress    write `.ndjson.gz`
    """

    compress: bool = True


def write(events: pl.DataFrame, part: Part, config: Config) -> dict[str, int]:
    """Write one shard's resources, a file for each kind; return how many by kind."""
    codes = Codes(_names(part.events))
    subjects = Subjects(_source_ids(part.events))
    divide = divided(prepared(events, part.first_event))
    made: dict[str, Iterator[resources.Resource]] = {
        "Patient": patients(divide, subjects),
        "Encounter": encounters(divide, subjects, codes),
    }
    for kind, rows in divide.clinical.items():
        made[kind.__name__] = _resources(kind, rows, subjects, codes)
    counts = {
        name: _write(part.out / f"{name}.{part.number:03}", of_kind, config) for name, of_kind in made.items()
    }
    return {name: n for name, n in counts.items() if n}


def finish(whole: Whole, config: Config) -> None:
    """Write what the codes are called."""
    names = pl.read_parquet(whole.events / "metadata" / "codes.parquet").select(CODE, DESCRIPTION).sort(CODE)
    named = [
        resources.Named(code=code, display=name or None)
        for code, name in names.iter_rows()
        if spelled(code) == code
    ]
    system = resources.CodeSystem(
        id="attending-meds", url=OWN_CODES, status="active", content="complete", concept=named
    )
    _write(whole.out / "CodeSystem", [system], config)


def _names(events: Path) -> dict[str, str]:
    named = pl.read_parquet(events / "metadata" / "codes.parquet").select(CODE, DESCRIPTION)
    return dict(named.filter(col(DESCRIPTION).str.strip_chars() != "").iter_rows())


def _source_ids(events: Path) -> dict[int, str]:
    path = events / "metadata" / "subject_ids.parquet"
    return dict(pl.read_parquet(path).select(SUBJECT_ID, SOURCE_ID).iter_rows()) if path.exists() else {}


def _resources(
    kind: type[resources.Resource], rows: pl.DataFrame, subjects: Subjects, codes: Codes
) -> Iterator[resources.Resource]:
    for some in rows.iter_slices(_ROWS):
        for row in some.iter_rows(named=True):
            yield resource(kind, row, subjects, codes)


def _write(path: Path, of_kind: Iterable[resources.Resource], config: Config) -> int:
    """Write resources a line each; no file where there is none."""
    encoder = msgspec.json.Encoder()
    packer = isal_zlib.compressobj(2, isal_zlib.DEFLATED, _GZIP) if config.compress else None
    target = path.with_name(path.name + (".ndjson.gz" if config.compress else ".ndjson"))
    n = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        for one in of_kind:
            n += 1
            line = encoder.encode(one) + b"\n"
            file.write(line if packer is None else packer.compress(line))
        if packer is not None:
            file.write(packer.flush())
    if not n:
        target.unlink()
    return n
