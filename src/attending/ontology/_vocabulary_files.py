"""Read the user's vocabulary files, each kind its own way: only the terms that are wanted.

`wanted` has a vocabulary and a code as it is printed (`ICD10CM`, `I50.9`); an event's whole code stands there with the
vocabulary "". Each reader returns the terms it knows with their description and the terms right above them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars import col

from attending.errors import SourceError

VOCABULARY, CODE, DESCRIPTION, PARENTS = "vocabulary", "code", "description", "parents"
TERMS = pl.DataFrame(
    schema={VOCABULARY: pl.String, CODE: pl.String, DESCRIPTION: pl.String, PARENTS: pl.List(pl.String)}
)
KEY = [VOCABULARY, CODE]
_SAME = {"CPT4": "HCPCS", "ICD10": "ICD10CM", "RXNORM": "RxNorm", "RxNorm Extension": "RxNorm"}
_FULL_NAME, _SYNONYM, _IS_A = "900000000000003001", "900000000000013009", "116680003"
_ABOVE = ("Maps to", "Is a")


@dataclass(frozen=True, kw_only=True)
class VocabularyFile:
    """A file of a known kind: the file's own name of each column that we read."""

    path: Path
    kind: str
    columns: dict[str, str]
    separator: str

    def scan(self) -> pl.LazyFrame:
        """Return its columns by our names, as trimmed text; nothing is read yet."""
        if not self.separator:
            rows = pl.scan_parquet(self.path)
        else:
            rows = pl.scan_csv(
                self.path,
                separator=self.separator,
                quote_char=None if self.separator == "\t" else '"',
                infer_schema=False,
                encoding="utf8-lossy",
                truncate_ragged_lines=True,
            )
        return rows.select(
            col(theirs).cast(pl.String).str.strip_chars().alias(ours) for ours, theirs in self.columns.items()
        )


def plain(files: list[VocabularyFile], wanted: pl.DataFrame) -> pl.DataFrame:
    """Read code, description, parent; parents of one row may be joined by | or ;.

    A code is an event's whole code, a term such as `SNOMED/38341003`, or, beside a vocabulary, a code of that.
    """
    found: list[pl.DataFrame] = []
    term = pl.concat_str(VOCABULARY, CODE, separator="/")
    spelled = pl.concat(
        [wanted.with_columns(col(CODE).alias("spelled")), wanted.with_columns(term.alias("spelled"))]
    )
    for file in files:
        rows = file.scan()
        for absent in {"parent", VOCABULARY} - set(file.columns):
            rows = rows.with_columns(pl.lit(None, pl.String).alias(absent))
        rows = rows.rename({CODE: "spelled", VOCABULARY: "of"})
        held = among(rows, spelled.select("spelled"), ["spelled"]).join(spelled, on="spelled")
        alone = (col(VOCABULARY) == "") | (col("spelled") != col(CODE))
        held = held.filter(
            pl.when(col("of").fill_null("") == "").then(alone).otherwise(col("of") == col(VOCABULARY))
        )
        parents = col("parent").str.replace_all(";", "|").str.split("|").list.eval(_not_blank())
        found.append(held.group_by(KEY, maintain_order=True).agg(col(DESCRIPTION).first(), parents.explode()))
    return terms(found, "parent")


def omop(files: list[VocabularyFile], wanted: pl.DataFrame) -> pl.DataFrame:
    """Name concepts; above them is what they map to, what they are, and the classes among their ancestors.

    Raises:
        SourceError: if there is no CONCEPT file.
    """
    concepts = [file.scan() for file in files if file.kind == "omop_concept"]
    if not concepts:
        raise SourceError(f"{files[0].path} needs the table CONCEPT beside it; there is none")
    every = pl.concat(concepts, how="diagonal").with_columns(col(VOCABULARY).replace(_SAME))
    ours = among(every, wanted, KEY)
    above = pl.DataFrame(schema={"id": pl.String, "target": pl.String, "order": pl.Int8})
    ids = ours.select("id")
    for rows in (file.scan() for file in files if file.kind == "omop_relationship"):
        rows = rows.filter(col("relationship").is_in(_ABOVE), col("source") != col("target"))
        if "invalid" in rows.collect_schema():
            rows = rows.filter(col("invalid").fill_null("").is_in(["", "NULL"]))
        held = among(rows, ids.rename({"id": "source"}), ["source"])
        order = (col("relationship") == "Is a").cast(pl.Int8).alias("order")
        above = pl.concat([above, held.select(col("source").alias("id"), "target", order)])
    mapped = above.filter(col("order") == 0).select("id", col("target").alias("source"))
    start = pl.concat([ids.select("id", col("id").alias("source")), mapped]).unique()
    for rows in (file.scan() for file in files if file.kind == "omop_ancestor"):
        held = among(rows.filter(col("levels") != "0"), start.select("source").unique(), ["source"])
        far = held.select("source", "target", pl.when(_is_next_above()).then(2).otherwise(3).alias("order"))
        above = pl.concat(
            [above, start.join(far, on="source").select("id", "target", col("order").cast(pl.Int8))]
        )
    named = among(every, above.select(col("target").alias("id")).unique(), ["id"])
    above = above.join(named.rename({"id": "target"}), on="target")
    if "standard" in above.columns:
        above = above.filter((col("order") < 3) | (col("standard") == "C"))
    else:
        above = above.filter(col("order") < 3)
    term = pl.concat_str(VOCABULARY, CODE, separator="/").alias("parent")
    parents = above.sort("order", maintain_order=True).select("id", term)
    parents = parents.group_by("id", maintain_order=True).agg("parent")
    return terms([ours.join(parents, on="id", how="left", maintain_order="left")], "parent")


