"""Which kinds of vocabulary file there are, and by which columns each is known."""

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from attending.errors import SourceError

_SEPARATORS = ("\t", ",", "|", ";")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file: the columns that give it away, and what each of our names for a column may be called."""

    name: str
    title: str
    shown_by: tuple[tuple[str, ...], ...]  # one of each of these must be there
    needs: dict[str, tuple[str, ...]]
    may_have: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unless: tuple[str, ...] = ()

    def is_shown_by(self, columns: Mapping[str, str]) -> bool:
        """Say whether a header (lower-case name → name) has what gives this kind away."""
        shown = all(any(one in columns for one in group) for group in self.shown_by)
        return shown and not any(one in columns for one in self.unless)

    def named(self, columns: Mapping[str, str]) -> dict[str, str] | str:
        """Return the file's own name for each of our columns, or say which is missing."""
        found: dict[str, str] = {}
        for ours, names in self.needs.items():
            name = next((columns[one] for one in names if one in columns), None)
            if name is None:
                return " or ".join(f"'{one}'" for one in names)
            found[ours] = name
        for ours, names in self.may_have.items():
            name = next((columns[one] for one in names if one in columns), None)
            if name is not None:
                found[ours] = name
        return found


_ICD = ("icd9", "icd10", "icd10cm", "icd9cm", "icd", "icd_code", "code")
_FURTHER_CATEGORIES: dict[str, tuple[str, ...]] = {"optional": ("optional ccs category",)}
_FURTHER_CATEGORIES |= {f"category {number}": (f"ccsr category {number}",) for number in range(2, 7)}
KINDS: tuple[Kind, ...] = (
    Kind(
        name="omop_concept",
        title="OMOP CONCEPT",
        shown_by=(("concept_id",), ("vocabulary_id", "concept_code", "domain_id")),
        needs={
            "id": ("concept_id",),
            "description": ("concept_name",),
            "vocabulary": ("vocabulary_id",),
            "code": ("concept_code",),
        },
        may_have={"standard": ("standard_concept",)},
        unless=("concept_id_1",),
    ),
    Kind(
        name="omop_relationship",
        title="OMOP CONCEPT_RELATIONSHIP",
        shown_by=(("concept_id_1", "concept_id_2"),),
        needs={
            "source": ("concept_id_1",),
            "target": ("concept_id_2",),
            "relationship": ("relationship_id",),
        },
        may_have={"invalid": ("invalid_reason",)},
    ),
    Kind(
        name="omop_ancestor",
        title="OMOP CONCEPT_ANCESTOR",
        shown_by=(("ancestor_concept_id", "descendant_concept_id"),),
        needs={
            "target": ("ancestor_concept_id",),
            "source": ("descendant_concept_id",),
            "levels": ("min_levels_of_separation",),
        },
    ),
    Kind(
        name="snomed_description",
        title="SNOMED RF2 Description",
        shown_by=(("conceptid",), ("term", "typeid")),
        needs={
            "code": ("conceptid",),
            "description": ("term",),
            "type": ("typeid",),
            "active": ("active",),
        },
    ),
    Kind(
        name="snomed_relationship",
        title="SNOMED RF2 Relationship",
        shown_by=(("sourceid", "destinationid"),),
        needs={
            "source": ("sourceid",),
            "target": ("destinationid",),
            "type": ("typeid",),
            "active": ("active",),
        },
    ),
    Kind(
        name="snomed_concept",
        title="SNOMED RF2 Concept",
        shown_by=(("definitionstatusid",),),
        needs={"code": ("id",), "active": ("active",)},
    ),
    Kind(
        name="loinc",
        title="LOINC",
        shown_by=(("loinc_num",),),
        needs={"code": ("loinc_num",), "description": ("long_common_name",)},
        may_have={"class": ("class",), "component": ("component",)},
    ),
    Kind(
        name="phecode_map",
        title="phecode map",
        shown_by=(("phecode",), _ICD),
        needs={"code": _ICD, "phecode": ("phecode",)},
        may_have={
            "system": ("vocabulary_id", "flag"),
            "description": ("phecode_str", "phecode_string", "phenotype", "phecode_name"),
            "icd9": ("icd9", "icd9cm"),
        },
    ),
    Kind(
        name="phecode_names",
        title="phecode names",
        shown_by=(
            ("phecode",),
            ("phenotype", "phecode_string", "phecode_str", "phecode_name", "phecode_category"),
        ),
        needs={
            "phecode": ("phecode",),
            "description": ("phenotype", "phecode_string", "phecode_str", "phecode_name"),
        },
        unless=_ICD,
    ),
    Kind(
        name="atc",
        title="ATC",
        shown_by=(("atc_code", "atc code", "atccode", "atc"),),
        needs={
            "code": ("atc_code", "atc code", "atccode", "atc"),
            "description": ("atc_name", "atc level name", "atc name", "atcname", "name", "preferred label"),
        },
    ),
    Kind(
        name="ahrq",
        title="AHRQ CCS or CCSR",
        shown_by=(
            ("icd-10-cm code", "icd-10-pcs", "icd-10-pcs code", "icd-9-cm code"),
            ("ccsr category 1", "ccs category", "prccsr", "ccsr category", "default ccsr category ip"),
        ),
        needs={
            "code": ("icd-10-cm code", "icd-10-pcs", "icd-10-pcs code", "icd-9-cm code"),
            "category 1": ("ccsr category 1", "prccsr", "ccsr category", "ccs category"),
        },
        may_have=_FURTHER_CATEGORIES,
    ),
    Kind(
        name="plain",
        title="plain",
        shown_by=(("code",), ("description", "parent", "parent_code", "parent_codes")),
        needs={"code": ("code",), "description": ("description",)},
        may_have={
            "parent": ("parent", "parent_code", "parent_codes"),
            "vocabulary": ("vocabulary", "vocabulary_id"),
        },
        unless=("phecode", "concept_id"),
    ),
)


def header_of(path: Path) -> tuple[list[str], str]:
    """Return the columns of a file and what stands between them.

    Raises:
        SourceError: if the file is empty.
    """
    if path.name.lower().endswith(".parquet"):
        return pl.scan_parquet(path).collect_schema().names(), ""
    packed = path.name.lower().endswith(".gz")
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        first = file.readline().decode("utf-8-sig", errors="replace").strip("\r\n")
    if not first.strip():
        raise SourceError(f"expected a header in {path}, a vocabulary file; its first line is empty")
    separator = max(_SEPARATORS, key=first.count)
    return [name.strip() for name in next(csv.reader([first], delimiter=separator))], separator
