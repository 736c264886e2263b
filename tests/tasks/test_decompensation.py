import time

import polars as pl

from attending.tasks import decompensation
from records import day, event, stay, table


def _labels(events: pl.DataFrame, **settings: object) -> pl.DataFrame:
    return decompensation.label(events, decompensation.Config.model_validate(settings)).frame


def test_a_stay_is_asked_about_every_hour_from_the_fourth_until_its_end() -> None:
    labels = _labels(table(stay(1, 11, 0, 0.5)))
    assert labels["prediction_time"].to_list() == [day(hour / 24) for hour in range(4, 12)]
    assert labels["label_codes"].list.len().sum() == 0


def test_a_death_counts_in_the_24_hours_before_it_and_not_earlier() -> None:
    labels = _labels(table(stay(1, 11, 0, 3, how="DIED"), event(1, 3, "MEDS_DEATH")))
    happens = labels["label_codes"].list.len().to_list()
    assert labels.height == 72 - 4
    assert happens == [0] * (48 - 4) + [1] * 24


def test_a_death_soon_after_the_discharge_counts() -> None:
    labels = _labels(table(stay(1, 11, 0, 1), event(1, 1.25, "MEDS_DEATH")), every_hours=6)
    assert labels["label_codes"].list.len().to_list() == [0, 1, 1, 1]


def test_the_dead_are_not_asked_about_though_their_discharge_is_later() -> None:
    labels = _labels(table(stay(1, 11, 0, 3, how="DIED"), event(1, 0.5, "MEDS_DEATH")))
    assert labels["prediction_time"].max() == day(11 / 24)


def test_steps_and_the_last_hour_are_settings() -> None:
    labels = _labels(table(stay(1, 11, 0, 9)), first_hours=6, every_hours=12, last_hours=48)
    assert labels["prediction_time"].to_list() == [day(hours / 24) for hours in (6, 18, 30, 42)]


def test_a_stay_without_a_recorded_end_is_censored_where_the_horizon_reaches_beyond_its_last_event() -> None:
    events = table(stay(1, 11, 0, 5)[:1], event(1, 2, "LAB//1", visit_id=11))
    labels = _labels(events, every_hours=4)
    unknown = labels["censored_codes"].list.len().to_list()
    assert labels["prediction_time"].to_list() == [day(hours / 24) for hours in range(4, 48, 4)]
    assert unknown == [int(hours > 24) for hours in range(4, 48, 4)]


def test_of_overlapping_stays_a_moment_counts_once() -> None:
    labelled = decompensation.label(table(stay(1, 11, 0, 1), stay(1, 12, 0, 1)), decompensation.Config())
    assert labelled.frame.height == 20
    assert labelled.flow[-1]["n_samples"] == 20
    assert labelled.flow[-2]["n_samples"] == 40


def test_intensive_care_is_asked_about_from_its_own_admission() -> None:
    units = [event(1, 2, "ICU_ADMISSION//A", visit_id=11), event(1, 2.5, "ICU_DISCHARGE//A", visit_id=11)]
    labels = _labels(table(stay(1, 11, 0, 9), units), stay="icu")
    assert labels["prediction_time"].to_list() == [day(2 + hour / 24) for hour in range(4, 12)]


def test_a_million_moments_take_seconds() -> None:
    n = 4000
    visits = pl.DataFrame(
        {"subject_id": range(n), "visit_id": range(n)}, schema={"subject_id": pl.Int64, "visit_id": pl.Int64}
    )
    begun = visits.with_columns(pl.lit(day(0)).alias("time"), pl.lit("HOSPITAL_ADMISSION//ICU").alias("code"))
    ended = visits.with_columns(
        pl.lit(day(12)).alias("time"), pl.lit("HOSPITAL_DISCHARGE//ALIVE").alias("code")
    )
    events = pl.concat([begun, ended]).sort("subject_id", "time")
    start = time.process_time()
    assert _labels(events).height == n * (12 * 24 - 4)
    assert time.process_time() - start < 20