def _is_next_above() -> pl.Expr:
    """Say whether an ancestor is the next above."""
    return col("levels") == "1"


def snomed(files: list[VocabularyFile], wanted: pl.DataFrame) -> pl.DataFrame:
    """Name SNOMED concepts by their full names; above them is what they are (is-a)."""
    ours = of_vocabulary(wanted, "SNOMED")
    named = [
        among(file.scan().filter(col("active") == "1"), ours, [CODE])
        for file in files
        if file.kind == "snomed_description"
    ]
    names = pl.concat(
        [pl.DataFrame(schema={CODE: pl.String, DESCRIPTION: pl.String, "type": pl.String})]
        + [one.select(CODE, DESCRIPTION, "type") for one in named]
    )
    names = names.filter(col("type").is_in([_FULL_NAME, _SYNONYM])).sort("type", maintain_order=True)
    related = [
        among(
            file.scan().filter(col("active") == "1", col("type") == _IS_A),
            ours.rename({CODE: "source"}),
            ["source"],
        )
        for file in files
        if file.kind == "snomed_relationship"
    ]
    above = pl.concat(
        [pl.DataFrame(schema={CODE: pl.String, "parent": pl.String})]
        + [
            one.select(col("source").alias(CODE), ("SNOMED/" + col("target")).alias("parent"))
            for one in related
        ]
    )
    rows = ours.join(names.unique(CODE, keep="first", maintain_order=True), on=CODE, how="left")
    rows = rows.join(above.group_by(CODE, maintain_order=True).agg("parent"), on=CODE, how="left")
    known = rows.filter(col(DESCRIPTION).is_not_null() | col("parent").is_not_null())
    return terms([known.with_columns(pl.lit("SNOMED").alias(VOCABULARY))], "parent")


def loinc(files: list[VocabularyFile], wanted: pl.DataFrame) -> pl.DataFrame:
    """Name LOINC's tests; above each is its class, `LOINC_CLASS/CHEM`."""
    found: list[pl.DataFrame] = []
    for file in files:
        rows = among(file.scan(), of_vocabulary(wanted, "LOINC"), [CODE])
        group = "LOINC_CLASS/" + col("class") if "class" in rows.columns else pl.lit(None, pl.String)
        found.append(rows.select(pl.lit("LOINC").alias(VOCABULARY), CODE, DESCRIPTION, _one(group)))
    return terms(found, "parent")


def of_vocabulary(wanted: pl.DataFrame, vocabulary: str) -> pl.DataFrame:
    """Return the wanted codes of one vocabulary."""
    return wanted.filter(col(VOCABULARY) == vocabulary).select(CODE).unique(maintain_order=True)


def among(rows: pl.LazyFrame, keys: pl.DataFrame, on: list[str]) -> pl.DataFrame:
    """Stream the rows whose columns `on` are among the keys."""
    return rows.join(keys.lazy().select(on).unique(), on=on, how="semi").collect(engine="streaming")


def undotted(column: str) -> pl.Expr:
    """Return an ICD code as the public tables spell it."""
    return col(column).str.replace_all(".", "", literal=True).str.to_uppercase().str.strip_chars("'\" ")


def _one(parent: pl.Expr) -> pl.Expr:
    return pl.concat_list(parent).list.drop_nulls().alias("parent")


def _not_blank() -> pl.Expr:
    trimmed = pl.element().str.strip_chars()
    return pl.when(trimmed != "").then(trimmed)


def terms(found: list[pl.DataFrame], parents: str) -> pl.DataFrame:
    """Return terms: those of all files, parents without repeats."""
    distinct = col(parents).list.drop_nulls().list.unique(maintain_order=True).alias(PARENTS)
    frames = [rows.select(*KEY, DESCRIPTION, distinct.fill_null([])) for rows in found]
    return pl.concat([TERMS.clear(), *frames])


Reader = Callable[[list[VocabularyFile], pl.DataFrame], pl.DataFrame]
