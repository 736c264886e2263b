"""Popularity: every subject has the training prevalence of each outcome. What any model must beat."""

import torch
from torch import nn

from attending.batch import Batch, Facts, Output
from attending.nn import interface

Config = interface.ModelConfig
EXAMPLE = Config(n_tokens=40, n_outcomes=5)
LEARNS = False  # knows nothing of the patient, so it cannot overfit eight of them


class Model(interface.Model):
    """The log-odds of each outcome, whoever asks."""

    fits = True

    def __init__(self, config: interface.ModelConfig) -> None:
        super().__init__()
        self.logits = nn.Buffer(torch.zeros(config.n_outcomes))

    def use(self, facts: Facts) -> None:
        """Take the prevalence of the training split."""
        self.logits.copy_(interface.log_odds(facts.prevalence))

    def fit(self, train: object, tuning: object, *, seed: int) -> dict[str, object]:
        """Do nothing more: the prevalence is all it knows."""
        return {}

    def forward(self, batch: Batch) -> Output:
        """Return the same logits for every history."""
        return Output(logits=self.logits.expand(batch.n_subjects, -1))
