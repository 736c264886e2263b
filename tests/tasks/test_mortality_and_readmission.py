from datetime import date

import pytest

from attending.errors import AttendingError, ConfigError, TaskError
from attending.schema import LABELS
from attending.tasks import mortality, readmission
from records import day, event, stay, table

MONTH = "readmission_within_30_days"


def test_mortality_is_asked_24_hours_after_admission_of_those_still_alive_and_in_hospital() -> None:
    events = table(
        stay(1, 11, 0, 5),
        stay(2, 21, 0, 4, how="DIED"),
        event(2, 4, "MEDS_DEATH"),
        stay(3, 31, 0, 0.5),
        stay(4, 41, 0, 3, how="DIED"),
        event(4, 0.9, "MEDS_DEATH"),
    )
    labels = mortality.label(events, mortality.Config()).frame
    assert labels["subject_id"].to_list() == [1, 2]
    assert labels["prediction_time"].to_list() == [day(1), day(1)]
    assert labels["label_codes"].to_list() == [[], [mortality.DEATH_IN["hospital"]]]


def test_a_death_after_the_discharge_is_no_death_in_hospital() -> None:
    events = table(stay(1, 11, 0, 5), event(1, 6, "MEDS_DEATH"))
    assert mortality.label(events, mortality.Config()).frame["label_codes"].to_list() == [[]]


def test_a_death_at_discharge_is_in_hospital() -> None:
    events = table(stay(1, 11, 0, 5), event(1, 5, "MEDS_DEATH"))
    assert mortality.label(events, mortality.Config()).frame["label_codes"].to_list() == [
        [mortality.DEATH_IN["hospital"]]
    ]


def test_a_stay_whose_end_is_not_recorded_is_not_known_to_be_survived() -> None:
    begun = stay(1, 11, 0, 5)[:1]
    events = table(begun, event(1, 3, "LAB//1", visit_id=11), stay(2, 21, 0, 5))
    labels = mortality.label(events, mortality.Config()).frame
    assert labels["label_codes"].to_list() == [[], []]
    assert labels["censored_codes"].to_list() == [[mortality.DEATH_IN["hospital"]], []]


def test_a_visit_to_a_clinic_is_no_stay_in_hospital() -> None:
    clinic = [event(1, at, "ENCOUNTER//AMBULATORY", visit_id=11) for at in (0, 5)]
    assert mortality.label(table(clinic), mortality.Config()).frame.is_empty()


def test_death_after_discharge_is_asked_within_several_windows_before_the_codes_of_the_discharge() -> None:
    events = table(
        stay(1, 11, 0, 5, "I10"),
        event(1, 20, "MEDS_DEATH"),
        stay(2, 21, 0, 5),
        event(2, 105, "MEDS_DEATH"),
        stay(3, 31, 0, 5, how="DIED"),
    )
    labels = mortality.label(events, mortality.Config(window="after_discharge")).frame
    assert LABELS.check(labels, "labels")["subject_id"].to_list() == [1, 2]
    assert all(day(4.9) < at < day(5) for at in labels["prediction_time"])
    month, year = "death_within_30_days", "death_within_365_days"
    assert labels["label_codes"].to_list() == [[month, year], [year]]
    assert labels["event"].to_list() == [1, 1]
    assert labels["event_days"].to_list() == [15.0, 100.0]


def test_a_death_on_the_last_moment_of_the_window_is_within_it() -> None:
    config = mortality.Config(window="after_discharge", days=(30,), follow_up="complete")
    events = table(
        stay(1, 11, 0, 5), event(1, 35, "MEDS_DEATH"), stay(2, 21, 0, 5), event(2, 35.1, "MEDS_DEATH")
    )
    labels = mortality.label(events, config).frame
    assert labels["label_codes"].list.len().to_list() == [1, 0]
    assert labels["event"].to_list() == [1, 0]
    assert labels["event_days"].to_list() == [30.0, 30.0]
    assert mortality.target(config) == "binary"


