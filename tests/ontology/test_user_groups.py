import pytest

from attending.errors import SourceError
from attending.ontology import user_groups

NINE, TEN = "DIAGNOSIS//ICD//9//4280", "DIAGNOSIS//ICD//10//I509"
ICD9_MAP = """"ICD9","ICD9 String","PheCode","Phenotype"
"428.0","CHF","428.1","Congestive heart failure"
"428.0","CHF","401",""
"""
ICD10_MAP = "ICD10,PheCode\nI50.9,428\n"
LEVELS = (
    "'ICD-9-CM CODE','CCS LVL 1','CCS LVL 1 LABEL','CCS LVL 2','CCS LVL 2 LABEL','CCS LVL 3','CCS LVL 3 LABEL',"
    "'CCS LVL 4','CCS LVL 4 LABEL'\n"
    "'4280 ','7','Diseases of the circulatory system','7.2','Diseases of the heart','7.2.11','Heart failure, all',"
    "'7.2.11.1','Congestive heart failure'\n"
    "'4289 ','7','Diseases of the circulatory system','7.2','Diseases of the heart','7.2.11','Heart failure, all',"
    "'7.2.11.1','Congestive heart failure'\n"
    "'0010 ','1','Infectious and parasitic diseases','1.1','Bacterial infection','1.1.3','Other bacterial',' ',' '\n"
)


@pytest.fixture
def maps(tmp_path):
    (tmp_path / "phecode_icd9.csv").write_text(ICD9_MAP)
    (tmp_path / "phecode_icd10.csv").write_text(ICD10_MAP)
    return tmp_path


def test_a_code_takes_the_first_phecode_of_the_published_maps(maps):
    assert user_groups.phecodes([NINE, TEN, "LAB//1"], maps) == {NINE: "PHECODE//428.1", TEN: "PHECODE//428"}


def test_a_map_of_one_classification_says_nothing_of_the_other(maps):
    assert user_groups.phecodes([NINE, TEN], maps / "phecode_icd10.csv") == {TEN: "PHECODE//428"}


def test_the_file_names_its_phecodes(maps):
    assert user_groups.description("PHECODE//428.1", maps) == "Congestive heart failure"
    assert user_groups.description("PHECODE//401", maps) is None


def test_a_folder_without_a_map_is_refused(tmp_path):
    with pytest.raises(SourceError, match="expected a map of phecodes"):
        user_groups.phecodes([NINE], tmp_path)


@pytest.mark.parametrize(("level", "category"), [(1, "7"), (2, "7.2"), (3, "7.2.11"), (4, "7.2.11.1")])
def test_a_code_has_a_category_at_each_level_and_icd10_goes_through_icd9(tmp_path, level, category):
    file = tmp_path / "ccs_multi_dx_tool_2015.csv"
    file.write_text(LEVELS)
    expected = f"CCS_MULTI_LEVEL//{category}"
    assert user_groups.multi_level([NINE, TEN], file, level) == {NINE: expected, TEN: expected}


def test_where_a_branch_ends_early_its_deepest_level_stands(tmp_path):
    file = tmp_path / "levels.csv"
    file.write_text(LEVELS)
    code = "DIAGNOSIS//ICD//9//0010"
    assert user_groups.multi_level([code], file, 4) == {code: "CCS_MULTI_LEVEL//1.1.3"}


def test_a_code_that_is_not_listed_takes_the_category_of_its_prefix_or_is_marked_unmapped(tmp_path):
    file = tmp_path / "levels.csv"
    file.write_text(LEVELS)
    found = user_groups.multi_level(["DIAGNOSIS//ICD//9//42899", "DIAGNOSIS//ICD//9//V700"], file, 2)
    assert sorted(found.values()) == ["CCS_MULTI_LEVEL//7.2", "CCS_MULTI_LEVEL//UNMAPPED//V70"]


def test_a_category_has_the_name_of_the_file_commas_and_all(tmp_path):
    file = tmp_path / "levels.csv"
    file.write_text(LEVELS)
    assert user_groups.description("CCS_MULTI_LEVEL//7.2.11", file) == "Heart failure, all"


def test_another_file_than_ahrqs_is_refused_by_the_column_it_lacks(tmp_path):
    file = tmp_path / "levels.csv"
    file.write_text("'ICD-9-CM CODE','CCS LVL 1'\n")
    with pytest.raises(SourceError, match="CCS LVL 2"):
        user_groups.multi_level([NINE], file, 2)


def test_the_fingerprint_follows_the_content(tmp_path):
    file = tmp_path / "levels.csv"
    file.write_text(LEVELS)
    before = user_groups.fingerprint(tmp_path)
    file.write_text(LEVELS + "'0011 ','1','','1.1','','','','',''\n")
    assert user_groups.fingerprint(tmp_path) != before
