"""A leaky task for the tests: death in hospital, asked when the stay is over, so that the answer is on record."""

from polars import DataFrame, col

from attending.cohort import Labelled
from attending.tasks import mortality
from attending.tasks._stays.places import stays_in
from attending.visits import END, with_visit_ids

Config, target, describe, outcome_of_code = (
    mortality.Config,
    mortality.target,
    mortality.describe,
    mortality.outcome_of_code,
)


def label(events: DataFrame, config: mortality.Config) -> Labelled:
    """Label one shard of events."""
    found = mortality.label(events, config)
    ends = stays_in("hospital", with_visit_ids(events)).select("subject_id", "visit_id", END)
    late = found.frame.join(ends, on=["subject_id", "visit_id"]).with_columns(
        col(END).alias("prediction_time")
    )
    return Labelled(
        frame=late.select(found.frame.columns).sort("subject_id", "prediction_time"), flow=found.flow
    )
