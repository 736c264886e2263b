"""The user's own vocabulary files: found by their header, read for the codes in question only.

    OMOP (Athena)      CONCEPT, CONCEPT_RELATIONSHIP, CONCEPT_ANCESTOR, between tabs or commas
    phecode 1.2, X     a map of ICD codes to `phecode`; a table that names phecodes
    ATC                codes and names of classes; drugs find them by the name of their ingredient
    SNOMED RF2         the snapshots of Concept, Description and Relationship
    LOINC              Loinc.csv
    AHRQ               DXCCSR and PRCCSR (all categories of a code), the single-level CCS of ICD-9
    plain              code, description, parent; a code is an event's code or a term, `SNOMED/38341003`

    own = Vocabularies.load([Path("vocabularies")])

A file in which a column is missing is an error that names it; so is one of no kind named here, if it was given by
name. In a folder such files are left alone and named in `unknown`. Tables may hold tens of millions of rows: they are
streamed, and only rows of wanted codes are kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from attending.errors import SourceError
from attending.ontology import _vocabulary_files as read
from attending.ontology import _vocabulary_groups as groups
from attending.ontology._vocabulary_files import TERMS, Reader, VocabularyFile
from attending.ontology._vocabulary_kinds import KINDS, Kind, header_of

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".parquet")
_READERS: tuple[tuple[Reader, tuple[str, ...]], ...] = (
    (read.plain, ("plain",)),
    (read.omop, ("omop_concept", "omop_relationship", "omop_ancestor")),
    (read.snomed, ("snomed_concept", "snomed_description", "snomed_relationship")),
    (read.loinc, ("loinc",)),
    (groups.phecodes, ("phecode_map", "phecode_names")),
    (groups.ahrq, ("ahrq",)),
    (groups.atc, ("atc",)),
)


@dataclass(frozen=True)
class Vocabularies:
    """Vocabulary files of known kinds; `unknown` are files of the folders that are of none."""

    files: tuple[VocabularyFile, ...] = ()
    unknown: tuple[Path, ...] = ()

    @classmethod
    def load(cls, paths: Iterable[Path]) -> "Vocabularies":
        """Recognise files; of a folder, all tables in it and below.

        Raises:
            SourceError: if a file is of no known kind, or lacks a column of its kind.
        """
        found: list[VocabularyFile] = []
        unknown: list[Path] = []
        for path in paths:
            for file in _files(path):
                recognised = _recognise(file, must=path.is_file())
                if recognised:
                    found.append(recognised)
                else:
                    unknown.append(file)
        return cls(tuple(found), tuple(unknown))

    @property
    def kinds(self) -> dict[str, str]:
        """Name of each file, and its kind."""
        return {file.path.name: file.kind for file in self.files}

    def terms(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """Return description and parents of the terms that `wanted` (vocabulary, code) names and the files know.

        A term may have several rows, the most trusted first. Parents are spelled `SNOMED/38341003`.
        """
        frames = [TERMS.clear()]
        for reader, kinds in _READERS:
            files = [file for file in self.files if file.kind in kinds]
            if files:
                frames.append(reader(files, wanted).select(TERMS.columns).cast(TERMS.schema))
        return pl.concat(frames)

    def atc_of_drugs(self, ingredients: pl.Series) -> pl.DataFrame:
        """Return the ATC classes (`ATC/C10AA05` and those above) of each ingredient that an ATC file names."""
        return groups.atc_of_drugs([file for file in self.files if file.kind == "atc"], ingredients)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise SourceError(f"expected a vocabulary file or a folder of them at {path}; there is none")
    if path.is_file():
        return [path]
    tables = (file for file in sorted(path.rglob("*")) if file.name.lower().endswith(SUFFIXES))
    return [file for file in tables if file.is_file()]


def _recognise(path: Path, *, must: bool) -> VocabularyFile | None:
    header, separator = header_of(path)
    columns = {name.strip().strip("'\"").strip().lower(): name for name in header}
    kinds = [kind for kind in KINDS if kind.is_shown_by(columns)]
    if not kinds and not must:
        return None
    if not kinds:
        known = ", ".join(dict.fromkeys(kind.title for kind in KINDS))
        raise SourceError(
            f"{path} is no vocabulary file of a known kind ({known}); its columns are {', '.join(header)[:300]}"
        )
    named = [kind.named(columns) for kind in kinds]
    complete = next((one for one in named if isinstance(one, dict)), None)
    if complete is None:
        raise SourceError(
            f"expected a column {named[0]} in {path}, a {kinds[0].title} file; got {', '.join(header)}"
        )
    kind: Kind = kinds[named.index(complete)]
    return VocabularyFile(path=path, kind=kind.name, columns=complete, separator=separator)
