"""What was found and done: diagnoses, treatments, drugs, history, notes and plans, each at its offset.

diagnosis      ICU_DIAGNOSIS//path and, for each code of `icd9code`, DIAGNOSIS//ICD//9//CODE or …//10//CODE
treatment      TREATMENT//path
medication     MEDICATION//drug, or MEDICATION//HICL//number where the drug has no name; at its start, known when
               ordered if that is later; an order that was cancelled gives no event
infusiondrug   INFUSION//drug, its rate; admissiondrug ADMISSION_MEDICATION//drug, what was taken before
admissiondx    ADMISSION_DIAGNOSIS//path; pasthistory PAST_HISTORY//path; allergy ALLERGY//name
note           NOTE//type, the path and what was noted there as text
careplan…      CARE_PLAN//group//item, CARE_PLAN_GOAL//category//goal, CARE_PROVIDER//specialty,
               INFECTION//site//assessment, CARE_PLAN//END_OF_LIFE//DISCUSSION
"""

from collections.abc import Sequence

import polars as pl
from polars import col

from attending.ledger.context import Context
from attending.ledger.events import coded
from attending.ledger.table import integer, number, text, value
from attending.schema import DIAGNOSIS_ICD9, DIAGNOSIS_ICD10, MEDICATION, PROCEDURE_ICD9
from attending.sources._eicu.clock import at, happening
from attending.sources._eicu.rows import Reading, below, linked, offset, said, stripped

ICD = "icd"
RANKS = {"Primary": 1, "Major": 2, "Other": 3}
NOTED = "notes/Progress Notes/"


def diagnosis_events(rows: pl.DataFrame, context: Context) -> Sequence[pl.DataFrame]:
    """Give each diagnosis as eICU's path and as the ICD codes listed with it."""
    rank = col("diagnosispriority").replace_strict(RANKS, default=None, return_dtype=pl.Int32)
    known = {"time": at("diagnosisoffset"), "priority": rank}
    codes = rows.with_columns(col("icd9code").str.split(",").alias(ICD)).explode(ICD)
    codes = codes.with_columns(col(ICD).str.strip_chars().str.to_uppercase()).filter(col(ICD) != "")
    return [
        happening(rows, coded("ICU_DIAGNOSIS", stripped("diagnosisstring")), **known),
        happening(codes, coded(system(), col(ICD).str.replace_all(".", "", literal=True)), **known),
    ]


def system() -> pl.Expr:
    """Return the system of an ICD code that keeps its dot.

    ICD-9-CM diagnoses begin with three digits, with V and two digits, or with E and three; two digits before the
    dot are a procedure. Any other letter is ICD-10-CM, whose own V codes, five characters at least, do not occur.
    """
    return (
        pl.when(col(ICD).str.contains(r"^(?:\d{3}|V\d\d(?:\.\d{0,2})?$|E\d{3}(?:\.|$))"))
        .then(pl.lit(DIAGNOSIS_ICD9))
        .when(col(ICD).str.contains(r"^\d\d?(?:\.|$)"))
        .then(pl.lit(PROCEDURE_ICD9))
        .otherwise(pl.lit(DIAGNOSIS_ICD10))
    )


def goal_code() -> pl.Expr:
    """Return the code of a goal of care."""
    return coded("CARE_PLAN_GOAL", stripped("cplgoalcategory"), stripped("cplgoalvalue"))


def _joined(*columns: str) -> pl.Expr:
    together = pl.concat_str([stripped(name) for name in columns], separator=" ", ignore_nulls=True)
    return pl.when(together != "").then(together)


def _drug() -> pl.Expr:
    hicl = coded(MEDICATION, "HICL", col("drughiclseqno"))
    named = stripped("drugname").is_not_null() | col("drughiclseqno").is_null()
    return pl.when(named).then(coded(MEDICATION, stripped("drugname"))).otherwise(hicl)


