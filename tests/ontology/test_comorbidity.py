"""Examples are from the tables of Quan et al. 2005; weights from the papers that the module names."""

import polars as pl
import pytest

from attending.ontology import comorbidity

NINE, TEN = "DIAGNOSIS//ICD//9//", "DIAGNOSIS//ICD//10//"


@pytest.mark.parametrize(
    ("code", "elixhauser", "charlson"),
    [
        (TEN + "I509", ("congestive_heart_failure",), ("congestive_heart_failure",)),
        (NINE + "40201", ("hypertension_complicated",), ("congestive_heart_failure",)),
        (NINE + "42822", ("congestive_heart_failure",), ("congestive_heart_failure",)),
        (TEN + "I2109", (), ("myocardial_infarction",)),
        (TEN + "I252", (), ("myocardial_infarction",)),
        (TEN + "E1165", ("diabetes_complicated",), ("diabetes_uncomplicated",)),
        (NINE + "25000", ("diabetes_uncomplicated",), ("diabetes_uncomplicated",)),
        (NINE + "25040", ("diabetes_complicated",), ("diabetes_complicated",)),
        (TEN + "C780", ("metastatic_cancer",), ("metastatic_solid_tumor",)),
        (NINE + "1733", (), ()),  # skin, but not melanoma
        (NINE + "1950", ("solid_tumor_without_metastasis",), ("malignancy",)),
        (TEN + "F3150", ("psychoses", "depression"), ()),
        (NINE + "042", ("hiv",), ("hiv",)),
        (TEN + "N185", ("renal_failure",), ("renal_disease",)),
        (TEN + "J189", (), ()),
        ("PROCEDURE//ICD//9//4280", (), ()),
        ("LAB//1", (), ()),
    ],
)
def test_codes_are_counted_as_the_paper_lists_them(code, elixhauser, charlson):
    found = comorbidity.of_code(code, "elixhauser")
    assert tuple(one for one in elixhauser if one in found) == elixhauser
    assert set(found) >= set(elixhauser)
    assert len(found) <= 2
    assert comorbidity.of_code(code, "charlson") == charlson


def test_there_are_31_and_17_comorbidities():
    assert len(comorbidity.categories("elixhauser")) == 31
    assert len(comorbidity.categories("charlson")) == 17


def test_scores_are_the_sums_of_the_published_weights():
    assert comorbidity.score(["congestive_heart_failure", "obesity"], "van_walraven") == 7 - 4
    assert comorbidity.score(["metastatic_cancer", "drug_abuse"], "van_walraven") == 12 - 7
    assert comorbidity.score(["congestive_heart_failure", "dementia"], "charlson") == 2
    assert comorbidity.score(["congestive_heart_failure", "dementia"], "quan") == 4
    every = comorbidity.categories("charlson")
    assert comorbidity.score(every, "quan") == 24  # the highest that the paper says there is
    assert comorbidity.score(every, "charlson") == 29


def test_a_severe_form_takes_the_place_of_its_mild_form():
    assert comorbidity.score(["malignancy", "metastatic_solid_tumor"], "charlson") == 6
    assert comorbidity.score(["mild_liver_disease", "moderate_or_severe_liver_disease"], "quan") == 4
    assert comorbidity.without_mild_forms(["diabetes_uncomplicated", "diabetes_complicated"]) == {
        "diabetes_complicated"
    }


def test_a_table_has_a_row_for_each_subject_and_agrees_with_the_score_of_each():
    events = pl.DataFrame(
        {
            "subject_id": [1, 1, 1, 2, 3],
            "code": [TEN + "I509", NINE + "25000", NINE + "25040", "LAB//1", TEN + "C780"],
        }
    )
    table = comorbidity.table(events, ["subject_id"], "charlson")
    assert table["subject_id"].to_list() == [1, 2, 3]
    assert table["score"].to_list() == [3, 0, 6]
    assert not table["diabetes_uncomplicated"].any()
    assert table.columns[1:-1] == comorbidity.categories("charlson")


def test_a_prefix_is_not_a_number():
    assert comorbidity.of_code(NINE + "4010", "elixhauser") == ("hypertension_uncomplicated",)
    assert comorbidity.of_code(NINE + "0401", "elixhauser") == ()
