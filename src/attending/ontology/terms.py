"""What codes mean: the one door to names and parents, for any source.

A code's description is the first of: the source's own, that of the user's vocabulary files, the title in the public
tables, the title of the nearest public heading above it, its own words. `described_by` says which. Its parents are all
of these together:

    its own term          ICD10CM/I50.9, SNOMED/38341003
    ICD's tree            ICD10CM/I50, ICD10CM/I30-I5A, ICD10CM/I00-I99
    groups of diagnoses   CCSR/CIR019 or CCS/108, ELIXHAUSER/congestive_heart_failure, CHARLSON/…
    drugs                 INGREDIENT/furosemide, EPC/Loop Diuretic, ATC/C03CA01 and those above
    the user's files      whatever they say is above: SNOMED/…, phecode/428.2, LOINC_CLASS/CHEM

No code is dropped: one that nothing knows keeps its words, and `coverage` counts it.
"""

from functools import cache

import polars as pl
from polars import col

from attending.ontology import chronic, comorbidity, icd, icd_tree, naming, ndc
from attending.ontology._codes import BARE, DESCRIBED_BY, DRUG, FAMILY, OPAQUE, PRINTED, SYSTEM, WORDS, parsed
from attending.ontology._drug_terms import drug_parents, product_names
from attending.ontology.icd_tree import System
from attending.ontology.vocabularies import Vocabularies
from attending.schema import CODE, DESCRIPTION, N_EVENTS, PARENT_CODES

CHAPTER, GROUP, CHRONIC = "chapter", "ccs", "chronic"
SOURCE, VOCABULARY, PUBLIC, HEADING = "source", "vocabulary", "public", "heading"
COVERAGE = ("codes", "described", "with_parent", "grouped", "unmapped")
_STRINGS = pl.List(pl.String)
_Schema = dict[str, pl.DataType | type[pl.DataType]]
_IcdRow = tuple[str | None, str | None, str | None, str | None, str | None, bool | None]
_BETWEEN = "\n"
_ICD: _Schema = {
    "title": pl.String,
    "heading": pl.String,
    "above": pl.String,
    CHAPTER: pl.String,
    GROUP: pl.String,
    CHRONIC: pl.Boolean,
}


def describe(
    codes: pl.Series, own: pl.DataFrame | None = None, vocabularies: Vocabularies | None = None
) -> pl.DataFrame:
    """Return a row for each distinct code, in the order given.

    Columns: code, description (never null), parent_codes (never null), described_by, family, chapter (of ICD, its
    title), ccs (`CCSR/CIR019`, the one that a task would take), chronic. `own` (code, description, parent_codes) is
    what the source itself says.
    """
    rows = parsed(codes)
    rows = rows.join(_icd_rows(rows), on=[SYSTEM, BARE], how="left", maintain_order="left")
    rows = rows.join(_own_rows(own), on=CODE, how="left", maintain_order="left")
    rows = rows.join(_user_rows(rows, vocabularies), on=CODE, how="left", maintain_order="left")
    rows = rows.with_columns(pl.coalesce("title", product_names(rows)).alias("title"))
    rows = _named(rows)
    rows = rows.with_columns(drug_parents(rows, vocabularies, _directory(rows)))
    term = pl.concat_str(SYSTEM, PRINTED, separator="/")
    term = pl.when(term != col(CODE)).then(term)
    parents = ["term", "own_parents", "user_parents", "above", "drug_parents"]
    lists = [col(name).fill_null([]) for name in parents[1:]]
    together = pl.concat_list(pl.concat_list(term), *lists).list.drop_nulls().list.unique(maintain_order=True)
    return rows.select(
        CODE, DESCRIPTION, together.alias(PARENT_CODES), DESCRIBED_BY, FAMILY, CHAPTER, GROUP, CHRONIC
    )


def coverage(codes: pl.DataFrame) -> pl.DataFrame:
    """Count, by family of codes, how many codes and events are known: a frame for a manifest or a report.

    `codes` is what `describe` returns, with `n_events` if there are any; any other frame with a column `code` is
    described first. Columns, and the same of events as `events`, `events_described` …:

        codes         distinct codes
        described     with a name that is more than the code's own words
        with_parent   with a parent other than the code's own term
        grouped       with a CCS or CCSR category, or of a drug a class (EPC or ATC)
        unmapped      with neither, though its own words say nothing: a vocabulary's code or a number
    """
    if DESCRIBED_BY not in codes.columns:
        own = codes if DESCRIPTION in codes.columns else None
        described = describe(codes[CODE], own)
        codes = described.join(
            codes.select(CODE, *_counted(codes)), on=CODE, how="left", maintain_order="left"
        )
    if N_EVENTS not in codes.columns:
        codes = codes.with_columns(pl.lit(None, pl.Int64).alias(N_EVENTS))
    rows = codes.join(parsed(codes[CODE]).drop(FAMILY), on=CODE, how="left", maintain_order="left")
    term = pl.concat_str(SYSTEM, PRINTED, separator="/")
    is_described = col(DESCRIBED_BY) != WORDS
    others = col(PARENT_CODES).list.len() - col(PARENT_CODES).list.contains(term).fill_null(value=False)
    classes = col(PARENT_CODES).list.eval(pl.element().str.contains("^(EPC|ATC|CCS|CCSR)/")).list.any()
    rows = rows.with_columns(
        pl.lit(value=True).alias("codes"),
        is_described.alias("described"),
        (others > 0).alias("with_parent"),
        (col(GROUP).is_not_null() | classes).alias("grouped"),
        (~is_described & (others == 0) & col(OPAQUE)).alias("unmapped"),
    )
    counts = [col(name).sum().cast(pl.Int64) for name in COVERAGE]
    events = [
        col(N_EVENTS)
        .filter(col(name))
        .sum()
        .cast(pl.Int64)
        .alias("events" if name == "codes" else f"events_{name}")
        for name in COVERAGE
    ]
    return (
        rows.group_by(FAMILY)
        .agg(*counts, *events)
        .sort("events", "codes", FAMILY, descending=[True, True, False])
    )