CARE = (
    linked(
        "diagnosis",
        offset("diagnosisoffset"),
        text("diagnosisstring", required=True),
        text("icd9code"),
        text("diagnosispriority"),
        make=diagnosis_events,
    ),
    linked(
        "admissionDx",
        offset("admitdxenteredoffset"),
        text("admitdxpath", required=True),
        make=Reading(
            code=coded("ADMISSION_DIAGNOSIS", below("admitdxpath", "admission diagnosis|")),
            offset="admitdxenteredoffset",
        ),
    ),
    linked(
        "treatment",
        offset("treatmentoffset"),
        text("treatmentstring", required=True),
        make=Reading(code=coded("TREATMENT", stripped("treatmentstring")), offset="treatmentoffset"),
    ),
    linked(
        "medication",
        integer("drugorderoffset"),
        offset("drugstartoffset"),
        text("drugordercancelled"),
        text("drugname"),
        integer("drughiclseqno"),
        text("dosage"),
        text("routeadmin"),
        make=Reading(
            code=_drug(),
            offset="drugstartoffset",
            entered="drugorderoffset",
            text=_joined("dosage", "routeadmin"),
            when=col("drugordercancelled").fill_null("No") != "Yes",
        ),
    ),
    linked(
        "admissiondrug",
        offset("drugoffset"),
        integer("drugenteredoffset"),
        text("drugname", required=True),
        number("drugdosage"),
        text("drugunit"),
        text("drugadmitfrequency"),
        make=Reading(
            code=coded("ADMISSION_MEDICATION", stripped("drugname")),
            offset="drugoffset",
            entered="drugenteredoffset",
            numeric=pl.when(col("drugdosage") > 0).then(col("drugdosage")),
            text=_joined("drugunit", "drugadmitfrequency"),
        ),
    ),
    linked(
        "infusiondrug",
        offset("infusionoffset"),
        text("drugname", required=True),
        value("drugrate"),
        number("infusionrate"),
        make=Reading(
            code=coded("INFUSION", stripped("drugname")),
            offset="infusionoffset",
            numeric=col("drugrate").fill_null(col("infusionrate")),
            text=said("drugrate")["text"],
        ),
    ),
    linked(
        "pastHistory",
        offset("pasthistoryoffset"),
        integer("pasthistoryenteredoffset"),
        text("pasthistorypath", required=True),
        text("pasthistoryvalue"),
        text("pasthistoryvaluetext"),
        make=Reading(
            code=coded("PAST_HISTORY", below("pasthistorypath", NOTED + "Past History/")),
            offset="pasthistoryoffset",
            entered="pasthistoryenteredoffset",
            text=pl.when(col("pasthistoryvaluetext") != col("pasthistoryvalue")).then("pasthistoryvaluetext"),
        ),
    ),
    linked(
        "allergy",
        offset("allergyoffset"),
        integer("allergyenteredoffset"),
        text("allergytype"),
        text("allergyname", required=True),
        make=Reading(
            code=coded("ALLERGY", stripped("allergyname")),
            offset="allergyoffset",
            entered="allergyenteredoffset",
            text=col("allergytype"),
        ),
    ),
    linked(
        "note",
        offset("noteoffset"),
        integer("noteenteredoffset"),
        text("notetype"),
        text("notepath"),
        text("notetext"),
        make=Reading(
            code=coded("NOTE", stripped("notetype")),
            offset="noteoffset",
            entered="noteenteredoffset",
            text=pl.concat_str(
                below("notepath", "notes/"), col("notetext"), separator=": ", ignore_nulls=True
            ),
        ),
    ),
    linked(
        "carePlanGeneral",
        offset("cplitemoffset"),
        text("cplgroup", required=True),
        text("cplitemvalue"),
        make=Reading(
            code=coded("CARE_PLAN", stripped("cplgroup"), stripped("cplitemvalue")), offset="cplitemoffset"
        ),
    ),
    linked(
        "carePlanGoal",
        offset("cplgoaloffset"),
        text("cplgoalcategory"),
        text("cplgoalvalue"),
        text("cplgoalstatus"),
        make=Reading(code=goal_code(), offset="cplgoaloffset", text=col("cplgoalstatus")),
    ),
    linked(
        "carePlanCareProvider",
        offset("careprovidersaveoffset"),
        text("specialty"),
        text("managingphysician"),
        make=Reading(
            code=coded("CARE_PROVIDER", stripped("specialty")),
            offset="careprovidersaveoffset",
            text=col("managingphysician"),
        ),
    ),
    linked(
        "carePlanEOL",
        integer("cpleolsaveoffset"),
        offset("cpleoldiscussionoffset"),
        make=Reading(
            code=pl.lit("CARE_PLAN//END_OF_LIFE//DISCUSSION"),
            offset="cpleoldiscussionoffset",
            entered="cpleolsaveoffset",
        ),
    ),
    linked(
        "carePlanInfectiousDisease",
        offset("cplinfectdiseaseoffset"),
        text("infectdiseasesite"),
        text("infectdiseaseassessment"),
        text("treatment"),
        make=Reading(
            code=coded("INFECTION", stripped("infectdiseasesite"), stripped("infectdiseaseassessment")),
            offset="cplinfectdiseaseoffset",
            text=col("treatment"),
        ),
    ),
)
