"""Age and sex: the plainest clinical baseline. A model that does not beat it knows nothing of the illness.

For each outcome a logistic regression (least squares where a number is predicted) on a line in age that bends at some
ages, each sex that the record states, and the products of both. Its small ridge is chosen on the tuning split.
"""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array, vstack
from torch import Tensor, nn

from attending.batch import Batch, Facts, Output
from attending.config import Positive
from attending.nn import interface
from attending.nn.counts.features import AGE_BENDS, ages
from attending.nn.counts.regression import Matrix, Penalty, Problem, intercepts, predict, solve
from attending.nn.losses import VALUE_TARGET
from attending.nn.packed import segment_sum, token_weights

N_SEXES = 4  # more than records distinguish; one that is not stated has no column
N_AGE = len(AGE_BENDS) + 2


class Config(interface.ModelConfig):
    """Settings: the penalties on squared weights to choose from, for a loss per sample."""

    strengths: tuple[float, ...] = (1e-2, 1e-3, 1e-4)
    iterations: Positive = 200


EXAMPLE = Config(n_tokens=40, n_outcomes=5)
LEARNS = False  # knows nothing of eight patients of one age but their sex


class Model(interface.Model):
    """Risk by age and sex."""

    fits = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.amounts = False
        self.sex_of_token = nn.Buffer(torch.full((config.n_tokens,), -1))
        self.weight = nn.Buffer(torch.zeros(N_AGE * (1 + N_SEXES), config.n_outcomes))
        self.bias = nn.Buffer(torch.zeros(config.n_outcomes))

    def use(self, facts: Facts) -> None:
        """Learn which tokens state a sex, and start at the log-odds of each outcome."""
        self.amounts = facts.target == VALUE_TARGET
        self.sex_of_token.copy_(facts.sex_of_token.clamp(max=N_SEXES - 1))
        if not self.amounts:
            self.bias.copy_(interface.log_odds(facts.prevalence))

    def fit(self, train: Iterable[Batch], tuning: Iterable[Batch], *, seed: int) -> dict[str, object]:
        """Fit on the training split with each ridge, and keep the one that is best on the tuning split."""
        problem, tuned = self._problem(train), self._problem(tuning)
        beta = torch.cat([torch.zeros_like(self.weight), intercepts(problem)[None]])
        best, chosen = torch.inf, 0.0
        for strength in sorted(self.config.strengths, reverse=True):
            beta = solve(problem, Penalty(l2=strength), beta, iterations=self.config.iterations)
            loss = float(tuned.losses(predict(tuned.x, beta)).nanmean())
            if loss < best:
                best, chosen = loss, strength
                self.weight.copy_(beta[:-1])
                self.bias.copy_(beta[-1])
        return {"strength": chosen}

    def forward(self, batch: Batch) -> Output:
        """Return the logits of age and sex."""
        return Output(logits=self._features(batch) @ self.weight.to(batch.values.dtype) + self.bias)

    def _features(self, batch: Batch) -> Float[Tensor, "subject feature"]:
        age = ages(batch)[:, None]
        bends = [(age - bend).clamp(min=0) / 20 for bend in AGE_BENDS]
        line = torch.cat([torch.ones_like(age), age / 50, *bends], dim=1)
        sex = self.sex_of_token[batch.tokens]
        stated = nn.functional.one_hot(sex.clamp(min=0), N_SEXES) * (sex >= 0)[:, None]
        sexes = segment_sum(
            stated * token_weights(batch)[:, None], batch.subject_of_token, batch.n_subjects
        ).clamp(max=1.0)
        products = sexes[:, :, None] * line[:, None]
        return torch.cat([line, products.flatten(1)], dim=1)

    def _problem(self, batches: Iterable[Batch]) -> Problem:
        features, labels = [], []
        for batch in batches:
            assert batch.labels is not None, "fitting needs labels"
            features.append(csr_array(self._features(batch.without_labels()).numpy().astype(np.float32)))
            labels.append(batch.labels)
        return Problem(x=Matrix(vstack(features, format="csr")), y=torch.cat(labels), amounts=self.amounts)