def _counted(codes: pl.DataFrame) -> list[str]:
    return [N_EVENTS] if N_EVENTS in codes.columns else []


def _named(rows: pl.DataFrame) -> pl.DataFrame:
    """Give each code the first description that there is, and say where it is from."""
    unknown = rows.select(pl.coalesce("own", "user", "title", "heading").is_null()).to_series()
    said = rows.select(CODE, "own").filter(unknown | rows["own"].is_not_null())
    words = pl.Series(WORDS, [naming.plain_words(code) for code in said[CODE].to_list()], pl.String)
    rows = rows.join(said.select(CODE, words), on=CODE, how="left", maintain_order="left")
    is_own = col("own").is_not_null() & col("own").ne_missing(col(WORDS))
    by = (
        pl.when(is_own & (col("own").ne_missing(col("title"))) & col("own").ne_missing(col("heading")))
        .then(pl.lit(SOURCE))
        .when(~is_own & col("user").is_not_null())
        .then(pl.lit(VOCABULARY))
        .when(col("title").is_not_null())
        .then(pl.lit(PUBLIC))
        .when(col("heading").is_not_null())
        .then(pl.lit(HEADING))
        .otherwise(pl.lit(WORDS))
    )
    return rows.with_columns(
        pl.coalesce(pl.when(is_own).then("own"), "user", "title", "heading", WORDS).alias(DESCRIPTION),
        by.alias(DESCRIBED_BY),
    )


def _own_rows(own: pl.DataFrame | None) -> pl.DataFrame:
    columns: dict[str, tuple[str, pl.DataType | type[pl.DataType]]] = {
        DESCRIPTION: ("own", pl.String),
        PARENT_CODES: ("own_parents", _STRINGS),
    }
    if own is None:
        own = pl.DataFrame(schema={CODE: pl.String})
    held = [
        (col(name) if name in own.columns else pl.lit(None)).cast(dtype).alias(alias)
        for name, (alias, dtype) in columns.items()
    ]
    rows = own.select(col(CODE).cast(pl.String), *held).unique(CODE, keep="first", maintain_order=True)
    known = pl.element().filter(~pl.element().str.contains(f"/{icd.UNMAPPED}/"))
    return rows.with_columns(col("own_parents").list.drop_nulls().list.eval(known))


def _user_rows(rows: pl.DataFrame, vocabularies: Vocabularies | None) -> pl.DataFrame:
    """Ask the user's files about each code's term and about the code itself."""
    schema: _Schema = {CODE: pl.String, "user": pl.String, "user_parents": _STRINGS}
    if vocabularies is None or not vocabularies.files:
        return pl.DataFrame(schema=schema)
    spelled = rows.filter(col(SYSTEM).is_not_null()).select(
        col(CODE).alias("event_code"), col(SYSTEM).alias("vocabulary"), col(PRINTED).alias(CODE)
    )
    whole = rows.select(col(CODE).alias("event_code"), pl.lit("").alias("vocabulary"), CODE)
    asked = pl.concat([whole, spelled])
    known = vocabularies.terms(asked.select("vocabulary", CODE).unique(maintain_order=True))
    found = asked.join(known, on=["vocabulary", CODE], maintain_order="left_right")
    grouped = found.group_by("event_code", maintain_order=True).agg(
        col(DESCRIPTION).drop_nulls().first(), col("parents").explode().drop_nulls()
    )
    return grouped.select(
        col("event_code").alias(CODE), col(DESCRIPTION).alias("user"), col("parents").alias("user_parents")
    )


def _directory(rows: pl.DataFrame) -> ndc.Directory | None:
    return ndc.packaged() if rows[DRUG].is_not_null().any() else None


def _icd_rows(rows: pl.DataFrame) -> pl.DataFrame:
    wanted = (
        rows.select(SYSTEM, BARE)
        .filter(col(SYSTEM).is_in(list(icd_tree.SYSTEMS)))
        .unique(maintain_order=True)
    )
    found = [_icd(system, bare) for system, bare in wanted.iter_rows()]
    columns = [
        pl.Series(name, [row[n] for row in found], dtype) for n, (name, dtype) in enumerate(_ICD.items())
    ]
    # Lists of text are slow to make from Python, and a text is fast to split.
    return wanted.with_columns(columns).with_columns(col("above").str.split(_BETWEEN))


def _icd(system: System, bare: str) -> _IcdRow:
    """Return title, title of a heading where there is none, terms above, chapter, group and chronic flag."""
    title = icd_tree.title(system, bare)
    heading = None if title else icd_tree.nearest_title(system, bare)
    nodes = icd_tree.ancestors(system, bare)
    above = [_term(system, node) for node in nodes]
    chapter = icd_tree.title(system, nodes[-1]) if nodes else None
    group: str | None = None
    flag: bool | None = None
    if system in icd.GROUPS:
        found = icd.nearest_group(system, bare)
        if found:
            group = f"{icd.GROUPS[system]}/{found}"
            above.append(group)
        above += [f"ELIXHAUSER/{name}" for name in comorbidity.of_bare(system, bare, "elixhauser")]
        above += [f"CHARLSON/{name}" for name in comorbidity.of_bare(system, bare, "charlson")]
        flag = chronic.is_chronic(system, bare)
    return title, heading, _BETWEEN.join(above) or None, chapter, group, flag


@cache
def _term(system: System, node: str) -> str:
    return icd_tree.term(system, node)
