"""A leaky model for the tests: it reads the labels that come with a batch."""

from collections.abc import Iterable
from typing import Any

import torch

from attending.batch import Batch, Output
from attending.nn.interface import Model as Base
from attending.nn.interface import ModelConfig


class Config(ModelConfig):
    """No settings."""


EXAMPLE = Config(n_tokens=40, n_outcomes=5)


class Model(Base):
    """Answers with the answer."""

    fits = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.register_buffer("bias", torch.zeros(config.n_outcomes))

    def fit(self, train: Iterable[Batch], tuning: Iterable[Batch], *, seed: int) -> dict[str, Any]:
        return {}

    def predicted(self, batch: Batch, target: str) -> torch.Tensor:
        return self(batch).logits.sigmoid()

    def forward(self, batch: Batch) -> Output:
        logits = self.bias.expand(batch.n_subjects, -1)
        return Output(logits=logits if batch.labels is None else logits + batch.labels.nan_to_num())
