"""A leaky task for the tests: the diagnoses of the admission whose number comes next, not of the next one."""

import polars as pl
from polars import col

from attending.cohort import Labelled, tidy
from attending.tasks import next_diagnoses
from attending.visits import END, stays, with_visit_ids

Config = next_diagnoses.Config
target, describe, outcome_of_code = (
    next_diagnoses.target,
    next_diagnoses.describe,
    next_diagnoses.outcome_of_code,
)


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    events = with_visit_ids(events)
    by_number = stays(events).sort("subject_id", "visit_id")
    pairs = by_number.with_columns(col("visit_id").shift(-1).over("subject_id").alias("target")).drop_nulls(
        "target"
    )
    codes = outcome_of_code(events["code"].unique().to_list(), config)
    named = events.join(pl.DataFrame({"code": list(codes), "outcome": list(codes.values())}), on="code")
    own = named.group_by("visit_id").agg(col("outcome").unique().sort().alias("label_codes"))
    samples = pairs.join(own, left_on="target", right_on="visit_id").with_columns(
        col(END).alias("prediction_time"), pl.lit([], dtype=pl.List(pl.String)).alias("history_codes")
    )
    frame = tidy(samples.select("subject_id", "prediction_time", "label_codes", "history_codes", "visit_id"))
    return Labelled(frame=frame, flow=[{"step": "visits", "n_subjects": 0, "n_samples": frame.height}])
