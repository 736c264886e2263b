"""Next diagnoses in the vocabularies of a user's files, and which settings and names come of it."""

import pytest

from attending.errors import ConfigError, SourceError
from attending.tasks import next_diagnoses
from attending.tasks.next_diagnoses import Config, describe, label
from records import stay, table

EVENTS = table(stay(1, 11, 0, 3, "I509", "Z000"), stay(1, 12, 50, 52, "I509", "N179", "Z000"))
LEVELS = (
    "'ICD-9-CM CODE','CCS LVL 1','CCS LVL 1 LABEL','CCS LVL 2','CCS LVL 2 LABEL','CCS LVL 3','CCS LVL 3 LABEL',"
    "'CCS LVL 4','CCS LVL 4 LABEL'\n"
    "'4280','7','Circulation','7.2','Heart','7.2.11','Heart failure','7.2.11.1','Congestive'\n"
    "'5849','10','Genitourinary','10.1','Urinary','10.1.2','Renal failure',' ',' '\n"
)


@pytest.fixture
def phecodes(tmp_path):
    file = tmp_path / "phecodes.csv"
    file.write_text("ICD10,PheCode,Phenotype\nI50.9,428,Heart failure\nN17.9,585.1,Acute renal failure\n")
    return file


def test_labels_and_history_are_phecodes_of_the_users_map(phecodes):
    frame = label(EVENTS, Config(vocabulary="phecode", phecodes=phecodes)).frame
    assert frame["label_codes"].to_list() == [["PHECODE//428", "PHECODE//585.1"]]
    assert frame["history_codes"].to_list() == [["PHECODE//428"]]


@pytest.mark.parametrize(("level", "expected"), [(1, ["10", "7"]), (3, ["10.1.2", "7.2.11"])])
def test_labels_are_categories_of_a_level_of_ccs(tmp_path, level, expected):
    file = tmp_path / "ccs_multi_dx_tool_2015.csv"
    file.write_text(LEVELS)
    frame = label(EVENTS, Config(vocabulary="ccs_multi_level", ccs_levels=file, level=level)).frame
    known = [code for code in frame["label_codes"].item() if "UNMAPPED" not in code]
    assert known == [f"CCS_MULTI_LEVEL//{category}" for category in expected]


def test_a_vocabulary_without_its_file_is_refused_by_the_setting_that_names_it():
    with pytest.raises(ConfigError, match=r"task\.phecodes"):
        Config(vocabulary="phecode")
    with pytest.raises(ConfigError, match=r"task\.ccs_levels"):
        Config(vocabulary="ccs_multi_level")


@pytest.mark.parametrize(
    "given",
    [
        {"vocabulary": "phecode", "phecodes": "absent.csv"},
        {"vocabulary": "ccs_multi_level", "ccs_levels": "absent.csv"},
        {"icd9": "absent.csv"},
        {"patients": "absent.csv", "after_year": 2012},
    ],
)
def test_a_study_may_name_a_file_that_is_not_there_until_it_is_read(given):
    config = Config(**given)
    with pytest.raises(SourceError, match="there is none"):
        label(EVENTS, config)


def test_the_content_of_the_file_is_part_of_the_settings(phecodes):
    before = Config(vocabulary="phecode", phecodes=phecodes)
    assert Config.from_yaml(before.to_yaml()) == before
    phecodes.write_text("ICD10,PheCode\nI50.9,428.1\n")
    assert Config(vocabulary="phecode", phecodes=phecodes).to_dict() != before.to_dict()


def test_an_outcome_has_the_name_of_the_file(phecodes):
    config = Config(vocabulary="phecode", phecodes=phecodes)
    assert describe("PHECODE//428", config) == "Heart failure"
    assert describe("PHECODE//428", Config()) == "PHECODE//428"


def test_a_code_of_the_input_is_an_instance_of_its_outcome(phecodes):
    config = Config(vocabulary="phecode", phecodes=phecodes)
    codes = ["DIAGNOSIS//ICD//10//I509", "DIAGNOSIS//ICD//10//Z000", "LAB//50912//mg/dL"]
    assert next_diagnoses.outcome_of_code(codes, config) == {"DIAGNOSIS//ICD//10//I509": "PHECODE//428"}


def test_groups_by_name_are_outcomes_and_who_has_none_of_them_is_a_sample_too():
    groups = {"heart": ["CCSR//CIR"], "kidney": ["CCSR//GEN"]}
    other = table(stay(2, 21, 0, 3, "I10"), stay(2, 22, 50, 52, "Z000"))
    config = Config(groups=groups)
    assert label(EVENTS, config).frame["label_codes"].to_list() == [["heart", "kidney"]]
    assert label(other, config).frame["label_codes"].to_list() == [[]]
    assert next_diagnoses.target(config) == "multilabel"
