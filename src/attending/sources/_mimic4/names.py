"""The dictionaries of MIMIC-IV, and the names that they give to codes."""

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.table import Table, text
from attending.ontology import naming
from attending.schema import DIAGNOSIS, LAB, PROCEDURE
from attending.sources._mimic4.icu import ITEMS
from attending.sources._mimic4.rows import ICD, ITEM

DICTIONARIES = (
    Table(name="d_labitems", path="hosp/d_labitems", columns=(ITEM, text("label")), dictionary=True),
    Table(name="d_items", path="icu/d_items", columns=(ITEM, text("label")), dictionary=True),
    Table(
        name="d_hcpcs",
        path="hosp/d_hcpcs",
        columns=(text("code", required=True), text("short_description")),
        dictionary=True,
    ),
    Table(
        name="d_icd_diagnoses",
        path="hosp/d_icd_diagnoses",
        columns=(*ICD, text("long_title")),
        dictionary=True,
    ),
    Table(
        name="d_icd_procedures",
        path="hosp/d_icd_procedures",
        columns=(*ICD, text("long_title")),
        dictionary=True,
    ),
)


def describe(codes: pl.Series, dictionaries: Context) -> pl.DataFrame:
    """Name codes: ICD titles (public tables first), the labels of items, short words for HCPCS."""
    items = _labels(dictionaries["d_items"], "itemid", "label")
    labels = dict.fromkeys(ITEMS, items) | {
        LAB: _labels(dictionaries["d_labitems"], "itemid", "label"),
        "HCPCS": _labels(dictionaries["d_hcpcs"], "code", "short_description"),
    }
    for kind, name in ((DIAGNOSIS, "d_icd_diagnoses"), (PROCEDURE, "d_icd_procedures")):
        for version in (9, 10):
            titles = dictionaries[name].filter(col("icd_version") == version)
            labels[f"{kind}//ICD//{version}"] = _labels(titles, "icd_code", "long_title")
    return naming.describe(codes, labels)


def _labels(dictionary: pl.DataFrame, key: str, label: str) -> dict[str, str]:
    named = dictionary.drop_nulls([key, label])
    keys = named[key].cast(pl.String).str.strip_chars()
    return dict(zip(keys.to_list(), named[label].to_list(), strict=True))
