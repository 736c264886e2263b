"""What OMOP's concepts say: the code of an event, its name, and the terms above it.

The code of a row is the first of these that there is:

    1  the source concept, if its vocabulary is one that codes here are spelled after: ICD-9-CM and ICD-10-CM
       (`DIAGNOSIS//ICD//10//I509`), ICD-9 and ICD-10 procedures (`PROCEDURE//ICD//…`), HCPCS and CPT-4
       (`HCPCS//99219`), or MEDS, whose concepts are codes already
    2  the same of the standard concept
    3  the standard concept: `CONDITION//SNOMED//22298006`
    4  the source concept of any other vocabulary: `PROCEDURE//mimiciv_proc_itemid//221214`
    5  a source value that has the form and, in the public tables, the title of an ICD code, or the form of a HCPCS
       code, where the source concept is not among the concepts (a set that came without vocabularies)
    6  the number of the standard or source concept, `CONDITION//OMOP//4140598`; else the source value
"""

import re
from dataclasses import dataclass
from typing import Literal

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import UNKNOWN
from attending.ontology import icd
from attending.schema import (
    CODE,
    DIAGNOSIS_ICD9,
    DIAGNOSIS_ICD10,
    PROCEDURE_ICD9,
    PROCEDURE_ICD10,
    SEPARATOR,
    SUBJECT_ID,
)
from attending.sources._omop.rules import AT, VISIT, Rules

CONCEPT = "concept"
MEDS = "MEDS"
NUMBERED = "OMOP"
HCPCS = "HCPCS"
WHOLE_CODE = "attending_code"
SPELLED = {
    "ICD9CM": DIAGNOSIS_ICD9,
    "ICD10CM": DIAGNOSIS_ICD10,
    "ICD10": DIAGNOSIS_ICD10,
    "ICD9Proc": PROCEDURE_ICD9,
    "ICD10PCS": PROCEDURE_ICD10,
    "HCPCS": HCPCS,
    "CPT4": HCPCS,
}
_OF_SOURCE = "_of_source"
_ICD9_CONCEPTS = range(44_800_000, 44_900_000)
_HCPCS_FORM = re.compile(r"[A-Z]\d{4}|\d{5}|\d{4}[A-Z]")
_ICD9_PROCEDURE_FORM = re.compile(r"\d{3,4}")
_ICD10_PROCEDURE_FORM = re.compile(r"[0-9A-Z]{7}")


@dataclass(frozen=True, kw_only=True)
class Coding:
    """Which columns of a table say what a row is about, and what its code begins with."""

    prefix: str
    source: str
    standard: str
    value: str
    guess: Literal["diagnosis", "procedure", ""] = ""


def concepts(context: Context, ids: pl.Series) -> pl.DataFrame:
    """Return the concepts of `ids`, one row each; 0 is none."""
    wanted = ids.drop_nulls().unique()
    return concepts_by("concept_id", wanted.filter(wanted != 0), context).unique("concept_id", keep="first")


def concepts_by(column: str, values: pl.Series, context: Context) -> pl.DataFrame:
    """Return the concepts whose `column` is among `values`."""
    found = context.lookup(CONCEPT, column, values)
    own = pl.lit(None, pl.String).alias(WHOLE_CODE)
    return found if WHOLE_CODE in found.columns else found.with_columns(own)


def with_names(rows: pl.DataFrame, context: Context, columns: dict[str, str]) -> pl.DataFrame:
    """Add the name of the concept in each column, under the name given."""
    known = concepts(context, pl.concat([rows[column] for column in columns]))
    for column, name in columns.items():
        names = known.select(col("concept_id").alias(column), col("concept_name").alias(name))
        rows = rows.join(names, on=column, how="left", maintain_order="left")
    return rows


def with_codes(rows: pl.DataFrame, context: Context, rules: Rules, coding: Coding) -> pl.DataFrame:
    """Add the code of each row, and leave out what is there twice.

    One source code may stand for several standard concepts, each in a row of its own: that is one event.
    """
    keys = [coding.source, coding.standard, coding.value]
    pairs = rows.select(keys).unique(maintain_order=True)
    codes = _codes(pairs, context, rules, coding)
    coded = rows.join(codes, on=keys, how="left", maintain_order="left", nulls_equal=True)
    if pairs.height != pairs.n_unique([coding.source, coding.value]):
        moment = [SUBJECT_ID, VISIT, AT, coding.source, coding.value]
        once = col(coding.standard).eq_missing(col(coding.standard).first().over(moment))
        coded = coded.filter(once | ~col(_OF_SOURCE))
    return coded.drop(_OF_SOURCE)


