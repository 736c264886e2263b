import polars as pl

from attending.visits import END, START, stays, with_visit_ids
from records import day, event, stay, table


def _bounds(events: pl.DataFrame) -> list[tuple[object, ...]]:
    return stays(events).select(START, END).rows()


def test_a_stay_lasts_from_admission_to_discharge_whatever_else_is_recorded_for_it() -> None:
    events = table(stay(1, 11, 1, 5), event(1, 0, "LAB//1", visit_id=11), event(1, 9, "LAB//1", visit_id=11))
    assert _bounds(events) == [(day(1), day(5))]


def test_an_encounter_lasts_from_its_start_to_its_end() -> None:
    codes = (
        (0, "LAB//1"),
        (1, "ENCOUNTER//AMBULATORY"),
        (2, "ENCOUNTER_END//AMBULATORY"),
        (9, "PROCEDURE//1"),
    )
    assert _bounds(table([event(1, at, code, visit_id=11) for at, code in codes])) == [(day(1), day(2))]


def test_a_visit_without_bounds_lasts_from_its_first_event_to_its_last() -> None:
    assert _bounds(table([event(1, at, "LAB//1", visit_id=11) for at in (3, 1, 2)])) == [(day(1), day(3))]


def test_the_end_of_an_emergency_is_not_that_of_the_stay_it_leads_to() -> None:
    emergency = [
        event(1, 0, "ENCOUNTER//EMERGENCY", visit_id=11),
        event(1, 1, "ENCOUNTER_END//ED", visit_id=11),
    ]
    going_on = [stay(1, 11, 1, 9)[0], event(1, 4, "LAB//1", visit_id=11)]
    assert _bounds(table(emergency, going_on)) == [(day(1), day(4))]


def test_whether_a_stay_ends_later_does_not_regroup_what_came_before() -> None:
    begun = [event(1, 0, "HOSPITAL_ADMISSION//URGENT"), event(1, 1, "LAB//1"), event(1, 2, "LAB//2")]
    running = with_visit_ids(table(begun).drop("visit_id"))
    ended = with_visit_ids(table([*begun, event(1, 3, "HOSPITAL_DISCHARGE//HOME")]).drop("visit_id"))
    assert running["visit_id"].to_list() == ended["visit_id"].head(3).to_list() == [1, 1, 1]
