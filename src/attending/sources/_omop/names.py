"""Name the codes of an OMOP source, and say which terms stand above them, as far as its vocabulary tables know."""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ontology import icd, naming
from attending.schema import CODE, DESCRIPTION, PARENT_CODES, SEPARATOR
from attending.sources._omop.concepts import HCPCS, MEDS, NUMBERED, SPELLED, WHOLE_CODE, concepts, concepts_by

ANCESTORS, RELATIONSHIPS = "concept_ancestor", "concept_relationship"
MAPS_TO = "Maps to"
_TERM = {
    CODE: pl.String,
    "prefix": pl.String,
    "item": pl.String,
    "vocabulary_id": pl.String,
    "concept_code": pl.String,
}


def describe(codes: pl.Series, context: Context) -> pl.DataFrame:
    """Name codes by their concepts; parents are the term itself, what it maps to, and what is directly above."""
    found = _found(codes, context)
    labels: dict[str, dict[str, str]] = {}
    for prefix, item, name in found.select("prefix", "item", "concept_name").drop_nulls().iter_rows():
        labels.setdefault(prefix, {})[item] = name
    named = naming.describe(codes, labels).join(
        _own_names(context), on=CODE, how="left", maintain_order="left"
    )
    above = _parents(found, context)
    return named.join(above, on=CODE, how="left", maintain_order="left").select(
        CODE,
        col("own").fill_null(col(DESCRIPTION)).alias(DESCRIPTION),
        pl.concat_list(PARENT_CODES, col("above").fill_null([]))
        .list.unique(maintain_order=True)
        .alias(PARENT_CODES),
    )


def _found(codes: pl.Series, context: Context) -> pl.DataFrame:
    """Return the concept of each code that has one, and how the code names it: a prefix and an item."""
    terms = pl.DataFrame(
        [row for code in codes.to_list() for row in _terms(code)], schema=_TERM, orient="row"
    )
    numbered = terms.filter(col("vocabulary_id") == NUMBERED)
    spelled = terms.filter(col("vocabulary_id") != NUMBERED)
    by_code = concepts_by("concept_code", spelled["concept_code"], context)
    ids = numbered.with_columns(col("concept_code").cast(pl.Int64, strict=False).alias("concept_id"))
    by_number = concepts(context, ids["concept_id"])
    return pl.concat(
        [
            spelled.join(by_code, on=["vocabulary_id", "concept_code"]),
            ids.drop("vocabulary_id", "concept_code").join(by_number, on="concept_id"),
        ],
        how="diagonal",
    ).select(*_TERM, "concept_id", "concept_name")


def _terms(code: str) -> list[tuple[str, str, str, str, str]]:
    """Return what a code may stand for: prefix and item, vocabulary and concept code."""
    parts = code.split(SEPARATOR)
    if code.startswith(tuple(f"{prefix}{SEPARATOR}" for prefix in set(SPELLED.values()) - {HCPCS})):
        vocabulary, _, spelled = (icd.parents(code) or ["//"])[0].partition("/")
        return [(code, SEPARATOR.join(parts[:-1]), parts[-1], vocabulary, spelled)]
    if parts[0] == HCPCS and len(parts) > 1:
        return [(code, HCPCS, parts[1], vocabulary, parts[1]) for vocabulary in ("HCPCS", "CPT4")]
    if len(parts) > 2:
        return [(code, SEPARATOR.join(parts[:2]), parts[2], parts[1], parts[2])]
    return []


def _own_names(context: Context) -> pl.DataFrame:
    """Return the names of MEDS codes, which are concepts of their own."""
    own = concepts_by("vocabulary_id", pl.Series([MEDS]), context)
    code = col(WHOLE_CODE).fill_null(col("concept_code"))
    return own.select(code.alias(CODE), col("concept_name").alias("own")).unique(CODE, keep="first")


def _parents(found: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Return by code the terms above it, the nearest first: itself, what it maps to, its direct ancestors."""
    ids = found["concept_id"]
    mapped = context.lookup(RELATIONSHIPS, "concept_id_1", ids).filter(
        (col("relationship_id") == MAPS_TO) & (col("concept_id_1") != col("concept_id_2"))
    )
    above = context.lookup(ANCESTORS, "descendant_concept_id", ids)
    above = above.filter(col("min_levels_of_separation") == 1)
    links = pl.concat(
        [
            _links(found, "concept_id", "concept_id", 0),
            _links(mapped, "concept_id_1", "concept_id_2", 1),
            _links(above, "descendant_concept_id", "ancestor_concept_id", 2),
        ]
    ).unique()
    known = concepts(context, links["parent"]).select(
        col("concept_id").alias("parent"),
        pl.concat_str("vocabulary_id", "concept_code", separator="/").alias("term"),
    )
    numbered = pl.lit(f"{NUMBERED}/") + col("parent").cast(pl.String)
    terms = links.join(known, on="parent", how="left").with_columns(col("term").fill_null(numbered))
    return (
        found.select(CODE, "concept_id")
        .join(terms, on="concept_id")
        .sort(CODE, "rank", "term")
        .group_by(CODE, maintain_order=True)
        .agg(col("term").alias("above"))
    )


def _links(frame: pl.DataFrame, of: str, to: str, rank: int) -> pl.DataFrame:
    return frame.select(
        col(of).alias("concept_id"), col(to).alias("parent"), pl.lit(rank, pl.Int32).alias("rank")
    )
