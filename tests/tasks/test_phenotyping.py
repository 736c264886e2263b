import polars as pl
import pytest

from attending.errors import TaskError
from attending.ontology import icd
from attending.tasks import phenotyping
from attending.tasks._phenotyping.conditions import CONDITIONS
from attending.tasks.phenotyping import Config, label
from records import day, event, stay, table


def nine(code):
    return f"DIAGNOSIS//ICD//9//{code}"


def test_the_labels_are_the_conditions_of_the_stays_own_discharge_codes():
    events = table(stay(1, 11, 0, 3, "I5023", "N179", "Z000"), stay(2, 21, 0, 3, "Z000"))
    labels = label(events, Config()).frame
    assert labels["prediction_time"].to_list() == [day(1), day(1)]
    assert labels["label_codes"].to_list() == [["CCS//108", "CCS//157"], []]


def test_no_diagnosis_of_the_stay_is_known_when_it_is_predicted():
    """The trap of the task: the codes of a discharge are the answer. None may be available at any prediction time."""
    events = table(stay(1, 11, 0, 3, "I5023"), stay(1, 12, 50, 58, "N179", "A419"))
    for config in (Config(), Config(at="discharge"), Config(hours=0)):
        for row in label(events, config).frame.iter_rows(named=True):
            own = events.filter(
                pl.col("visit_id") == row["visit_id"], pl.col("code").str.starts_with("DIAGNOSIS")
            )
            assert own["available_time"].min() > row["prediction_time"]


def test_a_condition_of_an_earlier_stay_is_history():
    events = table(stay(1, 11, 0, 3, "I5023"), stay(1, 12, 50, 58, "I509", "N179"))
    labels = label(events, Config()).frame
    assert labels["history_codes"].to_list() == [[], ["CCS//108"]]
    assert labels["label_codes"].to_list()[1] == ["CCS//108", "CCS//157"]


def test_a_diagnosis_made_early_in_the_stay_is_input_not_label():
    early = event(1, 0.5, nine("4280"), visit_id=11)
    events = table(early, stay(1, 11, 0, 3, "N179"))
    labels = label(events, Config()).frame
    assert labels["label_codes"].to_list() == [["CCS//157"]]
    assert labels["history_codes"].to_list() == [["CCS//108"]]


def test_a_short_stay_an_early_death_and_an_uncoded_stay_are_no_samples():
    events = table(
        stay(1, 11, 0, 0.5, "N179"),
        stay(2, 21, 0, 3, "N179"),
        event(2, 0.9, "MEDS_DEATH"),
        stay(3, 31, 0, 3),
        stay(4, 41, 0, 3, "N179"),
    )
    labelled = label(events, Config())
    assert labelled.frame["subject_id"].to_list() == [4]
    assert [step["n_samples"] for step in labelled.flow] == [0, 4, 2, 1, 1]


def test_at_discharge_the_prediction_stands_just_before_it():
    labels = label(table(stay(1, 11, 0, 3, "N179")), Config(at="discharge")).frame
    assert labels["prediction_time"].item() == day(3) - pl.Series([1]).cast(pl.Duration("us")).item()
    assert labels["label_codes"].to_list() == [["CCS//157"]]


def test_a_stay_in_intensive_care_is_asked_from_its_own_admission():
    events = table(
        stay(1, 11, 0, 9, "N179"),
        event(1, 4, "ICU_ADMISSION//MICU", visit_id=11),
        event(1, 7, "ICU_DISCHARGE//MICU", visit_id=11),
    )
    assert label(events, Config(stay="icu")).frame["prediction_time"].to_list() == [day(5)]


def test_a_data_set_without_intensive_care_is_refused():
    with pytest.raises(TaskError, match=r"task\.stay"):
        phenotyping.check(Config(stay="icu"), ["HOSPITAL_ADMISSION//URGENT"])


def test_the_conditions_are_25_categories_of_ccs_under_their_names():
    assert len(CONDITIONS) == 25
    for group, (title, _) in CONDITIONS.items():
        assert icd.description(f"CCS//{group}").startswith(title)


@pytest.mark.parametrize(
    ("ten", "nine_code", "condition"),
    [("I10", "4019", "98"), ("I110", "40291", "99"), ("A419", "0389", "2"), ("J9601", "51881", "131")],
)
def test_both_versions_of_a_code_are_the_same_condition(ten, nine_code, condition):
    codes = [f"DIAGNOSIS//ICD//10//{ten}", nine(nine_code)]
    assert phenotyping.outcome_of_code(codes, Config()) == dict.fromkeys(codes, f"CCS//{condition}")


def test_a_code_of_two_conditions_gives_both():
    labels = label(table(stay(1, 11, 0, 3, "R6521")), Config()).frame
    assert labels["label_codes"].to_list() == [["CCS//2", "CCS//249"]]
