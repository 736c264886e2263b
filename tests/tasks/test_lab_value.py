import polars as pl
import pytest

from attending.errors import AttendingError, TaskError
from attending.tasks import lab_value
from attending.tasks._stays.laboratory import LABS
from records import day, event, stay, table

CREATININE = "LAB//50912//mg/dL"
NAME = "abnormal_next_result_of_creatinine"


def _result(at: float, value: float | None, **more: object) -> dict[str, object]:
    return event(1, at, str(more.pop("code", CREATININE)), numeric_value=value, **more)


def _labels(*records: dict[str, object], **settings: object) -> pl.DataFrame:
    events = table(stay(1, 11, 0, 5), *records)
    return lab_value.label(events, lab_value.Config.model_validate(settings)).frame


def test_the_first_result_after_a_visit_says_whether_it_is_abnormal() -> None:
    labels = _labels(_result(3, 1.0), _result(20, 2.1), _result(30, 1.0))
    assert labels["prediction_time"].to_list() == [day(5)]
    assert labels["label_codes"].to_list() == [[NAME]]
    assert labels["history_codes"].to_list() == [[]]


def test_a_limit_itself_is_normal() -> None:
    assert _labels(_result(20, 2.0))["label_codes"].to_list() == [[]]


def test_an_abnormal_result_known_before_is_history() -> None:
    assert _labels(_result(3, 5.0), _result(20, 2.1))["history_codes"].to_list() == [[NAME]]
    assert _labels(_result(3, 5.0, known=6), _result(20, 2.1))["history_codes"].to_list() == [[]]


def test_a_result_drawn_before_the_prediction_and_known_after_it_is_not_the_next() -> None:
    assert _labels(_result(4.9, 9.0, known=6), _result(20, 1.0))["label_codes"].to_list() == [[]]
    assert _labels(_result(5, 9.0, known=6), _result(20, 1.0))["label_codes"].to_list() == [[]]


def test_no_number_in_the_horizon_is_no_sample() -> None:
    assert _labels(_result(5.5, None), _result(40, 9.0), horizon_days=30).is_empty()
    assert _labels(_result(35, 9.0), horizon_days=30).height == 1


def test_another_unit_is_another_result() -> None:
    assert _labels(_result(20, 90.0, code="LAB//50912//umol/L")).is_empty()


def test_the_value_itself_may_be_predicted() -> None:
    labels = _labels(_result(20, 1.0), _result(20, 2.0), kind="value")
    assert labels["value"].to_list() == [1.5]
    assert labels["label_codes"].to_list() == [["next_result_of_creatinine"]]


def test_a_rise_is_measured_from_the_last_result_that_is_known() -> None:
    earlier = [_result(1, 3.0), _result(2, 1.0), _result(4, 9.0, known=6)]
    risen = _labels(*earlier, _result(20, 1.5), kind="rise")
    assert risen["label_codes"].to_list() == [["rise_of_next_result_of_creatinine"]]
    assert _labels(*earlier, _result(20, 1.4), kind="rise")["label_codes"].to_list() == [[]]
    assert _labels(_result(20, 1.4), kind="rise").is_empty()


def test_a_stay_may_be_asked_hours_after_its_admission() -> None:
    labels = _labels(_result(0.5, 1.0), _result(2, 3.0), at="admitted", horizon_days=2)
    assert labels["prediction_time"].to_list() == [day(1)]
    assert labels["label_codes"].to_list() == [[NAME]]


def test_codes_and_limits_may_be_ones_own() -> None:
    sodium = {"codes": ["LAB//mine"], "low": 130}
    labels = _labels(_result(20, 120.0, code="LAB//mine//mmol/L"), **sodium)
    assert labels["label_codes"].to_list() == [["abnormal_next_result"]]
    assert _labels(_result(20, 150.0, code="LAB//mine//mmol/L"), **sodium)["label_codes"].to_list() == [[]]


def test_a_result_that_the_data_set_lacks_is_refused_with_the_nearest_code() -> None:
    config = lab_value.Config()
    with pytest.raises(TaskError, match="did you mean 'LAB//50912//mmol/L'"):
        lab_value.check(config, ["LAB//50912//mmol/L", "LAB//1", "VITAL//2"])
    lab_value.check(config, ["LAB//LOINC//2160-0//mg/dL"])


def test_codes_of_several_units_are_refused() -> None:
    config = lab_value.Config(codes=("LAB//1",), high=2)
    with pytest.raises(TaskError, match="of one unit; got g/L, mg/dL"):
        lab_value.check(config, ["LAB//1//mg/dL", "LAB//1//g/L"])


@pytest.mark.parametrize(
    "settings",
    [{"codes": ["LAB//1"]}, {"kind": "low"}, {"low": 3}, {"codes": ["LAB//1"], "kind": "high", "low": 1}],
)
def test_a_question_without_its_limit_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(AttendingError, match=r"task\.(low|high)"):
        lab_value.Config.model_validate(settings)


def test_no_code_stands_for_two_results() -> None:
    codes = [code for definition in LABS.values() for code in definition.with_units()]
    assert len(codes) == len(set(codes))
    assert all(definition.low or definition.high for definition in LABS.values())
