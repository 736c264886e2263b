"""A tiny study written as artifacts: events' splits, labels, predictions, and a truth that made the labels."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from attending.artifact import Recipe, writing
from attending.schema import CONDITION, LABELS, SHARE

START = datetime(2020, 1, 1)
CODES = [f"DIAGNOSIS//ICD//10//{letter}{number}" for letter in "ABCDEFGH" for number in ("10", "20")]


def write_study(folder, *, n_subjects=120, n_outcomes=4, binary=False, seed=0, visits=3):
    """Write events, labels, truth and the predictions of several models; return their folders by name."""
    generator = np.random.default_rng(seed)
    subject = np.repeat(np.arange(1, n_subjects + 1) * 7, visits)
    time = [START + timedelta(days=30 * int(at)) for at in np.tile(np.arange(visits), n_subjects)]
    n = len(subject)
    outcomes = ["in_hospital_death"] if binary else CODES[:n_outcomes]
    eta = generator.normal(-1, 1, (n, len(outcomes)))
    truth = 1 / (1 + np.exp(-eta))
    happens, history = generator.random(truth.shape) < truth, generator.random(truth.shape) < 0.3
    if binary:
        history[:] = False
    keys = pl.DataFrame({"subject_id": subject, "prediction_time": time}).cast(
        {"prediction_time": pl.Datetime("us")}
    )
    labels = keys.with_columns(
        pl.Series("label_codes", _codes(happens, outcomes), dtype=pl.List(pl.String)),
        pl.Series("history_codes", _codes(history, outcomes), dtype=pl.List(pl.String)),
        pl.Series("visit_id", np.arange(n)),
    )
    split = np.where(np.arange(n_subjects) % 3 == 0, "tuning", "held_out")
    folders = {"events": folder / "events", "labels": folder / "labels", "truth": folder / "truth"}
    _write_events(folders["events"], np.unique(subject), split)
    _write_labels(folders["labels"], labels, outcomes, binary)
    _write_truth(folders["truth"], labels, truth, binary)
    noise = {"strong": 0.3, "logistic_counts": 1.0, "popularity": 3.0}
    of_row = np.repeat(split, visits)
    for model, scale in noise.items():
        probability = 1 / (1 + np.exp(-(eta + generator.normal(0, scale, eta.shape))))
        folders[model] = folder / f"predictions-{model}"
        write_predictions(folders[model], model, keys, of_row, probability, outcomes)
    return folders


def write_predictions(folder, model, keys, split, probability, outcomes):
    with writing(folder, Recipe(kind="predictions", config={"model": model})) as writer:
        array = pl.Series("probability", probability.astype(np.float32))
        assert isinstance(array.dtype, pl.Array)
        keys.with_columns(pl.Series("split", split), array).write_parquet(writer.path / "data.parquet")
        _outcome_table(outcomes).write_parquet(writer.path / "outcomes.parquet")
        writer.counts = {"model": model, "n_samples": len(keys), "seconds": 0.0}


def _write_events(folder, subjects, split):
    with writing(folder, Recipe(kind="events", config={})) as writer:
        (writer.path / "metadata").mkdir()
        splits = pl.DataFrame({"subject_id": subjects, "split": split})
        splits.write_parquet(writer.path / "metadata" / "subject_splits.parquet")


def _write_labels(folder, labels, outcomes, binary):
    task = {"name": "mortality"} if binary else {"name": "next_diagnoses", "vocabulary": "full"}
    target = "binary" if binary else "multilabel"
    with writing(folder, Recipe(kind="labels", config={"task": task, "target": target})) as writer:
        (writer.path / "data").mkdir()
        half = len(labels) // 6 * 3
        LABELS.check(labels, "the labels")
        for number, shard in enumerate((labels[:half], labels[half:])):
            shard.write_parquet(writer.path / "data" / f"{number:03}.parquet")
        _outcome_table(outcomes).write_parquet(writer.path / "outcomes.parquet")


def _write_truth(folder, labels, truth, binary):
    keys = labels.select("subject_id", "prediction_time", "visit_id")
    (folder / "data").mkdir(parents=True)
    (folder / "outcomes").mkdir()
    if binary:
        of_visits = keys.drop("prediction_time").with_columns(pl.Series("death_probability", truth[:, 0]))
        of_visits.write_parquet(folder / "outcomes" / "000.parquet")
        return
    probability = pl.Series("probability", truth.astype(np.float32))
    keys.with_columns(probability).write_parquet(folder / "data" / "000.parquet")
    n = truth.shape[1]
    conditions = pl.DataFrame(
        {CONDITION: np.arange(n, dtype=np.int32), "name": [f"c{at}" for at in range(n)], "code": CODES[:n]}
    )
    conditions.with_columns(pl.lit(1.0).alias(SHARE)).write_parquet(folder / "conditions.parquet")


def _outcome_table(outcomes):
    words = [f"outcome {at}" for at in range(len(outcomes))]
    return pl.DataFrame({"outcome": outcomes, "description": words, "n_train_positive": [50] * len(outcomes)})


def _codes(matrix, outcomes):
    return [[outcomes[at] for at in np.flatnonzero(row)] for row in matrix]
