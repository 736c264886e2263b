"""Take event codes apart: the family they belong to, and the vocabulary and code that they spell, if any.

DIAGNOSIS//ICD//10//I509        family DIAGNOSIS//ICD//10    ICD10CM   I50.9
PROCEDURE//ICD//9//3893         family PROCEDURE//ICD//9     ICD9Proc  38.93
CONDITION//SNOMED//38341003     family CONDITION//SNOMED     SNOMED    38341003
LAB//LOINC//2160-0//mg/dL       family LAB//LOINC            LOINC     2160-0
HCPCS//99219                    family HCPCS                 HCPCS     99219
SNOMED/38341003                 family SNOMED                SNOMED    38341003
LAB//50912//mg/dL               family LAB                   none
"""

import polars as pl
from polars import col

from attending.ontology.icd_tree import ICD9_PROCEDURES, ICD9CM, ICD10_PROCEDURES, ICD10CM
from attending.schema import CODE, PROCEDURE, SEPARATOR

FAMILY, SYSTEM, BARE, PRINTED, DRUG, OPAQUE = "family", "system", "bare", "printed", "drug", "opaque"
DESCRIBED_BY, WORDS = "described_by", "words"
OTHER = "(other)"
_VOCABULARIES = {
    name.upper(): name
    for name in (
        *(
            ICD9CM,
            ICD10CM,
            ICD9_PROCEDURES,
            ICD10_PROCEDURES,
            "SNOMED",
            "LOINC",
            "RxNorm",
            "NDC",
            "HCPCS",
            "CVX",
        ),
        *("ATC", "OMOP", "MeSH", "NDFRT", "phecode", "phecodeX"),
    )
} | {
    "ICD10": ICD10CM,
    "ICD9": ICD9CM,
    "SNOMEDCT": "SNOMED",
    "SNOMED-CT": "SNOMED",
    "CPT4": "HCPCS",
    "CPT": "HCPCS",
}
_DRUGS = r"^(?:[A-Z]+_)*(?:MEDICATION|DRUG|INFUSION|PRESCRIPTION)(?:_[A-Z]+)*$"
_NOT_NAMES = ("START", "STOP", "HICL", "END", "UNK")


def parsed(codes: pl.Series) -> pl.DataFrame:
    """Return each distinct code, its family, vocabulary, code without dot, code as printed, and a drug's name in it.

    `system`, `bare`, `printed` are null of a code that spells no vocabulary's; `drug` of one that is no drug. A code is
    `opaque` if its words mean nothing by themselves: it spells a vocabulary's code, or a number.
    """
    parts = col(CODE).str.split(SEPARATOR).alias("parts")
    rows = pl.DataFrame({CODE: codes.unique(maintain_order=True)}, schema={CODE: pl.String}).with_columns(
        parts
    )
    rows = rows.with_columns(col("parts").list.get(n, null_on_oob=True).alias(f"p{n}") for n in range(4))
    slashed = col(CODE).str.extract_groups(r"^([A-Za-z0-9-]+)/([^/].*)$")
    rows = rows.with_columns(
        _vocabulary(col("p0")).alias("v0"),
        _vocabulary(col("p1")).alias("v1"),
        _vocabulary(pl.when(col("p1").is_null()).then(slashed.struct.field("1"))).alias("slashed"),
        slashed.struct.field("2").alias("after"),
    )
    procedure = col("p0").str.starts_with(PROCEDURE)
    nine, ten = col("p2") == "9", col("p2") == "10"
    is_icd = (col("p1").str.to_uppercase() == "ICD") & (nine | ten) & (col("p3") != "")
    icd = (
        pl.when(procedure & nine)
        .then(pl.lit(ICD9_PROCEDURES))
        .when(procedure)
        .then(pl.lit(ICD10_PROCEDURES))
        .when(nine)
        .then(pl.lit(ICD9CM))
        .otherwise(pl.lit(ICD10CM))
    )
    by_first = col("v0").is_not_null() & (col("p1") != "")
    by_second = col("v1").is_not_null() & (col("p2") != "")
    system = pl.coalesce(
        pl.when(is_icd).then(icd), pl.when(by_second).then("v1"), pl.when(by_first).then("v0"), "slashed"
    )
    spelled = pl.coalesce(
        pl.when(is_icd).then("p3"),
        pl.when(by_second).then("p2"),
        pl.when(by_first).then("p1"),
        pl.when(col("slashed").is_not_null()).then("after"),
    )
    plain = pl.when(col("p0").str.contains("^[A-Z0-9_]+$")).then("p0").otherwise(pl.lit(OTHER))
    family = (
        pl.when(is_icd)
        .then(pl.concat_str("p0", "p1", "p2", separator=SEPARATOR))
        .when(by_second)
        .then(pl.concat_str("p0", "p1", separator=SEPARATOR))
        .otherwise(pl.coalesce("slashed", plain))
    )
    named = pl.when(col("p1").is_in(_NOT_NAMES)).then("p2").otherwise("p1")
    number = pl.any_horizontal(col(part).str.contains(r"^\d+$") for part in ("p1", "p2"))
    worded = (
        col("p3").str.contains("[A-Za-z]{4}").fill_null(value=False)
    )  # DRG//HCFA//853//INFECTIOUS DISEASES
    number &= ~worded
    is_drug = col("p0").str.contains(_DRUGS) & ~is_icd
    rows = rows.select(
        CODE,
        family.alias(FAMILY),
        system.alias(SYSTEM),
        spelled.str.strip_chars().alias("spelled"),
        pl.when(is_drug).then(pl.when(system.is_null()).then(named).fill_null("")).alias(DRUG),
        (system.is_not_null() | number).fill_null(value=False).alias(OPAQUE),
    )
    return rows.select(CODE, FAMILY, SYSTEM, _bare().alias(BARE), _printed().alias(PRINTED), DRUG, OPAQUE)


def _vocabulary(part: pl.Expr) -> pl.Expr:
    return part.str.to_uppercase().replace_strict(_VOCABULARIES, default=None, return_dtype=pl.String)


def _is_icd() -> pl.Expr:
    return col(SYSTEM).str.starts_with("ICD")


def _undotted() -> pl.Expr:
    return col("spelled").str.replace_all(".", "", literal=True).str.to_uppercase()


def _bare() -> pl.Expr:
    return pl.when(_is_icd()).then(_undotted()).otherwise("spelled")


def _printed() -> pl.Expr:
    bare = _undotted()
    place = (
        pl.when(col(SYSTEM) == ICD9_PROCEDURES)
        .then(2)
        .when((col(SYSTEM) == ICD9CM) & bare.str.starts_with("E"))
        .then(4)
        .otherwise(3)
    )
    dotted = pl.concat_str(bare.str.slice(0, place), pl.lit("."), bare.str.slice(place))
    short = (bare.str.len_chars() <= place) | (col(SYSTEM) == ICD10_PROCEDURES) | bare.str.contains("-")
    return pl.when(_is_icd()).then(pl.when(short).then(bare).otherwise(dotted)).otherwise("spelled")
