"""Model + tokens → predictions, for the tuning and held-out splits.

No label reaches a model: `interface.Model.predicted` takes them out of a batch, and the audit finds one that does not.
"""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from attending.artifact import Manifest, Recipe, is_current, read_manifest, write_atomic, writing
from attending.checkpoint import load_model
from attending.data import batches
from attending.data.batches import Loader, ahead
from attending.data.samples import Samples, find_samples
from attending.errors import ArtifactError
from attending.nn.interface import Model
from attending.nn.losses import VALUE_TARGET
from attending.progress import track
from attending.schema import (
    HELD_OUT,
    LABEL_CODES,
    OUTCOME,
    PREDICTED_PROBABILITY,
    PREDICTED_VALUE,
    PREDICTION_TIME,
    PROBABILITY,
    SPLIT,
    SUBJECT_ID,
    TUNING,
)
from attending.stages.label import read_labels, read_outcomes
from attending.stages.tokenize import VOCABULARY
from attending.stages.train import ORIGIN_FILE, OUTCOMES_FILE
from attending.tokens.store import TokenStore

KIND = "predictions"


def predict(model: Path, tokens: Path, labels: Path, out: Path) -> Manifest:
    """Predict every tuning and held-out sample of a label artifact.

    Raises:
        ArtifactError: if the model was trained on another vocabulary or other outcomes.
    """
    parents = {
        "model": read_manifest(model, "model").fingerprint,
        "tokens": read_manifest(tokens, "tokens").fingerprint,
        "labels": read_manifest(labels, "labels").fingerprint,
    }
    recipe = Recipe(kind=KIND, config={}, parents=parents)
    if is_current(out, recipe):
        return read_manifest(out, KIND)
    with writing(out, recipe) as writer:
        name, network = load_model(model)
        samples, loader = open_samples(model, tokens, read_labels(labels))
        chosen = np.concatenate([samples.of_split(TUNING), samples.of_split(HELD_OUT)])
        started = time.monotonic()
        probability = probabilities(
            network, loader, chosen, label=f"predicting with {name}", target=read_origin(model)["target"]
        )
        seconds = time.monotonic() - started
        frame = _frame(samples, chosen, probability)
        write_atomic(writer.path / "data.parquet", frame.write_parquet)
        if read_origin(model)["target"] == "binary":
            write_atomic(writer.path / "meds.parquet", _meds_view(frame).write_parquet)
        shutil.copy(model / OUTCOMES_FILE, writer.path / OUTCOMES_FILE)
        writer.counts = {"model": name, "samples": len(chosen), "seconds": round(seconds, 2)}
    return read_manifest(out, KIND)


def predict_samples(
    model: Path, tokens: Path, samples: pl.DataFrame | None = None, *, labels: Path | None = None
) -> pl.DataFrame:
    """Return subject_id, prediction_time and one probability (or number) for each outcome of a trained model.

    `samples` holds subject_id and prediction_time. Without it, the held-out samples of `labels` are predicted;
    what happened to them is not read.

    Raises:
        ArtifactError: if neither is given, or a subject is not in the token store.
    """
    if samples is None:
        if labels is None:
            raise ArtifactError(
                "expected samples (subject_id, prediction_time) or a label artifact to take them from"
            )
        samples = read_labels(labels).select(SUBJECT_ID, PREDICTION_TIME)
        found, loader = open_samples(model, tokens, samples)
        chosen = found.of_split(HELD_OUT)
    else:
        found, loader = open_samples(model, tokens, samples.sort(SUBJECT_ID, PREDICTION_TIME))
        chosen = np.arange(len(found))
    name, network = load_model(model)
    probability = probabilities(
        network, loader, chosen, label=f"predicting with {name}", target=read_origin(model)["target"]
    )
    return found.frame[chosen].hstack(
        pl.DataFrame(probability, schema=read_outcomes(model)[OUTCOME].to_list())
    )


def open_samples(model: Path, tokens: Path, samples: pl.DataFrame) -> tuple[Samples, Loader]:
    """Open samples for a trained model: with its outcomes and its batch settings, on the vocabulary it knows.

    `samples` needs subject_id and prediction_time only.
    """
    manifest = read_manifest(model, "model")
    of_tokens = read_manifest(tokens, "tokens")
    if manifest.parents["tokens"] not in (of_tokens.fingerprint, of_tokens.parents.get(VOCABULARY)):
        raise ArtifactError(f"the model {model} was trained on another vocabulary than that of {tokens}")
    if LABEL_CODES not in samples.columns:
        samples = samples.with_columns(pl.lit([], dtype=pl.List(pl.String)).alias(LABEL_CODES))
    store = TokenStore.open(tokens)
    origin = read_origin(model)
    found = replace(
        find_samples(store, samples, read_outcomes(model)[OUTCOME].to_list()),
        center=origin["center"],
        scale=origin["scale"],
    )
    return found, Loader(store=store, samples=found, config=batches.Config(**manifest.config["batches"]))


def read_origin(model: Path) -> dict[str, Any]:
    """Read what a model was made from: the settings of tokens, task and batches, and what it predicts."""
    origin: dict[str, Any] = json.loads((model / ORIGIN_FILE).read_text(encoding="utf-8"))
    return origin


@torch.inference_mode()
def probabilities(
    model: Model, loader: Loader, positions: batches.Positions, *, label: str, target: str
) -> np.ndarray:
    """Return the probability of each outcome for each sample, shape (sample, outcome), in the order of `positions`.

    Where the target is a number, it is that number, in its own unit. Computed on a CUDA device where there is one.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device)
    result = np.zeros((len(positions), loader.samples.n_outcomes), dtype=np.float32)
    place = np.empty(len(loader.samples), dtype=np.int64)
    place[positions] = np.arange(len(positions))
    plan: Sequence[batches.Positions] = loader.plan(positions)
    for chosen, batch in zip(track(plan, label), ahead(loader.batch, plan), strict=True):
        result[place[chosen]] = model.predicted(batch.to(device), target).cpu().numpy()
    if target == VALUE_TARGET:
        result = result * loader.samples.scale + loader.samples.center
    return result


def _frame(samples: Samples, chosen: batches.Positions, probability: np.ndarray) -> pl.DataFrame:
    split = pl.Series(SPLIT, np.where(samples.split[chosen] == 1, TUNING, HELD_OUT))
    values = pl.Series(PROBABILITY, probability, dtype=pl.Array(pl.Float32, probability.shape[1]))
    return samples.frame[chosen].with_columns(split, values).sort(SUBJECT_ID, PREDICTION_TIME)


def _meds_view(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the predictions of one outcome under the names that MEDS evaluation tools read."""
    probability = pl.col(PROBABILITY).arr.first()
    return frame.select(
        SUBJECT_ID,
        PREDICTION_TIME,
        (probability >= 0.5).alias(PREDICTED_VALUE),
        probability.alias(PREDICTED_PROBABILITY),
    )
