"""The terms above the codes of drugs: ingredients, and their classes."""

import polars as pl
from polars import col

from attending.ontology import drugs, ndc
from attending.ontology._codes import BARE, DESCRIBED_BY, DRUG, SYSTEM, WORDS
from attending.ontology.vocabularies import Vocabularies
from attending.schema import DESCRIPTION

PARENTS = "drug_parents"
_STRINGS = pl.List(pl.String)


def product_names(rows: pl.DataFrame) -> pl.Series:
    """Return the name of each code that is an NDC of the directory."""
    if not (rows[SYSTEM] == "NDC").any():
        return pl.Series("product", [None] * rows.height, pl.String)
    directory = ndc.packaged()
    known = directory.names if directory else {}
    found = [
        known.get(ndc.product_of(bare) or "") if system == "NDC" and bare else None
        for system, bare in rows.select(SYSTEM, BARE).iter_rows()
    ]
    return pl.Series("product", found, pl.String)


def drug_parents(
    rows: pl.DataFrame, vocabularies: Vocabularies | None, directory: ndc.Directory | None
) -> pl.Series:
    """Return ingredients and classes of each code that is a drug, by its name or, of a coded one, its description."""
    said = pl.when(col(DESCRIBED_BY) != WORDS).then(DESCRIPTION).alias("said")
    found: list[list[str] | None] = [
        None if drug is None else _ingredients(drug, system, bare, title, directory)
        for drug, system, bare, title in rows.select(DRUG, SYSTEM, BARE, said).iter_rows()
    ]
    every = pl.Series("ingredient", sorted({one for some in found for one in some or ()}), pl.String)
    atc = dict(vocabularies.atc_of_drugs(every).iter_rows()) if vocabularies else {}
    classes = {
        one: [
            f"INGREDIENT/{one}",
            *(f"EPC/{name}" for name in (directory.classes_of(one) if directory else ())),
            *atc.get(one, ()),
        ]
        for one in every
    }
    parents = [None if some is None else [term for one in some for term in classes[one]] for some in found]
    return pl.Series(PARENTS, parents, _STRINGS)


def _ingredients(
    drug: str, system: str | None, bare: str | None, description: str | None, directory: ndc.Directory | None
) -> list[str]:
    if directory and system == "NDC" and (product := ndc.product_of(bare or "")) in directory.products:
        return list(directory.products[product])
    name = description if system or not drug or drug.isdigit() else drug
    if not name:
        return []
    return directory.ingredients(name) if directory else drugs.ingredients(name)
