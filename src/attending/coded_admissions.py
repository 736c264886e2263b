"""Which admissions count, and what was diagnosed in them, where a published protocol narrows both down.

    icd9         ICD-10 diagnoses count as their ICD-9 equivalent (`ontology.icd9`): `cms`, CMS's mapping, or a file of
                 the user's. A code without an equivalent does not count
    patients     MIMIC-IV's table of patients, which says how far each patient's dates are shifted
    after_year   only visits that begin after this real year: the year of the visit, less the shift, that is
                 `anchor_year` less the first year of `anchor_year_group` (three years: real to within two)

The content of a file is part of the settings: `files` holds a hash of each, filled in when the settings are read. A
file that is absent is an error when it is to be read.
"""

from pathlib import Path
from typing import Literal, Self

import polars as pl
from polars import col
from pydantic import model_validator

from attending.config import Settings
from attending.errors import ConfigError, SourceError
from attending.ontology import icd9
from attending.ontology.user_groups import fingerprint
from attending.schema import CODE, DIAGNOSIS, SUBJECT_ID
from attending.visits import START, is_code

ABSENT = "absent"
_SHIFT = "shift"


class Files(Settings):
    """Settings that name files: `files` is a hash of the content of each, so that a changed file is another setting."""

    files: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it

    @model_validator(mode="after")
    def _hashed(self) -> Self:
        given = {name: value for name, value in self if isinstance(value, Path)}
        hashes = {name: fingerprint(path) if path.exists() else ABSENT for name, path in given.items()}
        object.__setattr__(self, "files", hashes)
        return self


class Admissions(Files):
    """Settings of which admissions count: see the module."""

    icd9: Literal["cms"] | Path | None = None
    patients: Path | None = None
    after_year: int | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.patients is None) != (self.after_year is None):
            raise ConfigError(
                "'after_year' and 'patients' go together: dates are shifted, and the table of patients says how far"
            )
        return self


def counted(visits: pl.DataFrame, config: Admissions) -> pl.DataFrame:
    """Return the visits (subject_id, visit_start) that begin after the real year, or all."""
    if config.patients is None:
        return visits
    shifts = read_shifts(config.patients)
    real = col(START).dt.year() - col(_SHIFT)
    shifted = visits.join(shifts, on=SUBJECT_ID, how="left", maintain_order="left")
    return shifted.filter(real > config.after_year).drop(_SHIFT)


def read_shifts(path: Path) -> pl.DataFrame:
    """Return `subject_id, shift`: how many years each patient's dates are moved.

    Raises:
        SourceError: if there is no such file, or it has no anchor years.
    """
    fingerprint(path)
    rows = pl.read_csv(path, infer_schema=False)
    wanted = (SUBJECT_ID, "anchor_year", "anchor_year_group")
    missing = [name for name in wanted if name not in rows.columns]
    if missing:
        raise SourceError(f"expected a column '{missing[0]}' in {path}, MIMIC-IV's table of patients")
    first = col("anchor_year_group").str.slice(0, 4).cast(pl.Int32, strict=False)
    shift = col("anchor_year").cast(pl.Int32, strict=False) - first
    return rows.select(col(SUBJECT_ID).cast(pl.Int64), shift.alias(_SHIFT)).drop_nulls()


def counting_codes(codes: list[str], config: Admissions) -> dict[str, str]:
    """Return what each diagnosis code counts as; those that do not count are left out."""
    diagnoses = [code for code in codes if code.startswith(DIAGNOSIS)]
    if config.icd9 is None:
        return {code: code for code in diagnoses}
    return icd9.as_icd9(diagnoses, icd9.read(config.icd9) if isinstance(config.icd9, Path) else None)


def diagnoses(events: pl.DataFrame, config: Admissions) -> pl.DataFrame:
    """Return the diagnoses that count, each under the code that it counts as."""
    found = events.filter(is_code(DIAGNOSIS))
    names = counting_codes(found[CODE].unique().to_list(), config)
    known = pl.DataFrame(
        {CODE: list(names), "as": list(names.values())}, schema={CODE: pl.String, "as": pl.String}
    )
    return found.join(known, on=CODE, maintain_order="left").drop(CODE).rename({"as": CODE})
