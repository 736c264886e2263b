"""Runs that predict a number compare as well: by their errors, where less is better."""

import numpy as np
import polars as pl
import pytest
from tiny_runs import write_run

from attending.artifact import Recipe, writing
from attending.compare.table import table
from attending.errors import ArtifactError
from attending.evaluate.config import Config
from attending.stages.compare import compare

CONFIG = Config(n_replicates=100)
NOISE = {"strong": 1.0, "logistic_counts": 2.0, "popularity": 4.0}


def write_numbers(folder, *, shift=0.0):
    """Write a run whose labels are numbers, which its models predict with more and less noise."""
    write_run(folder, binary=True)
    generator = np.random.default_rng(0)
    frames = {
        path: pl.read_parquet(path).with_columns(
            pl.col("visit_id").mod(9).cast(pl.Float64).alias("value") + shift
        )
        for path in sorted((folder / "labels" / "data").glob("*.parquet"))
    }
    task = {"name": "length_of_stay"}
    with writing(
        folder / "labels", Recipe(kind="labels", config={"task": task, "target": "value"})
    ) as writer:
        (writer.path / "data").mkdir()
        for path, frame in frames.items():
            frame.write_parquet(writer.path / "data" / path.name)
        outcomes = pl.read_parquet(folder / "labels" / "outcomes.parquet")
        outcomes.write_parquet(writer.path / "outcomes.parquet")
    observed = pl.concat(frames.values())
    for model, noise in NOISE.items():
        path = folder / "predictions" / model / "data.parquet"
        frame = pl.read_parquet(path).drop("probability")
        joined = frame.join(observed, on=["subject_id", "prediction_time"], maintain_order="left")
        predicted = joined["value"].to_numpy() + generator.normal(0, noise, len(frame))
        array = pl.Series("probability", predicted[:, None].astype(np.float32))
        frame.with_columns(array).write_parquet(path)
    return folder


def test_the_smallest_error_is_first(tmp_path):
    result = compare([write_numbers(tmp_path / "run")], config=CONFIG)
    assert result["headline"] == "mae"
    assert [line.name for line in table(result).lines] == list(NOISE)
    assert (result["best_baseline"], result["best_model"]) == ("logistic_counts", "strong")
    assert result["models"]["strong"]["all"]["mae"]["difference"]["high"] < 0


def test_other_numbers_for_the_same_samples_are_refused(tmp_path):
    runs = [write_numbers(tmp_path / "one"), write_numbers(tmp_path / "two", shift=1.0)]
    with pytest.raises(ArtifactError, match="different answers for 240 of 240"):
        compare(runs, config=CONFIG)
