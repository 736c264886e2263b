"""Output folders of tiny studies, as `attending compare` reads them."""

import shutil
import sys
from pathlib import Path

import numpy as np
import polars as pl

from attending.artifact import Recipe, writing

sys.path.insert(0, str(Path(__file__).parent.parent / "evaluate"))
from tiny_study import write_predictions, write_study


def write_run(folder, *, keep=("strong", "logistic_counts", "popularity"), **settings):
    """Write the output folder of a study with the models of `keep`."""
    folders = write_study(folder, **settings)
    for model in ("strong", "logistic_counts", "popularity"):
        if model in keep:
            (folder / "predictions").mkdir(exist_ok=True)
            folders[model].rename(folder / "predictions" / model)
        else:
            shutil.rmtree(folders[model])
    for model in keep:
        with writing(folder / "models" / model, Recipe(kind="model", config={})) as writer:
            writer.counts = {"n_parameters": 1234 if model == "strong" else 0, "seconds": 2.5}
    return folder


def add_model(folder, model, *, noise, seed=1):
    """Add a model that predicts as `strong` does, with noise."""
    path = folder / "predictions"
    frame = pl.read_parquet(path / "strong" / "data.parquet")
    outcomes = pl.read_parquet(path / "strong" / "outcomes.parquet")["outcome"].to_list()
    old = frame["probability"].to_numpy().astype(np.float64)
    eta = np.log(old / (1 - old)) + np.random.default_rng(seed).normal(0, noise, old.shape)
    keys = frame.select("subject_id", "prediction_time")
    write_predictions(path / model, model, keys, frame["split"], 1 / (1 + np.exp(-eta)), outcomes)


def drop_held_out(folder, n_subjects):
    """Leave some held-out subjects out of the labels of a run; return how many samples that is."""
    splits = pl.read_parquet(folder / "events" / "metadata" / "subject_splits.parquet")
    gone = splits.filter(pl.col("split") == "held_out")["subject_id"].head(n_subjects)
    n = 0
    for path in sorted((folder / "labels" / "data").glob("*.parquet")):
        frame = pl.read_parquet(path)
        kept = frame.filter(~pl.col("subject_id").is_in(gone.implode()))
        n += len(frame) - len(kept)
        kept.write_parquet(path)
    return n