def unit(rows: pl.DataFrame, context: Context) -> pl.Series:
    """Return the unit of each row: the code of its concept (UCUM), else the source's word, else null."""
    known = concepts(context, rows["unit_concept_id"])
    codes = known.select(
        col("concept_id").alias("unit_concept_id"), col("concept_code").alias("_measured_in")
    )
    joined = rows.join(codes, on="unit_concept_id", how="left", maintain_order="left")
    return joined.select(col("_measured_in").fill_null(col("unit_source_value"))).to_series()


def _codes(pairs: pl.DataFrame, context: Context, rules: Rules, coding: Coding) -> pl.DataFrame:
    """Return the code of each combination of source concept, standard concept and source value."""
    known = concepts(context, pl.concat([pairs[coding.source], pairs[coding.standard]]))
    for column, mark in ((coding.source, "source"), (coding.standard, "standard")):
        named = known.select(
            col("concept_id").alias(column),
            _spelled().alias(f"_{mark}_spelled"),
            _plain(coding.prefix).alias(f"_{mark}_plain"),
        )
        pairs = pairs.join(named, on=column, how="left", maintain_order="left")
    pairs = pairs.with_columns(_guessed(pairs, rules, coding).alias("_guessed"))
    code = pl.coalesce(
        "_source_spelled",
        "_standard_spelled",
        "_standard_plain",
        "_source_plain",
        "_guessed",
        _numbered(coding.prefix, coding.standard),
        _numbered(coding.prefix, coding.source),
        pl.lit(f"{coding.prefix}{SEPARATOR}") + col(coding.value).str.strip_chars(),
        pl.lit(f"{coding.prefix}{SEPARATOR}{UNKNOWN}"),
    )
    other = col("_standard_spelled").is_not_null() | col("_standard_plain").is_not_null()
    of_source = col("_source_spelled").is_not_null() | (col("_guessed").is_not_null() & ~other)
    return pairs.select(
        coding.source, coding.standard, coding.value, code.alias(CODE), of_source.alias(_OF_SOURCE)
    )


def _spelled() -> pl.Expr:
    """Write a concept as the codes here are spelled, if its vocabulary is one of those."""
    own = col("concept_code")
    bare = own.str.strip_chars().str.replace_all(".", "", literal=True).str.to_uppercase()
    return pl.coalesce(
        pl.when(col("vocabulary_id") == MEDS).then(col(WHOLE_CODE).fill_null(own)),
        *(
            pl.when(col("vocabulary_id") == vocabulary).then(pl.lit(prefix + SEPARATOR) + bare)
            for vocabulary, prefix in SPELLED.items()
        ),
    )


def _plain(prefix: str) -> pl.Expr:
    return pl.concat_str(pl.lit(prefix), "vocabulary_id", "concept_code", separator=SEPARATOR)


def _numbered(prefix: str, column: str) -> pl.Expr:
    number = pl.concat_str(pl.lit(prefix), pl.lit(NUMBERED), col(column).cast(pl.String), separator=SEPARATOR)
    return pl.when(col(column) != 0).then(number)


def _guessed(pairs: pl.DataFrame, rules: Rules, coding: Coding) -> pl.Series:
    if not rules.guess or not coding.guess:
        return pl.Series([None] * pairs.height, dtype=pl.String)
    unexplained = col("_source_plain").is_null() & col("_standard_plain").is_null()
    if rules.named:
        unexplained &= col(coding.source) != 0
    guess = diagnosis if coding.guess == "diagnosis" else procedure
    chosen = pairs.select(unexplained.fill_null(False)).to_series().to_list()
    found = zip(pairs[coding.value].to_list(), pairs[coding.source].to_list(), chosen, strict=True)
    return pl.Series(
        [guess(value, of) if value and may else None for value, of, may in found], dtype=pl.String
    )


def diagnosis(value: str, concept: int | None) -> str | None:
    """Read a source value as an ICD diagnosis; where both versions have it, the concept's number decides."""
    bare = value.strip().upper().replace(".", "")
    known = [
        code for code in (f"{DIAGNOSIS_ICD9}//{bare}", f"{DIAGNOSIS_ICD10}//{bare}") if icd.describe(code)
    ]
    if len(known) > 1:
        return known[0] if concept in _ICD9_CONCEPTS else known[1]
    return known[0] if known else None


def procedure(value: str, concept: int | None) -> str | None:
    """Read a source value as an ICD procedure or a HCPCS or CPT-4 code, which differ in form."""
    bare = value.strip().upper().replace(".", "")
    if _ICD10_PROCEDURE_FORM.fullmatch(bare):
        code = f"{PROCEDURE_ICD10}//{bare}"
    elif _ICD9_PROCEDURE_FORM.fullmatch(bare):
        code = f"{PROCEDURE_ICD9}//{bare}"
    else:
        return f"{HCPCS}//{bare}" if _HCPCS_FORM.fullmatch(bare) else None
    return code if icd.describe(code) else None
