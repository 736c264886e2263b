"""Read the user's groupings of codes: phecodes, AHRQ's categories, ATC.

As in `_vocabulary_files`, each reader takes the wanted terms and returns what it knows of them.
"""

import polars as pl
from polars import col

from attending.ontology._vocabulary_files import (
    CODE,
    DESCRIPTION,
    KEY,
    PARENTS,
    VOCABULARY,
    VocabularyFile,
    among,
    of_vocabulary,
    terms,
    undotted,
)

ATC_LENGTHS = (7, 5, 4, 3, 1)


def phecodes(files: list[VocabularyFile], wanted: pl.DataFrame) -> pl.DataFrame:
    """Give ICD codes their phecodes, `phecode/428.2` and those above, `phecode/428`; and phecodes their names."""
    found: list[pl.DataFrame] = []
    asked_icd = wanted.with_columns(undotted(CODE).alias("icd"))
    for file in files:
        if DESCRIPTION in file.columns:
            names = file.scan().select(col("phecode").alias(CODE), DESCRIPTION).unique(CODE, keep="first")
            asked = wanted.filter(col(VOCABULARY).is_in(["phecode", "phecodeX"]))
            named = among(names, asked, [CODE]).join(asked, on=CODE)
            found.append(named.select(*KEY, DESCRIPTION, pl.lit([], pl.List(pl.String)).alias("parent")))
        if file.kind == "phecode_map":
            rows = file.scan().with_columns(undotted(CODE).alias("icd"), icd_system(file).alias("system"))
            rows = rows.filter(col("phecode").fill_null("") != "")
            held = among(rows, asked_icd.select("icd"), ["icd"]).join(asked_icd, on="icd", suffix="_wanted")
            held = held.filter(
                col(VOCABULARY).str.starts_with("ICD"),
                col("system").fill_null(col(VOCABULARY)) == col(VOCABULARY),
            )
            above = held.select(VOCABULARY, col(f"{CODE}_wanted").alias(CODE), _phecode_terms())
            grouped = above.group_by(KEY, maintain_order=True).agg(col("parent").explode())
            found.append(grouped.select(*KEY, pl.lit(None, pl.String).alias(DESCRIPTION), "parent"))
    return terms(found, "parent")


def icd_system(file: VocabularyFile) -> pl.Expr:
    """Return which ICD classification each code of a phecode map is of; null where it does not say."""
    if "system" in file.columns:
        known = {"9": "ICD9CM", "10": "ICD10CM", "ICD9": "ICD9CM", "ICD10": "ICD10CM"}
        return col("system").replace(known)
    named = file.columns[CODE].strip("'\" ").lower()
    system = "ICD9CM" if named.startswith("icd9") else "ICD10CM" if named.startswith("icd10") else None
    return pl.lit(system, pl.String)


def _phecode_terms() -> pl.Expr:
    """Return a phecode and those above it: each without its last decimal, down to its whole number."""
    code = col("phecode")
    prefix = pl.when(code.str.contains("[A-Za-z]")).then(pl.lit("phecodeX/")).otherwise(pl.lit("phecode/"))
    levels = [code, code.str.replace(r"(\.\d)\d+$", "$1"), code.str.replace(r"\.\d+$", "")]
    return pl.concat_list(prefix + level for level in levels).alias("parent")


def ahrq(files: list[VocabularyFile], wanted: pl.DataFrame) -> pl.DataFrame:
    """Give ICD codes every category that AHRQ's own file gives them: `CCSR/CIR008`, `CCSR/CIR019`."""
    found: list[pl.DataFrame] = []
    asked_icd = wanted.with_columns(undotted(CODE).alias("icd"))
    for file in files:
        system, prefix = _ahrq_names(file)
        columns = [name for name in file.columns if name.startswith("category")]
        rows = file.scan().with_columns(pl.all().str.strip_chars("'\" "))
        rows = rows.rename({CODE: "icd"})
        held = among(rows, asked_icd.filter(col(VOCABULARY) == system).select("icd"), ["icd"])
        held = held.join(asked_icd.filter(col(VOCABULARY) == system), on="icd")
        categories = pl.concat_list(
            pl.when(col(name) != "").then(f"{prefix}/" + col(name)) for name in columns
        )
        grouped = held.select(*KEY, categories.alias("parent")).group_by(KEY, maintain_order=True)
        above = grouped.agg(col("parent").explode())
        found.append(above.with_columns(pl.lit(None, pl.String).alias(DESCRIPTION)))
    return terms(found, "parent")


def _ahrq_names(file: VocabularyFile) -> tuple[str, str]:
    named = file.columns[CODE].strip("'\" ").lower()
    if named.startswith("icd-10-pcs"):
        return "ICD10PCS", "PRCCSR" if "ccsr" in file.columns["category 1"].lower() else "CCS_PROCEDURE"
    if named.startswith("icd-10"):
        return "ICD10CM", "CCSR"
    return ("ICD9CM", "CCS") if "optional" in file.columns else ("ICD9Proc", "CCS_PROCEDURE")


def atc(files: list[VocabularyFile], wanted: pl.DataFrame) -> pl.DataFrame:
    """Name ATC codes; above each are the shorter ones."""
    found = [
        among(file.scan(), of_vocabulary(wanted, "ATC"), [CODE]).unique(CODE, keep="first") for file in files
    ]
    above = pl.concat_list(_shorter(CODE, length) for length in ATC_LENGTHS[1:]).alias("parent")
    return terms(
        [rows.select(pl.lit("ATC").alias(VOCABULARY), CODE, DESCRIPTION, above) for rows in found], "parent"
    )


def atc_of_drugs(files: list[VocabularyFile], ingredients: pl.Series) -> pl.DataFrame:
    """Return `ingredient` and its ATC terms, `parents`: all substances of that name, and the classes above them."""
    asked = pl.DataFrame({"ingredient": ingredients.unique()}, schema={"ingredient": pl.String})
    found = [pl.DataFrame(schema={"ingredient": pl.String, "parent": pl.List(pl.String)})]
    levels = [pl.lit("ATC/") + col(CODE), *(_shorter(CODE, length) for length in ATC_LENGTHS[1:])]
    for file in files:
        rows = file.scan().filter(col(CODE).str.len_chars() == ATC_LENGTHS[0])
        rows = rows.with_columns(col(DESCRIPTION).str.to_lowercase().alias("ingredient"))
        held = among(rows, asked, ["ingredient"]).select("ingredient", pl.concat_list(levels).alias("parent"))
        found.append(held)
    grouped = pl.concat(found).group_by("ingredient", maintain_order=True).agg(col("parent").explode())
    return grouped.select(
        "ingredient", col("parent").list.drop_nulls().list.unique(maintain_order=True).alias(PARENTS)
    )


def _shorter(column: str, length: int) -> pl.Expr:
    shorter = col(column).str.len_chars() > length
    return pl.when(shorter).then(pl.lit("ATC/") + col(column).str.slice(0, length))
