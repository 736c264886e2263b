"""Small training runs, of models that show what a test asks."""

from pathlib import Path
from typing import Any

import torch

from attending import registry
from attending.batch import Batch, Output
from attending.checkpoint import build_model
from attending.data.batches import Config as BatchConfig
from attending.data.batches import Loader
from attending.models import gru
from attending.train.loop import Config, Run
from attending.train.parallel import Team
from stores import random_store

DEFAULTS = {"epochs": 6, "patience": 6, "learning_rate": 0.01, "checkpoint_seconds": 0.0}
STILL = {"hide_events": 0.0, "hide_histories": 0.0}
"""Nothing is hidden: with no dropout either, a step draws no random number."""


class OwnObjective(gru.Model):
    """A GRU that can also learn, from a history that lost some codes, which codes it holds.

    It loses none where there is no dropout: then nothing is random.
    """

    def __init__(self, config: gru.Config) -> None:
        super().__init__(config)
        self.pretext = torch.nn.Linear(config.n_outcomes, config.n_tokens)

    def self_loss(self, batch: Batch) -> torch.Tensor:
        kept = (torch.rand_like(batch.values) >= self.dropout.p).float()
        said = self.pretext(self(batch.with_weights(kept)).logits)
        held = torch.zeros_like(said).index_put_((batch.subject_of_token, batch.tokens), torch.ones(1))
        return torch.nn.functional.binary_cross_entropy_with_logits(said, held)


class Punished(gru.Model):
    """A GRU whose penalty is the mean square of its logits, in training and out of it."""

    def forward(self, batch: Batch) -> Output:
        logits = super().forward(batch).logits
        return Output(logits=logits, penalty=10 * logits.square().mean())


class Normed(gru.Model):
    """A GRU whose logits are standardised by what was seen in training."""

    def __init__(self, config: gru.Config) -> None:
        super().__init__(config)
        self.norm = torch.nn.BatchNorm1d(config.n_outcomes)

    def forward(self, batch: Batch) -> Output:
        return Output(logits=self.norm(super().forward(batch).logits))


OF_TESTS = {"own": OwnObjective, "punished": Punished, "normed": Normed}


def run_in(
    folder: Path,
    *,
    model: str = "retain",
    dropout: float = 0.3,
    batch_samples: int = 8,
    team: Team | None = None,
    **settings: Any,
) -> Run:
    """Return a small training run; dropout is on unless told, so that its random numbers are tested too."""
    store, samples = random_store(n_subjects=60, seed=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if model in OF_TESTS:
            changed = {"dropout": dropout, "gap_weight": 0.0}
            network = OF_TESTS[model](gru.EXAMPLE.model_copy(update=changed))
        else:
            example = registry.load("models", model).EXAMPLE
            network = build_model(model, example.model_copy(update={"dropout": dropout}))
    folder.mkdir(parents=True, exist_ok=True)
    return Run(
        model=network,
        loader=Loader(store=store, samples=samples, config=BatchConfig(batch_samples=batch_samples)),
        train=samples.of_split("train"),
        tuning=samples.of_split("tuning"),
        config=Config(**(DEFAULTS | settings)),
        folder=folder,
        seed=1,
        team=team or Team(),
    )
