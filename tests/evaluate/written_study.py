"""Write labels and predictions that a test made as the artifacts that the stage reads, and evaluate them."""

import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from tiny_study import write_predictions

from attending.artifact import Recipe, writing
from attending.cohort import tidy
from attending.evaluate.config import Config
from attending.stages.evaluate import evaluate

START = datetime(2020, 1, 1)


def evaluated(folder, subject, columns, *, outcomes, task, target, predictions, n_replicates=50):
    """Evaluate `predictions` {model: (n, K)}; two subjects in three are held out. Return the folder of metrics."""
    times = [START + timedelta(days=at) for at in range(len(subject))]
    keys = pl.DataFrame({"subject_id": subject, "prediction_time": times})
    keys = keys.cast({"prediction_time": pl.Datetime("us")})
    nothing = pl.lit([], dtype=pl.List(pl.String))
    labels = tidy(keys.with_columns(history_codes=nothing).with_columns(**columns))
    order = keys.with_row_index("row").sort("subject_id", "prediction_time")["row"].to_numpy()
    split = np.where(subject % 3 == 0, "tuning", "held_out")
    events, labelled = folder / "events", folder / "labels"
    table = pl.DataFrame(
        {"outcome": outcomes, "description": outcomes, "n_train_positive": [50] * len(outcomes)}
    )
    with writing(events, Recipe(kind="events", config={})) as writer:
        (writer.path / "metadata").mkdir()
        people = pl.DataFrame({"subject_id": subject, "split": split}).unique("subject_id")
        people.write_parquet(writer.path / "metadata" / "subject_splits.parquet")
    with writing(labelled, Recipe(kind="labels", config={"task": task, "target": target})) as writer:
        (writer.path / "data").mkdir()
        labels.write_parquet(writer.path / "data" / "000.parquet")
        table.write_parquet(writer.path / "outcomes.parquet")
    for model, predicted in predictions.items():
        write_predictions(folder / model, model, keys[order], split[order], predicted[order], outcomes)
    out = folder / "metrics"
    paths = [folder / model for model in predictions]
    evaluate(labelled, paths, events, out, config=Config(n_replicates=n_replicates))
    return out


def read(out, name):
    return json.loads((out / f"{name}.json").read_text())
