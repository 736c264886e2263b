"""Popularity: every subject has the training prevalence of each outcome, or the mean of what is measured.

What any model must beat.
"""

from collections.abc import Iterable

import torch
from torch import nn

from attending.batch import Batch, Facts, Output
from attending.nn import interface
from attending.nn.counts.matrix import label_means
from attending.nn.losses import VALUE_TARGET

Config = interface.ModelConfig
EXAMPLE = Config(n_tokens=40, n_outcomes=5)
LEARNS = False  # knows nothing of the patient, so it cannot overfit eight of them


class Model(interface.Model):
    """The log-odds of each outcome, whoever asks."""

    fits = True

    def __init__(self, config: interface.ModelConfig) -> None:
        super().__init__()
        self.amounts = False
        self.logits = nn.Buffer(torch.zeros(config.n_outcomes))

    def use(self, facts: Facts) -> None:
        """Take the prevalence of the training split."""
        self.amounts = facts.target == VALUE_TARGET
        if not self.amounts:
            self.logits.copy_(interface.log_odds(facts.prevalence))

    def fit(self, train: Iterable[Batch], tuning: Iterable[Batch], *, seed: int) -> dict[str, object]:
        """Take the mean where a number is predicted; else the prevalence is all it knows."""
        if self.amounts:
            self.logits.copy_(label_means(train))
        return {}

    def forward(self, batch: Batch) -> Output:
        """Return the same for every history."""
        return Output(logits=self.logits.expand(batch.n_subjects, -1))
