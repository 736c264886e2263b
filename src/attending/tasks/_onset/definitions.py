"""Diseases by name: which codes are a case, which only say that somebody has had it, and where the list is from.

ICD codes are beginnings, without dots. `prior` are codes that rule a subject out but are no onset: an old infarction,
the sequelae of a stroke. SNOMED concepts are those that open synthetic records (Synthea) use. DE-SynPUF's yearly flags
stand in the same places as the CMS algorithms that they were made with.

Sources

    CCW       CMS Chronic Conditions Data Warehouse, condition algorithms (the 27 conditions, ICD-9 and ICD-10 columns)
    Quan      Quan et al., Medical Care 43 (2005) 1130-1139
    eMERGE    Kho et al., JAMIA 19 (2012) 212-218: type 2 diabetes, without ketoacidosis
    Tirschwell, Longstreth, Stroke 33 (2002) 2465-2470: stroke in ICD-9-CM
    Kokotailo, Hill, Stroke 36 (2005) 1776-1781: stroke in ICD-10
    Gershon et al., COPD 6 (2009) 388-394: chronic obstructive pulmonary disease
    Placido et al., Nature Medicine 29 (2023) 1113-1122: pancreatic cancer
    ICD       the classification's own category
"""

from dataclasses import dataclass

FLAG = "CHRONIC_CONDITION"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A disease: its title, the codes of a case, what else rules a subject out, and the source."""

    title: str
    icd9: tuple[str, ...] = ()
    icd10: tuple[str, ...] = ()
    snomed: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    prior_icd9: tuple[str, ...] = ()
    prior_icd10: tuple[str, ...] = ()
    prior_snomed: tuple[str, ...] = ()
    prior_flags: tuple[str, ...] = ()
    source: str


def _ending(starts: str, ends: str) -> tuple[str, ...]:
    """Write `4330 4331` and `1` as 43301, 43311."""
    return tuple(start + end for start in starts.split() for end in ends.split())


def _codes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


DEFINITIONS: dict[str, Definition] = {
    "heart_failure": Definition(
        title="Heart failure",
        icd9=_codes("39891 40201 40211 40291 40401 40403 40411 40413 40491 40493 428"),
        icd10=_codes("I0981 I110 I130 I132 I50"),
        snomed=_codes("84114007 88805009 42343007"),
        flags=("HEART_FAILURE",),
        source="CCW",
    ),
    "type_2_diabetes": Definition(
        title="Type 2 diabetes",
        icd9=_ending("2500 2502 2503 2504 2505 2506 2507 2508 2509", "0 2"),
        icd10=_codes("E11"),
        snomed=_codes("44054006"),
        prior_flags=("DIABETES",),
        source="eMERGE for ICD-9; ICD for ICD-10",
    ),
    "chronic_kidney_disease": Definition(
        title="Chronic kidney disease",
        icd9=_codes("585"),
        icd10=_codes("N18"),
        snomed=_codes("709044004 431855005 431856006 433144002 431857002 433146000 46177005"),
        flags=("CHRONIC_KIDNEY_DISEASE",),
        prior_icd9=_codes("V420 V451 V56"),
        prior_icd10=_codes("Z940 Z992"),
        prior_flags=("END_STAGE_RENAL_DISEASE",),
        source="ICD (hypertensive kidney disease is coded with its stage beside it); transplant and dialysis rule out",
    ),
    "stroke": Definition(
        title="Stroke",
        icd9=(*_codes("430 431 436"), *_ending("4330 4331 4332 4333 4338 4339 4340 4341 4349", "1")),
        icd10=_codes("I60 I61 I63 I64"),
        snomed=_codes("230690007"),
        prior_icd9=_codes("438 V1254"),
        prior_icd10=_codes("I69 Z8673"),
        prior_flags=("STROKE_OR_TIA",),
        source="Tirschwell and Longstreth for ICD-9; Kokotailo and Hill for ICD-10; sequelae and history rule out",
    ),
    "atrial_fibrillation": Definition(
        title="Atrial fibrillation",
        icd9=_codes("42731"),
        icd10=_codes("I480 I481 I482 I4891"),
        snomed=_codes("49436004 282825002 440059007"),
        source="CCW",
    ),
    "copd": Definition(
        title="Chronic obstructive pulmonary disease",
        icd9=_codes("491 492 496"),
        icd10=_codes("J41 J42 J43 J44"),
        snomed=_codes("13645005 185086009 87433001"),
        flags=("COPD",),
        source="Gershon",
    ),
    "depression": Definition(
        title="Depression",
        icd9=_codes("2962 2963 2965 3004 309 311"),
        icd10=_codes("F204 F313 F314 F315 F32 F33 F341 F412 F432"),
        snomed=_codes("35489007 370143000 36923009"),
        flags=("DEPRESSION",),
        source="Quan",
    ),
    "dementia": Definition(
        title="Dementia",
        icd9=_codes("290 2941 2942 3310 3311 3312"),
        icd10=_codes("F01 F02 F03 G30 G310 G311"),
        snomed=_codes("52448006 26929004 230265002"),
        flags=("ALZHEIMER_OR_DEMENTIA",),
        source="CCW, without amnestic, transient and age-related states (294.0, 294.8, 331.7, 797; F04 to F06, R54 …)",
    ),
    "myocardial_infarction": Definition(
        title="Acute myocardial infarction",
        icd9=_codes("410"),
        icd10=_codes("I21 I22"),
        snomed=_codes("22298006 57054005 401303003 401314000"),
        prior_icd9=_codes("412"),
        prior_icd10=_codes("I252"),
        prior_snomed=_codes("399211009 1755008"),
        source="Quan; an old infarction rules out",
    ),
    "pancreatic_cancer": Definition(
        title="Pancreatic cancer",
        icd9=_codes("157"),
        icd10=_codes("C25"),
        snomed=_codes("363418001 372142002"),
        prior_icd10=_codes("Z8507"),
        source="Placido",
    ),
}
