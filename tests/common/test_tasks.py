"""What every registered task must do, on one record that has everything."""

import polars as pl
import pytest

from attending import registry
from attending.schema import LABELS
from records import event, stay, table

TASKS = registry.names("tasks")
RECORDS = [
    *(stay(1, 10 + visit, 60 * visit, 60 * visit + 4, "I10", f"J1{visit}") for visit in range(5)),
    stay(2, 20, 0, 3, "E119"),
    stay(2, 21, 10, 18, "N179", how="DIED"),
    event(2, 18, "MEDS_DEATH"),
    event(3, 7, "LAB//50912//mg/dL", numeric_value=1.0),
    event(1, 61, "LAB//50912//mg/dL", numeric_value=2.0, known=62),
    *(event(1, 60 * visit + 1, "MEDICATION//Furosemide 20mg Tab", visit_id=10 + visit) for visit in range(3)),
]


@pytest.mark.parametrize("name", TASKS)
def test_labels_have_the_columns_types_and_order_of_the_schema(name: str) -> None:
    module = registry.load("tasks", name)
    labelled = module.label(table(*RECORDS), module.Config())
    assert not LABELS.check(labelled.frame, name).is_empty()
    assert labelled.flow[-1]["n_samples"] == labelled.frame.height


@pytest.mark.parametrize("name", TASKS)
def test_no_label_depends_on_anything_known_by_the_prediction_time_alone(name: str) -> None:
    """Samples labelled from the record cut at the prediction time have no label: labels lie strictly after it."""
    module = registry.load("tasks", name)
    events = table(*RECORDS)
    samples = module.label(events, module.Config()).frame
    some = samples.gather_every(1 + samples.height // 50)  # a task may ask every hour
    for row in some.iter_rows(named=True):
        past = events.filter(
            (pl.col("time") <= row["prediction_time"]) | (pl.col("subject_id") != row["subject_id"])
        )
        again = module.label(past, module.Config()).frame
        same = again.filter(
            (pl.col("subject_id") == row["subject_id"])
            & (pl.col("prediction_time") == row["prediction_time"])
        )
        assert same["label_codes"].list.len().sum() == 0


@pytest.mark.parametrize("name", TASKS)
def test_a_shard_without_any_visit_gives_no_sample_and_no_error(name: str) -> None:
    module = registry.load("tasks", name)
    assert module.label(table(event(3, 7, "LAB//50912//mg/dL")), module.Config()).frame.is_empty()


@pytest.mark.parametrize("name", TASKS)
def test_a_tasks_settings_round_trip_through_yaml(name: str) -> None:
    config = registry.load("tasks", name).Config()
    assert type(config).from_yaml(config.to_yaml()) == config