def test_who_is_not_followed_to_the_windows_end_is_censored_unless_deaths_are_complete() -> None:
    events = table(stay(1, 11, 0, 5), event(1, 50, "LAB//1"), stay(2, 21, 0, 5))
    censored = mortality.label(events, mortality.Config(window="after_discharge")).frame
    month, year = "death_within_30_days", "death_within_365_days"
    assert censored["censored_codes"].to_list() == [[year], [month, year]]
    assert censored["event_days"].to_list() == [45.0, 0.0]
    whole = mortality.label(events, mortality.Config(window="after_discharge", follow_up="complete")).frame
    assert whole["censored_codes"].to_list() == [[], []]
    assert whole["event_days"].to_list() == [365.0, 365.0]


def test_complete_data_end_on_a_day() -> None:
    events = table(stay(1, 11, 0, 5), stay(2, 21, 0, 35))
    config = readmission.Config(until=date(2150, 2, 15))
    assert readmission.label(events, config).frame["censored_codes"].to_list() == [[], [MONTH]]


def test_the_flow_says_how_many_fates_are_known_and_ends_with_the_samples() -> None:
    events = table(stay(1, 11, 0, 5), event(1, 50, "LAB//1"), stay(2, 21, 0, 5))
    flow = mortality.label(events, mortality.Config(window="after_discharge")).flow
    known = {str(step["step"]): step["n_samples"] for step in flow}
    assert known["whose fate 30 days later is known"] == 1
    assert known["whose fate 365 days later is known"] == 0
    assert flow[-1]["n_samples"] == 2


@pytest.mark.parametrize("days", [(), (0,), (30, 30), (-1,)])
def test_windows_that_are_none_are_refused(days: tuple[float, ...]) -> None:
    for config in (mortality.Config, readmission.Config):
        with pytest.raises(AttendingError, match=r"task\.days"):
            config(days=days)


def test_an_end_of_complete_data_has_no_meaning_with_follow_up_to_the_last_event() -> None:
    with pytest.raises(ConfigError, match=r"task\.until"):
        readmission.Config(follow_up="last_event", until=date(2020, 1, 1))


def test_readmission_within_the_window_counts_and_later_does_not() -> None:
    events = table(stay(1, 11, 0, 5), stay(1, 12, 30, 31), stay(1, 13, 90, 91))
    labels = readmission.label(events, readmission.Config(days=(30,))).frame
    assert labels["label_codes"].to_list() == [[MONTH], [], []]


def test_one_window_may_be_given_as_a_number() -> None:
    assert readmission.Config.model_validate({"days": 90}).days == (90.0,)


def test_several_windows_give_an_outcome_each() -> None:
    events = table(stay(1, 11, 0, 5), stay(1, 12, 50, 51))
    config = readmission.Config(days=(30, 90))
    labels = readmission.label(events, config).frame
    assert labels["label_codes"].to_list() == [["readmission_within_90_days"], []]
    assert readmission.target(config) == "multilabel"
    assert readmission.describe(MONTH, readmission.Config()) == "Readmission to hospital within 30 days"


def test_readmission_stands_before_the_codes_that_the_discharge_assigns() -> None:
    events = table(stay(1, 11, 0, 5, "I10"))
    strict = readmission.label(events, readmission.Config()).frame
    assert strict["prediction_time"][0] < day(5)
    allowed = readmission.label(events, readmission.Config(discharge_codes=True)).frame
    assert allowed["prediction_time"][0] == day(5)


def test_a_stay_that_ends_in_death_is_no_discharge_alive() -> None:
    events = table(
        stay(1, 11, 0, 5, how="DIED"), stay(2, 21, 0, 5), event(2, 5, "MEDS_DEATH"), stay(3, 31, 0, 1)
    )
    assert readmission.label(events, readmission.Config()).frame["subject_id"].to_list() == [3]


def test_death_in_the_window_is_a_competing_event() -> None:
    events = table(stay(1, 11, 0, 5), event(1, 15, "MEDS_DEATH"), stay(2, 21, 0, 5))
    assert readmission.label(events, readmission.Config()).frame["label_codes"].to_list() == [[], []]
    excluded = readmission.label(events, readmission.Config(death="exclude"))
    assert excluded.frame["subject_id"].to_list() == [2]
    assert excluded.flow[-1]["n_samples"] == 1


