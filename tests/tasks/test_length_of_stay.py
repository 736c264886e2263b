import polars as pl
import pytest

from attending.errors import AttendingError, TaskError
from attending.tasks import length_of_stay
from records import day, event, stay, table

EVENTS = table(
    stay(1, 11, 0, 0.5),
    stay(2, 21, 0, 2.5),
    stay(3, 31, 0, 7),
    stay(4, 41, 0, 20, how="DIED"),
    stay(5, 51, 0, 9)[:1],
    event(5, 4, "LAB//1", visit_id=51),
)


def _labels(**settings: object) -> pl.DataFrame:
    return length_of_stay.label(EVENTS, length_of_stay.Config.model_validate(settings)).frame


def test_days_are_those_from_admission_of_stays_that_still_run() -> None:
    labels = _labels()
    assert labels["subject_id"].to_list() == [2, 3, 4]
    assert labels["prediction_time"].unique().to_list() == [day(1)]
    assert labels["value"].to_list() == [2.5, 7.0, 20.0]


def test_days_may_be_counted_from_the_prediction() -> None:
    assert _labels(counted="remaining", hours=48)["value"].to_list() == [0.5, 5.0, 18.0]


def test_a_stay_without_a_recorded_end_is_no_sample_and_the_flow_says_so() -> None:
    flow = length_of_stay.label(EVENTS, length_of_stay.Config()).flow
    assert [step["n_samples"] for step in flow[-2:]] == [4, 3]
    assert flow[-1]["step"] == "whose end is recorded"


def test_a_stay_of_exactly_seven_days_is_over_three_and_not_over_seven() -> None:
    labels = _labels(kind="over")
    assert labels["label_codes"].to_list() == [
        [],
        ["stay_over_3_days"],
        ["stay_over_3_days", "stay_over_7_days"],
    ]


def test_exactly_one_bin_happens() -> None:
    labels = _labels(kind="bins")["label_codes"].to_list()
    assert labels == [["stay_of_2_to_3_days"], ["stay_of_7_to_8_days"], ["stay_of_14_days_or_more"]]
    assert _labels(kind="bins", hours=0)["label_codes"][0].to_list() == ["stay_of_under_1_day"]


def test_the_dead_may_be_left_out() -> None:
    assert _labels(deaths="exclude")["subject_id"].to_list() == [2, 3]


def test_a_death_before_the_discharge_ends_the_stay() -> None:
    events = table(stay(1, 11, 0, 9, how="DIED"), event(1, 4, "MEDS_DEATH"))
    assert length_of_stay.label(events, length_of_stay.Config()).frame["value"].to_list() == [4.0]


def test_intensive_care_has_stays_of_its_own() -> None:
    units = [
        event(1, at, code, visit_id=11)
        for at, code in (
            (1, "ICU_ADMISSION//MICU"),
            (4, "ICU_DISCHARGE//MICU"),
            (6, "ICU_ADMISSION//SICU"),
            (8, "ICU_DISCHARGE//SICU"),
            (9, "ICU_ADMISSION//SICU"),
        )
    ]
    events = table(stay(1, 11, 0, 12), units)
    labels = length_of_stay.label(events, length_of_stay.Config(stay="icu")).frame
    assert labels["prediction_time"].to_list() == [day(2), day(7)]
    assert labels["value"].to_list() == [3.0, 2.0]


def test_a_unit_stay_without_an_end_does_not_take_the_end_of_the_next() -> None:
    units = [
        event(1, at, code, visit_id=11)
        for at, code in ((1, "ICU_ADMISSION//A"), (5, "ICU_ADMISSION//B"), (8, "ICU_DISCHARGE//B"))
    ]
    events = table(stay(1, 11, 0, 12), units)
    labels = length_of_stay.label(events, length_of_stay.Config(stay="icu")).frame
    assert labels["value"].to_list() == [3.0]


def test_a_data_set_without_intensive_care_is_told_so() -> None:
    with pytest.raises(TaskError, match=r"task\.stay=hospital"):
        length_of_stay.check(length_of_stay.Config(stay="icu"), ["HOSPITAL_ADMISSION//ICU", "ICU_ADMISSIONS"])
    length_of_stay.check(length_of_stay.Config(stay="icu"), ["ICU_ADMISSION//MICU"])


@pytest.mark.parametrize(
    "settings",
    [{"kind": "over", "over": 1}, {"kind": "over", "over": 3, "hours": 72}, {"kind": "bins", "bins": (3, 2)}],
)
def test_a_question_whose_answer_is_known_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(AttendingError, match=r"task\.(over|bins)"):
        length_of_stay.Config.model_validate(settings)


def test_each_kind_says_what_it_predicts() -> None:
    kinds = [{"kind": "days"}, {"kind": "over", "over": 3}, {"kind": "over"}, {"kind": "bins"}]
    targets = [length_of_stay.target(length_of_stay.Config.model_validate(kind)) for kind in kinds]
    assert targets == ["value", "binary", "multilabel", "multilabel"]


def test_outcomes_are_described_in_words() -> None:
    names = ["length_of_stay", "stay_over_3_days", "stay_of_2_to_3_days"]
    words = ["Length of stay in days", "A stay over 3 days", "A stay of 2 to 3 days"]
    assert [length_of_stay.describe(name, length_of_stay.Config()) for name in names] == words
