from attending.tasks import mortality, readmission
from records import day, event, stay, table


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
    assert labels["label_codes"].to_list() == [[], [mortality.OUTCOME]]


def test_a_death_after_the_discharge_is_no_death_in_hospital() -> None:
    events = table(stay(1, 11, 0, 5), event(1, 6, "MEDS_DEATH"))
    assert mortality.label(events, mortality.Config()).frame["label_codes"].to_list() == [[]]


def test_readmission_within_the_window_counts_and_later_does_not() -> None:
    events = table(stay(1, 11, 0, 5), stay(1, 12, 30, 31), stay(1, 13, 90, 91))
    labels = readmission.label(events, readmission.Config(days=30)).frame
    assert labels["label_codes"].to_list() == [["readmission_within_30_days"], [], []]


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