def test_competing_death_is_told_with_its_time() -> None:
    events = table(
        stay(1, 11, 0, 5),
        event(1, 15, "MEDS_DEATH"),
        stay(2, 21, 0, 5),
        stay(2, 22, 12, 13),
        event(2, 14, "MEDS_DEATH"),
        stay(3, 31, 0, 5),
    )
    labels = readmission.label(events, readmission.Config(death="competing")).frame
    assert labels["event"].to_list() == [2, 1, 2, 0]
    assert labels["event_days"].to_list() == [10.0, 7.0, 1.0, 30.0]
    assert labels["label_codes"].to_list() == [[], [MONTH], [], []]


def test_of_several_windows_death_rules_out_those_that_it_falls_into() -> None:
    events = table(stay(1, 11, 0, 5), event(1, 45, "MEDS_DEATH"))
    labels = readmission.label(events, readmission.Config(days=(30, 90), death="exclude")).frame
    assert labels["censored_codes"].to_list() == [["readmission_within_90_days"]]


def test_no_event_in_the_window_is_no_readmission_unless_follow_up_ends_at_the_last_event() -> None:
    events = table(stay(1, 11, 0, 5), stay(2, 21, 0, 5), event(2, 15, "MEDS_DEATH"))
    assert readmission.label(events, readmission.Config()).frame["censored_codes"].to_list() == [[], []]
    censored = readmission.label(events, readmission.Config(follow_up="last_event")).frame
    assert censored["censored_codes"].to_list() == [[MONTH], []]


def test_a_transfer_is_no_readmission() -> None:
    events = table(stay(1, 11, 0, 5), stay(1, 12, 5, 8), stay(1, 13, 8.5, 9))
    labels = readmission.label(events, readmission.Config()).frame
    assert labels["visit_id"].to_list() == [12, 13]
    assert labels["label_codes"].to_list() == [[MONTH], []]
    joined = readmission.label(events, readmission.Config(transfer_hours=24)).frame
    assert joined["visit_id"].to_list() == [13]


def test_a_discharge_within_another_stay_is_none() -> None:
    events = table(stay(1, 11, 0, 20), stay(1, 12, 3, 4), stay(1, 13, 30, 31))
    labels = readmission.label(events, readmission.Config()).frame
    assert labels["visit_id"].to_list() == [11, 13]


def test_a_planned_admission_is_no_readmission() -> None:
    back = stay(1, 12, 10, 11)
    back[0]["code"] = "HOSPITAL_ADMISSION//ELECTIVE//CLINIC"
    events = table(stay(1, 11, 0, 5), back, stay(1, 13, 60, 61))
    config = readmission.Config(planned=("HOSPITAL_ADMISSION//ELECTIVE",))
    labels = readmission.label(events, config).frame
    assert labels["label_codes"].to_list() == [[], [], []]
    readmission.check(config, events["code"].unique().to_list())
    with pytest.raises(TaskError, match="did you mean 'HOSPITAL_ADMISSION//ELECTIVE//CLINIC'"):
        readmission.check(
            readmission.Config(planned=("HOSPITAL_ADMISSION//ELECTIV",)), events["code"].to_list()
        )


def test_a_unit_stay_that_is_a_visit_of_its_own_may_be_asked_about() -> None:
    unit = [
        event(1, 0, "ICU_ADMISSION//MICU", visit_id=7),
        event(1, 3, "ICU_DISCHARGE//MICU//EXPIRED", visit_id=7),
        event(2, 0, "ICU_ADMISSION//MICU", visit_id=8),
        event(2, 3, "ICU_DISCHARGE//MICU//HOME", visit_id=8),
    ]
    frame = mortality.label(table(unit), mortality.Config(stay="icu")).frame
    assert frame["label_codes"].to_list() == [[mortality.DEATH_IN["icu"]], []]
