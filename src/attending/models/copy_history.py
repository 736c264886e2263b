"""Copy history: what the patient had before comes again, the more so the more recent it is.

For each outcome, from the tokens that are instances of it (`Facts.outcome_of_token`):

    r = Σ_instances' visits exp(-days ago / τ),   l = 1 if in the last visit,   n = log(1 + instances)
    logit = a + b · log-odds of the outcome + c · r + d · l + e · n

with a … e fitted on the training split over all outcomes together, and τ chosen on the tuning split. Where no token is
an instance of the outcome (death, readmission) it is the popularity baseline; where a number is predicted, its mean.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from attending.batch import Batch, Facts, Output
from attending.nn import interface
from attending.nn.counts.matrix import label_means
from attending.nn.losses import VALUE_TARGET, loss
from attending.nn.packed import token_weights
from attending.progress import track

MOST_PAIRS = 4_000_000  # pairs of sample and outcome that five coefficients are fitted on, at the most
N_FEATURES = 5


class Config(interface.ModelConfig):
    """Settings: the recency decays to choose from, in days."""

    decays: tuple[float, ...] = (90.0, 365.0, 1500.0)


EXAMPLE = Config(n_tokens=40, n_outcomes=5)
LEARNS = False  # five coefficients for all outcomes together cannot overfit eight patients


class Model(interface.Model):
    """Recency-weighted repetition."""

    fits = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.decays = config.decays
        self.target = "multilabel"
        self.outcome_of_token = nn.Buffer(torch.full((config.n_tokens,), -1))
        self.log_odds = nn.Buffer(torch.zeros(config.n_outcomes))
        self.decay = nn.Buffer(torch.tensor(config.decays[0]))
        self.coefficients = nn.Buffer(torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0]))

    def use(self, facts: Facts) -> None:
        """Learn which outcome each token is an instance of."""
        self.target = facts.target
        if self.target != VALUE_TARGET:
            self.outcome_of_token.copy_(facts.outcome_of_token)
            self.log_odds.copy_(interface.log_odds(facts.prevalence))

    def fit(self, train: Iterable[Batch], tuning: Iterable[Batch], *, seed: int) -> dict[str, object]:
        """Fit the coefficients for each decay and keep the decay that is best on the tuning split."""
        if self.target == VALUE_TARGET:
            self.log_odds.copy_(label_means(train))
            self.outcome_of_token.fill_(-1)
        if not bool((self.outcome_of_token >= 0).any()):
            return {"copies": 0}
        trained, tuned = _some(train, len(self.log_odds)), _some(tuning, len(self.log_odds))
        best = torch.inf
        for decay in track(self.decays, "fitting copy_history"):
            coefficients = self._newton(trained, decay)
            total = sum(self._loss(batch, decay, coefficients) for batch in tuned)
            if total < best:
                best = total
                self.decay.fill_(decay)
                self.coefficients.copy_(coefficients)
        return {"decay_days": float(self.decay)}

    def forward(self, batch: Batch) -> Output:
        """Return the logits of repetition."""
        return Output(logits=self._features(batch, float(self.decay)) @ self.coefficients)

    def _features(self, batch: Batch, decay: float) -> Float[Tensor, "subject outcome feature"]:
        n, n_outcomes = batch.n_subjects, len(self.log_odds)
        outcome = self.outcome_of_token[batch.tokens]
        instance = outcome >= 0
        cell = (batch.subject_of_token * n_outcomes + outcome)[instance]
        weights = token_weights(batch)
        last = batch.subject_offsets[1:][batch.subject_of_token] - 1 == batch.visit_of_token
        recency = _add(cell, (weights * torch.exp(batch.days / decay))[instance], n * n_outcomes)
        in_last = _add(cell, (weights * last)[instance], n * n_outcomes).clamp(max=1.0)
        instances = _add(cell, weights[instance], n * n_outcomes).log1p()
        columns = [torch.ones(n * n_outcomes), self.log_odds.repeat(n), recency, in_last, instances]
        return torch.stack(columns, dim=1).view(n, n_outcomes, N_FEATURES)

    def _newton(self, batches: list[Batch], decay: float) -> Float[Tensor, " feature"]:
        """Fit a logistic regression of a few coefficients by Newton's method, a little ridge for safety."""
        beta = self.coefficients.double()
        for _ in range(12):
            gradient, curvature = -1e-3 * beta, 1e-3 * torch.eye(N_FEATURES, dtype=torch.float64)
            for batch in batches:
                y = _labels(batch).flatten().double()
                known = ~torch.isnan(y)
                x, y = self._features(batch, decay).view(-1, N_FEATURES).double()[known], y[known]
                p = torch.sigmoid(x @ beta)
                gradient = gradient + x.T @ (y - p)
                curvature = curvature + (x * (p * (1 - p))[:, None]).T @ x
            step = torch.linalg.solve(curvature, gradient)
            beta = beta + step.clamp(-2, 2)
            if float(step.abs().max()) < 1e-6:
                break
        return beta.float()

    def _loss(self, batch: Batch, decay: float, coefficients: Tensor) -> float:
        labels = _labels(batch)
        mean = loss(self._features(batch, decay) @ coefficients, labels, self.target)
        return float(mean) * int((~torch.isnan(labels)).sum())


def _add(cell: Int64[Tensor, " item"], values: Float[Tensor, " item"], size: int) -> Float[Tensor, " cell"]:
    return torch.zeros(size).index_add(0, cell, values)


def _labels(batch: Batch) -> Float[Tensor, "subject outcome"]:
    assert batch.labels is not None
    return batch.labels


def _some(batches: Iterable[Batch], n_outcomes: int) -> list[Batch]:
    kept, pairs = [], 0
    for batch in batches:
        kept.append(batch)
        pairs += batch.n_subjects * n_outcomes
        if pairs >= MOST_PAIRS:
            break
    return kept
