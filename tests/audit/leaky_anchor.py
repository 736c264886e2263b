"""A leaky task for the tests: death in hospital, asked 12 hours before it, and of others a day after admission."""

import polars as pl
from polars import col

from attending.cohort import Labelled, binary
from attending.config import Settings
from attending.tasks._stays.places import DIED, stays_in
from attending.visits import END, START, with_visit_ids


class Config(Settings):
    """No settings."""

    min_train_subjects: int = 1


def label(events: pl.DataFrame, config: Config) -> Labelled:
    """Label one shard of events."""
    found = stays_in("hospital", with_visit_ids(events))
    at = pl.when(DIED).then(col(END) - pl.duration(hours=12)).otherwise(col(START) + pl.duration(hours=24))
    samples = found.with_columns(at.alias("prediction_time")).filter(col("prediction_time") < col(END))
    frame = binary(samples, outcome="death", happened=col(DIED))
    return Labelled(frame=frame, flow=[{"step": "stays", "n_subjects": 0, "n_samples": frame.height}])


def target(config: Config) -> str:
    """One outcome."""
    return "binary"


def outcome_of_code(codes: list[str], config: Config) -> dict[str, str]:
    """No code."""
    return {}


def describe(outcome: str, config: Config | None = None) -> str:
    """In words."""
    return outcome
