"""Model + tokens → attributions: which past events drove the predictions of some held-out samples.

The samples are drawn at random from the held-out ones with a history long enough to show, not picked because they
look good. Each is explained for the outcome whose predicted risk stands highest above its prevalence.
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from attending import registry
from attending.artifact import Manifest, Recipe, is_current, read_manifest, write_atomic, writing
from attending.batch import Batch
from attending.checkpoint import load_model
from attending.config import Component, Settings
from attending.data.batches import Loader, Positions
from attending.data.samples import Samples
from attending.errors import ModelError
from attending.nn.interface import Model, log_odds
from attending.nn.losses import VALUE_TARGET
from attending.schema import (
    ATTRIBUTION,
    BASE,
    CODE,
    DAYS,
    DESCRIPTION,
    HAPPENED,
    HELD_OUT,
    LOGIT,
    OUTCOME,
    PREDICTION_TIME,
    PROBABILITY,
    SAMPLE,
    SUBJECT_ID,
    TRAIN,
    VALUE_TEXT,
    VISIT,
)
from attending.stages.label import read_labels, read_outcomes
from attending.stages.predict import open_samples
from attending.stages.tokenize import read_vocabulary

KIND = "attributions"


class Config(Settings):
    """Settings: how many held-out samples to explain, and how many visits each must have."""

    n_samples: int = 4
    min_visits: int = 3


def explain(
    model: Path,
    tokens: Path,
    labels: Path,
    out: Path,
    *,
    explainer: Component,
    config: Config,
    seed: int = 0,
) -> Manifest:
    """Explain some held-out predictions of a model.

    Raises:
        ModelError: if no held-out sample has a history long enough, or a number is predicted.
    """
    settings = explainer.config("explain")
    manifest = read_manifest(model, "model")
    if manifest.config["target"] == VALUE_TARGET:
        raise ModelError("explanations speak of outcomes and their log-odds; this model predicts a number")
    recipe = Recipe(
        kind=KIND,
        config={
            "explainer": {"name": explainer.name} | settings.to_dict(),
            "samples": config.to_dict(),
            "model": manifest.config["model"]["name"],
            "method": explainer.name,
        },
        parents={"model": manifest.fingerprint, "labels": read_manifest(labels, "labels").fingerprint},
        seed=seed,
    )
    if is_current(out, recipe):
        return read_manifest(out, KIND)
    with writing(out, recipe) as writer:
        _, network = load_model(model)
        samples, loader = open_samples(model, tokens, read_labels(labels))
        chosen = _choose(samples, loader, config, seed)
        batch = loader.batch(chosen)
        outcome = _striking(network, batch, samples)
        attribution, base = registry.load("explain", explainer.name).explain(
            network, batch.without_labels(), outcome, settings
        )
        frames = {
            "samples": _samples_frame(
                network, batch, samples.frame[chosen], outcome, base, read_outcomes(model)
            ),
            "events": _events_frame(batch, attribution, read_vocabulary(model).table),
        }
        for name, frame in frames.items():
            write_atomic(writer.path / f"{name}.parquet", frame.write_parquet)
        writer.counts = {"samples": len(chosen), "events": frames["events"].height}
    return read_manifest(out, KIND)


def _choose(samples: Samples, loader: Loader, config: Config, seed: int) -> Positions:
    held_out = samples.of_split(HELD_OUT)
    ends = samples.cut[held_out] - 1
    n_visits = np.where(ends >= samples.start[held_out], loader.store.visit[np.maximum(ends, 0)], 0)
    long_enough = held_out[n_visits >= config.min_visits]
    if not len(long_enough):
        raise ModelError(
            f"no held-out sample has {config.min_visits} visits to explain: lower explain.min_visits"
        )
    drawn = np.random.default_rng(seed).permutation(long_enough)
    _, first = np.unique(samples.row[drawn], return_index=True)  # one sample a subject
    return drawn[np.sort(first)][: config.n_samples]


@torch.no_grad()
def _striking(network: Model, batch: Batch, samples: Samples) -> torch.Tensor:
    """Return, for each history, the outcome whose logit stands highest above its log-odds in training."""
    prevalence = torch.from_numpy(samples.prevalence(samples.of_split(TRAIN)))
    return (network(batch.without_labels()).logits - log_odds(prevalence)).argmax(1)


@torch.no_grad()
def _samples_frame(
    network: Model,
    batch: Batch,
    keys: pl.DataFrame,
    outcome: torch.Tensor,
    base: torch.Tensor,
    outcomes: pl.DataFrame,
) -> pl.DataFrame:
    assert batch.labels is not None
    logit = network(batch.without_labels()).logits.gather(1, outcome[:, None])[:, 0]
    happened = batch.labels.gather(1, outcome[:, None])[:, 0] > 0
    named = outcomes[outcome.numpy()].select(OUTCOME, DESCRIPTION)
    columns: dict[str, Any] = {
        SAMPLE: np.arange(len(outcome), dtype=np.int32),
        PROBABILITY: torch.sigmoid(logit).numpy(),
        LOGIT: logit.numpy(),
        BASE: base.detach().numpy(),
        HAPPENED: happened.numpy(),
    }
    return pl.concat(
        [keys.select(SUBJECT_ID, PREDICTION_TIME), named, pl.DataFrame(columns)], how="horizontal"
    )


def _events_frame(batch: Batch, attribution: torch.Tensor, vocabulary: pl.DataFrame) -> pl.DataFrame:
    subject: NDArray[np.int64] = batch.subject_of_token.numpy()
    first_visit = batch.subject_offsets.numpy()[subject]
    columns: dict[str, Any] = {
        SAMPLE: subject.astype(np.int32),
        VISIT: (batch.visit_of_token.numpy() - first_visit).astype(np.int32),
        DAYS: batch.days.numpy(),
        ATTRIBUTION: attribution.numpy(),
    }
    named = vocabulary[batch.tokens.numpy()].select(CODE, DESCRIPTION)
    return pl.concat([pl.DataFrame(columns), named], how="horizontal").with_columns(
        pl.lit(None, dtype=pl.String).alias(VALUE_TEXT)
    )
