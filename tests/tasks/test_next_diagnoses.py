from attending.tasks.next_diagnoses import Config, label
from records import day, event, stay, table

FULL = Config(vocabulary="full")


def code(name: str) -> str:
    return f"DIAGNOSIS//ICD//10//{name}"


def test_each_visit_but_the_last_is_labelled_with_the_next_visits_diagnoses() -> None:
    events = table(stay(1, 11, 0, 3, "I10"), stay(1, 12, 50, 52, "I10", "E119"), stay(1, 13, 90, 91, "N179"))
    labels = label(events, FULL).frame
    assert labels["prediction_time"].to_list() == [day(3), day(52)]
    assert labels["visit_id"].to_list() == [11, 12]
    assert labels["label_codes"].to_list() == [[code("E119"), code("I10")], [code("N179")]]


def test_a_label_already_in_the_record_is_a_recurrence_and_any_other_a_new_onset() -> None:
    events = table(stay(1, 11, 0, 3, "I10"), stay(1, 12, 50, 52, "I10", "E119"), stay(1, 13, 90, 91, "E119"))
    labels = label(events, FULL).frame
    assert labels["history_codes"].to_list() == [[code("I10")], [code("E119"), code("I10")]]


def test_last_keeps_one_sample_a_subject() -> None:
    events = table(
        stay(1, 11, 0, 3, "I10"),
        stay(1, 12, 50, 52, "I10"),
        stay(1, 13, 90, 91, "I10"),
        stay(2, 21, 5, 6, "I10"),
    )
    labelled = label(events, Config(visits="last", vocabulary="full"))
    assert labelled.frame["visit_id"].to_list() == [12]
    assert [step["n_samples"] for step in labelled.flow] == [0, 4, 2, 2, 1]


def test_an_overlapping_stay_is_never_the_target() -> None:
    """Admission ids and even admission order are not time: a stay that began before the discharge is skipped."""
    events = table(stay(1, 11, 0, 10, "I10"), stay(1, 12, 5, 20, "E119"), stay(1, 9, 30, 31, "N179"))
    labels = label(events, FULL).frame
    assert dict(zip(labels["visit_id"].to_list(), labels["label_codes"].to_list(), strict=True)) == {
        11: [code("N179")],
        12: [code("N179")],
    }


def test_a_next_visit_without_a_diagnosis_is_no_sample() -> None:
    events = table(stay(1, 11, 0, 3, "I10"), stay(1, 12, 50, 52))
    labelled = label(events, FULL)
    assert labelled.frame.is_empty()
    assert labelled.flow[-1] == {"step": "whose next visit has a diagnosis", "n_subjects": 0, "n_samples": 0}


def test_no_label_uses_an_event_at_or_before_its_prediction_time() -> None:
    events = table(
        *(stay(1, visit, 30 * visit, 30 * visit + 2, "I10", f"E1{visit}9") for visit in range(1, 8))
    )
    labels = label(events, FULL).frame
    for moment, happened in zip(labels["prediction_time"], labels["label_codes"], strict=True):
        later = events.filter(events["time"] > moment)["code"].to_list()
        assert set(happened) <= set(later)


def test_the_vocabulary_groups_codes() -> None:
    events = table(stay(1, 11, 0, 3, "I10"), stay(1, 12, 50, 52, "E1165", "E119"))
    three = label(events, Config(vocabulary="three_character")).frame["label_codes"].to_list()
    groups = label(events, Config(vocabulary="ccs")).frame["label_codes"].to_list()
    assert len(three[0]) == 1
    assert three[0][0].endswith("E11")
    assert all(group.startswith("CCS") for group in groups[0])


def test_visits_are_rebuilt_where_the_data_set_has_no_visit_ids() -> None:
    with_ids = table(stay(1, 11, 0, 3, "I10"), stay(1, 12, 50, 52, "E119"), event(1, 20, "LAB//1//mg"))
    without = with_ids.drop("visit_id")
    assert (
        label(without, FULL).frame["label_codes"].to_list()
        == label(with_ids, FULL).frame["label_codes"].to_list()
    )
